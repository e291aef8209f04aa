"""Bridges and links of Pods: a bridge that is down, a link that hangs nowhere, isolated ports, a stale gateway MAC."""

from __future__ import annotations

import ipaddress

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.concerned import troubles
from kubectl_netdebug.causes.fabric_pods import Hanging, hanging_pods, lost_here, pod_bridge, pod_nodes
from kubectl_netdebug.causes.fabric_view import LOST, nodes_by_name, ports_of
from kubectl_netdebug.causes.on_node import mend_on_node
from kubectl_netdebug.causes.reach import effect_on, tried
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.model.step import When

BRIDGE_DOWN = Cause(
    code="bridge-down",
    title="The bridge of a node's Pods is down or has no address",
    says="On node {node}, {bridge} {what}.",
    means="All Pods of that node are cut off from other nodes and from the outside; their gateway does not answer.",
    symptom="Every Pod of one node is unreachable and reaches nothing, while the node itself is Ready.",
    apart="A single Pod that is cut off has a detached link; with a missing route, Pods of one node reach each other.",
    mend="Switch the bridge on, or give it its address back; if that does not last, restart the Pod network's agent.",
    explains=(*LOST, "veth-detached", "static-arp-stale", "overlay-port-blocked", "node-route-missing"),
)


@explains(Hop.NODE_LINKS, BRIDGE_DOWN, When.ALWAYS)
def bridge_down(look: Look, asked: Question) -> Finding | None:
    """The bridge that the Pods' links are ports of is switched off, or no device has the Pods' gateway."""
    for machine in pod_nodes(look, asked):
        bridge = pod_bridge(look, machine)
        if bridge is None:
            continue
        four = [a for a in bridge.addresses if "." in a]
        if bridge.up and four:
            continue
        node = nodes_by_name(look)[machine.name]
        gateway = _gateway(look, asked, machine.name) or _first_of(node.pod_cidrs)
        repair = ["ip", "link", "set", "dev", bridge.name, "up"]
        if not four and gateway:
            repair = ["ip", "addr", "add", gateway, "dev", bridge.name]
        both = not bridge.up and not four and bool(gateway)
        line = f"ip addr add {gateway} dev {bridge.name}; ip link set dev {bridge.name} up"
        what = "is down" if not bridge.up else f"has lost its address{f' {gateway}' if gateway else ''}"
        return BRIDGE_DOWN.confirmed(
            at=ObjectRef("Node", "", machine.name),
            node=machine.name,
            bridge=bridge.name,
            what=what,
            saw=f"{machine.name}: {bridge.name} <{','.join(bridge.flags)}>, addresses: {', '.join(four) or 'none'}",
            fix=mend_on_node(
                look, machine.name, f"mend {bridge.name}", *(("sh", "-c", line) if both else tuple(repair))
            ),
        )
    return None


def _gateway(look: Look, asked: Question, node: str) -> str:
    """The gateway of a Pod of the node with the length of the node's range, or ''."""
    if asked.flow is FlowName.NODE:
        return ""
    length = next((c.partition("/")[2] for n in [nodes_by_name(look).get(node)] if n for c in n.pod_cidrs), "24")
    return next((f"{h.gateway}/{length}" for h in hanging_pods(look, asked) if h.pod.node == node and h.gateway), "")


def _first_of(ranges: tuple[str, ...]) -> str:
    """The first address of the node's range, which the bridge plugin takes for the gateway."""
    for written in ranges:
        try:
            network = ipaddress.IPv4Network(written, strict=False)
        except ValueError:
            continue
        return f"{network.network_address + 1}/{network.prefixlen}"
    return ""


VETH_DETACHED = Cause(
    code="veth-detached",
    title="A Pod's link hangs nowhere",
    says="The link of {pod} on node {node}, {link}, {what}.",
    means="The Pod runs and has an address, but nothing that it sends arrives anywhere, and nothing reaches it.",
    symptom="One Pod is cut off although it is Running; other Pods of the same node are well.",
    apart="A bridge that is down cuts off all Pods of the node; a policy shows in the API.",
    mend="Make the Pod again; until then put its link back.",
    explains=(*LOST, "overlay-port-blocked", "static-arp-stale"),
)


