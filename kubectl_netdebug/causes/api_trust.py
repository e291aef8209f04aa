"""The certificate that the API server shows to a Pod: for which names, until when, and by whom it is signed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kubectl_netdebug.causes import api_asks, asks
from kubectl_netdebug.causes.api_view import Dialled, about_api, dialled_by, door_of, identity_of
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.owners import is_patchable, owner_of
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl, patch
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.certificate import covers, fingerprint, issued_by
from kubectl_netdebug.net.spoken import Certificate, TlsAnswer

PUBLIC_NAME = "kubernetes.default.svc"
"""The name by which the API server is known to Pods; which longer ones there are depends on the cluster's domain."""

CLOCKS_AGREE = 120.0
"""Seconds by which this machine's clock and a node's may differ before either is doubted."""

LEASES = "leases.coordination.k8s.io"


@dataclass(frozen=True)
class Shown:
    """What a client of the Pod is shown where its in-cluster configuration leads. `chain` is base64 DER."""

    dialled: Dialled
    answer: TlsAnswer
    certificate: Certificate | None
    chain: tuple[str, ...]


@dataclass(frozen=True)
class TrustFault:
    """One thing that a verifying client objects to. `kind` is `dates`, `name`, `authority` or `renewed`."""

    kind: str
    words: str
    breaks: bool = True


def shown_to(look: Look, client: Pod) -> Shown | None:
    """None where there is no address to connect to."""
    dialled = dialled_by(client, door_of(look))
    if not dialled.host:
        return None
    greeting = asks.tls(client, dialled.host, dialled.port)
    answer, chain = look.together(greeting, api_asks.chain_at(client, dialled.host, dialled.port))
    return Shown(dialled, answer, answer.certificate, chain)


def faults_of(look: Look, client: Pod, shown: Shown) -> list[TrustFault]:
    """What a client that verifies as in-cluster clients do objects to, the gravest first."""
    if shown.certificate is None:
        return []
    found = [TrustFault("dates", words)] if (words := _dates(shown.certificate, look(asks.now()))) else []
    names = list(shown.certificate.all_names)
    if not covers(names, shown.dialled.host):
        found.append(TrustFault("name", f"it is not for {shown.dialled.host}"))
    elif not shown.dialled.overridden and not covers(names, PUBLIC_NAME):
        found.append(TrustFault("name", f"it is not for {PUBLIC_NAME}", breaks=False))
    return [*found, *_authority(look, client, shown)]


def _dates(certificate: Certificate, now: datetime) -> str:
    if certificate.not_after and certificate.not_after < now:
        return f"it expired on {certificate.not_after:%Y-%m-%d %H:%M} UTC"
    if certificate.not_before and certificate.not_before > now:
        return f"it is not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC"
    return ""


def authorities_of(look: Look, client: Pod) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """(certificates in the Pod's own folder, those in the ConfigMap that new Pods get); None where not known."""
    mount = identity_of(look, client).mount
    config = api_asks.root_ca(client.namespace)
    if mount is None:
        return None, look.if_known(config)
    folder = api_asks.mounted(client, mount.container, mount.folder)
    look.foresee(folder, config)
    found = look.if_known(folder)
    return (found.authorities or None) if found else None, look.if_known(config)


def _authority(look: Look, client: Pod, shown: Shown) -> list[TrustFault]:
    in_pod, kept = authorities_of(look, client)
    by_pod, by_config = issued_by(shown.chain, in_pod or ()), issued_by(shown.chain, kept or ())
    if by_pod is False:
        return [TrustFault("authority", "it is not signed by the CA that the Pod has")]
    if by_config is False:
        breaks = by_pod is None and identity_of(look, client).mount is not None
        words = f"it is not signed by the CA in ConfigMap {api_asks.ROOT_CA}"
        return [TrustFault("authority" if breaks else "renewed", words, breaks)]
    return []


