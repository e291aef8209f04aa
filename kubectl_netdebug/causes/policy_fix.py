"""Fixes for policies: one more rule, peer or port that admits exactly one flow and closes nothing that is open."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from kubectl_netdebug.causes.conversation import Party
from kubectl_netdebug.causes.policy_judge import NAMESPACE_NAME, Judged
from kubectl_netdebug.model.command import Fix, apply, json_patch
from kubectl_netdebug.model.objects.policy import Direction, NetworkPolicy, PolicyRule, Requirement
from kubectl_netdebug.net.networkpolicy import Decision

KIND = "networkpolicy"

_OF_ONE_POD = re.compile(
    r"(pod-template-hash|controller-revision-hash|pod-template-generation|controller-uid|job-name|pod-name|pod-index"
    r"|completion-index|statefulset\.kubernetes\.io/.*|batch\.kubernetes\.io/.*)$"
)
"""Labels that a controller gives to single Pods or revisions."""


def new_policy(found: tuple[Judged, ...], known: Iterable[NetworkPolicy], names: Iterable[Judged] = ()) -> Fix:
    """A further policy for Pods that are isolated already, so that it opens one flow and isolates nobody else.

    `found` are conversations on one port. `names` are lookups of names that are to be let through as well.
    """
    each = found[0]
    decision = each.decision
    isolating = decision.isolating[0]
    word = "from" if decision.direction is Direction.INGRESS else "to"
    other, own = _app(each, decision.direction, peer=True), _app(each, decision.direction, peer=False)
    name = free_name(f"allow-{own}-{word}-{other}", isolating.namespace, known)
    lookups = tuple(names)
    rules = [rule_for(found), *([rule_for(lookups)] if lookups else [])]
    body = policy_body(isolating.namespace, name, subject_selector(decision), decision.direction, rules)
    whom = f"{own} {'be reached from' if word == 'from' else 'reach'} {other}"
    also = ", and resolve names" if lookups else ""
    return Fix(f"let {whom} on {each.talk.port}/{each.talk.protocol}{also}", apply(body))


def policy_body(
    namespace: str, name: str, pods: dict[str, Any], direction: Direction, rules: list[dict[str, Any]]
) -> dict[str, Any]:
    """A NetworkPolicy for one direction."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"podSelector": pods, "policyTypes": [direction.value], direction.field: rules},
    }


def rule_for(found: Iterable[Judged]) -> dict[str, Any]:
    """One rule that admits all of these conversations, which differ in their peers or in their ports alone."""
    each = tuple(found)
    peers: list[dict[str, Any]] = []
    for entry in map(peer_entry, each):
        if entry not in peers:
            peers.append(entry)
    ports = sorted({(j.talk.protocol, j.talk.port) for j in each}, reverse=True)
    return {
        each[0].decision.direction.peers: peers,
        "ports": [{"protocol": protocol, "port": port} for protocol, port in ports],
    }


def more_ports(policy: NetworkPolicy, rule: PolicyRule, direction: Direction, entries: list[dict[str, Any]]) -> Fix:
    """Further ports for a rule whose peers are right already."""
    operations = [
        {"op": "add", "path": f"/spec/{direction.field}/{rule.index}/ports/-", "value": entry} for entry in entries
    ]
    said = ", ".join(f"{e['port']}/{e['protocol']}" for e in entries)
    return Fix(f"admit {said} in rule {rule.index + 1}", json_patch(KIND, policy.name, operations, policy.namespace))


def more_peers(
    policy: NetworkPolicy, rule: PolicyRule, direction: Direction, entries: list[dict[str, Any]], says: str
) -> Fix:
    """Further peers for a rule whose ports are right already."""
    path = f"/spec/{direction.field}/{rule.index}/{direction.peers}/-"
    operations = [{"op": "add", "path": path, "value": entry} for entry in entries]
    return Fix(says, json_patch(KIND, policy.name, operations, policy.namespace))


def peer_entry(each: Judged) -> dict[str, Any]:
    """The other end as a peer: its namespace by name with its labels, or its address."""
    party = each.talk.client if each.decision.direction is Direction.INGRESS else each.talk.server
    if party.pod is None or party.pod.host_network:
        return {"ipBlock": {"cidr": single(party.address)}}
    labels = identity(party.pod.labels)
    entry: dict[str, Any] = {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: party.pod.namespace}}}
    return {**entry, "podSelector": {"matchLabels": labels}} if labels else entry


def subject_selector(decision: Decision) -> dict[str, Any]:
    """The isolated Pod's labels within what the isolating policy selects."""
    requirements = list(decision.isolating[0].selector.requirements)
    labels = identity(decision.subject.labels or {})
    return selector((*requirements, *(Requirement(k, "In", (v,)) for k, v in labels.items())))


def selector(requirements: Iterable[Requirement]) -> dict[str, Any]:
    """Requirements as the API writes them."""
    labels: dict[str, str] = {}
    expressions: list[dict[str, Any]] = []
    for each in requirements:
        if each.operator == "In" and len(each.values) == 1 and labels.get(each.key, each.values[0]) == each.values[0]:
            labels[each.key] = each.values[0]
        else:
            values = {"values": list(each.values)} if each.values else {}
            expressions.append({"key": each.key, "operator": each.operator, **values})
    return {**({"matchLabels": labels} if labels else {}), **({"matchExpressions": expressions} if expressions else {})}


def identity(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels that say what a Pod is, without those that tell it from its siblings."""
    return {k: v for k, v in sorted(labels.items()) if not _OF_ONE_POD.search(k)}


def single(address: str) -> str:
    """The block of one address."""
    return f"{address}/{128 if ':' in address else 32}"


def called(party: Party) -> str:
    """One end for people: `Pod ns/name`, or the address."""
    return f"Pod {party.pod.namespace}/{party.pod.name}" if party.pod else party.address or "any client"


def _app(each: Judged, direction: Direction, *, peer: bool) -> str:
    party = each.talk.client if (direction is Direction.INGRESS) is peer else each.talk.server
    if party.pod is None:
        return party.address or "clients"
    labels = party.pod.labels
    return labels.get("app.kubernetes.io/name") or labels.get("app") or labels.get("k8s-app") or party.pod.name


def free_name(wanted: str, namespace: str, known: Iterable[NetworkPolicy]) -> str:
    """A name for a policy that none has yet."""
    taken = {p.name for p in known if p.namespace == namespace}
    base = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")[:58]
    names = (base, *(f"{base}-{n}" for n in range(2, 1000)))
    return next(name for name in names if name not in taken)
