"""Containers that keep ending: by themselves, or because they need more memory than they may have."""

from __future__ import annotations

from datetime import datetime

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.owners import is_patchable, template_path
from kubectl_netdebug.causes.pod_schedule import quantity
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.revisions import last_change, undo
from kubectl_netdebug.causes.trouble import (
    START_REASONS,
    Trouble,
    container_path,
    ending,
    ending_log,
    keeps_ending,
    last_line,
    serving,
    worst,
)
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Container, Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.text import sanitise

OOM = "OOMKilled"

CRASHLOOP = Cause(
    code="pod-crashloop",
    title="The container keeps exiting",
    says="Container {container} of {whose} keeps exiting ({ending}).",
    means="Between two starts nothing listens in the Pod; kubelet waits longer each time, up to five minutes.",
    symptom="Restarts, CrashLoopBackOff; connections are refused, all of them or one in so many.",
    apart="A container that kubelet kills (a failing liveness probe) or the kernel (memory) does not end by itself.",
    mend="Read what it wrote before it ended; where the last change brought it, undo that.",
    explains=("endpoints-not-ready", "readiness-probe-wrong", "early-ready-no-probe", "backend-partly-dead"),
)


@explains(Hop.POD, CRASHLOOP, When.ALWAYS)
def crashloop(look: Look, asked: Question) -> Finding | None:
    """A container ends again and again by its own doing."""
    now = look(asks.now())
    trouble = worst(look, asked, lambda pod: _crashing(pod, now))
    if trouble is None:
        return None
    pod, container = trouble.pod, trouble.container
    line = last_line(ending_log(look, pod, container))
    return CRASHLOOP.confirmed(
        at=trouble.owner.at(template_path(trouble.owner, container_path(pod, container))),
        container=container.name,
        whose=trouble.whose,
        ending=_ending(container),
        effect=trouble.effect,
        saw=(
            f"{pod.name}/{container.name}: {container.restarts} restarts, {_ending(container)}",
            *([f"its last line: {line}"] if line else []),
        ),
        fixes=_crash_fixes(look, trouble, now),
    )


def _crashing(pod: Pod, now: datetime) -> Container | None:
    for container in serving(pod):
        if container.reason in START_REASONS:
            return container
        ended = ending(container)
        if ended and ended.reason != OOM and keeps_ending(container, now):
            return container
    return None


def _ending(container: Container) -> str:
    ended = ending(container)
    if container.reason in START_REASONS or ended is None:
        return f"{container.reason}: {sanitise(container.message, 160)}".rstrip(": ")
    detail = f": {last_line(ended.message)}" if ended.reason in START_REASONS and ended.message else ""
    return f"exit code {ended.exit_code}, {ended.reason or 'no reason given'}{detail}"


def _crash_fixes(look: Look, trouble: Trouble, now: datetime) -> tuple[Fix, ...]:
    pod, container = trouble.pod, trouble.container
    change = last_change(look, trouble.owner, pod)
    read = Fix(
        "read what it wrote before it ended",
        kubectl("logs", pod.name, "-c", container.name, "--previous", namespace=pod.namespace),
        Risk.READ_ONLY,
    )
    if change is None or not change.visible or not _never_ran_long(pod, container, now):
        return (read,)
    return (undo(trouble.owner, change), read)


def _never_ran_long(pod: Pod, container: Container, now: datetime) -> bool:
    """It has crashed ever since its Pod was made. The wait between restarts doubles up to five minutes."""
    return pod.age(now) < 600 + 420 * container.restarts


OOM_FLAPPING = Cause(
    code="pod-oom-flapping",
    title="The container is killed for want of memory",
    says="Container {container} of {whose} is OOM-killed again and again (limit {limit}, {restarts} restarts).",
    means="At each kill the Pod drops its connections and refuses new ones until it is back and ready.",
    symptom="Connections are reset or refused now and then, while the restart count rises.",
    apart="The last state says OOMKilled; a plain crash has a reason and an exit code of its own.",
    mend="Raise the memory limit, or make the app need less.",
    explains=(
        "pod-crashloop",
        "endpoints-not-ready",
        "readiness-probe-wrong",
        "early-ready-no-probe",
        "backend-partly-dead",
    ),
)

SMALLEST = 512 * 2**20
"""Bytes below which a raised limit is not worth trying."""


@explains(Hop.POD, OOM_FLAPPING, When.ALWAYS)
def oom_flapping(look: Look, asked: Question) -> Finding | None:
    """The kernel killed it for its memory limit, more than once or a moment ago."""
    now = look(asks.now())

    def flaps(pod: Pod) -> Container | None:
        return next((c for c in serving(pod) if (e := ending(c)) and e.reason == OOM and keeps_ending(c, now)), None)

    trouble = worst(look, asked, flaps)
    if trouble is None:
        return None
    pod, container = trouble.pod, trouble.container
    raw = look.if_known(asks.raw_object("pods", pod.namespace, pod.name)) or {}
    limit = next(
        (
            tree.text(c, "resources", "limits", "memory")
            for part in ("containers", "initContainers")
            for c in tree.entries(raw, "spec", part)
            if c.get("name") == container.name
        ),
        "",
    )
    field = f"{container_path(pod, container)}.resources.limits.memory"
    return OOM_FLAPPING.confirmed(
        at=trouble.owner.at(template_path(trouble.owner, field)),
        container=container.name,
        whose=trouble.whose,
        limit=limit or "none of its own",
        restarts=container.restarts,
        effect=trouble.effect,
        saw=f"{pod.name}/{container.name}: last state OOMKilled, {container.restarts} restarts",
        fix=_more_memory(trouble, limit),
    )


def _more_memory(trouble: Trouble, limit: str) -> Fix:
    pod, container, owner = trouble.pod, trouble.container, trouble.owner
    size = quantity(limit)
    if not size or not is_patchable(owner) or container in pod.init_containers:
        describe = kubectl("describe", "pod", pod.name, namespace=pod.namespace)
        return Fix("see its limits and the node's memory", describe, Risk.READ_ONLY)
    wanted = f"{int(max(4 * size, SMALLEST) / 2**20)}Mi"
    command = kubectl(
        *("set", "resources", owner.short, "-c", container.name, f"--limits=memory={wanted}"),
        namespace=owner.namespace,
    )
    return Fix(f"raise the memory limit from {limit} to {wanted}", command)
