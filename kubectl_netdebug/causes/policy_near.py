"""Which mistake keeps a policy from admitting a conversation: the nearest miss among its rules, by kind."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.incoming_asks import source_from_here
from kubectl_netdebug.causes.policy_judge import Judged, Standing, end_of, judged
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.policy import Direction, NetworkPolicy, Requirement, Selector
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.net.networkpolicy import Difference, End, Miss, Why, compare, within

DNS_PORTS = (53, 5353)
ALIKE = 0.6
"""From which share of common letters on two label values count as one mistyped for the other."""


class Mistake(Enum):
    """What is wrong with the policies, the most telling first."""

    HOST_NETWORK = auto()
    SNAT = auto()
    DNS_UDP_ONLY = auto()
    DNS_EGRESS = auto()
    DNS_INGRESS = auto()
    API_EGRESS = auto()
    PROTOCOL = auto()
    SERVICE_PORT = auto()
    PORT_NAME = auto()
    BLOCK_OF_VIP = auto()
    AND_OR = auto()
    NAMESPACE_LABEL = auto()
    POD_LABEL = auto()
    TYPES = auto()
    NO_RULE = auto()


@dataclass(frozen=True)
class Reading:
    """A denied conversation with its explanation. `miss` is the rule that comes nearest, None where there is none."""

    judged: Judged
    mistake: Mistake
    miss: Miss | None = None
    difference: Difference | None = None

    @property
    def policy(self) -> NetworkPolicy:
        """The policy to look at first."""
        return self.miss.policy if self.miss else self.judged.decision.isolating[0]


def read(look: Look, asked: Question, each: Judged) -> Reading:
    """The most telling explanation of a denied conversation."""
    known = _by_role(look, asked, each)
    if known is not None:
        return known
    found = [reading for miss in each.decision.misses for reading in [_near(look, asked, each, miss)] if reading]
    if found:
        return min(found, key=lambda reading: reading.mistake.value)
    if _types_left_out(each):
        return Reading(each, Mistake.TYPES)
    nearest = each.decision.misses[0] if each.decision.misses else None
    return Reading(each, Mistake.NO_RULE, nearest)


# --- by who talks to whom ---------------------------------------------------------------------------------------------


def _by_role(look: Look, asked: Question, each: Judged) -> Reading | None:
    decision, talk = each.decision, each.talk
    direction = decision.direction
    if talk.port in DNS_PORTS and _is_dns(each):
        if direction is Direction.INGRESS:
            return Reading(each, Mistake.DNS_INGRESS, _nearest(each))
        mistake = _dns_mistake(look, asked, each)
        by_port = _for_other_protocol(each) if mistake is Mistake.PROTOCOL else None
        return Reading(each, mistake, by_port or _nearest(each))
    if asked.flow is FlowName.API and direction is Direction.EGRESS:
        vip = _in_block_of(each, talk.via.rpartition(":")[0] if talk.via.count(":") == 1 else talk.via)
        return Reading(each, Mistake.API_EGRESS, vip or _nearest(each))
    client = talk.client.pod
    if direction is Direction.INGRESS and client is None and asked.flow is FlowName.OUTSIDE_TO_POD:
        miss = _admits_outside(look, asked, each)
        return Reading(each, Mistake.SNAT, miss) if miss else None
    if direction is Direction.INGRESS and client is not None and client.host_network:
        labels = {client.namespace: look.if_known(asks.labels_of_namespace(client.namespace)) or {}}
        ordinary = end_of(replace(talk.client, pod=replace(client, host_network=False)), labels)
        miss = next((m for m in decision.misses if _would_admit(m, each, ordinary)), None)
        if miss is not None:
            return Reading(each, Mistake.HOST_NETWORK, miss)
    return None


def _admits_outside(look: Look, asked: Question, each: Judged) -> Miss | None:
    """A rule that admits this machine's own address, which is replaced by a node's on the way in."""
    service = look.if_known(asks.the_service(asked)) if asked.service else None
    if service is None or service.external_policy == "Local":
        return None
    real = look.if_known(source_from_here(each.talk.client.address))
    if not real or real == each.talk.client.address:
        return None
    return next((m for m in each.decision.misses if _would_admit(m, each, End(real))), None)


def _dns_mistake(look: Look, asked: Question, each: Judged) -> Mistake:
    """All of DNS, or one protocol of it: then the other one's questions get through."""
    lookups = [j for j in judged(look, asked, Direction.EGRESS) if j.talk.port in DNS_PORTS and _is_dns(j)]
    open_protocols = {j.talk.protocol for j in lookups if j.standing is Standing.ADMITTED}
    if each.talk.protocol == "TCP" and "UDP" in open_protocols:
        return Mistake.DNS_UDP_ONLY
    if each.talk.protocol == "UDP" and "TCP" in open_protocols:
        return Mistake.PROTOCOL
    return Mistake.DNS_EGRESS


