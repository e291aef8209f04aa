"""Where clients outside knock: addresses and ports of an Ingress or a Gateway, and what answers this machine there."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes import incoming_asks as ask
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.controllers import controller_called, controller_of, services_of
from kubectl_netdebug.causes.incoming import Way, way
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question, SourceKind
from kubectl_netdebug.net.outcome import Attempt
from kubectl_netdebug.net.spoken import HttpReply, TlsAnswer
from kubectl_netdebug.net.webroute import host_matches

HTTPS_NAMES = ("https", "websecure")
HTTP_NAMES = ("http", "web")
MOST_FRONTS = 6


@dataclass(frozen=True)
class Front:
    """One address and port, with the scheme spoken there and what stands behind it, for people."""

    address: str
    port: int
    scheme: str
    label: str

    @property
    def place(self) -> str:
        """`192.0.2.1:443`."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


@dataclass(frozen=True)
class Knock:
    """A front with what came of a connect and, where that succeeded, of a request with the right Host header."""

    front: Front
    attempt: Attempt
    reply: HttpReply | None


def scheme_of(found: Way, asked: Question) -> str:
    """What a client speaks: as typed, else TLS where the Ingress or a listener offers it for the host."""
    if asked.scheme:
        return asked.scheme
    if found.ingress is not None:
        secured = [host for entry in found.ingress.tls for host in entry.hosts or ("",)]
        return "https" if any(host_matches(host, found.host) for host in secured) else "http"
    if found.gateway is not None:
        protocols = {listener.protocol for listener in found.gateway.listeners}
        return "https" if protocols == {"HTTPS"} else "http"
    return "http"


def fronts(look: Look, asked: Question) -> tuple[Front, ...]:
    """Where an Ingress or a Gateway is reached: the addresses in its status, else its controller's node ports."""
    found = way(look, asked)
    scheme = scheme_of(found, asked)
    if found.gateway is not None:
        ports = [ls.port for ls in found.gateway.listeners if (ls.protocol == "HTTPS") == (scheme == "https")]
        controller = controller_called(look, "traefik")
        services = services_of(look, controller, found.gateway.namespace) if controller else ()
        places = [(a, _port_at(services, a, p, scheme)) for a in found.gateway.addresses for p in ports]
        if places:
            return tuple(Front(a, p, scheme, f"Gateway {found.gateway.name}") for a, p in places)[:MOST_FRONTS]
        controller = controller_called(look, "traefik")
        services = services_of(look, controller, found.gateway.namespace) if controller else ()
        return _node_ports(look, services, scheme)
    if found.ingress is None:
        return ()
    port = int(asked.port) if asked.host and asked.port.isdecimal() else 443 if scheme == "https" else 80
    if found.ingress.addresses:
        label = f"Ingress {found.ingress.name}"
        return tuple(Front(address, port, scheme, label) for address in found.ingress.addresses)[:MOST_FRONTS]
    controller = controller_of(look, found.ingress)
    services = services_of(look, controller, found.ingress.namespace) if controller else ()
    own = [
        Front(address, port, scheme, f"Service {service.name}")
        for service in services
        for address in service.load_balancer_ips
    ]
    return tuple(own)[:MOST_FRONTS] or _node_ports(look, services, scheme)


def _port_at(services: tuple[Service, ...], address: str, port: int, scheme: str) -> int:
    """The listener's port; where the Service with that address leads to it from another one, that other one."""
    for service in services:
        if address in service.load_balancer_ips and all(p.port != port for p in service.ports):
            return 443 if scheme == "https" else 80
    return port


def _node_ports(look: Look, services: tuple[Service, ...], scheme: str) -> tuple[Front, ...]:
    """The node ports of the first Service that has one for the scheme, on every node."""
    names, number = (HTTPS_NAMES, 443) if scheme == "https" else (HTTP_NAMES, 80)
    for service in services:
        port = next((p for p in service.ports if p.node_port and (p.name in names or p.port == number)), None)
        if port is None:
            continue
        return tuple(
            Front(node.internal_ip, port.node_port, scheme, f"node port of {service.name} on {node.name}")
            for node in look(asks.nodes())
            if node.ready and node.internal_ip
        )[:MOST_FRONTS]
    return ()


def knocks(look: Look, asked: Question) -> tuple[Knock, ...]:
    """A connect to every front, then a request as a client would send it, from the client that was asked about."""
    found, places = way(look, asked), fronts(look, asked)
    attempts = connects(look, asked, [(f.address, f.port) for f in places])
    opened = [front for front, attempt in zip(places, attempts, strict=True) if attempt.outcome.connected]
    replies = dict(zip(opened, look.all_known([request(look, asked, f, found) for f in opened]), strict=True))
    return tuple(Knock(f, a, replies.get(f)) for f, a in zip(places, attempts, strict=True))


def connects(look: Look, asked: Question, places: list[tuple[str, int]], attempt: int = 0) -> list[Attempt]:
    """A connect to each place, from this machine or from the Pod that was named as the client."""
    if not places:
        return []
    if asked.source.kind is SourceKind.OUTSIDE or not asked.source.name:
        return look.all([asks.connect_from_here(address, port, attempt) for address, port in places])
    client = client_pod(look, asked)
    return look.all([asks.connect(client, address, port, attempt=attempt) for address, port in places])


def request(look: Look, asked: Question, front: Front, found: Way):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """The GET of a client; a Pod speaks plain HTTP only, so over TLS it is asked from this machine."""
    host, path = found.host, found.path or "/"
    if asked.source.name and front.scheme == "http":
        return asks.http(client_pod(look, asked), front.address, front.port, path, host_header=host)
    return ask.http_from_here(front.address, front.port, scheme=front.scheme, host=host, path=path)


def shown_certificate(look: Look, asked: Question) -> tuple[Front, TlsAnswer] | None:
    """What the first front that accepts shows to a client that greets with the host's name."""
    found = way(look, asked)
    for knock in knocks(look, asked):
        if knock.front.scheme == "https" and knock.attempt.outcome.connected:
            answer = look.if_known(ask.tls_from_here(knock.front.address, knock.front.port, found.host))
            return (knock.front, answer) if answer else None
    return None
