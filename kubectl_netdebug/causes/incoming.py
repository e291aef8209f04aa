"""What a question from outside is about: the Ingress, route or Service that its name, address or object leads to."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes import incoming_asks as ask
from kubectl_netdebug.model.facts import Ask
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.gateway import Gateway, HttpRoute, RouteBackend
from kubectl_netdebug.model.objects.ingress import Ingress, IngressPath
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.net.address import is_address
from kubectl_netdebug.net.webroute import host_matches, host_rank, hostname_matches, path_matches, path_rank

T = TypeVar("T")

MOST_BACKENDS = 8
"""Backends of one Ingress or Gateway whose Services are looked at."""


@dataclass(frozen=True)
class Way:
    """The way in that was asked about. What does not apply is None or ''.

    `host` and `path` are those of the request that a client would send. `rule` and `backend` are None where nothing
    takes that request; `near` is then an object that nearly does.
    """

    host: str = ""
    path: str = ""
    ingress: Ingress | None = None
    rule: IngressPath | None = None
    gateway: Gateway | None = None
    route: HttpRoute | None = None
    backend: RouteBackend | None = None
    service: tuple[str, str, str] | None = None
    """(namespace, name, port as typed) of the Service behind it."""

    @property
    def near(self) -> bool:
        """An object was found that has to do with the request, and no rule of it takes it."""
        routeless = self.route is not None and self.backend is None and bool(self.host)
        return (self.ingress is not None and self.rule is None and bool(self.host)) or routeless


def is_incoming(asked: Question) -> bool:
    """Whether the question is about a way in."""
    return asked.flow is FlowName.OUTSIDE_TO_POD


def way(look: Look, asked: Question) -> Way:
    """Follows the question to what it is about."""
    if asked.ingress:
        found = look(ask.ingress_named(asked.namespace, asked.ingress))
        return _of_ingress(look, found) if found else Way()
    if asked.gateway:
        gateway = look(ask.gateway_named(asked.namespace, asked.gateway))
        return _of_gateway(look, gateway) if gateway else Way()
    if asked.host:
        return _of_url(look, asked)
    return Way(service=(asked.namespace, asked.service, asked.port))


def inner(look: Look, asked: Question) -> Question | None:
    """The question about the Service behind the way in; None where there is none to ask about."""
    if asked.service:
        service = look(asks.the_service(asked))
        typed = next((p for p in service.ports if str(p.node_port) == asked.port), None) if service else None
        return replace(asked, port=str(typed.port)) if typed and typed.node_port else asked
    found = way(look, asked).service
    if found is None:
        return None
    namespace, name, port = found
    return Question(asked.flow, namespace, name, port, source=asked.source)


# --- Ingress ----------------------------------------------------------------------------------------------------------


def _of_ingress(look: Look, ingress: Ingress) -> Way:
    rules = [rule for rule in ingress.paths if rule.service]
    rule = _weakest(look, ingress.namespace, rules) or (rules[0] if rules else None)
    if rule is None:
        return Way(ingress=ingress, rule=ingress.paths[0] if ingress.paths else None)
    host = rule.host.replace("*", "any", 1) if rule.host.startswith("*.") else rule.host
    return Way(host, rule.path or "/", ingress, rule, service=_service_of(look, ingress, rule))


def _weakest(look: Look, namespace: str, rules: list[IngressPath]) -> IngressPath | None:
    """The first whose Service exists and has nothing ready behind it, else the first whose Service exists."""
    some = rules[:MOST_BACKENDS]
    look.foresee(*(asks.service_named(namespace, r.service) for r in some))
    there = [r for r in some if look(asks.service_named(namespace, r.service)) is not None]
    slices = look.all([asks.slices_for(namespace, r.service) for r in there])
    bare = [r for r, each in zip(there, slices, strict=True) if not any(e.ready for s in each for e in s.endpoints)]
    return next(iter((*bare, *there)), None)


def _service_of(look: Look, ingress: Ingress, rule: IngressPath) -> tuple[str, str, str] | None:
    service = look(asks.service_named(ingress.namespace, rule.service))
    if service is None or not any(rule.port in (str(p.port), p.name) for p in service.ports):
        return None
    return ingress.namespace, rule.service, rule.port


def rule_for(ingress: Ingress, host: str, path: str) -> IngressPath | None:
    """The rule that takes a request, or None."""
    taking = [r for r in ingress.paths if host_matches(r.host, host) and path_matches(r.path, r.kind, path)]
    return min(taking, key=lambda r: (host_rank(r.host), *path_rank(r.path, r.kind)), default=None)


# --- Gateway ----------------------------------------------------------------------------------------------------------


def routes_of(look: Look, gateway: Gateway) -> tuple[HttpRoute, ...]:
    """The routes that name a Gateway as their parent."""
    routes = _everywhere(look, ask.routes_in, gateway.namespace)
    return tuple(
        r for r in routes if any((p.namespace, p.name) == (gateway.namespace, gateway.name) for p in r.parents)
    )


def _of_gateway(look: Look, gateway: Gateway) -> Way:
    routes = routes_of(look, gateway)
    pairs = [(route, backend) for route in routes for rule in route.rules for backend in rule.backends]
    if not pairs:
        return Way(gateway=gateway, route=routes[0] if routes else None)
    route, backend = pairs[0]
    paths = next((rule.paths for rule in route.rules if backend in rule.backends), ())
    host = next((h for h in route.hostnames if not h.startswith("*.")), "")
    path = paths[0][0] if paths else "/"
    return Way(host, path, gateway=gateway, route=route, backend=backend, service=_routed(look, backend))


def _routed(look: Look, backend: RouteBackend) -> tuple[str, str, str] | None:
    if backend.kind != "Service":
        return None
    service = look(asks.service_named(backend.namespace, backend.name))
    return (backend.namespace, backend.name, str(backend.port)) if service else None


def _route_way(look: Look, route: HttpRoute, host: str, path: str) -> Way:
    parent = next((p for p in route.parents if p.kind == "Gateway"), None)
    gateway = look(ask.gateway_named(parent.namespace, parent.name)) if parent else None
    for rule in route.rules:
        if rule.backends and (not rule.paths or any(path_matches(p, kind, path) for p, kind in rule.paths)):
            backend = rule.backends[0]
            return Way(host, path, gateway=gateway, route=route, backend=backend, service=_routed(look, backend))
    return Way(host, path, gateway=gateway, route=route)


# --- a URL ------------------------------------------------------------------------------------------------------------


def _of_url(look: Look, asked: Question) -> Way:
    host, path = asked.host.lower().rstrip("."), asked.path or "/"
    service = _behind_address(look, asked)
    if service is not None:
        return Way(host, path, service=service)
    ingresses = _everywhere(look, ask.ingresses_in, asked.namespace)
    taking = [(i, r) for i in ingresses if (r := rule_for(i, host, path)) is not None and (r.host or i.addresses)]
    if taking:
        ingress, rule = min(taking, key=lambda t: (host_rank(t[1].host), *path_rank(t[1].path, t[1].kind)))
        found = _service_of(look, ingress, rule) if rule.service else None
        return Way(host, path, ingress, rule, service=found)
    routes = _everywhere(look, ask.routes_in, asked.namespace)
    of_host = [r for r in routes if any(hostname_matches(h, host) for h in r.hostnames)]
    ways = [_route_way(look, route, host, path) for route in of_host]
    if ways:
        return next((w for w in ways if w.backend), ways[0])
    return Way(host, path, ingress=_nearly(ingresses, host))


def _nearly(ingresses: tuple[Ingress, ...], host: str) -> Ingress | None:
    """The Ingress that has the host and not the path, or else one whose host is written almost the same."""
    same = next((i for i in ingresses if any(r.host and host_matches(r.host, host) for r in i.paths)), None)
    if same is not None:
        return same
    known = {h: i for i in ingresses for h in i.hosts}
    close = difflib.get_close_matches(host, list(known), n=1, cutoff=0.75)
    return known[close[0]] if close else None


def _behind_address(look: Look, asked: Question) -> tuple[str, str, str] | None:
    """The Service that has this address and port: a load balancer's, an external one, or a node's with a node port."""
    services = look.if_known(asks.services_everywhere()) or ()
    for service in services:
        if asked.host in (*service.load_balancer_ips, *service.external_ips) and _has_port(service, asked.port):
            return service.namespace, service.name, asked.port
    if not is_address(asked.host):
        return None
    nodes = look.if_known(asks.nodes()) or ()
    if not any(asked.host == address for node in nodes for _, address in node.addresses):
        return None
    for service in services:
        for port in service.ports:
            if port.node_port and str(port.node_port) == asked.port:
                return service.namespace, service.name, str(port.port)
    return None


def _has_port(service: Service, port: str) -> bool:
    return any(str(p.port) == port for p in service.ports)


def _everywhere(look: Look, listing: Callable[[str], Ask[tuple[T, ...]]], namespace: str) -> tuple[T, ...]:
    """A list over all namespaces, or of one where only that may be read."""
    everything = look.if_known(listing(""))
    return everything if everything is not None else (look.if_known(listing(namespace)) or ())
