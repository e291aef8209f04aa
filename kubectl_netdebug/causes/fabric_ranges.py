"""What the Node objects say of ranges and addresses: overlaps, missing ranges, wrong addresses, failed cloud routes."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.concerned import nodes_concerned, troubles
from kubectl_netdebug.causes.fabric_view import LOST, Direction, address_of, as_network, directions, machine_of
from kubectl_netdebug.causes.ranges import service_ranges
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.node import Node
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.iproute_table import Network, Route
from kubectl_netdebug.net.outcome import Outcome as End

OVERLAP_NODES = Cause(
    code="podcidr-overlap-nodes",
    title="Two nodes have the same Pod range",
    says="Nodes {first} and {second} share the Pod range {range}.",
    means="Traffic for Pods of one node arrives at the other, and both give out the same addresses.",
    symptom="Connections to some Pods reach another Pod, flap or time out; Pods of two nodes have one address.",
    apart="A duplicate Pod address within one node is a matter of that node's IPAM state.",
    mend="Drain one of the nodes, delete its Node object and let it register anew, so that it gets a range of its own.",
    explains=(*LOST, "node-route-missing", "node-route-wrong", "duplicate-pod-ip"),
)


@explains(Hop.FABRIC, OVERLAP_NODES, When.ALWAYS)
def overlap_nodes(look: Look, asked: Question) -> Finding | None:
    """The ranges of two Node objects overlap, and one of them is on the way."""
    concerned = _on_the_way(look, asked)
    nodes = look.if_known(asks.nodes()) or () if concerned else ()
    ranges = [(node, network) for node in nodes for network in _ranges(node)]
    for index, (first, network) in enumerate(ranges):
        for second, other in ranges[index + 1 :]:
            if first.name == second.name or network.version != other.version or not network.overlaps(other):
                continue
            if not {first.name, second.name} & {*concerned}:
                continue
            guilty = _younger(look, first, second)
            return OVERLAP_NODES.confirmed(
                at=ObjectRef("Node", "", guilty).at("spec.podCIDRs"),
                first=first.name,
                second=second.name,
                range=network if network.prefixlen >= other.prefixlen else other,
                saw=f"spec.podCIDRs: {first.name} {network}, {second.name} {other}",
                fix=Fix(
                    f"let {guilty} register anew",
                    kubectl("drain", guilty, "--ignore-daemonsets", "--delete-emptydir-data"),
                    Risk.DISRUPTIVE,
                    not_pasteable="afterwards delete the Node and restart its kubelet; Pods move away meanwhile",
                ),
            )
    return None


def _younger(look: Look, first: Node, second: Node) -> str:
    """The node that registered later."""
    raw = [look.if_known(asks.raw_object("nodes", "", n.name)) for n in (first, second)]
    times = [tree.text(each, "metadata", "creationTimestamp") for each in raw]
    return first.name if times[0] > times[1] else second.name


OVERLAP_NODENET = Cause(
    code="podcidr-overlap-nodenet",
    title="The Pod range overlaps the nodes' own network",
    says="The Pod range {range} of {node} overlaps {what}.",
    means="Packets for those machines are kept among the Pods (or the reverse): some cannot be reached from there.",
    symptom="Pods do not reach certain hosts, or a node loses its peers, as soon as its Pod network is set up.",
    apart="With a missing route, other ranges are not involved; here one address belongs to two networks.",
    mend="Build the cluster anew with a Pod range that nobody uses, or move the other network.",
    explains=(*LOST, "node-route-missing", "node-route-wrong", "overlay-port-blocked"),
)


@explains(Hop.FABRIC, OVERLAP_NODENET, When.ALWAYS)
def overlap_nodenet(look: Look, asked: Question) -> Finding | None:
    """A node's address lies in a Pod range, or a node has a foreign route that is a part of one (or covers it)."""
    concerned = _on_the_way(look, asked)
    nodes = look.if_known(asks.nodes()) or () if concerned else ()
    for node in nodes:
        for network in _ranges(node):
            for other in nodes:
                own = [a for kind, a in other.addresses if kind.endswith("IP") and _holds(network, a)]
                if own and {node.name, other.name} & {*concerned}:
                    return _overlapping(node.name, network, f"the address {own[0]} of node {other.name}", ())
    for way in directions(look, asked):
        route, far = _foreign_route(way), way.range
        if route is not None and far is not None:
            what = f"a route of node {way.here.name}: '{route}'"
            saw = (f"{way.here.name}: a packet to {way.target} goes by '{route}'", *way.seen)
            return _overlapping(way.there.name, far, what, saw, guilty=way.here.name)
    return None


