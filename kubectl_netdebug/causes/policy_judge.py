"""Conversations against policies: what the configuration says, how the connects ended, and what follows from both."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.conversation import Conversation, Party
from kubectl_netdebug.causes.policy_talks import conversations, names_first
from kubectl_netdebug.model.facts import Ask, Objects
from kubectl_netdebug.model.finding import Confidence
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.policy import Direction, NetworkPolicy
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.net.networkpolicy import Decision, End, Packet, decide, isolates
from kubectl_netdebug.net.outcome import Outcome

NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""The label that every namespace bears, with its own name."""


class Standing(Enum):
    """What configuration and connects say together about one conversation in one direction."""

    ADMITTED = auto()
    DROPPED = auto()
    """Denied, and the connect was lost."""
    MUTE = auto()
    """Denied, and UDP stayed unanswered, which it may do anyway."""
    UNTRIED = auto()
    """Denied; nothing was tried."""
    PASSES = auto()
    """Denied, and yet something answered."""
    DEPENDS = auto()
    """The client is not known, and some would be admitted."""


@dataclass(frozen=True)
class Enforcer:
    """What carries out policies here: its name, '' where none was found; `sure` where that could be looked up."""

    name: str
    sure: bool

    @property
    def refuses(self) -> bool:
        """It answers denied connections with an error, which looks like a closed port."""
        return self.name in ("kube-router", "k3s")


@dataclass(frozen=True)
class Judged:
    """One conversation in one direction."""

    talk: Conversation
    decision: Decision
    standing: Standing

    @property
    def denied(self) -> bool:
        """The configuration is against it."""
        return self.standing not in (Standing.ADMITTED, Standing.DEPENDS)


def policies_of(look: Look, asked: Question, talks: Iterable[Conversation]) -> tuple[NetworkPolicy, ...]:
    """The policies of every namespace that has a Pod in these conversations."""
    spaces = {p.pod.namespace for t in talks for p in (t.client, t.server) if p.pod and not p.pod.host_network}
    return tuple(p for found in look.all([asks.policies_in(ns) for ns in sorted(spaces)]) for p in found)


def judged(look: Look, asked: Question, direction: Direction) -> tuple[Judged, ...]:
    """Every conversation of the question, judged in one direction."""
    talks = _talks(look, asked, direction)
    policies = policies_of(look, asked, talks)
    labels = _namespace_labels(look, talks, policies, direction)
    nodes = _nodes(look, talks, policies, direction)
    return tuple(_judge(look, talk, direction, policies, labels, nodes) for talk in talks)


def blamed(look: Look, asked: Question, direction: Direction) -> tuple[Judged, ...]:
    """The conversations that a policy denies and that nothing contradicts, where something carries out policies."""
    denied = [j for j in judged(look, asked, direction) if j.denied and j.standing is not Standing.PASSES]
    if not denied:
        return ()
    found = enforcer(look)
    if not found.name and found.sure:
        return ()
    return tuple(denied)


LOOKUPS = (53, 5353)
"""Ports of name servers; the second one is OpenShift's."""


def cut_off(found: Iterable[Judged], accused: Iterable[Judged]) -> bool:
    """Nothing that was asked about gets through any more: no connection at all, or no lookup over UDP."""
    everything, denied = tuple(found), tuple(accused)
    served = [j for j in everything if j.talk.port not in LOOKUPS]
    lookups = [j for j in everything if j.talk.port in LOOKUPS and j.talk.protocol == "UDP"]
    return any(group and all(j in denied for j in group) for group in (served, lookups))


def confidence(look: Look, each: Judged) -> Confidence:
    """Confirmed where the loss was seen and the enforcer is known."""
    seen = each.standing is Standing.DROPPED and bool(enforcer(look).name)
    return Confidence.CONFIRMED if seen else Confidence.LIKELY


def _talks(look: Look, asked: Question, direction: Direction) -> tuple[Conversation, ...]:
    """In a Service's flow, an isolated client that somebody named has to resolve names as well."""
    talks = conversations(look, asked)
    if asked.flow is not FlowName.SERVICE or direction is not Direction.EGRESS or not asked.source.name or not talks:
        return talks
    client = talks[0].client
    policies = policies_of(look, asked, talks)
    if not any(isolates(p, end_of(client, {}), Direction.EGRESS) for p in policies):
        return talks
    return (*talks, *names_first(look, asked))


def end_of(
    party: Party, namespace_labels: Mapping[str, Mapping[str, str]], nodes: Mapping[str, str] | None = None
) -> End:
    """One end as policies see it. `nodes` are node names by address."""
    pod = party.pod
    if pod is None:
        return End(party.address, node=(nodes or {}).get(party.address, ""))
    if pod.host_network:
        return End(party.address, name=pod.name, node=pod.node)
    return End(
        address=party.address,
        namespace=pod.namespace,
        name=pod.name,
        labels=pod.labels,
        namespace_labels=namespace_labels.get(pod.namespace, {NAMESPACE_NAME: pod.namespace}),
        ports=pod.ports,
        node=pod.node,
    )


