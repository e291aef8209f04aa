"""The ways into a Service from outside the cluster, and which of them let this machine in."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import backends, in_use, ports_asked
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.node import Node
from kubectl_netdebug.model.objects.service import Service, ServicePort
from kubectl_netdebug.model.question import Question, SourceKind
from kubectl_netdebug.net.outcome import Attempt

MOST_NODES = 8
"""Nodes whose node port is tried in one run; half of them without a backend of their own where that matters."""


@dataclass(frozen=True)
class Door:
    """A node port on one node. `local`: the node has a backend of its own in use for that port."""

    node: Node
    address: str
    port: ServicePort
    local: bool
    attempt: Attempt

    @property
    def opens(self) -> bool:
        """This machine was let in."""
        return self.attempt.outcome.connected

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.node.name} ({self.address}:{self.port.node_port})"


def asked_from_outside(asked: Question) -> bool:
    """Whether ways in are part of the question; a question about one client Pod has nothing to do with them."""
    return asked.source.kind in (SourceKind.ANY, SourceKind.OUTSIDE)


def ports_with_doors(service: Service, asked: Question) -> tuple[ServicePort, ...]:
    """The TCP ports asked about; others cannot be tried from here."""
    return tuple(p for p in ports_asked(service, asked) if p.protocol == "TCP")


def node_doors(look: Look, asked: Question) -> tuple[Door, ...]:
    """One try at the node port of each chosen node. Empty where the Service has none."""
    service, slices = look.together(asks.the_service(asked), asks.slices_of(asked))
    if service is None or service.type not in ("NodePort", "LoadBalancer"):
        return ()
    ports = [p for p in ports_with_doors(service, asked) if p.node_port]
    if not ports:
        return ()
    used = in_use(backends(service, slices, asked))
    local = {(b.endpoint.node, b.service_port.index) for b in used}
    chosen = _some(look(asks.nodes()), {node for node, _ in local})
    places = [(n, a, p) for n in chosen if (a := n.internal_ip) for p in ports]
    tries = look.all([asks.connect_from_here(a, p.node_port) for _, a, p in places])
    return tuple(
        Door(n, a, p, (n.name, p.index) in local, tried) for (n, a, p), tried in zip(places, tries, strict=True)
    )


def outer_addresses(look: Look, asked: Question) -> tuple[tuple[str, ServicePort, Attempt], ...]:
    """One try at each load-balancer and external address."""
    service = look(asks.the_service(asked))
    if service is None:
        return ()
    addresses = (*service.load_balancer_ips, *service.external_ips)
    places = [(address, port) for address in addresses for port in ports_with_doors(service, asked)]
    tries = look.all([asks.connect_from_here(address, port.port) for address, port in places])
    return tuple((address, port, tried) for (address, port), tried in zip(places, tries, strict=True))


def balanced(service: Service) -> bool:
    """A load balancer stands before the nodes; it leaves out the nodes that fail its health check."""
    return service.type == "LoadBalancer" and bool(service.load_balancer_ips)


def _some(nodes: tuple[Node, ...], with_backend: set[str]) -> list[Node]:
    ready = [n for n in nodes if n.ready]
    having = [n for n in ready if n.name in with_backend]
    lacking = [n for n in ready if n.name not in with_backend]
    half = MOST_NODES // 2
    return [*having[: max(half, MOST_NODES - len(lacking))], *lacking[: max(half, MOST_NODES - len(having))]]
