"""Pods that have no sandbox yet: which nodes they wait on, and what the runtime says about it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_named
from kubectl_netdebug.causes.node_asks import node_view
from kubectl_netdebug.causes.owners import owner_of
from kubectl_netdebug.causes.trouble import pods_behind
from kubectl_netdebug.model.facts import Ask, NodeText
from kubectl_netdebug.model.finding import Effect, ObjectRef
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.event import Event
from kubectl_netdebug.model.objects.node import Node
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import FlowName, Question, SourceKind
from kubectl_netdebug.net.cni_conf import Conf, Program, read_confs, read_programs
from kubectl_netdebug.net.cni_errors import Kind, SandboxError, classify
from kubectl_netdebug.net.ipam import Reservation, Sandboxes, read_reservations, read_sandboxes
from kubectl_netdebug.net.links import read_links

REASONS = ("FailedCreatePodSandBox", "NetworkNotReady")
"""Reasons of events that say why there is no sandbox."""

CONSEQUENCES = ("pod-sandbox-failed", "endpoints-not-ready", "node-notready", "pod-unscheduled")
"""Codes of what follows where Pods of a node get no network."""

MOST_PODS = 4
"""Pods whose events are read in one run; those that wait on one node nearly always wait for one reason."""

FIRST_TRIES = 20.0
"""Seconds in which a new Pod's first sandbox may fail without anybody worrying: kubelet tries again."""

WAITING = ("ContainerCreating", "PodInitializing", "")


@dataclass(frozen=True)
class Stuck:
    """Pods on one node that wait for their network for one reason. `error` is that of the newest event."""

    node: str
    pods: tuple[Pod, ...]
    error: SandboxError
    times: int
    whose: str
    effect: Effect

    @property
    def pod(self) -> Pod:
        """The Pod to show."""
        return self.pods[0]

    @property
    def at(self) -> ObjectRef:
        """The node."""
        return ObjectRef("Node", "", self.node)

    @property
    def seen(self) -> str:
        """The event in one line."""
        times = f" ({self.times} times)" if self.times > 1 else ""
        return f"{self.pod.namespace}/{self.pod.name} on {self.node}{times}: {self.error.said}"


def stuck(look: Look, asked: Question, *kinds: Kind) -> tuple[Stuck, ...]:
    """The Pods of the question (for a node: on it) that have no sandbox, by node and reason; only `kinds`, if given."""
    live = _candidates(look, asked)
    waiting = [pod for pod in live if waits_for_sandbox(pod)][:MOST_PODS]
    if not waiting:
        return ()
    found = look.all_known([asks.events_about("Pod", pod.namespace, pod.name) for pod in waiting])
    groups: dict[tuple[str, Kind], list[tuple[Pod, SandboxError, int]]] = defaultdict(list)
    for pod, events in zip(waiting, found, strict=True):
        newest = _newest(events or ())
        if newest is not None and (newest.count > 1 or pod.age(look(asks.now())) >= FIRST_TRIES):
            error = classify(newest.message)
            groups[pod.node, error.kind].append((pod, error, newest.count))
    effect = effect_on(look, asked)
    return tuple(
        Stuck(
            node=node,
            pods=tuple(pod for pod, _, _ in hits),
            error=hits[0][1],
            times=max(times for _, _, times in hits),
            whose=_whose(look, asked, [pod for pod, _, _ in hits], len(live)),
            effect=effect,
        )
        for (node, kind), hits in groups.items()
        if not kinds or kind in kinds
    )


@dataclass(frozen=True)
class Complaint:
    """What a runtime says of a node's network: to a Pod that waits there, or in the node's Ready condition."""

    node: str
    error: SandboxError
    seen: str
    effect: Effect

    @property
    def at(self) -> ObjectRef:
        """The node."""
        return ObjectRef("Node", "", self.node)


def complaints(look: Look, asked: Question, *kinds: Kind) -> tuple[Complaint, ...]:
    """One a node: from a Pod that waits, else from the node's own condition."""
    found: dict[str, Complaint] = {}
    for each in stuck(look, asked, *kinds):
        found.setdefault(each.node, Complaint(each.node, each.error, each.seen, each.effect))
    for node in nodes_of_question(look, asked):
        condition = node.conditions.get("Ready")
        if condition is None or condition.status != "False" or "NetworkReady=false" not in condition.message:
            continue
        error = classify(condition.message)
        if not kinds or error.kind in kinds:
            seen = f"{node.name} is not ready: {error.said}"
            found.setdefault(node.name, Complaint(node.name, error, seen, effect_on(look, asked)))
    return tuple(found.values())


def waits_for_sandbox(pod: Pod) -> bool:
    """It has a node, and nothing of it was ever started."""
    made = pod.conditions.get("PodReadyToStartContainers")
    if pod.phase != "Pending" or not pod.node or pod.deleting or (made is not None and made.status == "True"):
        return False
    return all(
        c.state in ("waiting", "") and c.reason in WAITING and c.last is None
        for c in (*pod.containers, *pod.init_containers)
    )


def not_scheduled(pod: Pod) -> str:
    """Why the scheduler found no node for it; '' where it has one."""
    condition = pod.conditions.get("PodScheduled")
    return condition.message if condition is not None and condition.status == "False" and not pod.node else ""


