"""How Pods hang on their node's network: the Pod's own end of its link, the node's end, and the bridge between."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.concerned import Trouble, troubles
from kubectl_netdebug.causes.fabric_view import Machine, machine_of, nodes_by_name, range_with, readings
from kubectl_netdebug.causes.outside_routes import ROUTES_FILE
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.net.iproute import read_neighbours
from kubectl_netdebug.net.iproute_table import Neighbour
from kubectl_netdebug.net.links import Link, host_end
from kubectl_netdebug.net.outcome import Outcome as End
from kubectl_netdebug.net.procroute import read_routes

MOST_PODS = 4
"""Pods whose links are looked at in one run."""

ARP_FILE = "/proc/net/arp"
BRIDGE, TUNNELS = "bridge", ("vxlan", "geneve", "ipip", "wireguard")


@dataclass(frozen=True)
class Hanging:
    """A Pod on its node's network. `end` is the node's end of its link, None where the node has no such device."""

    pod: Pod
    machine: Machine
    gateway: str
    device: str
    peer: int
    end: Link | None
    neighbours: tuple[Neighbour, ...]
    trouble: Trouble

    @property
    def gateway_device(self) -> Link | None:
        """The node's device that has the Pod's gateway as its address: the bridge; None for networks without one."""
        return next((link for link in self.machine.links if self.gateway in link.plain_addresses), None)


def lost_here(look: Look, asked: Question) -> tuple[Trouble, ...]:
    """Connections between Pods that were lost, on whatever nodes, without those by a Service's address."""
    return tuple(
        t
        for t in troubles(look, asked)
        if not t.virtual and t.attempt.outcome not in (End.REFUSED, End.SILENT, End.NAME_ERROR, End.NO_LOCAL_ADDRESS)
    )


def hanging_pods(look: Look, asked: Question) -> tuple[Hanging, ...]:
    """The Pods at both ends of lost connections, as they hang on their nodes; the client first."""
    found: dict[tuple[str, str], tuple[Pod, Trouble]] = {}
    for trouble in lost_here(look, asked):
        for pod in (trouble.client.pod, trouble.server.pod):
            if pod is not None and not pod.host_network and pod.node and not pod.finished and ":" not in pod.ip:
                found.setdefault((pod.namespace, pod.name), (pod, trouble))
    wanted = list(found.values())[:MOST_PODS]
    look.foresee(
        *(ask for pod, _ in wanted for ask in readings(pod.node)),
        *(asks.file_in(pod, path) for pod, _ in wanted for path in (ROUTES_FILE, ARP_FILE)),
    )
    hanging = (_hang(look, pod, trouble) for pod, trouble in wanted)
    return tuple(each for each in hanging if each is not None)


def _hang(look: Look, pod: Pod, trouble: Trouble) -> Hanging | None:
    machine = machine_of(look, pod.node)
    table, arp = look.all_known([asks.file_in(pod, ROUTES_FILE), asks.file_in(pod, ARP_FILE)])
    if machine is None or not machine.links or table is None:
        return None
    way_out = next((route for route in read_routes(table) if route.default), None)
    if way_out is None:
        return None
    written = look.if_known(asks.file_in(pod, f"/sys/class/net/{way_out.device}/iflink")) or ""
    peer = int(written) if written.strip().isdecimal() else 0
    if not peer:
        return None
    return Hanging(
        pod=pod,
        machine=machine,
        gateway=way_out.gateway,
        device=way_out.device,
        peer=peer,
        end=host_end(machine.links, peer),
        neighbours=read_neighbours(arp or ""),
        trouble=trouble,
    )


def pod_nodes(look: Look, asked: Question) -> tuple[Machine, ...]:
    """The nodes whose Pods' bridge matters: of lost connections, or the one that was asked about where it has Pods."""
    if asked.flow is FlowName.NODE:
        pods = look.if_known(asks.pods_on(asked.node)) or ()
        names = {asked.node: None} if any(p.ip and not p.host_network and not p.finished for p in pods) else {}
    else:
        lost = lost_here(look, asked)
        ends = [pod for t in lost for pod in (t.client.pod, t.server.pod)]
        names = dict.fromkeys(pod.node for pod in ends if pod is not None and pod.node and not pod.host_network)
    chosen = list(names)[:MOST_PODS]
    look.foresee(*(ask for name in chosen for ask in readings(name)))
    machines = (machine_of(look, name) for name in chosen)
    return tuple(machine for machine in machines if machine is not None)


def pod_bridge(look: Look, machine: Machine) -> Link | None:
    """The bridge of a node's Pods: the one with an address of the node's Pod range; else one with ports and no address.

    None for networks without a bridge.
    """
    node = nodes_by_name(look).get(machine.name)
    bridges = [link for link in machine.links if link.kind == BRIDGE]
    for link in bridges:
        if node is not None and any(range_with(node, address) for address in link.plain_addresses):
            return link
    held = any(
        node is not None and range_with(node, address)
        for link in machine.links
        if link.kind not in TUNNELS
        for address in link.plain_addresses
    )
    bare = [
        link
        for link in bridges
        if not any("." in address for address in link.plain_addresses)
        and any(port.master == link.name and port.kind == "veth" for port in machine.links)
    ]
    return bare[0] if len(bare) == 1 and not held else None