def _overlapping(node: str, network: Network, what: str, saw: tuple[str, ...], guilty: str = "") -> Finding:
    return OVERLAP_NODENET.confirmed(
        at=ObjectRef("Node", "", guilty or node),
        range=network,
        node=node,
        what=what,
        saw=(f"spec.podCIDRs of {node}: {network}", *saw),
    )


def _foreign_route(way: Direction) -> Route | None:
    """The route to the far Pods where it is a network of the near node's own devices, or a part of a route for all.

    The device that leads to the node's own Pods is the Pod network's, which may well hold everybody's range.
    """
    route, network = way.machine.plainly(way.target).route, way.range
    own = way.machine.plainly(way.source).route if way.source else None
    if route is None or network is None or route.default or route.refuses or route.type != "unicast":
        return None
    if own is not None and own.device == route.device and own.network == route.network:
        return None
    link = way.machine.link(route.device)
    connected = link is not None and not route.gateway and route.network in link.networks
    whole = any(r.network == network and r.table == route.table for r in way.machine.routes)
    part = whole and route.network != network and route.network.prefixlen > network.prefixlen
    return route if connected or part else None


OVERLAP_SERVICE = Cause(
    code="podcidr-overlap-service",
    title="The Pod range overlaps the Service range",
    says="The Pod range {range} of node {node} overlaps {what}.",
    means="Addresses in both are ambiguous: kube-proxy translates some Pods' addresses as if they were Services'.",
    symptom="Some Pods answer as if they were a Service, or cannot be reached by their address; others are well.",
    apart="With a duplicate Pod address two Pods share it; here a Pod and a Service do.",
    mend="Build the cluster anew with separate ranges, or add a ServiceCIDR elsewhere and recreate the Services.",
)


@explains(Hop.FABRIC, OVERLAP_SERVICE, When.ALWAYS)
def overlap_service(look: Look, asked: Question) -> Finding | None:
    """Arithmetic on the ranges of the ServiceCIDR objects and of the nodes.

    A Pod whose address is a Service's too is refused as soon as that Service has no endpoints.
    """
    refused = any(t.attempt.outcome is End.REFUSED for t in troubles(look, asked))
    concerned = nodes_concerned(look, asked) if refused else _on_the_way(look, asked)
    if not concerned:
        return None
    services = service_ranges(look)
    for node in look.if_known(asks.nodes()) or ():
        for network in _ranges(node) if node.name in concerned else ():
            for each in services:
                if each.network.version == network.version and network.overlaps(each.network):
                    return OVERLAP_SERVICE.confirmed(
                        at=ObjectRef("Node", "", node.name),
                        range=network,
                        node=node.name,
                        what=each.what,
                        saw=f"{each.what} and spec.podCIDRs of {node.name}: {network}",
                    )
    return None


CLOUD_ROUTE = Cause(
    code="cloud-route-failed",
    title="The cloud did not make the node's route",
    says="The cloud has no route to the Pods of node {node}: {message}.",
    means="Pods of that node are cut off from those of other nodes, and most Pods are not scheduled there.",
    symptom="A new node's Pods are isolated; the node carries the taint network-unavailable.",
    apart="Where the Pod network writes routes on the nodes themselves, the cloud's routes do not matter.",
    mend="Mend the route controller's rights or the route table's quota; it tries again by itself.",
    explains=(*LOST, "node-route-missing", "overlay-port-blocked"),
)


@explains(Hop.FABRIC, CLOUD_ROUTE, When.ALWAYS)
def cloud_route(look: Look, asked: Question) -> Finding | None:
    """The condition NetworkUnavailable says so."""
    for name in _on_the_way(look, asked):
        condition = _network_unavailable(look.if_known(asks.raw_object("nodes", "", name)))
        if condition is None or "route" not in tree.text(condition, "reason").lower():
            continue
        events = look.if_known(asks.events_about("Node", "", name)) or ()
        failed = next((e.message for e in reversed(events) if e.reason == "FailedToCreateRoute"), "")
        message = failed or tree.text(condition, "message") or tree.text(condition, "reason")
        return CLOUD_ROUTE.confirmed(
            at=ObjectRef("Node", "", name),
            node=name,
            message=message,
            saw=f"condition NetworkUnavailable of {name}: {tree.text(condition, 'reason')}: {message}",
            fix=Fix(
                "see what the route controller says",
                kubectl("get", "events", "-A", "--field-selector", "reason=FailedToCreateRoute"),
                Risk.READ_ONLY,
                not_pasteable="the quota or the right is the cloud's",
            ),
        )
    return None


