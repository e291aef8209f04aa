"""What nodes know of the way between them: their tables, and the two directions of every connection that failed."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.concerned import MOST_NODES, Trouble, troubles
from kubectl_netdebug.causes.node_asks import node_view
from kubectl_netdebug.model.facts import Ask
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.node import Node
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.net.fdb import Entry, read_fdb
from kubectl_netdebug.net.iproute import read_neighbours, read_routes, read_rules
from kubectl_netdebug.net.iproute_table import Decision, Neighbour, Network, Route, Rule, route_to
from kubectl_netdebug.net.links import Link, Port, read_links, read_ports, with_addresses
from kubectl_netdebug.net.outcome import Outcome as End

LOST = ("service-name-unresolved", "backend-partly-dead", "egress-masquerade-missing", "kubelet-10250-blocked")
"""What follows where packets are lost between nodes: DNS replicas and other servers are on some node, too."""


@dataclass(frozen=True)
class Machine:
    """A node's tables of one address family, as far as they could be read."""

    name: str
    links: tuple[Link, ...]
    routes: tuple[Route, ...]
    rules: tuple[Rule, ...]
    neighbours: tuple[Neighbour, ...]

    def decides(self, address: str, source: str = "", incoming: str = "") -> Decision:
        """What this node's kernel does with a packet."""
        return route_to(self.routes, self.rules, address, source, incoming=incoming)

    def plainly(self, address: str) -> Decision:
        """The same by the rules alone that every machine has."""
        return route_to(self.routes, (), address)

    def link(self, name: str) -> Link | None:
        """The device of that name."""
        return next((link for link in self.links if link.name == name), None)


@dataclass(frozen=True)
class Direction:
    """From the Pods of one node to those of another. `source` and `target` are addresses at its ends.

    `trouble` is the connection that failed, None in a question about the node itself. `back` is true for the way that
    answers take.
    """

    here: Node
    there: Node
    source: str
    target: str
    machine: Machine
    trouble: Trouble | None = None
    back: bool = False

    @property
    def range(self) -> Network | None:
        """The Pod range of the far node that holds the target."""
        return range_with(self.there, self.target)

    @property
    def decision(self) -> Decision:
        """What the near node does with such a packet."""
        return self.machine.decides(self.target, self.source)

    @property
    def seen(self) -> tuple[str, ...]:
        """The failed connection, for people."""
        return (f"{self.trouble.label}: {self.trouble.attempt.words}",) if self.trouble else ()


def readings(node: str, *, six: bool = False) -> list[Ask[object]]:
    """All tables of a node, so that they are read by one script."""
    family = "6" if six else ""
    return [
        node_view(node, "links", read_links),
        node_view(node, "addresses", read_links),
        node_view(node, f"routes{family}", read_routes),
        node_view(node, f"rules{family}", read_rules),
        node_view(node, "neighbours", read_neighbours),
    ]


def machine_of(look: Look, node: str, *, six: bool = False) -> Machine | None:
    """A node's tables; None where its routes cannot be read. The rest is empty where it cannot."""
    links, addresses, routes, rules, neighbours = look.all_known(readings(node, six=six))
    if routes is None:
        return None
    joined = with_addresses(links or (), addresses or ())  # type: ignore[arg-type]
    return Machine(node, joined, routes, rules or (), neighbours or ())  # type: ignore[arg-type]


def fdb_of(look: Look, node: str) -> tuple[Entry, ...] | None:
    """A node's forwarding entries, or None."""
    return look.if_known(node_view(node, "fdb", read_fdb))


def ports_of(look: Look, node: str) -> tuple[Port, ...] | None:
    """A node's bridge ports, or None."""
    return look.if_known(node_view(node, "ports", read_ports))


def nodes_by_name(look: Look) -> dict[str, Node]:
    """The cluster's nodes."""
    return {node.name: node for node in look.if_known(asks.nodes()) or ()}


