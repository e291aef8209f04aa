"""Containers that get traffic since their start and are still on their way to listening."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.owners import owner_of
from kubectl_netdebug.causes.reach import Refusing, container_for, serving_containers, working_siblings
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Container, Pod
from kubectl_netdebug.model.question import Question

YOUNG = 180.0
"""Seconds after its start in which a container may still be on its way to listening."""

TOGETHER = 15.0
"""Seconds that lie between the starts of Pods which start together."""

MESH_PORTS = range(15000, 15100)
"""Ports of sidecar proxies; never the application's."""


def still_starting(look: Look, asked: Question, refusing: Refusing) -> Container | None:
    """The container that the port belongs to, where it is young, unprobed, and nothing in the Pod can be it elsewhere.

    A sibling that started with it and listens already shows that this one is not slow but dead.
    """
    container = _young(look, refusing)
    if container is None or _listens_elsewhere(refusing, container):
        return None
    siblings = working_siblings(look, asked, refusing)
    if not siblings:
        return container
    owner = owner_of(look, refusing.pod)
    kin = [pod for pod in siblings if owner_of(look, pod) == owner]
    return container if kin and not any(_started_with(pod, container) for pod in kin) else None


def _young(look: Look, refusing: Refusing) -> Container | None:
    if refusing.backend.protocol != "TCP":
        return None
    container = container_for(refusing.pod, refusing.backend.port, "TCP")
    if container is None or container.readiness or container.startup or container.running_since is None:
        return None
    young = (look(asks.now()) - container.running_since).total_seconds() < YOUNG
    return container if young and container.state == "running" else None


def _listens_elsewhere(refusing: Refusing, container: Container) -> bool:
    """A listener that no other container declares, and is no sidecar proxy's: the application, on another port."""
    neighbours = {p.port for c in serving_containers(refusing.pod) if c is not container for p in c.ports}
    return any(s.port not in neighbours and s.port not in MESH_PORTS for s in refusing.elsewhere)


def _started_with(pod: Pod, container: Container) -> bool:
    """Whether the same container of another Pod started at about the same time, or later."""
    twin = next((c for c in pod.containers if c.name == container.name), None)
    if twin is None or twin.running_since is None or container.running_since is None:
        return False
    return (container.running_since - twin.running_since).total_seconds() < TOGETHER
