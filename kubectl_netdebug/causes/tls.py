"""What a port speaks against what it is declared to speak, and the certificate it shows."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.owners import is_patchable, owner_of
from kubectl_netdebug.causes.protocol import Spoken, is_meshed, spoken_with
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.schemes import HTTP, TLS, declared_scheme
from kubectl_netdebug.model.command import Fix, Risk, json_patch, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.certificate import covers
from kubectl_netdebug.net.spoken import Certificate

INGRESSES = "ingresses.networking.k8s.io"
LEASES = "leases.coordination.k8s.io"
PLAIN_NUMBERS = {80: HTTP, 443: TLS}
"""Numbers that stand for a scheme in a URL without a port."""

CLOCKS_AGREE = timedelta(minutes=5)
MADE_UP = ("localhost", ".local", ".localdomain", ".traefik.default", ".invalid")
"""Endings of names that programs put into certificates which they make for themselves."""

SCHEME_MISMATCH = Cause(
    code="scheme-mismatch",
    title="The port speaks another scheme than it is declared to",
    says="Port {port} of Service {service} is taken for {expected}, and the backend speaks {spoken}.",
    means="Clients, gateways and meshes that go by the declaration speak {expected} to it and get an error.",
    symptom="HTTP 400 'sent to HTTPS port' or an early close; or TLS 'wrong version number', 'record overflow'.",
    apart="The connection itself is accepted; behind a mesh with strict mTLS the sidecar is what closes.",
    mend="Use the scheme that the port speaks, and declare it in appProtocol; or send to the backend's other port.",
)


@explains(Hop.PROTOCOL, SCHEME_MISMATCH)
def scheme_mismatch(look: Look, asked: Question) -> Finding | None:
    """A backend answers in TLS where plain HTTP is declared, or the other way round."""
    service = look(asks.the_service(asked))
    spoken = spoken_with(look, asked)
    if service is None or spoken is None or not (spoken.speaks_tls_instead or spoken.speaks_http_instead):
        return None
    if is_meshed(spoken.pod) or is_meshed(spoken.client) or _explained_outside(look, service, spoken):
        return None
    port = spoken.backend.service_port
    actual = TLS if spoken.scheme == HTTP else HTTP
    wanted = "https" if actual == TLS else "http"
    operation = {"op": "add", "path": f"/spec/ports/{port.index}/appProtocol", "value": wanted}
    fix = Fix(
        f"declare the port {wanted}, and use {wanted}:// in clients",
        json_patch("service", service.name, [operation], service.namespace),
    )
    part = "appProtocol" if port.app_protocol else "name" if port.name else "port"
    return SCHEME_MISMATCH.likely(
        at=service.field(f"spec.ports[{port.index}].{part}"),
        port=port,
        service=service.name,
        expected="plain HTTP" if spoken.scheme == HTTP else "TLS",
        spoken="TLS" if actual == TLS else "plain HTTP",
        fix=fix,
        saw=_replies(spoken),
    )


def _replies(spoken: Spoken) -> tuple[str, ...]:
    where = spoken.backend.label
    told = []
    if spoken.http is not None:
        complaint = f" ({spoken.http.body.strip()[:80]})" if spoken.http.wants_tls else ""
        told.append(f"plain HTTP to {where}: {spoken.http.words}{complaint}")
    if spoken.tls is not None:
        told.append(f"TLS to {where}: {spoken.tls.words}")
    return tuple(told)


def _explained_outside(look: Look, service: Service, spoken: Spoken) -> bool:
    """Whether something before the Service may well be meant to speak the other scheme to it.

    A load balancer that ends TLS sends plain HTTP on; an Ingress is told the scheme in an annotation. Where nothing but
    a number speaks for a scheme, only the two of URLs without a port do, and only with nothing before the Service.
    """
    port = spoken.backend.service_port
    fronted = service.type in ("LoadBalancer", "NodePort")
    if spoken.scheme == TLS and (fronted or re.match(r"http(?!s)", port.target)):
        return True
    if declared_scheme(port):
        return False
    return fronted or PLAIN_NUMBERS.get(port.port) != spoken.scheme or _has_ingress(look, service)


def _has_ingress(look: Look, service: Service) -> bool:
    """Whether an Ingress leads to the Service, or that cannot be read."""
    ingresses = look.if_known(asks.objects_in(INGRESSES, service.namespace))
    return ingresses is None or any(_leads_to(each, service.name) for each in ingresses)


def _leads_to(ingress: object, service: str) -> bool:
    backends = [tree.text(ingress, "spec", "defaultBackend", "service", "name")]
    for rule in tree.entries(ingress, "spec", "rules"):
        backends += [tree.text(p, "backend", "service", "name") for p in tree.entries(rule, "http", "paths")]
    return service in backends


CERT_INVALID = Cause(
    code="tls-cert-invalid",
    title="The certificate is not valid",
    says="The certificate that {where} shows for Service {service} {why}.",
    means="Clients that verify certificates end the handshake and send nothing.",
    symptom="Clients say 'certificate has expired', 'not yet valid' or 'doesn't match host'; they do connect.",
    apart="Every client complains; where only those of one node do, that node's clock is wrong.",
    mend="Renew the certificate, with all names by which clients know the server, and let the server read it.",
)


@explains(Hop.PROTOCOL, CERT_INVALID)
def tls_cert_invalid(look: Look, asked: Question) -> Finding | None:
    """Out of date by this machine's clock and the cluster's, or for names that no client of the Service uses."""
    service = look(asks.the_service(asked))
    spoken = spoken_with(look, asked)
    if service is None or spoken is None or spoken.tls is None or spoken.tls.certificate is None:
        return None
    if is_meshed(spoken.pod) or is_meshed(spoken.client):
        return None
    certificate = spoken.tls.certificate
    if _out_of_date(certificate, look(asks.now())):
        return _dated(look, service, spoken, certificate)
    if spoken.scheme != TLS or _is_for(certificate, service) or _for_others(look, service, spoken, certificate):
        return None
    return _finding(look, service, spoken, f"is for {_names(certificate)}", sure=False, effect=Effect.DEGRADES)


def _dated(look: Look, service: Service, spoken: Spoken, certificate: Certificate) -> Finding | None:
    cluster = _clock_of(look, spoken.pod)
    agree = cluster is not None and abs(cluster - look(asks.now())) < CLOCKS_AGREE
    why = _out_of_date(certificate, cluster or look(asks.now()))
    return _finding(look, service, spoken, why, sure=agree, effect=Effect.BREAKS) if why else None


def _out_of_date(certificate: Certificate, when: datetime) -> str:
    if certificate.not_after and certificate.not_after < when:
        return f"expired on {certificate.not_after:%Y-%m-%d %H:%M} UTC"
    if certificate.not_before and certificate.not_before > when:
        return f"is not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC"
    return ""


def _clock_of(look: Look, pod: Pod | None) -> datetime | None:
    """The time on the backend's node, as its kubelet wrote it into its lease within the last seconds."""
    if pod is None or not pod.node:
        return None
    lease = look.if_known(asks.raw_object(LEASES, "kube-node-lease", pod.node))
    return tree.when(lease, "spec", "renewTime")