def lost_across(look: Look, asked: Question) -> tuple[Trouble, ...]:
    """Failed connections between Pods of two nodes, and not refused by the far Pod itself."""
    return tuple(
        t
        for t in troubles(look, asked)
        if t.across and not t.virtual and t.attempt.outcome not in (End.REFUSED, End.SILENT, End.NAME_ERROR)
    )


def directions(look: Look, asked: Question) -> tuple[Direction, ...]:
    """Both ways of every failed connection between nodes; of a node that was asked about, the ways to all others."""
    if asked.flow is not FlowName.NODE and not lost_across(look, asked):
        return ()
    nodes = nodes_by_name(look)
    if asked.flow is FlowName.NODE:
        return _from_node(look, asked.node, nodes)
    found: dict[tuple[str, str, bool], Direction] = {}
    wanted = [t for t in lost_across(look, asked) if {t.client_node, t.server_node} <= nodes.keys()]
    pairs = list(dict.fromkeys((t.client_node, t.server_node) for t in wanted))[:MOST_NODES]
    ends = {(node, _six(t)) for t in wanted for node in (t.client_node, t.server_node)}
    look.foresee(*(ask for node, six in sorted(ends) for ask in readings(node, six=six)))
    for trouble in wanted:
        if (trouble.client_node, trouble.server_node) not in pairs:
            continue
        address = (trouble.client.address, trouble.server.address)
        for back, (here, there), (source, target) in (
            (False, (trouble.client_node, trouble.server_node), address),
            (True, (trouble.server_node, trouble.client_node), address[::-1]),
        ):
            machine = machine_of(look, here, six=_six(trouble))
            six = ":" in target
            if machine is not None and (here, there, six) not in found:
                found[here, there, six] = Direction(nodes[here], nodes[there], source, target, machine, trouble, back)
    return tuple(found.values())


def _six(trouble: Trouble) -> bool:
    return ":" in trouble.server.address


def _from_node(look: Look, name: str, nodes: dict[str, Node]) -> tuple[Direction, ...]:
    here = nodes.get(name)
    machine = machine_of(look, name) if here else None
    if here is None or machine is None:
        return ()
    return tuple(
        Direction(here, there, first_address(here), first_address(there), machine)
        for there in nodes.values()
        if there.name != name and first_address(there)
    )


def first_address(node: Node) -> str:
    """An address that a Pod of the node could have, or ''."""
    for written in node.pod_cidrs:
        network = as_network(written)
        if network is not None and network.version == 4 and network.num_addresses > 8:
            return str(network.network_address + 5)
    return ""


def range_with(node: Node, address: str) -> Network | None:
    """The node's Pod range that holds an address, or None."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    ranges = (network for network in map(as_network, node.pod_cidrs) if network is not None)
    return next((network for network in ranges if network.version == ip.version and ip in network), None)


def as_network(written: str) -> Network | None:
    """A range, or None for what is none."""
    try:
        return ipaddress.ip_network(written, strict=False)
    except ValueError:
        return None


def address_of(node: Node, *, six: bool = False) -> str:
    """The node's InternalIP of a family, or ''."""
    return next((a for kind, a in node.addresses if kind == "InternalIP" and (":" in a) is six), "")


def leads_to_pods(decision: Decision) -> bool:
    """By a route of its own, not by one that leads everywhere."""
    return decision.route is not None and not decision.route.default


def sibling_ways(way: Direction, others: Iterable[Node]) -> list[tuple[Node, Route]]:
    """How the near node leads to the Pods of further nodes: the pattern that this way should follow."""
    found = []
    for node in others:
        network = next((n for n in map(as_network, node.pod_cidrs) if n and n.version == _version(way.target)), None)
        if node.name in (way.here.name, way.there.name) or network is None:
            continue
        decision = way.machine.plainly(str(network.network_address + 5))
        if decision.route is not None and decision.leads and not decision.route.default:
            found.append((node, decision.route))
    return found


def _version(address: str) -> int:
    return 6 if ":" in address else 4