@explains(Hop.NODE_LINKS, VETH_DETACHED, When.ALWAYS)
def veth_detached(look: Look, asked: Question) -> Finding | None:
    """The node's end of the Pod's link is gone, off, no port of the bridge, or the host route to the Pod is missing."""
    for hanging in hanging_pods(look, asked):
        found = _detached(hanging)
        if found is None:
            continue
        what, repair = found
        pod, end = hanging.pod, hanging.end
        fixes = [mend_on_node(look, pod.node, "put the link back", *repair)] if repair else []
        return VETH_DETACHED.confirmed(
            at=pod.at,
            pod=pod.name,
            node=pod.node,
            link=end.name if end else f"device number {hanging.peer}",
            what=what,
            saw=(
                f"{pod.name}: {hanging.device} is one end of a pair whose other is device {hanging.peer} of {pod.node}",
                f"{pod.node}: "
                + (f"{end.name} <{','.join(end.flags)}> master {end.master or 'none'}" if end else "none"),
                f"{hanging.trouble.label}: {hanging.trouble.attempt.words}",
            ),
            effect=_effect(look, asked, hanging),
            fixes=(*fixes, _again(pod)),
        )
    return None


def _detached(hanging: Hanging) -> tuple[str, tuple[str, ...]] | None:
    """What is wrong with the node's end, and the command that mends it."""
    end, bridge = hanging.end, hanging.gateway_device
    if end is None:
        return "is gone", ()
    if not end.up:
        return "is down", ("ip", "link", "set", "dev", end.name, "up")
    if bridge is not None and bridge.kind == "bridge":
        return (
            None if end.master else ("is no port of any bridge", ("ip", "link", "set", end.name, "master", bridge.name))
        )
    route = hanging.machine.plainly(hanging.pod.ip).route
    if end.master or (route is not None and route.device == end.name):
        return None
    others = [r for r in hanging.machine.routes if r.network.prefixlen == 32 and r.device and r.table == "main"]
    if not others and bridge is None:
        return None  # not a network that leads to each Pod by a route of its own
    return "has no host route", ("ip", "route", "replace", hanging.pod.ip, "dev", end.name, "scope", "link")


PORT_ISOLATED = Cause(
    code="bridge-port-isolated",
    title="Pods of one node are isolated from each other",
    says="On node {node}, the bridge ports of {first} and {second} are isolated from each other.",
    means="Pods of that node do not reach each other; the node, the outside and other nodes' Pods do work.",
    symptom="Two Pods reach each other on different nodes, and not on the same one.",
    apart="With bridge-nf off, the Pod's own address works and only the Service's fails.",
    mend="Switch isolation off on the ports, and set portIsolation to false in the CNI configuration for new Pods.",
    explains=LOST,
)


@explains(Hop.NODE_LINKS, PORT_ISOLATED, When.ALWAYS)
def port_isolated(look: Look, asked: Question) -> Finding | None:
    """Both ends of a lost connection hang on isolated ports of one bridge: the kernel forwards nothing between them."""
    same = [t for t in lost_here(look, asked) if t.client_node == t.server_node != ""]
    for trouble in same:
        client, server = trouble.client.pod, trouble.server.pod
        if client is None or server is None or client.host_network or server.host_network:
            continue
        ports = {port.name: port for port in ports_of(look, client.node) or ()}
        ends = {h.pod.name: h.end for h in hanging_pods(look, asked) if h.pod.node == client.node and h.end}
        pair = [ports.get(end.name) for pod in (client, server) if (end := ends.get(pod.name))]
        isolated = [port for port in pair if port is not None and port.isolated]
        if len(isolated) < 2 or isolated[0].bridge != isolated[1].bridge:
            continue
        all_of_it = [p.name for p in ports.values() if p.isolated and p.bridge == isolated[0].bridge]
        line = "; ".join(f"bridge link set dev {name} isolated off" for name in all_of_it)
        return PORT_ISOLATED.confirmed(
            at=ObjectRef("Node", "", client.node),
            node=client.node,
            first=client.name,
            second=server.name,
            saw=(
                f"{client.node}: isolated ports {isolated[0].name} and {isolated[1].name} of {isolated[0].bridge}",
                f"{trouble.label}: {trouble.attempt.words}",
            ),
            effect=_effect_of(look, asked),
            fix=mend_on_node(look, client.node, "switch isolation off", "sh", "-c", line),
        )
    return None


STATIC_ARP = Cause(
    code="static-arp-stale",
    title="A Pod has the wrong MAC for its gateway",
    says="{pod} has {held} as the MAC of its gateway {gateway}, for ever; the node's {device} has {real}.",
    means="The node drops everything that the Pod sends beyond its own link, since it is addressed to somebody else.",
    symptom="A Pod has an address and reaches nothing, often after systemd-udev changed MACs of links.",
    apart="A detached link shows on the node; here only the Pod's own neighbour table is wrong.",
    mend="Keep udev from changing MACs of Pods' links (MACAddressPolicy=none), and make the Pod again.",
    explains=(*LOST, "overlay-port-blocked"),
)


