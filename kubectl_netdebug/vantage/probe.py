"""The ladder: for each Pod the best way in that this person, this cluster and this image allow, found once a run.

An added container, then a shell of the Pod's own, then its network entered from its node.
"""

from __future__ import annotations

import threading

from kubectl_netdebug.kube import errors
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.facts import NODE_PLACE, Unknown, Why
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.result import Change
from kubectl_netdebug.vantage.api import unknown_from
from kubectl_netdebug.vantage.entered import enter
from kubectl_netdebug.vantage.ephemeral import LIFETIME, EphemeralContainers
from kubectl_netdebug.vantage.node_pod import NodePods
from kubectl_netdebug.vantage.own_tools import own_shell
from kubectl_netdebug.vantage.pods import read_one
from kubectl_netdebug.vantage.rung import NoProbe, ProbeContainer

__all__ = ["LIFETIME", "NoProbe", "ProbeContainer", "ProbeContainers"]


class ProbeContainers:
    """The container to run commands in, by Pod. Safe to use from many threads."""

    def __init__(
        self, session: Session, image: str = "", nodes: NodePods | None = None, *, untouched: bool = False
    ) -> None:
        """`nodes` only where the person allowed Pods on nodes; `untouched` where nothing may be added to Pods."""
        self._untouched = untouched
        self._session = session
        self._nodes = nodes
        self._ephemeral = EphemeralContainers(session, image)
        self._lock = threading.Lock()
        self._pod_locks: dict[tuple[str, str], threading.Lock] = {}
        self._ready: dict[tuple[str, str], ProbeContainer] = {}
        self._refused: dict[tuple[str, str], Unknown] = {}
        self._notes: dict[tuple[str, str], str] = {}

    def allow_nodes(self, nodes: NodePods) -> None:
        """The person allowed Pods on nodes in the middle of the run."""
        self._nodes = nodes

    @property
    def changes(self) -> tuple[Change, ...]:
        """What this run added."""
        return self._ephemeral.changes

    @property
    def notes(self) -> tuple[str, ...]:
        """Where a lower rung than the best was used, and why, a sentence each."""
        with self._lock:
            return tuple(self._notes.values())

    def existing(self, namespace: str, pod: str) -> ProbeContainer | None:
        """The container of a Pod if this run has it already; adds nothing."""
        with self._lock:
            return self._ready.get((namespace, pod))

    def ensure(self, namespace: str, pod: str) -> ProbeContainer:
        """A running container in the Pod. Raises NoProbe."""
        key = (namespace, pod)
        with self._lock:
            lock = self._pod_locks.setdefault(key, threading.Lock())
        with lock:
            if key in self._refused:  # what failed once is not tried again: it would only leave more behind
                raise NoProbe(self._refused[key])
            ready = self.existing(namespace, pod) or self._obtain_or_remember(namespace, pod)
            with self._lock:
                self._ready[key] = ready
            return ready

    def _obtain_or_remember(self, namespace: str, name: str) -> ProbeContainer:
        if name.startswith(NODE_PLACE):
            return self._on_node(name.removeprefix(NODE_PLACE))
        try:
            return self._climb(read_one(self._session, namespace, name))
        except errors.KubeError as problem:
            unknown = unknown_from(problem)
        except NoProbe as refused:
            unknown = refused.unknown
        self._refused[namespace, name] = unknown
        raise NoProbe(unknown)

    def _climb(self, pod: Pod) -> ProbeContainer:
        """The added container; where that is refused, a shell of the Pod's own. Raises NoProbe for both together."""
        if self._untouched:
            return self._from_node(pod, Unknown(Why.NO_CONSENT, "nothing may be added to Pods", "--allow ephemeral"))
        try:
            return self._ephemeral.obtain(pod)
        except (NoProbe, errors.KubeError) as problem:
            best = problem.unknown if isinstance(problem, NoProbe) else unknown_from(problem)
        try:
            lower = own_shell(self._session, pod)
        except NoProbe as refused:
            lower = self._from_node(pod, _both(best, refused.unknown))
        tools = f"from its node {pod.node}" if lower.where else f"with the tools of its own container {lower.name}"
        with self._lock:
            self._notes[pod.namespace, pod.name] = f"pod/{pod.name} was asked {tools}: {best.says}"
        return lower

    def _from_node(self, pod: Pod, refusal: Unknown) -> ProbeContainer:
        """The Pod's network, entered from its node, where nodes are allowed. Raises NoProbe."""
        if self._nodes is None or not pod.node:
            raise NoProbe(refusal)
        try:
            return enter(self._session, self._nodes.ensure(pod.node), pod)
        except NoProbe as refused:
            raise NoProbe(_both(refusal, refused.unknown)) from refused

    def _on_node(self, node: str) -> ProbeContainer:
        """The node's own network. Raises NoProbe."""
        if self._nodes is None:
            raise NoProbe(Unknown(Why.NO_CONSENT, "nodes not looked at: nobody allowed a Pod there", "--allow node"))
        return self._nodes.ensure(node)


def _both(best: Unknown, lower: Unknown) -> Unknown:
    """Why neither way is open; what unlocks the better one is worth asking for."""
    why = Why.FORBIDDEN if Why.FORBIDDEN in (best.why, lower.why) else best.why
    return Unknown(why, f"{best.says}; and {lower.says}", best.unlock or lower.unlock)
