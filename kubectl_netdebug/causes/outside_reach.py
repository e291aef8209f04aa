"""Where connections to the outside get lost: compared between ports, Pods, nodes and this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import can_host_probe, client_pod
from kubectl_netdebug.causes.destinations import IN_CLUSTER_RANGE
from kubectl_netdebug.causes.outside_way import addresses_of, is_outside, port_of, proxied, tried_outside
from kubectl_netdebug.causes.ranges import cluster_range_of, nobody_has
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import ADDED, Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.address import lies_in
from kubectl_netdebug.net.outcome import Attempt
from kubectl_netdebug.net.outcome import Outcome as End

OTHER_PORTS = (443, 80, 53, 22, 1)
"""Ports that are tried at the same address: a refusal there proves as much as a connection, that packets come back."""

ELSEWHERE = 2
"""Pods on other nodes that are compared with."""


@dataclass(frozen=True)
class Compared:
    """What became of connects to one lost destination from other places. None where there is no such place."""

    client: Pod
    address: str
    port: int
    attempt: Attempt
    other_ports: tuple[tuple[int, Attempt], ...]
    on_node: tuple[tuple[Pod, Attempt], ...]
    """Other Pods of the client's node, without those in the node's own network."""
    node_itself: tuple[Pod, Attempt] | None
    elsewhere: tuple[tuple[Pod, Attempt], ...]
    here: Attempt | None

    @property
    def host_answers(self) -> bool:
        """Packets go to that address and come back, on another port."""
        return any(_answers(a) for _, a in self.other_ports)

    @property
    def node_reaches(self) -> bool:
        """The client's node itself gets through."""
        return self.node_itself is not None and self.node_itself[1].outcome.connected

    @property
    def others_reach(self) -> bool:
        """Pods of another node get through."""
        return any(a.outcome.connected for _, a in self.elsewhere)

    @property
    def others_fail(self) -> bool:
        """Pods of another node were tried and fail as well."""
        return bool(self.elsewhere) and not any(a.outcome.connected for _, a in self.elsewhere)

    @property
    def neighbours_fail(self) -> bool:
        """Other Pods of the node fail as well; also where there is none to ask."""
        return not any(a.outcome.connected for _, a in self.on_node)

    @property
    def words(self) -> tuple[str, ...]:
        """Each comparison in a line."""
        lines = [f"{self.client.name} → {self.address}:{self.port}: {self.attempt.words}"]
        lines += [f"other port {port} of {self.address}: {a.words}" for port, a in self.other_ports if _answers(a)][:1]
        if self.other_ports and not self.host_answers:
            lines.append(f"ports {', '.join(str(p) for p, _ in self.other_ports)} of it: no answer either")
        lines += [f"{pod.name} on the same node: {a.words}" for pod, a in self.on_node]
        if self.node_itself:
            lines.append(f"node {self.client.node} itself ({self.node_itself[0].name}): {self.node_itself[1].words}")
        lines += [f"{pod.name} on {pod.node}: {a.words}" for pod, a in self.elsewhere]
        return (*lines, f"this machine: {self.here.words}") if self.here else tuple(lines)


def _answers(attempt: Attempt) -> bool:
    return attempt.outcome in (End.CONNECTED, End.REFUSED, End.RESET)


def compared(look: Look, asked: Question) -> Compared | None:
    """The comparisons, for a destination at which every connect got lost; None for any other."""
    if not is_outside(asked) or not port_of(asked) or proxied(look, asked) is not None:
        return None
    tried = tried_outside(look, asked)
    if not tried or not all(a.outcome.lost for _, a in tried) or _no_way(look, asked):
        return None
    client, (address, attempt) = client_pod(look, asked), tried[0]
    port = port_of(asked)
    neighbour, host, others = _chosen(look, client)
    ports = [p for p in OTHER_PORTS if p != port]
    asked_of = [*neighbour, *host, *others]
    look.foresee(
        asks.connect_from_here(address, port),
        *(asks.connect(client, address, p) for p in ports),
        *(asks.connect(pod, address, port) for pod in asked_of),
    )
    at_ports = look.all_known([asks.connect(client, address, p) for p in ports])
    of_pods = look.all_known([asks.connect(pod, address, port) for pod in asked_of])
    known = [(pod, a) for pod, a in zip(asked_of, of_pods, strict=True) if a is not None]
    return Compared(
        client=client,
        address=address,
        port=port,
        attempt=attempt,
        other_ports=tuple((p, a) for p, a in zip(ports, at_ports, strict=True) if a is not None),
        on_node=tuple((pod, a) for pod, a in known if pod in neighbour),
        node_itself=next(((pod, a) for pod, a in known if pod in host), None),
        elsewhere=tuple((pod, a) for pod, a in known if pod in others),
        here=look.if_known(asks.connect_from_here(address, port)),
    )


def _no_way(look: Look, asked: Question) -> bool:
    """The addresses lie in the cluster's own ranges, where none of this applies."""
    return any(cluster_range_of(look, address) is not None for address in addresses_of(look, asked))