def _namespace_labels(
    look: Look, talks: tuple[Conversation, ...], policies: tuple[NetworkPolicy, ...], direction: Direction
) -> dict[str, Mapping[str, str]]:
    """Labels of the other ends' namespaces, read only where a rule asks for one that cannot be guessed."""
    selectors = [
        requirement.key
        for policy in policies
        for rule in policy.rules(direction)
        for peer in rule.peers
        if peer.namespaces
        for requirement in peer.namespaces.requirements
    ]
    if all(key == NAMESPACE_NAME for key in selectors):
        return {}
    others = [t.client if direction is Direction.INGRESS else t.server for t in talks]
    names = sorted({p.pod.namespace for p in others if p.pod})
    return dict(zip(names, look.all([asks.labels_of_namespace(name) for name in names]), strict=True))


def _nodes(
    look: Look, talks: tuple[Conversation, ...], policies: tuple[NetworkPolicy, ...], direction: Direction
) -> dict[str, str]:
    """Node names by address, looked up only for ends that are no Pod and matter."""
    strange = any(t.client.pod is None and t.client.address for t in talks)
    if not strange or not any(direction in p.types for p in policies):
        return {}
    return {address: n.name for n in look.if_known(asks.nodes()) or () for _, address in n.addresses}


def _judge(
    look: Look,
    talk: Conversation,
    direction: Direction,
    policies: tuple[NetworkPolicy, ...],
    labels: Mapping[str, Mapping[str, str]],
    nodes: Mapping[str, str],
) -> Judged:
    client, server = end_of(talk.client, labels, nodes), end_of(talk.server, labels, nodes)
    decision = decide(direction, Packet(client, server, talk.port, talk.protocol), policies)
    return Judged(talk, decision, _standing(look, talk, decision))


def _standing(look: Look, talk: Conversation, decision: Decision) -> Standing:
    if decision.allowed:
        return Standing.ADMITTED
    unknown_peer = not decision.peer.address
    if unknown_peer and any(miss.port_matches for miss in decision.misses):
        return Standing.DEPENDS
    if talk.attempt is None:
        return Standing.UNTRIED
    outcome = talk.attempt.outcome
    if outcome.lost or outcome is Outcome.NOT_PERMITTED:
        return Standing.DROPPED
    if outcome is Outcome.SILENT:
        return Standing.MUTE
    if outcome is Outcome.REFUSED and enforcer(look).refuses:
        return Standing.DROPPED
    answered = outcome.connected or outcome in (Outcome.REFUSED, Outcome.RESET)
    return Standing.PASSES if answered else Standing.UNTRIED


# --- who enforces ---------------------------------------------------------------------------------------------------

_AGENTS = re.compile(
    r"(calico-node|canal|cilium|anetd|antrea-agent|kube-router|weave-net|kube-network-policies|ovnkube-node|ovn-kubernetes"
    r"|kube-ovn-cni|azure-npm|kindnet|romana|aws-eks-nodeagent|aws-network-policy-agent|terway|openshift-sdn)"
)


def enforcer(look: Look) -> Enforcer:
    """Looked for among DaemonSets, in Calico's own objects, and in the nodes' versions."""
    sets, calico, versions = look.all_known([_daemon_sets(), _calico(), _kubelets()])
    for names in sets or ():
        found = next((m[1] for name in names for m in [_AGENTS.search(name)] if m), "")
        if found:
            return Enforcer(found, sure=True)
    if calico:
        return Enforcer("Calico", sure=True)
    if any("+k3s" in version for (version,) in versions or ()):
        return Enforcer("k3s", sure=True)
    return Enforcer("", sure=sets is not None)


def _daemon_sets() -> Ask[tuple[tuple[str, ...], ...]]:
    """The name, images and container names of each DaemonSet."""

    def names(raw: Mapping[str, Any]) -> tuple[str, ...]:
        containers = list(tree.entries(raw, "spec", "template", "spec", "containers"))
        images = [tree.text(c, "image").rpartition("/")[2] for c in containers]
        return (tree.text(raw, "metadata", "name"), *(tree.text(c, "name") for c in containers), *images)

    return Ask(Objects("daemonsets.apps"), lambda v: tuple(map(names, asks.items(v))))


def _calico() -> Ask[tuple[tuple[str, ...], ...]]:
    """Calico's own record of itself."""
    return Ask(
        Objects("clusterinformations.crd.projectcalico.org"),
        lambda v: tuple((tree.text(each, "metadata", "name"),) for each in asks.items(v)),
        lambda found: "Calico enforces policies here" if found else "no Calico here",
    )


def _kubelets() -> Ask[tuple[tuple[str, ...], ...]]:
    """The versions of the nodes' kubelets."""
    return Ask(
        Objects("nodes"),
        lambda v: tuple((tree.text(n, "status", "nodeInfo", "kubeletVersion"),) for n in asks.items(v)),
    )