def _seen(look: Look, asked: Question, kind: str) -> tuple[Pod, Shown, TrustFault] | None:
    """The fault of one kind, where the question is about the API server and the certificate has it."""
    if not about_api(asked):
        return None
    client = client_pod(look, asked)
    shown = shown_to(look, client)
    if shown is None or shown.certificate is None or shown.dialled.overridden:
        return None
    fault = next((f for f in faults_of(look, client, shown) if f.kind == kind), None)
    return (client, shown, fault) if fault else None


def _effect(fault: TrustFault) -> Effect:
    return Effect.BREAKS if fault.breaks else Effect.DEGRADES


SERVICE = ObjectRef("Service", api_asks.NAMESPACE, api_asks.NAME)

CERT_SAN = Cause(
    code="api-cert-san",
    title="The API server's certificate lacks a name",
    says="The certificate that the API server shows at {where} is not for {name}; it is for {names}.",
    means="Clients in Pods that use {name} end the handshake: they verify that the certificate is for it.",
    symptom="x509: certificate is valid for …, not for the address or name that Pods use; kubectl from outside works.",
    apart="With the wrong CA the complaint is about an unknown authority; with a clock, about the dates.",
    mend="Add the name to the API server's certificate (kubeadm: apiServer.certSANs) and have it issued again.",
)


@explains(Hop.TLS, CERT_SAN)
def cert_san(look: Look, asked: Question) -> Finding | None:
    """It is shown at the Service's address, and bears neither that nor the API server's name."""
    seen = _seen(look, asked, "name")
    if seen is None:
        return None
    _, shown, fault = seen
    assert shown.certificate is not None
    names = shown.certificate.all_names
    host = shown.dialled.host if fault.breaks else PUBLIC_NAME
    return CERT_SAN.confirmed(
        at=SERVICE,
        where=shown.dialled,
        name=host,
        names=", ".join(names[:4]) + (" and others" if len(names) > 4 else ""),
        effect=_effect(fault),
        saw=f"TLS to {shown.dialled}: {shown.answer.words}, for {', '.join(names[:6])}",
        fix=Fix(
            "add it to apiServer.certSANs",
            kubectl("edit", "configmap", "kubeadm-config", namespace="kube-system"),
            not_pasteable="then, on each control plane node: move apiserver.crt and apiserver.key away, run kubeadm "
            "init phase certs apiserver, and restart kube-apiserver; without kubeadm, by its own means",
        ),
    )


CERT_EXPIRED = Cause(
    code="api-cert-expired",
    title="The API server's certificate is out of date",
    says="The certificate that the API server shows to Pods at {where}: {why}.",
    means="Every client that verifies certificates ends the handshake; nodes lose the API server as well.",
    symptom="x509: certificate has expired or is not yet valid, from Pods and kubelets.",
    apart="Where only the clients of one node complain, that node's clock is wrong.",
    mend="Renew it on the control plane (kubeadm certs renew all) and restart kube-apiserver.",
    explains=("api-cert-san",),
)


@explains(Hop.TLS, CERT_EXPIRED)
def cert_expired(look: Look, asked: Question) -> Finding | None:
    """Out of date by this machine's clock; that of the Pod's node agrees with it."""
    seen = _seen(look, asked, "dates")
    if seen is None:
        return None
    client, shown, fault = seen
    there = clock_of(look, client.node)
    agree = there is not None and abs((there - look(asks.now())).total_seconds()) < CLOCKS_AGREE
    return (CERT_EXPIRED.confirmed if agree else CERT_EXPIRED.likely)(
        at=SERVICE,
        where=shown.dialled,
        why=fault.words,
        saw=(
            f"TLS to {shown.dialled}: {shown.answer.words}, {fault.words}",
            *([f"the clock of {client.node} agrees with this machine's"] if agree else []),
        ),
        fix=Fix(
            "see what kube-apiserver says about its certificates",
            kubectl("get", "--raw", "/readyz?verbose"),
            Risk.READ_ONLY,
            not_pasteable="renewing is done on each control plane node: kubeadm certs renew all, then restart it",
        ),
    )


