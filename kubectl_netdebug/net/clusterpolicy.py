"""Policies beside NetworkPolicy that deny: Calico's own kinds, and those of administrators for a whole cluster.

Both have ordered rules with actions, so the first rule that matches decides. What cannot be read makes the answer
"not known", never a denial.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.model.finding import ObjectRef
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.policy import Direction, read_selector
from kubectl_netdebug.net.calicoselector import Unreadable, selects
from kubectl_netdebug.net.networkpolicy import End, Packet, named, within

ORDER_OF_NETWORK_POLICIES = 1000.0
"""Where Calico puts NetworkPolicies among its own."""

_NUMBERS = {"1": "ICMP", "6": "TCP", "17": "UDP", "132": "SCTP"}


@dataclass(frozen=True)
class Denial:
    """The policy that denies. `rule` is the index of the rule, -1 where none of its rules admits."""

    at: ObjectRef
    rule: int
    says: str


# --- Calico -----------------------------------------------------------------------------------------------------------


def denied_by_calico(
    direction: Direction, packet: Packet, raws: Iterable[Mapping[str, Any]], *, admitted: bool, isolated: bool
) -> Denial | None:
    """What Calico's policies of the default tier say. `isolated` and `admitted` are what NetworkPolicies say.

    Raises Unreadable where a policy that may matter cannot be read.
    """
    subject = packet.server if direction is Direction.INGRESS else packet.client
    if not subject.is_pod:
        return None
    ours = sorted((p for p in raws if _applies(p, subject, direction)), key=lambda p: (_order(p), _name(p)))
    if any(tree.text(p, "spec", "tier") not in ("", "default") for p in ours):
        raise Unreadable("a tier of its own")
    for policy in ours:
        if _order(policy) > ORDER_OF_NETWORK_POLICIES and isolated and admitted:
            return None
        for index, rule in enumerate(tree.entries(policy, "spec", direction.field)):
            action = tree.text(rule, "action")
            if action == "Log" or not _rule_matches(rule, policy, packet):
                continue
            return None if action in ("Allow", "Pass") else Denial(_ref(policy), index, f"rule {index + 1} denies it")
    if ours and not (isolated and admitted):
        return Denial(_ref(ours[0]), -1, "it applies to the Pod, and none of its rules admits this")
    return None


def _applies(policy: Mapping[str, Any], subject: End, direction: Direction) -> bool:
    spec = tree.dig(policy, "spec")
    types = tree.strings(spec, "types") or (
        "Ingress" if tree.dig(spec, "ingress") or not tree.dig(spec, "egress") else "",
        "Egress" if tree.dig(spec, "egress") else "",
    )
    if direction.value not in types or tree.flag(spec, "preDNAT") or tree.flag(spec, "doNotTrack"):
        return False
    namespace = tree.text(policy, "metadata", "namespace")
    if namespace and namespace != subject.namespace:
        return False
    spaces = tree.text(spec, "namespaceSelector")
    inside = not spaces or selects(spaces, _namespace_labels(subject))
    return inside and selects(tree.text(spec, "selector"), _labels(subject))


def _rule_matches(rule: Mapping[str, Any], policy: Mapping[str, Any], packet: Packet) -> bool:
    if not _protocol_matches(rule, packet) or any(tree.dig(rule, part) for part in ("http", "icmp", "notICMP")):
        return False
    return _entity_matches(rule, "source", policy, packet.client, None) and _entity_matches(
        rule, "destination", policy, packet.server, packet
    )


def _protocol_matches(rule: Mapping[str, Any], packet: Packet) -> bool:
    wanted, unwanted = (tree.text(rule, key) for key in ("protocol", "notProtocol"))
    is_wanted = not wanted or _NUMBERS.get(wanted, wanted).upper() == packet.protocol
    return is_wanted and (not unwanted or _NUMBERS.get(unwanted, unwanted).upper() != packet.protocol)


def _entity_matches(
    rule: Mapping[str, Any], part: str, policy: Mapping[str, Any], end: End, packet: Packet | None
) -> bool:
    entity = tree.dig(rule, part)
    if not isinstance(entity, Mapping):
        return True
    if any(entity.get(key) for key in ("serviceAccounts", "services", "domains")):
        raise Unreadable("it goes by ServiceAccounts or Services")
    nets, not_nets = tree.strings(entity, "nets"), tree.strings(entity, "notNets")
    if nets and not any(within(end.address, net) for net in nets):
        return False
    if any(within(end.address, net) for net in not_nets):
        return False
    if not _selectors_match(entity, policy, end):
        return False
    return packet is None or _ports_match(entity, packet)


def _selectors_match(entity: Mapping[str, Any], policy: Mapping[str, Any], end: End) -> bool:
    pods, unwanted, spaces = (tree.text(entity, key) for key in ("selector", "notSelector", "namespaceSelector"))
    if unwanted and end.is_pod and selects(unwanted, _labels(end)):
        return False
    if not pods and not spaces:
        return True
    if not end.is_pod:
        return False
    home = tree.text(policy, "metadata", "namespace")
    if spaces and not selects(spaces, _namespace_labels(end)):
        return False
    if not spaces and home and home != end.namespace:
        return False
    return not pods or selects(pods, _labels(end))


def _ports_match(entity: Mapping[str, Any], packet: Packet) -> bool:
    wanted, unwanted = (tree.dig(entity, key) for key in ("ports", "notPorts"))
    if isinstance(wanted, list) and wanted and not any(_port_is(p, packet) for p in wanted):
        return False
    return not (isinstance(unwanted, list) and any(_port_is(p, packet) for p in unwanted))


def _port_is(wanted: object, packet: Packet) -> bool:
    text = str(wanted)
    if text.isdecimal():
        return text == str(packet.port)
    first, colon, last = text.partition(":")
    if colon and first.isdecimal() and last.isdecimal():
        return int(first[:6]) <= packet.port <= int(last[:6])
    return packet.port in named(packet.server, text, packet.protocol)


def _labels(end: End) -> Mapping[str, str]:
    return {**(end.labels or {}), "projectcalico.org/namespace": end.namespace, "projectcalico.org/orchestrator": "k8s"}


def _namespace_labels(end: End) -> Mapping[str, str]:
    return {**end.namespace_labels, "projectcalico.org/name": end.namespace}


def _order(policy: Mapping[str, Any]) -> float:
    order = tree.dig(policy, "spec", "order")
    return float(order) if isinstance(order, int | float) else float("inf")


def _name(policy: Mapping[str, Any]) -> str:
    return tree.text(policy, "metadata", "name")


def _ref(policy: Mapping[str, Any]) -> ObjectRef:
    namespace = tree.text(policy, "metadata", "namespace")
    kind = tree.text(policy, "kind") or ("NetworkPolicy" if namespace else "GlobalNetworkPolicy")
    return ObjectRef(kind, namespace, _name(policy))


# --- administrators' policies -----------------------------------------------------------------------------------------


def denied_by_admin(
    direction: Direction, packet: Packet, raws: Iterable[Mapping[str, Any]], kind: str
) -> Denial | None:
    """What AdminNetworkPolicies (or, of `kind`, baseline ones) say: by priority, then in order, the first match."""
    subject, peer = packet.client, packet.server
    if direction is Direction.INGRESS:
        subject, peer = peer, subject
    for policy in sorted(raws, key=lambda p: tree.number(p, "spec", "priority")):
        if not _chosen(tree.dig(policy, "spec", "subject"), subject):
            continue
        for index, rule in enumerate(tree.entries(policy, "spec", direction.field)):
            if not _admin_rule_matches(rule, direction, packet, peer):
                continue
            if tree.text(rule, "action") != "Deny":
                return None
            at = ObjectRef(kind, "", _name(policy), f"spec.{direction.field}[{index}]")
            return Denial(at, index, f"rule {index + 1} denies it")
    return None


def _chosen(raw: object, end: End) -> bool:
    """A subject or a peer: all Pods of some namespaces, or some Pods of some namespaces."""
    if not end.is_pod:
        return False
    spaces = tree.dig(raw, "namespaces")
    if isinstance(spaces, Mapping):
        selector = read_selector(spaces)
        return selector is not None and selector.matches(end.namespace_labels)
    pods = tree.dig(raw, "pods")
    if not isinstance(pods, Mapping):
        return False
    inside, own = (read_selector(tree.dig(pods, key)) for key in ("namespaceSelector", "podSelector"))
    return (inside is None or inside.matches(end.namespace_labels)) and (own is None or own.matches(end.labels or {}))


def _admin_rule_matches(rule: Mapping[str, Any], direction: Direction, packet: Packet, peer: End) -> bool:
    peers = list(tree.entries(rule, direction.peers))
    if any(p.get("domainNames") or p.get("nodes") for p in peers):
        raise Unreadable("it goes by names or nodes")
    fits = any(_chosen(p, peer) or any(within(peer.address, n) for n in tree.strings(p, "networks")) for p in peers)
    ports = list(tree.entries(rule, "ports"))
    return fits and (not ports or any(_admin_port_is(p, packet) for p in ports))


def _admin_port_is(raw: Mapping[str, Any], packet: Packet) -> bool:
    number, spread = tree.dig(raw, "portNumber"), tree.dig(raw, "portRange")
    if isinstance(number, Mapping):
        same = (tree.text(number, "protocol") or "TCP") == packet.protocol
        return same and tree.number(number, "port") == packet.port
    if isinstance(spread, Mapping):
        same = (tree.text(spread, "protocol") or "TCP") == packet.protocol
        return same and tree.number(spread, "start") <= packet.port <= tree.number(spread, "end")
    name = tree.text(raw, "namedPort")
    return bool(name) and packet.port in named(packet.server, name, packet.protocol)
