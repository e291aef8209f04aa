"""What NetworkPolicies say about one connection: admitted or not, by which rule, and why every other rule missed.

Policies add up: a Pod that no policy isolates in a direction takes and sends everything; one that is isolated takes and
sends what any rule of any of the isolating policies admits. Both ends have to agree. Answers are always let back.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from kubectl_netdebug.model.objects.pod import ContainerPort
from kubectl_netdebug.model.objects.policy import (
    Block,
    Direction,
    NetworkPolicy,
    PolicyPeer,
    PolicyPort,
    PolicyRule,
    Requirement,
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class End:
    """One end of a connection, as policies see it.

    `labels` are a Pod's; None for what is no Pod, and for a Pod on its node's own network: policies neither select it
    nor recognise it, all they see is the node's address. `ports` are the container ports that names are looked up in.
    """

    address: str
    namespace: str = ""
    name: str = ""
    labels: Mapping[str, str] | None = None
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[ContainerPort, ...] = ()
    node: str = ""
    """The node it runs on; for a node itself, that node."""

    @property
    def is_pod(self) -> bool:
        """A Pod with a network of its own."""
        return self.labels is not None


@dataclass(frozen=True)
class Packet:
    """The first packet of a connection as it arrives at the Pods, behind all translation of Service addresses."""

    client: End
    server: End
    port: int
    protocol: str = "TCP"


class Why(Enum):
    """In what an entry of a rule and a connection differ."""

    POD_LABEL = auto()
    NAMESPACE_LABEL = auto()
    OTHER_NAMESPACE = auto()
    """A podSelector alone means the policy's own namespace."""
    NOT_IN_BLOCK = auto()
    EXCEPTED = auto()
    NO_POD = auto()
    """Selectors recognise Pods alone, and this end is none."""
    PORT = auto()
    PROTOCOL = auto()
    PORT_NAME = auto()
    """The server's Pod declares no port of that name and protocol."""
    INVALID = auto()


@dataclass(frozen=True)
class Difference:
    """One thing that would have to be otherwise for an entry to match."""

    why: Why
    says: str
    requirement: Requirement | None = None


@dataclass(frozen=True)
class PeerMiss:
    """Why one peer of a rule does not match; no differences where it does."""

    peer: PolicyPeer | None
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class PortMiss:
    """Why one port of a rule does not match; no differences where it does."""

    port: PolicyPort | None
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Miss:
    """A rule that does not admit a connection, and how its entries differ from it."""

    policy: NetworkPolicy
    rule: PolicyRule
    peers: tuple[PeerMiss, ...]
    ports: tuple[PortMiss, ...]

    @property
    def peer_matches(self) -> bool:
        """Only the port keeps it from matching."""
        return any(not p.differences for p in self.peers)

    @property
    def port_matches(self) -> bool:
        """Only the peers keep it from matching."""
        return any(not p.differences for p in self.ports)

    @property
    def nearest_peer(self) -> PeerMiss:
        """The peer with the fewest differences."""
        return min(self.peers, key=lambda p: len(p.differences))

    @property
    def nearest_port(self) -> PortMiss:
        """The port with the fewest differences."""
        return min(self.ports, key=lambda p: len(p.differences))

    @property
    def distance(self) -> int:
        """How many things would have to be otherwise."""
        return len(self.nearest_peer.differences) + len(self.nearest_port.differences)

    @property
    def says(self) -> str:
        """What keeps it from matching, for people."""
        said = [d.says for d in (*self.nearest_peer.differences, *self.nearest_port.differences)]
        return "; ".join(said)


@dataclass(frozen=True)
class Decision:
    """What the policies of one direction say.

    `exempt` says why policies do not apply at all. `isolating` are the policies that select the Pod in this direction;
    `admitted_by` the first rule that matches; `misses` all rules that do not, the nearest first.
    """

    direction: Direction
    packet: Packet
    isolating: tuple[NetworkPolicy, ...] = ()
    admitted_by: tuple[NetworkPolicy, PolicyRule] | None = None
    misses: tuple[Miss, ...] = ()
    exempt: str = ""

    @property
    def allowed(self) -> bool:
        """Nothing of this direction keeps the connection from working."""
        return not self.isolating or self.admitted_by is not None or bool(self.exempt)

    @property
    def subject(self) -> End:
        """The end that the policies isolate."""
        return self.packet.server if self.direction is Direction.INGRESS else self.packet.client

    @property
    def peer(self) -> End:
        """The other end."""
        return self.packet.client if self.direction is Direction.INGRESS else self.packet.server


