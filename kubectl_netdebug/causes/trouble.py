"""Pods of a Service that are in trouble: which workload they belong to, and how much of the traffic that costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import live_pods
from kubectl_netdebug.causes.owners import owner_of
from kubectl_netdebug.model.finding import Effect, ObjectRef
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.event import Event
from kubectl_netdebug.model.objects.pod import Container, Pod, Termination
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.text import sanitise

STARTING = 60.0
"""Seconds in which a young Pod may be not ready without anybody worrying."""

RECENT = 600.0
"""Seconds for which a container that came back up is still counted as flapping."""

PULL_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
    }
)
START_REASONS = frozenset({"RunContainerError", "CreateContainerError", "StartError", "ContainerCannotRun"})
STUCK_REASONS = PULL_REASONS | START_REASONS | {"CrashLoopBackOff", "CreateContainerConfigError"}
"""What kubelet says of a container that is not merely on its way up."""

GONE = "unable to retrieve container logs"
"""What kubelet answers, with status 200, for a log that it has cleared away."""

Test = Callable[[Pod], "Container | None"]


@dataclass(frozen=True)
class Trouble:
    """The Pods of one workload that have the same trouble, with the container that has it in the first of them."""

    owner: ObjectRef
    pods: tuple[Pod, ...]
    container: Container
    live: int
    """Pods of the Service that serve or should, those without trouble included."""
    effect: Effect

    @property
    def pod(self) -> Pod:
        """The Pod to show."""
        return self.pods[0]

    @property
    def whose(self) -> str:
        """`Deployment web (2 of 3 Pods)`, or `Pod web`."""
        if self.owner.kind == "Pod":
            return f"Pod {self.owner.name}"
        return f"{self.owner.kind} {self.owner.name} ({len(self.pods)} of {self.live} Pods)"


def pods_behind(look: Look, asked: Question) -> tuple[Pod, ...]:
    """The Pods that the Service's selector means, or the one asked about; none that is finished or on its way out."""
    if asked.pod:
        pod = look(asks.pod_named(asked.namespace, asked.pod))
        return live_pods((pod,)) if pod else ()
    service = look(asks.the_service(asked))
    if service is None or not service.selector:
        return ()
    return live_pods(look(asks.pods_selected_by(service)))


def worst(look: Look, asked: Question, test: Test) -> Trouble | None:
    """The workload with the most Pods for which `test` names a container."""
    live = pods_behind(look, asked)
    by_owner: dict[ObjectRef, list[tuple[Pod, Container]]] = defaultdict(list)
    for pod in live:
        container = test(pod)
        if container is not None:
            by_owner[owner_of(look, pod)].append((pod, container))
    if not by_owner:
        return None
    owner, hits = max(by_owner.items(), key=lambda item: len(item[1]))
    effect = Effect.DEGRADES if any(pod.ready for pod in live) else Effect.BREAKS
    return Trouble(owner, tuple(pod for pod, _ in hits), hits[0][1], len(live), effect)


def serving(pod: Pod) -> tuple[Container, ...]:
    """The containers that run for the Pod's whole life: its own, and sidecars among the init containers."""
    return (*pod.containers, *(c for c in pod.init_containers if is_sidecar(c)))


def is_sidecar(container: Container) -> bool:
    """An init container that stays."""
    return container.restart_policy == "Always"


def container_path(pod: Pod, container: Container) -> str:
    """Where the container stands in the Pod spec."""
    part = "initContainers" if container in pod.init_containers else "containers"
    return f"{part}[{container.index}]"


def merely_starting(pod: Pod, now: datetime) -> bool:
    """So young that it may still be on its way to Ready, and nothing says that it is stuck."""
    if pod.age(now) >= STARTING:
        return False
    everything = (*pod.containers, *pod.init_containers)
    return not any(c.reason in STUCK_REASONS or c.restarts >= 2 for c in everything)


def keeps_ending(container: Container, now: datetime) -> bool:
    """Whether it is down after an end, or came back up only a moment ago and not for the first time."""
    if container.reason == "CrashLoopBackOff":
        return True
    if container.terminated is not None:
        return container.terminated.exit_code != 0 or container.restarts > 0
    ended = container.last.finished if container.last else None
    lately = ended is not None and (now - ended).total_seconds() < RECENT
    return container.state == "running" and container.restarts >= 2 and lately


def ending(container: Container) -> Termination | None:
    """How it ended last."""
    return container.terminated or container.last


def last_line(log: str, most: int = 160) -> str:
    """The last line of a log that says something, short enough to quote."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return sanitise(lines[-1], most) if lines else ""


def ending_log(look: Look, pod: Pod, container: Container) -> str:
    """What the container wrote before it ended; '' where that cannot be read.

    While it is down, its plain log is that of its last life. While it is up again, that may have been cleared away
    already, which kubelet says in the log's place; the life that is just beginning often complains likewise.
    """
    now = asks.log_of(pod, container.name)
    if container.state != "running":
        return look.if_known(now) or ""
    before = look.if_known(asks.log_of(pod, container.name, previous=True)) or ""
    return before if before and not before.startswith(GONE) else look.if_known(now) or ""


def about_container(event: Event, container: Container) -> bool:
    """Whether an event is about this container of its Pod."""
    return not event.field_path or f"{{{container.name}}}" in event.field_path