def _chosen(look: Look, client: Pod) -> tuple[list[Pod], list[Pod], list[Pod]]:
    """A neighbour on the client's node, a Pod in that node's own network, and Pods on other nodes.

    Rather Pods that have a probe container already, and of the client's own namespace.
    """
    everywhere = look.if_known(asks.pods_in("")) or look.if_known(asks.pods_in(client.namespace)) or ()
    usable = sorted(
        (
            p
            for p in everywhere
            if can_host_probe(p) and p.ready and (p.namespace, p.name) != (client.namespace, client.name)
        ),
        key=lambda p: (
            not _probed(p),
            p.namespace != client.namespace,
            p.namespace == "kube-system",
            p.namespace,
            p.name,
        ),
    )
    near = [p for p in usable if p.node == client.node]
    far: dict[str, Pod] = {}
    for pod in usable:
        if pod.node != client.node and not pod.host_network:
            far.setdefault(pod.node, pod)
    neighbours = [] if client.host_network else [p for p in near if not p.host_network][:1]
    return neighbours, [p for p in near if p.host_network][:1], list(far.values())[:ELSEWHERE]


def _probed(pod: Pod) -> bool:
    return any(c.name.startswith(ADDED) and c.state == "running" for c in pod.ephemeral)


FIREWALL = Cause(
    code="egress-firewall",
    title="A firewall drops connections to one destination outside",
    says="Connections to {target} are dropped {where}: {proof}.",
    means="Packets to that port leave and nothing comes back, from every Pod that was tried {scope}.",
    symptom="One address and port outside times out; other ports or addresses outside answer.",
    apart="Where all of the outside is lost from one node alone, that node does not masquerade its Pods' traffic.",
    mend="Have the firewall between the nodes and the destination (security group, ACL, or the server's own) let the "
    "nodes' addresses through on that port.",
)


@explains(Hop.ADDRESS, FIREWALL)
def egress_firewall(look: Look, asked: Question) -> Finding | None:
    """The host answers on other ports or to others, and this port is silent for the Pods."""
    found = compared(look, asked)
    if found is None or found.attempt.outcome is not End.TIMED_OUT or nonmasquerade_range(look, found.address):
        return None
    alive = found.here is not None and found.here.outcome.connected
    if not found.host_answers and not (alive and found.others_fail and not found.node_reaches):
        return None
    at_node = found.others_reach and found.neighbours_fail
    if found.others_reach and not at_node:
        return None
    proof = "another port of the same host answers" if found.host_answers else "this machine reaches it"
    at = ObjectRef("Node", "", found.client.node) if at_node else ObjectRef("Host", "", asked.host)
    return FIREWALL.likely(
        at=at,
        target=f"{found.address}:{found.port}",
        where=f"at node {found.client.node}" if at_node else "beyond the nodes",
        proof=proof,
        scope=f"on node {found.client.node}, while Pods of other nodes get through" if at_node else "here",
        effect=Effect.BREAKS,
        saw=found.words,
    )


PORT_CLOSED = Cause(
    code="dest-port-closed",
    title="Nothing listens on that port at the destination",
    says="{target} refuses connections: the host answers, and nothing listens on that port{elsewhere}.",
    means="The network is well; the port (or the address) is not that of the service that is wanted, or it is down.",
    symptom="'Connection refused' at once.",
    apart="A firewall that rejects answers others differently: from another place the same port connects.",
    mend="Use the right port and address, or start the service there.",
)


@explains(Hop.ADDRESS, PORT_CLOSED)
def dest_port_closed(look: Look, asked: Question) -> Finding | None:
    """Every address refuses at once, to this machine as well, as far as it gets there."""
    if not is_outside(asked) or not port_of(asked) or proxied(look, asked) is not None:
        return None
    tried = tried_outside(look, asked)
    if not tried or any(a.outcome is not End.REFUSED for _, a in tried):
        return None
    address, port = tried[0][0], port_of(asked)
    here = look.if_known(asks.connect_from_here(address, port))
    if here is not None and here.outcome.connected:
        return None
    same = here is not None and here.outcome is End.REFUSED
    ports = [p for p in (443, 80) if p != port]
    client = client_pod(look, asked)
    others = look.all_known([asks.connect(client, address, p) for p in ports])
    open_ones = [p for p, a in zip(ports, others, strict=True) if a is not None and a.outcome.connected]
    said = f" (it accepts on {', '.join(map(str, open_ones))})" if open_ones else ""
    return (PORT_CLOSED.confirmed if same else PORT_CLOSED.likely)(
        at=ObjectRef("Host", "", asked.host),
        target=f"{address}:{port}",
        elsewhere=said,
        saw=(
            f"{client.name} → {address}:{port}: {tried[0][1].words}",
            *((f"this machine → {address}:{port}: {here.words}",) if here else ()),
        ),
    )


NO_MASQUERADE = Cause(
    code="egress-masquerade-missing",
    title="Nothing outside answers the Pods of a node",
    says="From node {node}, Pods get no answer from outside ({address}) while {others}: the node does not masquerade "
    "their traffic, or drops it.",
    means="Packets of these Pods leave with an address to which nobody outside has a route, or do not leave at all.",
    symptom="Pods of the node reach the cluster and nothing beyond it; the node itself does.",
    apart="A firewall beyond the node meets the node's own connections too, or one port alone.",
    mend="Look for the node's MASQUERADE rule for its Pod range, and for DROP rules in FORWARD (`iptables-save`).",
)