def decide(direction: Direction, packet: Packet, policies: Iterable[NetworkPolicy]) -> Decision:
    """What these policies say about one direction of a connection; those of other namespaces do not matter."""
    blank = Decision(direction, packet)
    subject = blank.subject
    exempt = _exempt(direction, packet)
    if subject.labels is None:
        return Decision(direction, packet, exempt=exempt)
    isolating = tuple(p for p in policies if isolates(p, subject, direction))
    misses: list[Miss] = []
    for policy in isolating:
        for rule in policy.rules(direction):
            miss = compare(policy, rule, packet, blank.peer)
            if miss is None:
                return Decision(direction, packet, isolating, (policy, rule), exempt=exempt)
            misses.append(miss)
    misses.sort(key=lambda m: m.distance)
    return Decision(direction, packet, isolating, None, tuple(misses), exempt)


def isolates(policy: NetworkPolicy, subject: End, direction: Direction) -> bool:
    """Whether a policy selects a Pod in a direction."""
    here = policy.namespace == subject.namespace and subject.labels is not None
    return here and direction in policy.types and policy.selector.matches(subject.labels or {})


def compare(policy: NetworkPolicy, rule: PolicyRule, packet: Packet, peer: End) -> Miss | None:
    """None where a rule admits the connection; else how each of its entries differs from it."""
    peers = tuple(PeerMiss(p, tuple(_peer_differs(policy, p, peer))) for p in rule.peers) or (PeerMiss(None),)
    ports = tuple(PortMiss(p, tuple(_port_differs(p, packet))) for p in rule.ports) or (PortMiss(None),)
    miss = Miss(policy, rule, peers, ports)
    return None if miss.peer_matches and miss.port_matches else miss


def _exempt(direction: Direction, packet: Packet) -> str:
    client, server = packet.client, packet.server
    if _same(client.address, server.address) and client.is_pod:
        return "a Pod can always reach itself"
    if direction is Direction.INGRESS and not client.is_pod and client.node and client.node == server.node:
        return "a Pod's own node can always reach it"
    return ""


def _peer_differs(policy: NetworkPolicy, wanted: PolicyPeer, peer: End) -> Iterable[Difference]:
    if wanted.block is not None:
        yield from _block_differs(wanted.block, peer.address)
        return
    if wanted.pods is None and wanted.namespaces is None:
        yield Difference(Why.INVALID, "the entry is empty")
        return
    if peer.labels is None:
        yield Difference(Why.NO_POD, f"{peer.address or 'the other end'} is no Pod that a selector could recognise")
        return
    if wanted.namespaces is None:
        if peer.namespace != policy.namespace:
            yield Difference(
                Why.OTHER_NAMESPACE, f"a podSelector alone means namespace {policy.namespace}, not {peer.namespace}"
            )
    else:
        for unmet in wanted.namespaces.unmet(peer.namespace_labels):
            yield Difference(Why.NAMESPACE_LABEL, f"namespace {peer.namespace} is not {unmet}", unmet)
    for unmet in wanted.pods.unmet(peer.labels) if wanted.pods else ():
        yield Difference(Why.POD_LABEL, f"{peer.name or peer.address} is not {unmet}", unmet)


def _block_differs(block: Block, address: str) -> Iterable[Difference]:
    if not within(address, block.cidr):
        yield Difference(Why.NOT_IN_BLOCK, f"{address or 'the other end'} is not in {block.cidr}")
        return
    for hole in block.excepted:
        if within(address, hole):
            yield Difference(Why.EXCEPTED, f"{address} is excepted by {hole}")
            return


def _port_differs(wanted: PolicyPort, packet: Packet) -> Iterable[Difference]:
    if wanted.protocol != packet.protocol:
        yield Difference(Why.PROTOCOL, f"it is for {wanted.protocol}, not {packet.protocol}")
    if not wanted.port:
        return
    if wanted.port.isdecimal():
        first = int(wanted.port) if len(wanted.port) <= 5 else 0
        if not first <= packet.port <= max(first, wanted.end):
            yield Difference(Why.PORT, f"it is for port {wanted}, not {packet.port}")
        return
    declared = named(packet.server, wanted.port, wanted.protocol)
    if not declared:
        who = packet.server.name or packet.server.address
        yield Difference(Why.PORT_NAME, f"{who} declares no port {wanted.port} for {wanted.protocol}")
    elif packet.port not in declared:
        yield Difference(Why.PORT, f"port {wanted.port} is {', '.join(map(str, declared))}, not {packet.port}")


def named(server: End, name: str, protocol: str) -> list[int]:
    """The numbers of the container ports of a Pod that have this name and protocol."""
    return [p.port for p in server.ports if p.name == name and p.protocol == protocol] if server.is_pod else []


def within(address: str, cidr: str) -> bool:
    """Whether an address lies in a range of its own family; False for what is neither."""
    here = _address(address)
    try:
        network = ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        return False
    return here is not None and here.version == network.version and here in network


def _address(text: str) -> Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _same(one: str, other: str) -> bool:
    first = _address(one)
    return first is not None and first == _address(other)
