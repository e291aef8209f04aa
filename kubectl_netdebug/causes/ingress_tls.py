"""The certificate of an Ingress: the Secret that it names, and what clients are shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.fronts import scheme_of, shown_certificate
from kubectl_netdebug.causes.incoming import Way, is_incoming, way
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, kubectl
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look, Unestablished
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.ingress import IngressTls
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.address import is_address
from kubectl_netdebug.net.certificate import covers
from kubectl_netdebug.net.spoken import Certificate
from kubectl_netdebug.net.webroute import host_matches

TLS_SECRET = Cause(
    code="ingress-tls-secret",
    title="The Ingress's certificate is not one that clients accept",
    says="TLS for {host}: {why}.",
    means="Clients are shown {shown}, and refuse it or warn.",
    symptom="Browsers show a certificate warning, often for the controller's own made-up certificate.",
    apart="Where the right certificate is shown and only one client refuses it, that client lacks the issuer.",
    mend="Store a certificate for the host with its key in a Secret of type kubernetes.io/tls that the Ingress names.",
)

MADE_UP = ("TRAEFIK DEFAULT CERT", "Kubernetes Ingress Controller Fake Certificate")


@dataclass(frozen=True)
class Trouble:
    """What is wrong; `secret` is the Secret to mend, '' where none is named."""

    why: str
    secret: str
    index: int
    shown: str


def certificate_trouble(look: Look, asked: Question) -> Trouble | None:
    """First the Secret by its type and keys, then what is served for the host."""
    found = way(look, asked)
    if not is_incoming(asked) or found.ingress is None or scheme_of(found, asked) != "https":
        return None
    entry = _entry(found)
    tried, certificate = _shown(look, asked)
    words = f"a certificate for {_names(certificate)}" if certificate else "no certificate at all" if tried else ""
    if entry is not None and entry.secret:
        why = _secret_trouble(look, found.ingress.namespace, entry.secret)
        if why:
            return Trouble(f"Secret {entry.secret} {why}", entry.secret, entry.index, words)
    if certificate is None or not found.host or is_address(found.host):
        return None
    why = _served_trouble(certificate, found.host, look(asks.now()))
    if not why:
        return None
    if entry is None:
        why = f"{why}, and the Ingress names no Secret for this host"
    return Trouble(why, entry.secret if entry else "", entry.index if entry else 0, words)


def _shown(look: Look, asked: Question) -> tuple[bool, Certificate | None]:
    """Whether a handshake may be tried from here, and the certificate that it shows."""
    try:
        shown = shown_certificate(look, asked)
    except Unestablished:
        return False, None
    return True, shown[1].certificate if shown else None


def _entry(found: Way) -> IngressTls | None:
    """The entry of spec.tls for the host; one without hosts is for all of them."""
    assert found.ingress is not None
    return next(
        (e for e in found.ingress.tls if any(host_matches(h, found.host) for h in e.hosts or ("",))),
        None,
    )


def _secret_trouble(look: Look, namespace: str, name: str) -> str:
    """By type and keys; the contents never reach this program."""
    ask = asks.raw_object("secrets", namespace, name)
    secret = look.if_known(ask)
    if secret is None:
        return "does not exist" if look.why_unknown(ask) is None else ""
    keys = tree.dig(secret, "data") or {}
    lacking = [key for key in ("tls.crt", "tls.key") if key not in keys]
    if lacking:
        return f"is of type {tree.text(secret, 'type')} and lacks {' and '.join(lacking)}"
    return ""


def _served_trouble(certificate: Certificate, host: str, now: datetime) -> str:
    if certificate.common_name in MADE_UP:
        return "the controller shows its own made-up certificate"
    if not covers(list(certificate.all_names), host):
        return f"the certificate shown is for {_names(certificate)}, not for this host"
    if certificate.not_after and certificate.not_after < now:
        return f"the certificate shown expired on {certificate.not_after:%Y-%m-%d %H:%M} UTC"
    if certificate.not_before and certificate.not_before > now:
        return f"the certificate shown is not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC"
    return ""


def _names(certificate: Certificate | None) -> str:
    names = certificate.all_names if certificate else ()
    return ", ".join(n[:80] for n in names[:3]) or "nobody"


@explains(Hop.TLS, TLS_SECRET)
def tls_secret(look: Look, asked: Question) -> Finding | None:
    """Seen in the API, or shown to this machine."""
    trouble = certificate_trouble(look, asked)
    found = way(look, asked)
    if trouble is None or found.ingress is None:
        return None
    name = trouble.secret or f"{found.ingress.name}-tls"
    create = kubectl(
        *("create", "secret", "tls", name, "--cert=tls.crt", "--key=tls.key", "--dry-run=client", "-o", "yaml"),
        namespace=found.ingress.namespace,
    )
    return TLS_SECRET.confirmed(
        at=found.ingress.at.at(f"spec.tls[{trouble.index}]"),
        host=found.host or "every host",
        why=trouble.why,
        shown=trouble.shown or "the controller's own certificate or none (which was not tried)",
        saw=f"clients are shown {trouble.shown}" if trouble.shown else trouble.why,
        fix=Fix(
            f"store a certificate for {found.host or 'the host'}",
            create,
            not_pasteable="put a certificate for the host and its key into tls.crt and tls.key, and pipe the output "
            "into kubectl apply -f -",
        ),
    )