@explains(Hop.ADDRESS, NO_MASQUERADE)
def masquerade_missing(look: Look, asked: Question) -> Finding | None:
    """Every port of the host is silent for the Pods of this node, and not for the node itself or other nodes' Pods."""
    found = compared(look, asked)
    if found is None or found.host_answers or found.client.host_network or nonmasquerade_range(look, found.address):
        return None
    if not (found.node_reaches or found.others_reach) or not found.neighbours_fail:
        return None
    reaches = [f"Pods of {pod.node} do" for pod, a in found.elsewhere if a.outcome.connected][:1]
    reaches += ["the node itself does"] if found.node_reaches else []
    look_at = kubectl("get", "pods", "-A", "-o", "wide", f"--field-selector=spec.nodeName={found.client.node}")
    return NO_MASQUERADE.possible(
        at=ObjectRef("Node", "", found.client.node),
        node=found.client.node,
        address=found.address,
        others=" and ".join(reaches),
        saw=found.words,
        fix=Fix("see which network agents run on that node", look_at, Risk.READ_ONLY),
    )


NON_MASQUERADE = Cause(
    code="egress-nonmasq-cidr",
    title="The destination is in a range that is not masqueraded",
    says="{address} is in {range}, which ConfigMap {config} excludes from masquerading; nothing comes back from there.",
    means="Packets of Pods reach it with the Pods' own addresses, and the network there has no way back to them.",
    symptom="Some private ranges cannot be reached from Pods, while nodes reach them and the internet works.",
    apart="A firewall drops connections of the nodes too; here the nodes get through.",
    mend="Take the range out of nonMasqueradeCIDRs, or add a route to the Pod range in that network.",
    explains=("egress-firewall", "egress-masquerade-missing"),
)

AGENT = ("kube-system", "ip-masq-agent")
DEFAULT_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""What the agent leaves alone where its configuration names no ranges."""


@explains(Hop.ADDRESS, NON_MASQUERADE)
def nonmasquerade(look: Look, asked: Question) -> Finding | None:
    """The agent's configuration holds the address, and Pods get nothing back from there."""
    found = compared(look, asked)
    held = nonmasquerade_range(look, found.address) if found else ""
    if found is None or not held or found.host_answers or found.client.host_network:
        return None
    told = (found.node_reaches or (found.here is not None and found.here.outcome.connected)) and not found.others_reach
    make = NON_MASQUERADE.likely if told else NON_MASQUERADE.possible
    edit = kubectl("edit", "configmap", AGENT[1], namespace=AGENT[0])
    return make(
        at=ObjectRef("ConfigMap", *AGENT, "data.config"),
        address=found.address,
        range=held,
        config="/".join(AGENT),
        saw=(f"nonMasqueradeCIDRs holds {held}", *found.words),
        fix=Fix(f"take {held} out", edit, not_pasteable="an editor opens; or add a route back to the Pods instead"),
    )


def nonmasquerade_range(look: Look, address: str) -> str:
    """The range of ip-masq-agent's configuration that holds an address, or ''."""
    config = look.if_known(asks.raw_object("configmaps", *AGENT))
    if config is None:
        return ""
    text = tree.text(config, "data", "config")
    named = text.split("nonMasqueradeCIDRs", 1)
    listed = _listed(named[1]) if len(named) == 2 else list(DEFAULT_RANGES)
    return next((each for each in listed if lies_in(address, each)), "")


def _listed(text: str) -> list[str]:
    """The networks of what follows the key: a list in brackets, or lines that begin with a dash."""
    inline = re.match(r'"?\s*:\s*\[([^\]]*)\]', text)
    if inline:
        return re.findall(r"[0-9A-Fa-f:.]+/\d+", inline[1])
    found = []
    for line in text.splitlines()[1:]:
        entry = re.match(r"""\s*-\s*["']?([0-9A-Fa-f:.]+/\d+)""", line)
        if entry is None:
            break
        found.append(entry[1])
    return found


@explains(Hop.ADDRESS, IN_CLUSTER_RANGE)
def outside_in_cluster_range(look: Look, asked: Question) -> Finding | None:
    """The name or address leads into the Pod or Service range, where nobody has it."""
    if not is_outside(asked) or proxied(look, asked) is not None:
        return None
    for address, attempt in tried_outside(look, asked):
        held = cluster_range_of(look, address) if attempt.outcome.lost else None
        if held is None or not nobody_has(look, address):
            continue
        whole = all(a.outcome.lost for _, a in tried_outside(look, asked))
        return IN_CLUSTER_RANGE.confirmed(
            at=ObjectRef("Host", "", asked.host),
            address=address,
            asker=f"{asked.host}" if asked.host != address else "the question",
            range=held.what,
            effect=Effect.BREAKS if whole else Effect.DEGRADES,
            saw=(f"{address}:{asked.port}: {attempt.words}", f"no Pod, Service or node has {address}"),
        )
    return None
