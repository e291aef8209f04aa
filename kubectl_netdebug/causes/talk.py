"""Whether backends that accept connections also answer, asked only of ports that are known to speak HTTP.

A stopped or hung process still "accepts": the kernel does that for it until its queue is full. Ports that nothing
marks as HTTP are left alone: a server that waits in silence for its own protocol is healthy.
"""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import Backend, client_pod
from kubectl_netdebug.causes.reach import serving_containers, tried
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.service import ServicePort
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.spoken import HttpReply

MOST_TALKED_TO = 6
"""Backends that are sent a request in one run; each costs one command in the client Pod."""

HTTP_PORTS = (80, 3000, 5000, 8000, 8080, 8081, 8888)
HTTP_NAMES = ("http", "http1", "web", "www")
HTTP_PROTOCOLS = ("http", "kubernetes.io/http", "kubernetes.io/ws")


@dataclass(frozen=True)
class Mute:
    """A backend that accepted and did not answer. `siblings_answer`: others behind the same port did."""

    backend: Backend
    answer: HttpReply
    siblings_answer: bool
    waiting: int = 0
    """Connections that wait in the listener for the program to take them."""


def mute(look: Look, asked: Question) -> tuple[Mute, ...]:
    """Backends that leave a request unanswered: connections pile up there, or twice where a sibling answers."""
    spoken = _spoken_to(look, asked)
    silent = [(b, answer) for b, answer in spoken if answer.nothing]
    stuck = [(b, answer, _waiting(look, asked, b)) for b, answer in silent]
    found = [Mute(b, answer, _siblings_answer(spoken, b), waiting) for b, answer, waiting in stuck if waiting]
    doubtful = [b for b, _, waiting in stuck if not waiting and _siblings_answer(spoken, b)]
    again = _ask_all(look, asked, doubtful, attempt=1)
    found += [Mute(b, answer, siblings_answer=True) for b, answer in again if answer.nothing]
    return tuple(found)


def _siblings_answer(spoken: list[tuple[Backend, HttpReply]], backend: Backend) -> bool:
    return any(answer.answered for b, answer in spoken if b.service_port == backend.service_port)


def _spoken_to(look: Look, asked: Question) -> list[tuple[Backend, HttpReply]]:
    connected = [b for b, attempt in tried(look, asked) if attempt.outcome.connected and b.protocol == "TCP"]
    return _ask_all(look, asked, [b for b in connected if path_at(look, asked, b) is not None][:MOST_TALKED_TO])


def _ask_all(look: Look, asked: Question, chosen: list[Backend], attempt: int = 0) -> list[tuple[Backend, HttpReply]]:
    if not chosen:
        return []
    client = client_pod(look, asked)
    wanted = [
        asks.http(client, b.address, b.port, path=path_at(look, asked, b) or "/", attempt=attempt) for b in chosen
    ]
    answers = look.all_known(wanted)
    return [(b, answer) for b, answer in zip(chosen, answers, strict=True) if answer is not None]


def _waiting(look: Look, asked: Question, backend: Backend) -> int:
    """How many connections wait in the backend's listener; 0 where that cannot be seen."""
    pod = look.if_known(asks.pod_named(asked.namespace, backend.pod)) if backend.pod else None
    sockets = look.if_known(asks.sockets_of(pod)) if pod else None
    return sum(s.backlog_used for s in sockets or () if s.port == backend.port and s.protocol == "TCP")


def path_at(look: Look, asked: Question, backend: Backend) -> str | None:
    """What to ask this backend for, or None where nothing says that its port speaks HTTP."""
    pods = _pods(look, asked)
    probed = next((path for pod in pods if (path := probed_path(pod, backend.port)) is not None), None)
    if probed is not None:
        return probed
    names = [p.name for pod in pods for p in pod.ports if p.port == backend.port]
    return "/" if _looks_like_http(backend.service_port, backend.port, names) else None


def _pods(look: Look, asked: Question) -> tuple[Pod, ...]:
    if asked.pod:
        pod = look.if_known(asks.pod_named(asked.namespace, asked.pod))
        return (pod,) if pod else ()
    service = look(asks.the_service(asked))
    return look.if_known(asks.pods_selected_by(service)) or () if service and service.selector else ()


def probed_path(pod: Pod, port: int) -> str | None:
    """The path that kubelet asks for on this port over plain HTTP, or None."""
    for container in serving_containers(pod):
        named = {p.name: str(p.port) for p in container.ports}
        for probe in (container.readiness, container.liveness, container.startup):
            plain = probe is not None and probe.kind == "http" and probe.scheme == "HTTP"
            if probe and plain and named.get(probe.port, probe.port) == str(port):
                return probe.path
    return None


def _looks_like_http(port: ServicePort, target: int, names: list[str]) -> bool:
    if port.app_protocol:
        return port.app_protocol.lower() in HTTP_PROTOCOLS
    if any(name == n or name.startswith(n + "-") for name in (port.name, *names) for n in HTTP_NAMES):
        return True
    return not port.name and (port.port in HTTP_PORTS or target in HTTP_PORTS)