def _network_unavailable(raw: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    conditions = tree.entries(raw, "status", "conditions")
    wanted = ("NetworkUnavailable", "True")
    return next((c for c in conditions if (tree.text(c, "type"), tree.text(c, "status")) == wanted), None)


NODE_IP = Cause(
    code="node-ip-wrong",
    title="A node advertises an address that is not its own",
    says="Node {node} advertises {address}, {why}.",
    means="The API server, the other nodes and the overlay send what is for that node to another place, or to nobody.",
    symptom="Logs and exec of one node's Pods fail, and so does traffic to its Pods; the node itself is Ready.",
    apart="A firewall leaves the address right; here no device of the node has it, or another node has it as well.",
    mend="Start kubelet with the right --node-ip, then restart the Pod network's agent there.",
    explains=(*LOST, "overlay-port-blocked", "node-route-missing", "node-route-wrong", "vxlan-vtep-stale"),
)


@explains(Hop.FABRIC, NODE_IP, When.ALWAYS)
def node_ip_wrong(look: Look, asked: Question) -> Finding | None:
    """Two Node objects with one address, or an address that no device of the node has."""
    concerned = _on_the_way(look, asked)
    nodes = look.if_known(asks.nodes()) or () if concerned else ()
    counted = Counter(address_of(node) for node in nodes if address_of(node))
    for node in nodes:
        address = address_of(node)
        shared = [n.name for n in nodes if address_of(n) == address and n.name != node.name]
        if node.name not in concerned or not address:
            continue
        if counted[address] > 1:
            why, saw = f"as {', '.join(shared[:3])} does", f"InternalIP {address}: {node.name}, {', '.join(shared[:3])}"
        else:
            machine = machine_of(look, node.name)
            if machine is None or not machine.links or any(address in link.plain_addresses for link in machine.links):
                continue
            own = [a for link in machine.links for a in link.plain_addresses if _global(a)]
            why = "which none of its devices has"
            saw = f"addresses of {node.name}: {', '.join(own[:6])}"
        return NODE_IP.confirmed(at=ObjectRef("Node", "", node.name), node=node.name, address=address, why=why, saw=saw)
    return None


PODCIDR_MISSING = Cause(
    code="node-podcidr-missing",
    title="A node has no Pod range",
    says="Node {node} has no podCIDR, while {others} of {all} nodes have one{why}.",
    means="The Pod network's agent on that node cannot set up anything, and Pods there get no address.",
    symptom="Pods stay in ContainerCreating on a new node; flannel says 'pod cidr not assigned'.",
    apart="With Calico's, Cilium's or a cloud's own IPAM no node has a podCIDR, and none is needed.",
    mend="Let the controller manager allocate ranges (--allocate-node-cidrs), with a cluster CIDR large enough.",
)


@explains(Hop.NODE, PODCIDR_MISSING, When.ALWAYS)
@explains(Hop.FABRIC, PODCIDR_MISSING, When.ALWAYS)
def podcidr_missing(look: Look, asked: Question) -> Finding | None:
    """The Node has none although the cluster gives ranges to nodes."""
    concerned = _on_the_way(look, asked)
    nodes = look.if_known(asks.nodes()) or () if concerned else ()
    having = [node for node in nodes if node.pod_cidrs]
    for node in nodes:
        if node.name not in concerned or node.pod_cidrs or not having:
            continue
        events = look.if_known(asks.events_about("Node", "", node.name)) or ()
        said = next((e for e in reversed(events) if e.reason == "CIDRNotAvailable"), None)
        make = PODCIDR_MISSING.confirmed if said else PODCIDR_MISSING.likely
        return make(
            at=ObjectRef("Node", "", node.name).at("spec.podCIDR"),
            node=node.name,
            others=len(having),
            all=len(nodes),
            why=f": {said.message}" if said else "",
            saw=f"spec.podCIDRs of {node.name} is empty; {having[0].name} has {', '.join(having[0].pod_cidrs)}",
            fix=Fix(
                "see whether ranges are allocated",
                kubectl("get", "nodes", "-o", "custom-columns=NODE:.metadata.name,RANGES:.spec.podCIDRs"),
                Risk.READ_ONLY,
                not_pasteable="the controller manager's flags have to be changed",
            ),
        )
    return None


def _on_the_way(look: Look, asked: Question) -> tuple[str, ...]:
    """The nodes that a question about connections is about, where one was lost; the node that was asked about."""
    if asked.flow is FlowName.NODE:
        return (asked.node,)
    lost = [t for t in troubles(look, asked) if t.attempt.outcome not in (End.REFUSED, End.NAME_ERROR, End.SILENT)]
    return nodes_concerned(look, asked) if lost else ()


def _ranges(node: Node) -> Iterator[Network]:
    return (network for network in map(as_network, node.pod_cidrs) if network is not None)


def _holds(network: Network, address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return ip.version == network.version and ip in network


def _global(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    return not ip.is_loopback and not ip.is_link_local
