"""What listens on a node, and whose process that is."""

from __future__ import annotations

from kubectl_netdebug.causes.node_asks import node_view
from kubectl_netdebug.model.facts import Ask
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.net.listening import Held, read_listeners

MIRRORED = "kubernetes.io/config.hash"
"""Annotation of a Pod that kubelet runs from a file: its processes are known by this, not by the object's own id."""


def listeners(node: str) -> Ask[tuple[Held, ...]]:
    """The listening sockets in the node's own network."""

    def says(found: tuple[Held, ...]) -> str:
        told = [f"{held.socket} {held.words}" for held in found if not held.socket.loopback]
        return f"{node} listens: {', '.join(told[:12]) or 'nowhere'}"

    return node_view(node, "listeners", read_listeners, says=says)


def is_of(held: Held, pod: Pod) -> bool:
    """Whether the process that holds a socket is one of this Pod's."""
    return bool(held.pod) and held.pod.replace("-", "") in {
        pod.uid.replace("-", ""),
        pod.annotations.get(MIRRORED, "").replace("-", ""),
    }


def whose(held: Held, pods: tuple[Pod, ...]) -> str:
    """The holder for people: the process, and its Pod where it has one."""
    pod = next((p for p in pods if is_of(held, p)), None)
    return f"{held.words} of Pod {pod.namespace}/{pod.name}" if pod else held.words