def clock_of(look: Look, node: str) -> datetime | None:
    """The time on a node, as its kubelet wrote it into its lease within the last seconds."""
    lease = look.if_known(asks.raw_object(LEASES, "kube-node-lease", node)) if node else None
    return tree.when(lease, "spec", "renewTime")


CA_MISMATCH = Cause(
    code="api-ca-mismatch",
    title="Pods are given another CA than the API server's",
    says="The CA that {whose} ({theirs}) did not sign the certificate that the API server shows at {where}, which is "
    "signed by {issuer}.",
    means="{effect_words}",
    symptom="x509: certificate signed by unknown authority, in Pods of one namespace or of all.",
    apart="A certificate for other names or out of date is complained about in those words.",
    mend="Put the right CA into the ConfigMap (its controller does so from --root-ca-file), then start the Pods anew.",
    explains=("api-cert-san",),
)


@explains(Hop.TLS, CA_MISMATCH)
def ca_mismatch(look: Look, asked: Question) -> Finding | None:
    """Neither by signature nor by a chain does the CA vouch for what is shown."""
    seen = _seen(look, asked, "authority") or _seen(look, asked, "renewed")
    if seen is None:
        return None
    client, shown, fault = seen
    assert shown.certificate is not None
    in_pod, kept = authorities_of(look, client)
    config_wrong = kept is not None and issued_by(shown.chain, kept) is False
    theirs = kept if config_wrong else in_pod
    config = ObjectRef("ConfigMap", client.namespace, api_asks.ROOT_CA, "data[ca.crt]")
    whose = f"Pods of namespace {client.namespace} are given" if config_wrong else f"{client.name} still has"
    return CA_MISMATCH.confirmed(
        at=config if config_wrong else owner_of(look, client),
        whose=whose,
        theirs=", ".join(fingerprint(each) for each in theirs or ())[:120],
        where=shown.dialled,
        issuer=shown.certificate.issuer,
        effect_words="Verifying clients in these Pods end every handshake with the API server."
        if fault.breaks
        else "Pods that start now, and those that read the file again, end every handshake with the API server.",
        effect=_effect(fault),
        saw=f"TLS to {shown.dialled}: {shown.answer.words}; the CA of {'the ConfigMap' if config_wrong else 'the Pod'} "
        "did not sign it",
        fixes=_right_authority(look, client, shown) if config_wrong else _restart(look, client),
    )


def _right_authority(look: Look, client: Pod, shown: Shown) -> tuple[Fix, ...]:
    """What another namespace has and does vouch, else having the controller write it again."""
    good = look.if_known(api_asks.root_ca("kube-system")) if client.namespace != "kube-system" else None
    if good and issued_by(shown.chain, good):
        pem = "".join(f"-----BEGIN CERTIFICATE-----\n{_wrapped(each)}\n-----END CERTIFICATE-----\n" for each in good)
        write = patch("configmap", api_asks.ROOT_CA, {"data": {"ca.crt": pem}}, client.namespace)
        first = Fix("write the CA that kube-system has, which is right", write)
    else:
        delete = kubectl("delete", "configmap", api_asks.ROOT_CA, namespace=client.namespace)
        first = Fix("have the controller write it again", delete)
    return (first, *_restart(look, client))


def _restart(look: Look, client: Pod) -> tuple[Fix, ...]:
    owner = owner_of(look, client)
    if not is_patchable(owner):
        return ()
    restart = kubectl("rollout", "restart", owner.short, namespace=owner.namespace)
    return (Fix("start the Pods anew, so that they read it", restart, Risk.DISRUPTIVE),)


def _wrapped(der: str) -> str:
    return "\n".join(der[i : i + 64] for i in range(0, len(der), 64))
