"""What the rules of a node should do with a Service port, from its EndpointSlices (Kubernetes pkg/proxy/topology.go).

Ready endpoints get traffic; where none is ready, those that are terminating and still serve. Under a policy Local, only
those of the node count. Topology hints are kept to where all ready endpoints have them and one is for this node or
zone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.objects.slices import Endpoint, EndpointSlice
from kubectl_netdebug.net.proxyrules import Expected, Kind, ProxiedPort, Verdict, is_address, is_v6, plain


@dataclass(frozen=True)
class Where:
    """The node that is judged, with its zone ('' where it has none)."""

    node: str
    zone: str = ""


def expected(
    service: Service, port: ProxiedPort, slices: Iterable[EndpointSlice], where: Where
) -> tuple[Expected, ...]:
    """What each way in should do on a node."""
    every = _endpoints(port, slices)
    cluster = _in_use([e for e in every if not e[1].ready or _hinted(e[1], every, where)])
    local = _in_use([e for e in every if e[1].node == where.node])
    anywhere = _in_use(every)
    found = []
    for kind, address, number in port.places:
        policy = service.internal_policy if kind is Kind.CLUSTER else service.external_policy
        chosen = local if policy == "Local" else cluster
        verdict = Verdict.BALANCE if chosen else Verdict.DROP if anywhere else Verdict.REJECT
        found.append(Expected(kind, address, number, verdict, tuple(sorted({place for place, _ in chosen}))))
    return tuple(found)


_Placed = tuple[tuple[str, int], Endpoint]


def _endpoints(port: ProxiedPort, slices: Iterable[EndpointSlice]) -> list[_Placed]:
    """The endpoints on this port, each with its address and port number; without an address of the family, none.

    One address may stand in two slices while it moves between them; then the ready one counts.
    """
    found: dict[tuple[str, int], Endpoint] = {}
    for each in slices:
        entry = each.port_for(port.name, port.protocol)
        if each.service != port.service or each.namespace != port.namespace or not entry or not entry.port:
            continue
        for endpoint in each.endpoints:
            if is_address(endpoint.address) and is_v6(endpoint.address) is port.ipv6:
                place = (plain(endpoint.address), entry.port)
                if place not in found or endpoint.ready:
                    found[place] = endpoint
    return list(found.items())


def _in_use(found: list[_Placed]) -> list[_Placed]:
    ready = [e for e in found if e[1].ready]
    return ready or [e for e in found if e[1].terminating and e[1].serving]


def _hinted(endpoint: Endpoint, every: list[_Placed], where: Where) -> bool:
    """Whether hints let this node use a ready endpoint. Hints for nodes go before hints for zones."""
    ready = [e for _, e in every if e.ready]
    if ready and all(e.for_nodes for e in ready) and any(where.node in e.for_nodes for e in ready):
        return where.node in endpoint.for_nodes
    if ready and all(e.for_zones for e in ready) and any(where.zone in e.for_zones for e in ready):
        return where.zone in endpoint.for_zones
    return True