@explains(Hop.NODE_LINKS, STATIC_ARP, When.ALWAYS)
def static_arp(look: Look, asked: Question) -> Finding | None:
    """A permanent neighbour entry in the Pod against the device that it means."""
    for hanging in hanging_pods(look, asked):
        held = next((n for n in hanging.neighbours if n.address == hanging.gateway and n.permanent), None)
        device = hanging.gateway_device or hanging.end
        if held is None or device is None or not device.mac or held.mac == device.mac:
            continue
        pod, end = hanging.pod, hanging.end
        fixes = [_again(pod)]
        if device is end:
            restore = ("ip", "link", "set", "dev", device.name, "address", held.mac)
            fixes.insert(0, mend_on_node(look, pod.node, "give the link the MAC that the Pod knows", *restore))
        return STATIC_ARP.confirmed(
            at=pod.at,
            pod=pod.name,
            held=held.mac,
            gateway=hanging.gateway,
            device=device.name,
            real=device.mac,
            saw=(
                f"{pod.name}: {hanging.gateway} is at {held.mac}, permanently",
                f"{pod.node}: {device.name} has {device.mac}",
                f"{hanging.trouble.label}: {hanging.trouble.attempt.words}",
            ),
            effect=_effect(look, asked, hanging),
            fixes=tuple(fixes),
        )
    return None


DUPLICATE_IP = Cause(
    code="duplicate-pod-ip",
    title="Two Pods have the same address",
    says="{first} and {second} both have the address {address}.",
    means="Connections to that address reach one or the other, as their node happens to have learnt it.",
    symptom="Half of the connections are refused, hang or reach the wrong application; it changes by itself.",
    apart="Pods on their node's network share its address on purpose; a Pod that has ended keeps its old one.",
    mend="Make one of them again, after its address was entered in the state of the address management.",
    explains=(*LOST, "podcidr-overlap-service"),
)


@explains(Hop.BACKENDS, DUPLICATE_IP)
@explains(Hop.NODE_LINKS, DUPLICATE_IP, When.ALWAYS)
def duplicate_pod_ip(look: Look, asked: Question) -> Finding | None:
    """Two Pods that live, in networks of their own, with one address in their status."""
    for pods in _sharing(look, asked):
        living = [p for p in pods if not p.host_network and not p.finished and not p.deleting and p.phase == "Running"]
        if len(living) < 2:
            continue
        first, second = sorted(living, key=lambda p: (p.created is None, p.created, p.namespace, p.name))[:2]
        return DUPLICATE_IP.confirmed(
            at=second.at,
            first=f"{first.namespace}/{first.name} (on {first.node})",
            second=f"{second.namespace}/{second.name} (on {second.node})",
            address=first.ip,
            effect=_effect_of(look, asked),
            saw=f"status.podIP {first.ip}: {', '.join(f'{p.namespace}/{p.name}' for p in living[:4])}",
            fix=_again(second),
        )
    return None


def _sharing(look: Look, asked: Question) -> list[tuple[Pod, ...]]:
    """Pods by address: all of the node that was asked about; of connections that failed, those that have it."""
    if asked.flow is FlowName.NODE:
        by_address: dict[str, list[Pod]] = {}
        for pod in look.if_known(asks.pods_on(asked.node)) or ():
            by_address.setdefault(pod.ip, []).append(pod)
        return [tuple(pods) for address, pods in by_address.items() if address and len(pods) > 1]
    failed = _failed(look, asked)
    found = look.all_known([asks.pods_at(address) for address in failed[:4]])
    return [pods for pods in found if pods]


def _failed(look: Look, asked: Question) -> list[str]:
    ends = [p for t in troubles(look, asked) if not t.virtual for p in (t.server.pod, t.client.pod)]
    return list(dict.fromkeys(pod.ip for pod in ends if pod is not None and not pod.host_network and pod.ip))


def _again(pod: Pod) -> Fix:
    return Fix(
        "make the Pod again",
        kubectl("delete", "pod", pod.name, namespace=pod.namespace),
        Risk.DISRUPTIVE,
        not_pasteable="" if pod.owner_kind else "nothing makes this Pod again once it is deleted",
    )


def _effect(look: Look, asked: Question, hanging: Hanging) -> Effect:
    """A client that is cut off loses everything; one server of several is a part."""
    client = hanging.trouble.client.pod
    return Effect.BREAKS if client is not None and client.uid == hanging.pod.uid else _effect_of(look, asked)


def _effect_of(look: Look, asked: Question) -> Effect:
    if asked.flow not in (FlowName.SERVICE, FlowName.POD_TO_POD):
        return Effect.BREAKS
    return effect_on(tried(look, asked))