def nodes_of_question(look: Look, asked: Question) -> tuple[Node, ...]:
    """The nodes whose state matters: the one asked about, those of Pods that are not ready, those with a taint that
    keeps the question's Pods away."""
    if asked.flow is FlowName.NODE:
        node = look(asks.node_named(asked.node))
        return (node,) if node else ()
    live = _candidates(look, asked)
    names = {pod.node for pod in live if pod.node and not pod.ready}
    kept_away = [pod for pod in live if "untolerated taint" in not_scheduled(pod)][:1]
    if not names and not kept_away:
        return ()
    nodes = look(asks.nodes())
    specs = [look.if_known(asks.raw_object("pods", pod.namespace, pod.name)) for pod in kept_away]
    return tuple(
        node for node in nodes if node.name in names or any(_kept_from(node, tree.dig(raw, "spec")) for raw in specs)
    )


def _kept_from(node: Node, spec: Any) -> bool:
    """A node in trouble that the Pod could go to otherwise. Affinities are not judged, so with one it is not said."""
    wanted = tree.labels(spec, "nodeSelector")
    fits = all(node.labels.get(key) == value for key, value in wanted.items())
    placed = tree.dig(spec, "affinity", "nodeAffinity") is not None
    return fits and not placed and (not node.ready or node.network_unavailable)


def effect_on(look: Look, asked: Question) -> Effect:
    """What it costs that Pods of the question do not run: everything, or a part where others serve."""
    if asked.flow is FlowName.NODE:
        return Effect.BREAKS
    client = client_named(look, asked)
    if client is not None and not client.ready:
        return Effect.BREAKS
    return Effect.DEGRADES if any(pod.ready for pod in _candidates(look, asked)) else Effect.BREAKS


def confs(node: str) -> Ask[tuple[Conf, ...]]:
    """The CNI configurations of a node, as a runtime tries them."""

    def says(found: tuple[Conf, ...]) -> str:
        told = ", ".join(f"{c.path} ({c.wrong or ', '.join(c.plugins)})" for c in found[:4])
        return f"network configurations on {node}: {told or 'none'}"

    return node_view(node, "cni-conf", read_confs, says=says)


def programs(node: str) -> Ask[tuple[Program, ...]]:
    """The plugins in a node's folders of programs."""

    def says(found: tuple[Program, ...]) -> str:
        names = sorted(p.path.rpartition("/")[2] + ("" if p.runs else " (does not run)") for p in found)
        return f"plugins on {node}: {', '.join(names[:20]) or 'none'}"

    return node_view(node, "cni-bin", read_programs, says=says)


def bridge_addresses(node: str, bridge: str) -> Ask[tuple[str, ...]]:
    """The addresses of a bridge, with their prefix lengths, without those that the kernel makes."""

    def read(text: str) -> tuple[str, ...]:
        link = next((link for link in read_links(text) if link.name == bridge), None)
        return tuple(a for a in link.addresses if not a.lower().startswith("fe80")) if link else ()

    return Ask(
        NodeText(node, "addresses"),
        lambda v: read(v if isinstance(v, str) else ""),
        lambda found: f"{node}: {bridge} has {', '.join(found) or 'no address'}",
    )


@dataclass(frozen=True)
class Given:
    """What a node's address management has given, and what the runtime knows."""

    reservations: tuple[Reservation, ...]
    sandboxes: Sandboxes


def given(node: str, folder: str = "") -> Ask[Given]:
    """Reservations of `host-local` and the sandboxes, read after them."""

    def read(text: str) -> Given:
        head, by, rest = text.rpartition("\nby ") if "\nby " in text else ("", "by ", text.removeprefix("by "))
        return Given(read_reservations(head), read_sandboxes(f"{by.strip()} {rest}"))

    def says(found: Given) -> str:
        return (
            f"{node}: {len(found.reservations)} addresses are reserved, "
            f"{len(found.sandboxes.known)} containers known ({found.sandboxes.by})"
        )

    about = (folder,) if folder else ()
    return Ask(NodeText(node, "reservations", about), lambda v: read(v if isinstance(v, str) else ""), says)


def _candidates(look: Look, asked: Question) -> tuple[Pod, ...]:
    if asked.flow is FlowName.NODE:
        return tuple(pod for pod in look(asks.pods_on(asked.node)) if not pod.finished and not pod.deleting)
    behind = pods_behind(look, asked) if asked.service or asked.pod else ()
    client = client_named(look, asked) if asked.source.kind not in (SourceKind.NODE, SourceKind.OUTSIDE) else None
    if client is not None and not client.finished and all(pod.uid != client.uid for pod in behind):
        # A client that waits is of no use to those behind, so it counts only where it waits.
        return (*behind, client) if waits_for_sandbox(client) or not_scheduled(client) else behind
    return behind


def _newest(events: tuple[Event, ...]) -> Event | None:
    """The newest event that says why; the deepest reason counts where two are of one second."""
    telling = [e for e in events if e.reason in REASONS]
    return telling[-1] if telling else None


def _whose(look: Look, asked: Question, pods: list[Pod], live: int) -> str:
    if asked.flow is FlowName.NODE or len(pods) == 1:
        return f"Pod {pods[0].name}" + (f" and {len(pods) - 1} more" if len(pods) > 1 else "")
    owner = owner_of(look, pods[0])
    return f"{owner.kind} {owner.name} ({len(pods)} of {live} Pods)"