def _is_dns(each: Judged) -> bool:
    pod = each.talk.server.pod
    known = pod is not None and (pod.labels.get("k8s-app", "") in ("kube-dns", "coredns", "node-local-dns"))
    return known or (pod is not None and pod.namespace == "kube-system" and "dns" in pod.name) or pod is None


def _nearest(each: Judged) -> Miss | None:
    return each.decision.misses[0] if each.decision.misses else None


def _for_other_protocol(each: Judged) -> Miss | None:
    """The rule that admits the peer on this port over another protocol; others may be as near by distance."""
    for miss in each.decision.misses:
        if miss.peer_matches and any({d.why for d in p.differences} == {Why.PROTOCOL} for p in miss.ports):
            return miss
    return None


def _in_block_of(each: Judged, address: str) -> Miss | None:
    """A rule with a block that holds this address."""
    if not address:
        return None
    for miss in each.decision.misses:
        if any(p.peer and p.peer.block and within(address, p.peer.block.cidr) for p in miss.peers):
            return miss
    return None


def _would_admit(miss: Miss, each: Judged, peer: End) -> bool:
    return compare(miss.policy, miss.rule, each.decision.packet, peer) is None


# --- by what a rule lacks --------------------------------------------------------------------------------------------


def _near(look: Look, asked: Question, each: Judged, miss: Miss) -> Reading | None:
    """A mistake in one rule that comes near, None where it was not meant for this conversation."""
    if miss.peer_matches:
        return _port_near(look, asked, each, miss)
    if not miss.port_matches:
        return None
    for peer in miss.peers:
        found = _peer_near(look, each, miss, peer.differences)
        if found is not None:
            return Reading(each, found[0], miss, found[1])
    return None


def _port_near(look: Look, asked: Question, each: Judged, miss: Miss) -> Reading | None:
    for port in miss.ports:
        whys = {d.why for d in port.differences}
        first = port.differences[0]
        if whys == {Why.PROTOCOL} and port.port and port.port.port:
            return Reading(each, Mistake.PROTOCOL, miss, first)
        if Why.PORT_NAME in whys:
            unnamed = next(d for d in port.differences if d.why is Why.PORT_NAME)
            return Reading(each, Mistake.PORT_NAME, miss, unnamed)
        if whys == {Why.PORT} and port.port and port.port.port in _service_ports(look, asked, each):
            return Reading(each, Mistake.SERVICE_PORT, miss, first)
    return None


def _service_ports(look: Look, asked: Question, each: Judged) -> set[str]:
    """The numbers under which the Service offers the port that the Pods serve."""
    if not asked.service or each.talk.port in DNS_PORTS:
        return set()
    service, slices = look.together(asks.the_service(asked), asks.slices_of(asked))
    if service is None:
        return set()
    offered = set()
    for port in service.ports:
        behind = {p.port for s in slices for p in [s.port_for(port.name, port.protocol)] if p is not None}
        if each.talk.port in behind and port.port != each.talk.port:
            offered.add(str(port.port))
    return offered


