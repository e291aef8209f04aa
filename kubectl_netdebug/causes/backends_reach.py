"""Backends that are Ready and do not serve: hung or deaf ones among healthy siblings, foreign Pods, full queues."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import Backend, client_pod
from kubectl_netdebug.causes.owners import owner_of
from kubectl_netdebug.causes.reach import Refusing, closed, effect_on, tried, working_siblings
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.starting import still_starting
from kubectl_netdebug.causes.talk import mute
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.outcome import Outcome as End

PARTLY_DEAD = Cause(
    code="backend-partly-dead",
    title="A backend is Ready and does not answer",
    says="Endpoint {backend} is Ready but {fails}.",
    means="{share} of the Service's connections end at it and fail; clients see that now and then.",
    symptom="A part of all requests fails or hangs, the rest is well.",
    apart="Where all backends of one node fail, the node or the network is at fault, not the application.",
    mend="Replace the Pod; a readiness probe that asks the application itself takes such Pods out of the Service.",
)


@explains(Hop.BACKENDS, PARTLY_DEAD)
def deaf_backend(look: Look, asked: Question) -> Finding | None:
    """A Pod in which nothing listens on the port, while Pods of the same workload do."""
    attempts = tried(look, asked)
    for refusing in closed(look, asked):
        siblings = working_siblings(look, asked, refusing)
        if not siblings or refusing.on_port or still_starting(look, asked, refusing):
            continue
        owner = owner_of(look, refusing.pod)
        if not any(owner_of(look, pod) == owner for pod in siblings):
            continue
        return _partly_dead(
            refusing.backend,
            f"refuses: nothing in it listens on {refusing.backend.port}",
            sum(1 for _, attempt in attempts if attempt.outcome is End.REFUSED),
            len(attempts),
            owner,
            (f"listening in {refusing.pod.name}: {refusing.seen}", f"{siblings[0].name} accepts on the same port"),
        )
    return None


@explains(Hop.BACKENDS, PARTLY_DEAD)
def hung_backend(look: Look, asked: Question) -> Finding | None:
    """A Pod whose kernel accepts connections and whose program does not answer."""
    silent = mute(look, asked)
    if not silent:
        return None
    first = silent[0]
    pod = look.if_known(asks.pod_named(asked.namespace, first.backend.pod)) if first.backend.pod else None
    everyone = {b.address for b, _ in tried(look, asked)}
    waits = f"{first.waiting} connections wait in {first.backend.label} to be taken" if first.waiting else ""
    return _partly_dead(
        first.backend,
        "accepts connections without answering them",
        len({m.backend.address for m in silent}),
        len(everyone),
        owner_of(look, pod) if pod else None,
        tuple(
            said
            for said in (
                f"GET from {first.backend.label}: {first.answer.words}",
                waits,
                "other backends answer on the same port" if first.siblings_answer else "",
            )
            if said
        ),
    )


def _partly_dead(
    backend: Backend, fails: str, bad: int, total: int, owner: ObjectRef | None, saw: tuple[str, ...]
) -> Finding:
    pod = ObjectRef("Pod", backend.slice.namespace, backend.pod) if backend.pod else backend.slice.at
    made_again = owner is not None and owner.kind != "Pod"
    return PARTLY_DEAD.confirmed(
        at=pod,
        backend=backend.label,
        fails=fails,
        share=f"{bad} of {total}" if bad < total else "All",
        saw=saw,
        effect=Effect.DEGRADES if bad < total else Effect.BREAKS,
        fix=Fix(
            "replace the Pod",
            kubectl("delete", "pod", backend.pod, namespace=pod.namespace),
            Risk.DISRUPTIVE,
            not_pasteable="" if made_again else "nothing makes this Pod again once it is deleted",
        )
        if backend.pod
        else None,
    )


SELECTOR_TOO_BROAD = Cause(
    code="service-selector-too-broad",
    title="The selector takes in Pods of another application",
    says="Selector {selector} of Service {service} also matches the Pods of {foreign}, which do not listen on {port}.",
    means="{share} connections go to Pods that were never meant to serve them and are refused.",
    symptom="A share of all requests is refused, or is answered by another application.",
    apart="A canary shares its application's port and differs only in version or track; it does serve.",
    mend="Add a label to the selector that only the right Pods carry.",
    explains=("backend-partly-dead", "service-targetport-wrong", "early-ready-no-probe"),
)

_REVISION_LABELS = re.compile(
    r"(hash|revision|version|track|release|canary|stable|color|colour|generation|ordinal|pod-index|pod-name)$", re.I
)


@explains(Hop.SOCKET, SELECTOR_TOO_BROAD)
def selector_too_broad(look: Look, asked: Question) -> Finding | None:
    """Pods of another workload, told apart by more than a version, refuse what the rest accepts."""
    service = look(asks.the_service(asked))
    if service is None or not service.selector:
        return None
    for refusing in closed(look, asked):
        wanted = working_siblings(look, asked, refusing)
        foreign = owner_of(look, refusing.pod)
        owners = {owner_of(look, pod) for pod in wanted}
        if not wanted or foreign in owners or refusing.on_port:
            continue
        telling = _telling_labels(wanted, refusing.pod)
        if not telling:
            continue
        strangers = _strangers(look, asked, refusing)
        only_theirs = {k: v for k, v in telling.items() if all(pod.labels.get(k) != v for pod in strangers)}
        narrowed = {**service.selector, **dict(sorted(only_theirs.items())[:1])} if only_theirs else {}
        attempts = tried(look, asked)
        bad = sum(1 for _, attempt in attempts if attempt.outcome is End.REFUSED)
        return SELECTOR_TOO_BROAD.confirmed(
            at=service.field("spec.selector"),
            selector=_pairs(service.selector),
            service=service.name,
            foreign=f"{foreign.kind} {foreign.name}",
            port=f"{refusing.backend.port}/{refusing.backend.protocol}",
            share=f"{bad} of {len(attempts)}",
            saw=(
                f"{refusing.backend.label} of {foreign.short} refuses; listening there: {refusing.seen}",
                f"{wanted[0].name} of {owner_of(look, wanted[0]).short} accepts",
            ),
            effect=effect_on(attempts),
            fix=Fix(
                "select the right Pods alone",
                kubectl("set", "selector", "service", service.name, _pairs(narrowed), namespace=service.namespace),
            )
            if narrowed
            else None,
        )
    return None


def _strangers(look: Look, asked: Question, refusing: Refusing) -> list[Pod]:
    """The Pods that refuse on this port."""
    names = [
        b.pod
        for b, attempt in tried(look, asked)
        if attempt.outcome is End.REFUSED and b.pod and b.service_port == refusing.backend.service_port
    ]
    return [pod for pod in look.all([asks.pod_named(asked.namespace, name) for name in names]) if pod is not None]


def _telling_labels(wanted: list[Pod], stranger: Pod) -> dict[str, str]:
    """Labels that all the right Pods share and the stranger has not, other than those that tell revisions apart."""
    shared = set(wanted[0].labels.items()).intersection(*(pod.labels.items() for pod in wanted))
    return {k: v for k, v in shared if stranger.labels.get(k) != v and not _REVISION_LABELS.search(k)}


def _pairs(labels: Mapping[str, str]) -> str:
    return ",".join(f"{k}={v}" for k, v in sorted(labels.items()))


ACCEPT_QUEUE = Cause(
    code="accept-queue-overflow",
    title="The application does not take its connections: the accept queue is full",
    says="The accept queue of {backend} overflows: {waiting} connections wait and {dropped} were dropped just now.",
    means="New connections are dropped and tried again after 1, 3 and 7 seconds, or time out.",
    symptom="Connects take 1, 3 or 7 seconds or time out under load, and the network is well.",
    apart="With packet loss the counter ListenOverflows stands still.",
    mend="Find out why the application is slow to accept (it hangs, or has too few workers); then more replicas or "
    "a longer backlog.",
    explains=("backend-partly-dead",),
)

NETSTAT = "/proc/net/netstat"


@explains(Hop.BACKENDS, ACCEPT_QUEUE)
def accept_queue_overflow(look: Look, asked: Question) -> Finding | None:
    """The listener's queue is in use, and the overflow counter of the Pod moves with a connect of ours."""
    attempts = tried(look, asked)
    lost = [b for b, attempt in attempts if attempt.outcome is End.TIMED_OUT and b.protocol == "TCP" and b.pod]
    for backend in lost[:2]:
        pod = look(asks.pod_named(asked.namespace, backend.pod))
        sockets = look.if_known(asks.sockets_of(pod)) if pod else None
        waiting = sum(s.backlog_used for s in sockets or () if s.port == backend.port and s.protocol == "TCP")
        if pod is None or not waiting:
            continue
        dropped = _dropped_by_our_connect(look, asked, pod, backend)
        if dropped <= 0:
            continue
        owner = owner_of(look, pod)
        return ACCEPT_QUEUE.confirmed(
            at=owner,
            backend=backend.label,
            waiting=waiting,
            dropped=dropped,
            saw=(
                f"{waiting} connections wait in the listener of {backend.label}",
                f"ListenOverflows of {pod.name}: +{dropped} during one connect, which timed out",
            ),
            effect=effect_on(attempts),
            fix=Fix(
                "replace the Pod that hangs",
                kubectl("delete", "pod", pod.name, namespace=pod.namespace),
                Risk.DISRUPTIVE,
                not_pasteable="" if owner.kind != "Pod" else "nothing makes this Pod again once it is deleted",
            ),
        )
    return None


def _dropped_by_our_connect(look: Look, asked: Question, pod: Pod, backend: Backend) -> int:
    """How far the overflow counter moved; the facts are asked for one after the other, so the connect lies between."""
    before = look(asks.file_in(pod, NETSTAT))
    look(asks.connect(client_pod(look, asked), backend.address, backend.port, attempt=9))
    after = look(asks.file_in(pod, NETSTAT, again=1))
    return counter(after, "TcpExt", "ListenOverflows") - counter(before, "TcpExt", "ListenOverflows")


def counter(text: str, group: str, name: str) -> int:
    """A counter of `/proc/net/netstat`: a line of names and one of values for each group; 0 where absent."""
    lines = [line.split() for line in text.splitlines() if line.startswith(group + ":")]
    return _value(zip(*lines[:2], strict=False), name) if len(lines) >= 2 else 0


def _value(pairs: Iterable[tuple[str, ...]], name: str) -> int:
    return next((int(pair[1]) for pair in pairs if pair[0] == name and pair[1].lstrip("-").isdecimal()), 0)
