"""The lower rung: the app's own containers, where an image has a shell.

Nothing is added or written. A distroless image has no shell, which is a normal outcome and not a fault.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubectl_netdebug.kube import errors
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.facts import Unknown, Why
from kubectl_netdebug.model.objects.pod import MESH_PROXIES, Container, Pod
from kubectl_netdebug.vantage.api import unknown_from
from kubectl_netdebug.vantage.rung import EXEC_RIGHT, PROBE_RIGHT, NoProbe, ProbeContainer

SECONDS = 8.0
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
SIDECARS = (*MESH_PROXIES, "envoy")
"""Containers whose user a mesh treats specially, so that what they see is not what the app sees."""

_HELLO = ("sh", "-c", "echo netdebug")


def own_shell(session: Session, pod: Pod) -> ProbeContainer:
    """The first running container that has a shell. Raises NoProbe."""
    refusal = Unknown(Why.NO_TOOL, f"no running container of {pod.name} has a shell", PROBE_RIGHT)
    for container in _in_order(pod):
        try:
            said = session.exec(pod.namespace, pod.name, container.name, _HELLO, seconds=SECONDS, most_bytes=4096)
        except errors.KubeError as problem:
            raise NoProbe(unknown_from(problem)) from problem
        if said.outcome == "exited" and said.code == 0 and b"netdebug" in said.stdout:
            return ProbeContainer(pod.namespace, pod.name, container.name)
        if said.outcome == "denied":
            raise NoProbe(Unknown(Why.FORBIDDEN, said.message, EXEC_RIGHT))
        if said.outcome in ("timed-out", "dropped"):
            refusal = Unknown(Why.TIMEOUT, f"a shell in {pod.name}/{container.name} did not answer: {said.message}")
    raise NoProbe(refusal)


def _in_order(pod: Pod) -> Iterable[Container]:
    """The default container first, as kubectl chooses it; a mesh's proxy last."""
    chosen = pod.annotations.get(DEFAULT_CONTAINER, "")
    running = [c for c in pod.containers if c.state == "running"]
    return sorted(running, key=lambda c: (c.name in SIDECARS, c.name != chosen, c.index))
