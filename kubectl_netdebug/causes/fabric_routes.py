"""Routes between nodes: one that is missing, one that leads elsewhere, a rule that takes the traffic away."""

from __future__ import annotations

from kubectl_netdebug.causes.fabric_view import (
    LOST,
    Direction,
    Machine,
    address_of,
    directions,
    leads_to_pods,
    machine_of,
    nodes_by_name,
    sibling_ways,
)
from kubectl_netdebug.causes.on_node import mend_on_node
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.node import Node
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.iproute_table import Network, Route

ROUTE_MISSING = Cause(
    code="node-route-missing",
    title="A node has no route to another node's Pods",
    says="Node {here} has no route to {range}, the Pods of {there}{expected}.",
    means="Packets for those Pods leave by the default route and are lost there; answers to them as well.",
    symptom="Pods of one node are unreachable from another node, or from all; on the same node all is well.",
    apart="With a blocked tunnel port the packets do leave encapsulated; with a policy, the node itself gets through.",
    mend="Restart the Pod network's agent on the node, which writes its routes; until then add the route by hand.",
    explains=(*LOST, "overlay-port-blocked"),
)


@explains(Hop.FABRIC, ROUTE_MISSING, When.ALWAYS)
def route_missing(look: Look, asked: Question) -> Finding | None:
    """Only a default route (or none) leads there, while other nodes' Pods have routes of their own here or there."""
    for way in directions(look, asked):
        network = way.range
        if network is None or way.decision.refused or leads_to_pods(way.decision):
            continue
        pattern = _pattern(look, way)
        if pattern is None:
            continue
        says, argv = pattern
        taken = way.decision.route
        return ROUTE_MISSING.confirmed(
            at=ObjectRef("Node", "", way.here.name),
            here=way.here.name,
            there=way.there.name,
            range=network,
            expected=f" (others are {says})",
            saw=(
                f"{way.here.name}: a packet to {way.target} goes by {taken or 'no route at all'}",
                *way.seen,
            ),
            fixes=_fix(look, way, "add the route until the agent does", argv),
        )
    return None


ROUTE_WRONG = Cause(
    code="node-route-wrong",
    title="A node's route to another node's Pods leads elsewhere",
    says="The route of node {here} to {range}, the Pods of {there}, is wrong: {route}{expected}.",
    means="Packets for those Pods go nowhere or to a machine that does not know them.",
    symptom="Pods of one node are unreachable from another; often after a node was replaced or changed its address.",
    apart="A missing route sends them to the default gateway; here a route of their own takes them.",
    mend="Restart the Pod network's agent on the node; until then replace the route by hand.",
    explains=(*LOST, "overlay-port-blocked"),
)


@explains(Hop.FABRIC, ROUTE_WRONG, When.ALWAYS)
def route_wrong(look: Look, asked: Question) -> Finding | None:
    """The route refuses, or its gateway is not the far node while the gateways of the other routes are their nodes."""
    ways = directions(look, asked)
    nodes = nodes_by_name(look) if ways else {}
    for way in ways:
        plain = way.machine.plainly(way.target)
        route, network = plain.route, way.range
        if route is None or network is None or (route.default and not plain.refused):
            continue
        pattern = _pattern(look, way)
        wrong = bool(plain.refused) or _misled(way, route, nodes, pattern is not None)
        if not wrong:
            continue
        says, argv = pattern or ("", ())
        return ROUTE_WRONG.confirmed(
            at=ObjectRef("Node", "", way.here.name),
            here=way.here.name,
            there=way.there.name,
            range=network,
            route=f"'{route}'",
            expected=f" ({way.there.name} is {address_of(way.there, six=network.version == 6)})",
            saw=(f"{way.here.name}: {route}", *([f"others are {says}"] if says else []), *way.seen),
            fixes=_fix(look, way, "replace the route until the agent does", argv, wrong=route),
        )
    return None


def _misled(way: Direction, route: Route, nodes: dict[str, Node], known: bool) -> bool:
    """Its gateway is a machine of the nodes' own network, but not the far node, where nodes are each other's gateways.

    A gateway beyond that (a router that knows the way) is never called wrong.
    """
    six = route.network.version == 6
    own = {address for _, address in way.there.addresses}
    if not route.gateway or route.gateway in own:
        return False
    pattern = [(n, r) for n, r in sibling_ways(way, nodes.values()) if r.gateway == address_of(n, six=six)]
    if pattern and known:
        return True
    others = {a for n in nodes.values() if n.name != way.there.name for _, a in n.addresses}
    return route.gateway in others