def _finding(look: Look, service: Service, spoken: Spoken, why: str, *, sure: bool, effect: Effect) -> Finding:
    assert spoken.tls is not None
    found = CERT_INVALID.confirmed if sure else CERT_INVALID.likely
    at, fixes = _to_renew(look, service, spoken.pod)
    return found(
        at=at,
        where=spoken.backend.label,
        service=service.name,
        why=why,
        effect=effect,
        fixes=fixes,
        saw=f"TLS to {spoken.backend.label}: {spoken.tls.words}, {why}",
    )


def _to_renew(look: Look, service: Service, pod: Pod | None) -> tuple[ObjectRef, tuple[Fix, ...]]:
    """The Secret that the Pod mounts, where there is just one; else the workload that has it from elsewhere."""
    if pod is None:
        return service.at, ()
    owner = owner_of(look, pod)
    restart = kubectl("rollout", "restart", owner.short, namespace=owner.namespace)
    restarts = (Fix("let the server read it", restart, Risk.DISRUPTIVE),) if is_patchable(owner) else ()
    secrets = _mounted_secrets(look, pod)
    if len(secrets) != 1:
        return owner, ()
    create = kubectl(
        *("create", "secret", "tls", secrets[0], "--cert=tls.crt", "--key=tls.key"),
        *("--dry-run=client", "-o", "yaml"),
        namespace=pod.namespace,
    )
    note = "put the renewed certificate and key into tls.crt and tls.key, and pipe the output into kubectl apply -f -"
    at = ObjectRef("Secret", pod.namespace, secrets[0], "data[tls.crt]")
    return at, (Fix("store the renewed certificate", create, not_pasteable=note), *restarts)


def _mounted_secrets(look: Look, pod: Pod) -> list[str]:
    raw = look.if_known(asks.raw_object("pods", pod.namespace, pod.name))
    return sorted(
        {name for v in tree.entries(raw, "spec", "volumes") if (name := tree.text(v, "secret", "secretName"))}
    )


def _is_for(certificate: Certificate, service: Service) -> bool:
    """Whether it bears a name or address by which clients inside may know the Service or one of its Pods."""
    names = [name.lower() for name in certificate.all_names]
    inside = f"{service.name}.{service.namespace}.svc"
    domains = {name.split(".svc.", 1)[1] for name in names if ".svc." in name}
    known_as = (service.name, f"{service.name}.{service.namespace}", inside, *(f"{inside}.{d}" for d in domains))
    of_a_pod = any(f".{service.name}.{service.namespace}." in f"{name}." for name in names)
    return of_a_pod or any(covers(names, name) for name in (*known_as, *service.cluster_ips))


def _for_others(look: Look, service: Service, spoken: Spoken, certificate: Certificate) -> bool:
    """Whether its names may be right for somebody: clients from outside, or the program that made it for itself."""
    if service.type in ("LoadBalancer", "NodePort") or service.external_ips or not certificate.all_names:
        return True
    if not declared_scheme(spoken.backend.service_port) and spoken.backend.service_port.port != 443:
        return True
    if certificate.self_signed and all(_made_up(name) for name in certificate.all_names):
        return True
    return _has_ingress(look, service)


def _made_up(name: str) -> bool:
    inside = ".svc" in name
    return not inside and ("." not in name or name.endswith(MADE_UP) or name.replace(".", "").isdecimal())


def _names(certificate: Certificate) -> str:
    names = certificate.all_names
    return ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