def _peer_near(
    look: Look, each: Judged, miss: Miss, differences: tuple[Difference, ...]
) -> tuple[Mistake, Difference] | None:
    whys = {d.why for d in differences}
    first = differences[0]
    peer = next(p.peer for p in miss.peers if p.differences == differences)
    if peer is None:
        return None
    if whys == {Why.NOT_IN_BLOCK} and peer.block and _holds(peer.block.cidr, each.talk.via):
        return Mistake.BLOCK_OF_VIP, first
    if whys == {Why.OTHER_NAMESPACE}:
        return (Mistake.AND_OR, first) if peer.pods and peer.pods.requirements else None
    both = peer.pods is not None and bool(peer.pods.requirements) and peer.namespaces is not None
    if whys == {Why.NAMESPACE_LABEL}:
        at_home = each.decision.peer.namespace == miss.policy.namespace
        if both and at_home:
            return Mistake.AND_OR, first
        return (Mistake.NAMESPACE_LABEL, first) if _meant_namespace(look, each, peer.namespaces, differences) else None
    if whys == {Why.POD_LABEL}:
        if _meant_pod(look, each, peer.pods, differences):
            return Mistake.POD_LABEL, first
        narrow = peer.namespaces is not None and bool(peer.namespaces.requirements)
        return (Mistake.AND_OR, first) if both and narrow and _somebody(look, each, peer.pods) else None
    return None


def _holds(cidr: str, address: str) -> bool:
    """A block that names the virtual address, and not simply everything."""
    try:
        wide = ipaddress.ip_network(cidr, strict=False).prefixlen == 0
    except ValueError:
        return False
    return bool(address) and not wide and within(address, cidr)


def _meant_namespace(look: Look, each: Judged, wanted: Selector | None, differences: tuple[Difference, ...]) -> bool:
    """The selector means this namespace: it names it under another key, is mistyped, or matches none at all."""
    own = each.decision.peer
    unmet = [d.requirement for d in differences if d.requirement]
    if any(r.values == (own.namespace,) for r in unmet) or _mistyped(unmet, own.namespace_labels):
        return True
    everything = look.if_known(asks.namespaces())
    return bool(everything) and wanted is not None and not any(wanted.matches(labels) for _, labels in everything or ())


def _meant_pod(look: Look, each: Judged, wanted: Selector | None, differences: tuple[Difference, ...]) -> bool:
    """The selector means this Pod: one label is mistyped or missing beside others, or no Pod there matches at all."""
    own = each.decision.peer
    unmet = [d.requirement for d in differences if d.requirement]
    if wanted is None or _mistyped(unmet, own.labels or {}):
        return wanted is not None
    met = len(wanted.requirements) - len(unmet)
    if met and len(unmet) == 1:
        return True
    there = look.if_known(asks.pods_in(own.namespace))
    return there is not None and not any(wanted.matches(pod.labels) for pod in there)


def _somebody(look: Look, each: Judged, wanted: Selector | None) -> bool:
    """Pods of the policy's own namespace match the Pod selector, as they would have to for a separate entry."""
    home = look.if_known(asks.pods_in(each.decision.subject.namespace))
    return wanted is not None and any(wanted.matches(pod.labels) for pod in home or ())


def _mistyped(unmet: list[Requirement], labels: Mapping[str, str]) -> bool:
    """Every unmet requirement has a label that is nearly right: a similar value, or the value under a similar key."""
    return bool(unmet) and all(r.operator == "In" and _nearly(r, labels) for r in unmet)


def _nearly(wanted: Requirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(wanted.key)
    if value is not None:
        return any(_alike(value, v) for v in wanted.values)
    return any(v in wanted.values and _alike(k, wanted.key) for k, v in labels.items())


def _alike(one: str, other: str) -> bool:
    if one.isdecimal() or other.isdecimal():
        return False
    return difflib.SequenceMatcher(None, one.lower(), other.lower()).ratio() >= ALIKE


def _types_left_out(each: Judged) -> bool:
    """Isolated by policies alone that only speak of the other direction, whose author named no direction."""
    direction = each.decision.direction
    return direction is Direction.INGRESS and all(
        p.types_left_out and p.egress and not p.ingress for p in each.decision.isolating
    )
