"""What a server outside shows of itself: a certificate that is out of date or another's, or one made on the way."""

from __future__ import annotations

from datetime import datetime, timedelta

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.outside_way import (
    addresses_of,
    handshake,
    is_outside,
    port_of,
    proxied,
    proxy_address,
    server_name,
    wants_tls,
)
from kubectl_netdebug.causes.owners import is_patchable, owner_of, template_path
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, kubectl
from kubectl_netdebug.model.facts import Ask
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.address import is_address
from kubectl_netdebug.net.certificate import covers
from kubectl_netdebug.net.spoken import Certificate, TlsAnswer

LEASES = "leases.coordination.k8s.io"
CLOCKS_AGREE = timedelta(minutes=5)

NOBODY = "netdebug-check.invalid"
"""A name that nobody can own (RFC 6761), so no honest certificate bears it."""

CERT_INVALID = Cause(
    code="egress-cert-invalid",
    title="The server outside shows a certificate that is not valid for the name",
    says="The certificate that {host} shows ({address}) {why}.",
    means="Clients that verify certificates end the handshake and send nothing, whatever the network does.",
    symptom="'certificate has expired', 'not yet valid' or 'doesn't match host' from curl and the like; connects work.",
    apart="With interception the certificate is valid and signed by an authority that the image does not know.",
    mend="The owner of the server has to renew it; or use the name that the certificate is for.",
)


def complaint(look: Look, asked: Question) -> str:
    """What is wrong with the certificate for this name and moment; '' where nothing is, or none was shown."""
    answer = _shown(look, asked)
    if answer is None or answer.certificate is None:
        return ""
    dated = _out_of_date(answer.certificate, look(asks.now()))
    return dated or (_for_another(answer.certificate, asked.host) if _named(asked) else "")


def _named(asked: Question) -> bool:
    """A bare address and port say nothing of the name that clients send in their greeting; a URL does."""
    return bool(asked.scheme) or not is_address(asked.host)


def _shown(look: Look, asked: Question) -> TlsAnswer | None:
    ask = handshake(look, asked) if is_outside(asked) and wants_tls(asked) else None
    return look(ask) if ask else None


def _out_of_date(certificate: Certificate, when: datetime) -> str:
    if certificate.not_after and certificate.not_after < when:
        return f"expired on {certificate.not_after:%Y-%m-%d %H:%M} UTC"
    if certificate.not_before and certificate.not_before > when + CLOCKS_AGREE:
        return f"is not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC"
    return ""


def _for_another(certificate: Certificate, host: str) -> str:
    names = list(certificate.all_names)
    if not names or covers(names, host):
        return ""
    more = " and others" if len(names) > 3 else ""
    return f"is for {', '.join(names[:3])}{more}, not for {host}"


@explains(Hop.TLS, CERT_INVALID)
def cert_invalid(look: Look, asked: Question) -> Finding | None:
    """Out of date by this machine's clock and the cluster's, or for other names than the one that was asked for."""
    answer = _shown(look, asked)
    if answer is None or answer.certificate is None or not (why := complaint(look, asked)):
        return None
    certificate = answer.certificate
    client = client_pod(look, asked)
    dated = _out_of_date(certificate, look(asks.now()))
    cluster = _clock_of(look, client)
    agree = not dated or (cluster is not None and abs(cluster - look(asks.now())) < CLOCKS_AGREE)
    if dated and cluster is not None and not _out_of_date(certificate, cluster):
        return None
    found = CERT_INVALID.confirmed if agree else CERT_INVALID.likely
    address = ", ".join(addresses_of(look, asked)) if proxied(look, asked) is None else "by its proxy"
    issued = "itself" if certificate.self_signed else certificate.issuer
    return found(
        at=ObjectRef("Host", "", asked.host),
        host=asked.host,
        address=f"{address} port {port_of(asked)}",
        why=why,
        saw=(f"certificate {certificate.subject}, signed by {issued}: {why}",),
    )


def _clock_of(look: Look, pod: Pod) -> datetime | None:
    """The time on the client's node, as its kubelet wrote it into its lease within the last seconds."""
    lease = look.if_known(asks.raw_object(LEASES, "kube-node-lease", pod.node)) if pod.node else None
    return tree.when(lease, "spec", "renewTime")


INTERCEPTED = Cause(
    code="egress-tls-intercept",
    title="TLS is opened on the way and signed anew",
    says="TLS of {pod} to {host} is opened on the way: {issuer} signs the certificates that it is shown.",
    means="Clients whose image does not know that authority refuse every certificate of the outside.",
    symptom="'x509: certificate signed by unknown authority' for names outside, while calls inside the cluster work.",
    apart="A server that signs its certificate itself shows it to every client, and makes none for other names.",
    mend="Mount the authority's certificate into the Pod and point SSL_CERT_FILE at it; or have these names excepted "
    "from inspection.",
    explains=("egress-cert-invalid",),
)


@explains(Hop.TLS, INTERCEPTED, When.ALWAYS)
def tls_intercept(look: Look, asked: Question) -> Finding | None:
    """A certificate is made on the spot for a name that nobody owns, or this machine is shown another authority."""
    answer = _shown(look, asked)
    if answer is None or answer.certificate is None:
        return None
    client = client_pod(look, asked)
    issuer = answer.certificate.issuer
    strange = _asked_for_nobody(look, asked)
    made = look.if_known(strange) if strange else None
    if made is not None and made.certificate is not None and covers(list(made.certificate.names), NOBODY):
        return _intercepted(
            look,
            client,
            asked,
            issuer,
            (f"asked for {NOBODY}, a certificate for it was made by {made.certificate.issuer}",),
        )
    return None


def _asked_for_nobody(look: Look, asked: Question) -> Ask[TlsAnswer] | None:
    """The same handshake with a greeting for a name that cannot exist."""
    client, setting = client_pod(look, asked), proxied(look, asked)
    if setting is not None:
        address = proxy_address(look, client, setting.proxy)
        return asks.tls(client, asked.host, port_of(asked), NOBODY, via=f"{address}:{setting.proxy.port}")
    addresses = addresses_of(look, asked)
    return asks.tls(client, addresses[0], port_of(asked), NOBODY) if addresses and server_name(asked) else None


def _intercepted(look: Look, client: Pod, asked: Question, issuer: str, saw: tuple[str, ...]) -> Finding:
    owner = owner_of(look, client)
    name = client.containers[0].name if client.containers else ""
    command = kubectl(
        *("set", "env", owner.short, "-c", name, "SSL_CERT_FILE=/etc/ca/ca.crt"), namespace=owner.namespace
    )
    note = "first put the authority's certificate into a ConfigMap and mount it at /etc/ca"
    unsure = note if is_patchable(owner) else "the environment of a running Pod cannot be changed: make it again"
    return INTERCEPTED.confirmed(
        at=owner.at(template_path(owner, "containers[0].env")),
        pod=client.name,
        host=asked.host,
        issuer=issuer,
        effect=Effect.DEGRADES,
        saw=(f"certificate for {asked.host}: signed by {issuer}", *saw),
        fix=Fix("let the Pod trust that authority", command, not_pasteable=unsure),
    )
