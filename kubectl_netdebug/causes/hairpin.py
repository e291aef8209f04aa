"""A Pod's way back to itself as its node sees it: the bridge port that it is on, with its flag."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.itself import HAIRPIN_OFF, broken_loop, loop_effect
from kubectl_netdebug.causes.node_asks import node_view
from kubectl_netdebug.causes.node_view import BRIDGE_NF, at, bridge_ports, kernel
from kubectl_netdebug.causes.on_node import mend_on_node
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.finding import Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.links import Port, host_end, read_links

PEER = "/sys/class/net/eth0/iflink"
OWN = "/sys/class/net/eth0/ifindex"


@dataclass(frozen=True)
class PodPort:
    """The port of a bridge that a Pod is on, and whether bridged packets are filtered and translated there."""

    port: Port
    filtered: bool

    @property
    def words(self) -> str:
        """For people."""
        flag = {True: "on", False: "off", None: "not told"}[self.port.hairpin]
        return f"port {self.port.name} of bridge {self.port.bridge}: hairpin mode {flag}"


def port_of(look: Look, pod: Pod) -> PodPort | None:
    """The Pod's own bridge port; None where it has none or the node may not be looked at."""
    links_of = node_view(pod.node, "links", read_links)
    look.foresee(*(asks.file_in(pod, path) for path in (PEER, OWN)), bridge_ports(pod.node), kernel(pod.node), links_of)
    peer, own = look.all_known([asks.file_in(pod, PEER), asks.file_in(pod, OWN)])
    ports, settings, links = look.if_known(bridge_ports(pod.node)), look.if_known(kernel(pod.node)), None
    links = look.if_known(links_of)
    if not ports or not links or not peer or not peer.strip().isdecimal():
        return None
    mine = int(own.strip()) if own and own.strip().isdecimal() else 0
    link = host_end(links, int(peer.strip()), mine)
    port = next((p for p in ports if link is not None and p.name == link.name), None)
    return None if port is None else PodPort(port, (settings or {}).get(BRIDGE_NF) == "1")


@explains(Hop.NODE_LINKS, HAIRPIN_OFF, When.ALWAYS)
def hairpin_off_at_port(look: Look, asked: Question) -> Finding | None:
    """The Pod fails to reach itself alone, the flag of its own port is off, and bridged packets are translated."""
    loop = broken_loop(look, asked)
    if loop is None or loop.client.host_network or not loop.client.node:
        return None
    seen = port_of(look, loop.client)
    # Without bridge-nf the node routes the packet back to the Pod, and the flag does not matter.
    if seen is None or seen.port.hairpin is not False or not seen.filtered:
        return None
    node = loop.client.node
    return HAIRPIN_OFF.confirmed(
        at=at(node),
        pod=loop.client.name,
        node=node,
        place=loop.place,
        count=f"{loop.lost} of {len(loop.attempts)}",
        effect=loop_effect(loop),
        saw=(
            f"{node}: {seen.words}",
            f"{loop.client.name} reaches itself at {loop.backend.address}:{loop.backend.port}",
            f"by {loop.place}: {loop.good} of {len(loop.attempts)} connects",
        ),
        fix=mend_on_node(
            look,
            node,
            "switch hairpin mode on for the Pod's port (lasting: hairpinMode in the node's CNI configuration)",
            *("bridge", "link", "set", "dev", seen.port.name, "hairpin", "on"),
        ),
    )