HIJACK = Cause(
    code="policy-route-hijack",
    title="A routing rule takes Pods' traffic away",
    says="On node {here}, ip rule '{rule}' sends packets for {target} {where} instead of {meant}.",
    means="The Pod range (or a part of it) goes into a VPN or another table, and the nodes' own routes are not asked.",
    symptom="Pods lose other nodes' Pods (or the outside) after a VPN client or network manager started on a node.",
    apart="The main table has the right route: 'ip route' looks well, 'ip route get … from …' does not.",
    mend="Delete the rule, and keep the cluster's ranges out of the program that makes it.",
    explains=(*LOST, "overlay-port-blocked", "node-route-missing", "egress-masquerade-missing", "egress-firewall"),
)


@explains(Hop.FABRIC, HIJACK, When.ALWAYS)
def policy_route(look: Look, asked: Question) -> Finding | None:
    """A rule that not every machine has decides, and the main table would lead elsewhere by a route of its own."""
    for way in directions(look, asked):
        taken, plain = way.machine.decides(way.target, way.source, _incoming(way.machine, way.source)), None
        if taken.rule is None or taken.rule.builtin:
            continue
        plain = way.machine.plainly(way.target)
        if plain.route is None or plain.refused or plain.route.default or plain.route == taken.route:
            continue
        if taken.route is not None and not taken.refused and taken.route.ways == plain.route.ways:
            continue
        where = f"to table {taken.rule.table} ({taken.route})" if taken.route else "away"
        where = f"to nowhere ({taken.refused})" if taken.refused else where
        return HIJACK.confirmed(
            at=ObjectRef("Node", "", way.here.name),
            here=way.here.name,
            rule=taken.rule,
            target=way.range or way.target,
            where=where,
            meant=f"by '{plain.route}'",
            saw=(f"{way.here.name}: ip rule '{taken.rule}'", f"main table: {plain.route}", *way.seen),
            fix=mend_on_node(
                look,
                way.here.name,
                "delete the rule",
                *(("ip", "-6") if ":" in way.target else ("ip",)),
                *("rule", "del", "priority", str(taken.rule.priority)),
            ),
        )
    return None


def _incoming(machine: Machine, source: str) -> str:
    """The device that a Pod's packets come in by: the way to the Pod is the way from it."""
    route = machine.plainly(source).route if source else None
    return route.device if route is not None and not route.default else ""


def _pattern(look: Look, way: Direction) -> tuple[str, tuple[str, ...]] | None:
    """How nodes lead to each other's Pods, in words and as the arguments that this way lacks; None: not by routes."""
    nodes = nodes_by_name(look)
    network = way.range
    assert network is not None
    siblings = sibling_ways(way, nodes.values())
    if siblings:
        node, route = siblings[0]
        return f"like '{route}' on {way.here.name}", _alike(route, node, way.there, network)
    if way.trouble is None:
        return None
    # Two nodes alone: the far one shows how.
    far = machine_of(look, way.there.name, six=network.version == 6)
    back = far.plainly(way.source).route if far is not None and way.source else None
    if back is None or back.default or back.refuses:
        return None
    return f"like '{back}' on {way.there.name}", _alike(back, way.here, way.there, network)


def _alike(route: Route, node: Node, there: Node, network: Network) -> tuple[str, ...]:
    """The end of an `ip route` command for the far node, as a route for another node's Pods has it."""
    six = network.version == 6
    if route.gateway and route.gateway == address_of(node, six=six):
        return ("via", address_of(there, six=six))
    if route.gateway and route.gateway == str(route.network.network_address):
        return ("via", str(network.network_address), "dev", route.device, "onlink")
    return ("dev", route.device) if route.device and not route.gateway else ()


def _fix(look: Look, way: Direction, title: str, argv: tuple[str, ...], wrong: Route | None = None) -> tuple[Fix, ...]:
    if not argv or way.range is None:
        return ()
    command = ("ip", "-6") if way.range.version == 6 else ("ip",)
    add = ("route", "replace", str(way.range), *argv)
    if wrong is None or wrong.network == way.range:
        return (mend_on_node(look, way.here.name, title, *command, *add),)
    line = f"{' '.join(command)} route del {wrong.type} {wrong.network}; {' '.join((*command, *add))}"
    return (mend_on_node(look, way.here.name, title, "sh", "-c", line),)
