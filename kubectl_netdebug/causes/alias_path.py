"""The way a client takes through an ExternalName Service: its name server, the address, and what answers there."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_pod, ports_asked
from kubectl_netdebug.causes.resolving import conf_of
from kubectl_netdebug.causes.schemes import HTTP, TLS, named_scheme
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.service import Service, ServicePort
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.address import family_of
from kubectl_netdebug.net.certificate import covers
from kubectl_netdebug.net.outcome import Attempt
from kubectl_netdebug.net.resolvconf import ResolvConf
from kubectl_netdebug.net.spoken import DnsAnswer, HttpReply, TlsAnswer

MISDIRECTED = (400, 403, 404, 421)
"""What servers say to a Host that they do not know."""


@dataclass(frozen=True)
class Resolved:
    """What a client got for the alias: from which server, under which name, and what came back."""

    conf: ResolvConf
    server: str
    name: str
    answer: DnsAnswer

    @property
    def address(self) -> str:
        """The address that clients try first, or ''."""
        return self.answer.addresses[0] if self.answer.addresses else ""


def alias_asked(look: Look, asked: Question) -> Service | None:
    """The Service that was asked about, where it is an alias."""
    service = look(asks.the_service(asked))
    return service if service is not None and service.is_alias else None


def resolve(look: Look, client: Pod, service: Service) -> Resolved | None:
    """Asks the client's own name server for the alias, as a client does; None where it has none.

    Where the client's search list is not the cluster's, the alias itself cannot be asked for, and its target is.
    """
    conf = conf_of(look, client)
    if not conf.nameservers:
        return None
    server = conf.nameservers[0]
    name = _own_name(service, conf)
    answer = look(asks.lookup(client, server, name))
    if answer.answered and answer.rcode == "NOERROR" and not answer.addresses:
        answer = look(asks.lookup(client, server, name, "AAAA"))
    return Resolved(conf, server, name, answer)


def _own_name(service: Service, conf: ResolvConf) -> str:
    if not conf.cluster_domain:
        return absolute(service.external_name)
    return f"{service.name}.{service.namespace}.svc.{conf.cluster_domain}."


def absolute(name: str) -> str:
    return name.rstrip(".") + "."


def tried_target(look: Look, asked: Question) -> tuple[tuple[ServicePort, Attempt], ...]:
    """A connect to the alias's address on every port asked about; none without an address or a known port."""
    service = alias_asked(look, asked)
    if service is None or family_of(service.external_name):
        return ()
    client = client_pod(look, asked)
    resolved = resolve(look, client, service)
    ports = ports_asked(service, asked)
    if resolved is None or not resolved.address or not ports:
        return ()
    attempts = look.all([asks.connect(client, resolved.address, p.port, p.protocol) for p in ports])
    return tuple(zip(ports, attempts, strict=True))


@dataclass(frozen=True)
class SpokenToTarget:
    """What the target said to a client that knows it by the Service's name."""

    address: str
    port: ServicePort
    name: str
    reply: HttpReply | TlsAnswer

    @property
    def turned_away(self) -> bool:
        """It does not serve that name."""
        if isinstance(self.reply, HttpReply):
            return self.reply.status in MISDIRECTED and not self.reply.wants_tls
        certificate = self.reply.certificate
        return certificate is not None and not covers(list(certificate.all_names), self.name)


def spoken_to_target(look: Look, asked: Question) -> SpokenToTarget | None:
    """One HTTP request or TLS handshake with the alias's target, as clients of the Service would begin."""
    service = alias_asked(look, asked)
    open_ports = [p for p, a in tried_target(look, asked) if a.outcome.connected and p.protocol == "TCP"]
    port = next((p for p in open_ports if named_scheme(p)), None)
    if service is None or port is None:
        return None
    client = client_pod(look, asked)
    resolved = resolve(look, client, service)
    if resolved is None:
        return None
    name = resolved.name.rstrip(".")
    scheme = named_scheme(port)
    reply: HttpReply | TlsAnswer | None = None
    if scheme == TLS:
        reply = look.if_known(asks.tls(client, resolved.address, port.port, name))
    elif scheme == HTTP:
        reply = look.if_known(asks.http(client, resolved.address, port.port, host_header=name))
    return SpokenToTarget(resolved.address, port, name, reply) if reply else None
