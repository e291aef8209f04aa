"""What connects tell about the Pods behind a Service: which accept, which refuse, and what these listen on instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import MOST_BACKENDS, Backend, attempts_at, backends_asked, client_pod, in_use
from kubectl_netdebug.model.finding import Effect
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Container, Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.outcome import Attempt
from kubectl_netdebug.net.outcome import Outcome as End
from kubectl_netdebug.net.procnet import Listener

MOST_LOOKED_INTO = 4
"""Refusing Pods whose sockets are read in one run; one cause rarely needs more to be told from another."""

MOST_SIBLINGS = 8


@dataclass(frozen=True)
class Refusing:
    """A backend that refused a connection, its Pod, and everything that listens in it."""

    backend: Backend
    pod: Pod
    listening: tuple[Listener, ...]

    @property
    def on_port(self) -> tuple[Listener, ...]:
        """Listeners on the port that was tried, of the right protocol, whatever address they are bound to."""
        return tuple(s for s in self.listening if s.port == self.backend.port and s.protocol == self.backend.protocol)

    @property
    def is_open(self) -> bool:
        """The Pod does listen there for its own address: then something on the way refused."""
        return any(s.reachable_at(self.backend.address) for s in self.on_port)

    @property
    def elsewhere(self) -> tuple[Listener, ...]:
        """Listeners of the same protocol that clients could reach, on other ports."""
        return tuple(
            s
            for s in self.listening
            if s.protocol == self.backend.protocol
            and s.port != self.backend.port
            and s.reachable_at(self.backend.address)
        )

    @property
    def seen(self) -> str:
        """What listens, for people."""
        return ", ".join(map(str, self.listening[:4])) or "nothing"


def tried(look: Look, asked: Question) -> tuple[tuple[Backend, Attempt], ...]:
    """A connect to every backend in use, or to all of them where none is ready (why not is the question then)."""
    everything = backends_asked(look, asked)
    return attempts_at(look, client_pod(look, asked), in_use(everything) or everything)


def effect_on(attempts: Iterable[tuple[Backend, Attempt]]) -> Effect:
    """Whether anything of what was asked about still works."""
    return Effect.DEGRADES if any(attempt.outcome.connected for _, attempt in attempts) else Effect.BREAKS


def refusing(look: Look, asked: Question) -> tuple[Refusing, ...]:
    """The first refusing backends with what listens in their Pods, at least one for each port of the Service.

    Silence after UDP is looked into as well: an ICMP error that says "refused" does not always come back.
    """
    refused = [b for b, attempt in tried(look, asked) if attempt.outcome in (End.REFUSED, End.SILENT) and b.pod]
    chosen = _spread(refused)
    pods = look.all([asks.pod_named(asked.namespace, b.pod) for b in chosen])
    there = [(b, pod) for b, pod in zip(chosen, pods, strict=True) if pod is not None]
    sockets = look.all_known([asks.sockets_of(pod) for _, pod in there])
    return tuple(Refusing(b, pod, s) for (b, pod), s in zip(there, sockets, strict=True) if s is not None)


def closed(look: Look, asked: Question) -> tuple[Refusing, ...]:
    """Those of the refusing Pods in which nothing listens for the Pod's address."""
    return tuple(each for each in refusing(look, asked) if not each.is_open)


def working_siblings(look: Look, asked: Question, refusing: Refusing) -> list[Pod]:
    """Pods that accept on the same port of the Service, the first few."""
    works = [
        b.pod
        for b, attempt in tried(look, asked)
        if attempt.outcome.connected and b.service_port == refusing.backend.service_port and b.pod
    ]
    pods = look.all([asks.pod_named(asked.namespace, name) for name in works[:MOST_SIBLINGS]])
    return [pod for pod in pods if pod is not None]


def untranslated(look: Look, asked: Question) -> tuple[Backend, ...]:
    """Backends of a headless Service that listen on another port than the Service's, which was typed."""
    service = look(asks.the_service(asked))
    if service is None or not service.headless:
        return ()
    return tuple(
        b
        for b in in_use(backends_asked(look, asked))[:MOST_BACKENDS]
        if asked.port == str(b.service_port.port) and b.port != b.service_port.port
    )


def _spread(refused: list[Backend]) -> list[Backend]:
    """Some of each Service port, taken in turn."""
    by_port: dict[int, list[Backend]] = {}
    for backend in refused:
        by_port.setdefault(backend.service_port.index, []).append(backend)
    turns = max((len(group) for group in by_port.values()), default=0)
    in_turn = [group[turn] for turn in range(turns) for group in by_port.values() if turn < len(group)]
    return in_turn[: max(MOST_LOOKED_INTO, len(by_port))]


def serving_containers(pod: Pod) -> tuple[Container, ...]:
    """Containers that run beside each other: the ordinary ones and sidecars among the init containers."""
    return (*pod.containers, *(c for c in pod.init_containers if c.restart_policy == "Always"))


def container_for(pod: Pod, port: int, protocol: str) -> Container | None:
    """The container that a port belongs to: the one that declares it, or the only one there is."""
    serving = serving_containers(pod)
    declaring = [c for c in serving if any(p.port == port and p.protocol == protocol for p in c.ports)]
    if declaring:
        return declaring[0]
    return serving[0] if len(serving) == 1 else None
