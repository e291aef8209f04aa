"""Which phase of a connection is slow, and why: packets that get lost, a throttled application, a slow server."""

from __future__ import annotations

import re

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import Backend, client_pod
from kubectl_netdebug.causes.backends_reach import ACCEPT_QUEUE
from kubectl_netdebug.causes.outside_speed import REPEATED, Speed, measured
from kubectl_netdebug.causes.outside_way import is_outside
from kubectl_netdebug.causes.owners import is_patchable, owner_of, template_path
from kubectl_netdebug.causes.pods_speed import accepting, speed_of_pod
from kubectl_netdebug.causes.reach import container_for
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.talk import path_at
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Container, Pod
from kubectl_netdebug.model.question import Question

CPU_FILES = ("/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpu/cpu.stat")
"""Where a container finds its own counters, with control groups of version 2 and 1."""

PACKET_LOSS = Cause(
    code="slow-packet-loss",
    title="Packets get lost on the way",
    says="{bad} of {tries} connects from {pod} to {where} lost packets: {sent} first packets had to be sent again.",
    means="Lost first packets are sent again after 1, 3 and 7 seconds, so connections now and then take that long.",
    symptom="Varied delays of 1, 3 or 7 s, some timeouts; most requests are quick.",
    apart="A slow application lets connects through at once and makes the first byte wait.",
    mend="Look where packets are dropped between the two nodes: error counters of the links, dropping rules.",
    explains=("slow-first-byte",),
)


@explains(Hop.SPEED, PACKET_LOSS)
def packet_loss(look: Look, asked: Question) -> Finding | None:
    """Late or failed connects while the kernel's counter of repeated first packets rises."""
    speed, where = _measured(look, asked)
    if speed is None or not speed.lossy:
        return None
    client = client_pod(look, asked)
    late = sorted(f"{a.milliseconds / 1000:.1f} s" for a in speed.connects if a.milliseconds >= REPEATED)
    return PACKET_LOSS.confirmed(
        at=client.at,
        bad=speed.lost + speed.repeated,
        tries=speed.tries,
        pod=client.name,
        where=where,
        sent=speed.sent_again,
        effect=Effect.DEGRADES,
        saw=(f"late connects: {', '.join(late[:8]) or 'none'}", f"TCPSynRetrans of {client.name}: +{speed.sent_again}"),
    )


THROTTLED = Cause(
    code="slow-app-throttled",
    title="The application is throttled by its CPU limit",
    says="Container {container} of {pod} {slowly}: its CPU limit of {limit} throttles it.",
    means="The kernel stops the container for the rest of each 100 ms once its share is used up, so answers come late.",
    symptom="Connections come about at once and the first byte takes seconds, more so under load.",
    apart="With slow names or lost packets the time goes by before the connection; here it goes by after it.",
    mend="Raise the CPU limit, or have the application do less for each request.",
    explains=("slow-first-byte", "accept-queue-overflow"),
)


@explains(Hop.SPEED, THROTTLED)
def app_throttled(look: Look, asked: Question) -> Finding | None:
    """A slow first byte or a full queue, a CPU limit, and a counter of throttled periods that rises meanwhile."""
    backend, speed = accepting(look, asked), speed_of_pod(look, asked)
    if backend is None or speed is None or not (speed.slow or speed.full):
        return None
    pod = look(asks.pod_named(asked.namespace, backend.pod))
    container = container_for(pod, backend.port, backend.protocol) if pod else None
    limit = _limit(look, pod, container) if pod and container else ""
    if pod is None or container is None or not limit:
        return None
    rose = _throttled_during_a_request(look, asked, backend, pod, container)
    if rose <= 0:
        return None
    owner = owner_of(look, pod)
    path = f"containers[{container.index}].resources.limits.cpu"
    slowly = "does not take its connections in time"
    if speed.slow and speed.first_byte is not None:
        slowly = f"takes {speed.first_byte / 1000:.1f} s to answer while a connect takes {speed.connect:.0f} ms"
    return THROTTLED.confirmed(
        at=owner.at(template_path(owner, path)),
        container=container.name,
        pod=pod.name,
        slowly=slowly,
        limit=limit,
        effect=Effect.DEGRADES,
        saw=(speed.words, f"nr_throttled of {container.name}: +{rose} during one request"),
        fix=Fix(
            "raise the limit",
            kubectl("set", "resources", owner.short, "-c", container.name, "--limits=cpu=1", namespace=owner.namespace),
            Risk.DISRUPTIVE,
            not_pasteable="" if is_patchable(owner) else "the limits of this Pod cannot be changed so: make it again",
        ),
    )


def _throttled_during_a_request(look: Look, asked: Question, backend: Backend, pod: Pod, container: Container) -> int:
    """The facts are asked for one after the other, so the request lies between the two reads."""
    before = look.all_known([asks.file_in(pod, file, 0, container.name) for file in CPU_FILES])
    path = path_at(look, asked, backend) or "/"
    look.if_known(asks.http(client_pod(look, asked), backend.address, backend.port, path, attempt=7))
    after = look.all_known([asks.file_in(pod, file, 1, container.name) for file in CPU_FILES])
    return max(_throttled(b or "") - _throttled(a or "") for a, b in zip(before, after, strict=True))


def _throttled(text: str) -> int:
    found = re.search(r"^nr_throttled (\d+)$", text, re.M)
    return int(found[1]) if found else 0


def _limit(look: Look, pod: Pod, container: Container) -> str:
    raw = look.if_known(asks.raw_object("pods", pod.namespace, pod.name))
    for each in tree.entries(raw, "spec", "containers"):
        if tree.text(each, "name") == container.name:
            return tree.text(each, "resources", "limits", "cpu")
    return ""


@explains(Hop.SPEED, ACCEPT_QUEUE)
def queue_overflows_at_times(look: Look, asked: Question) -> Finding | None:
    """Some connects are late or fail, and the Pod counts connections that its full queue turned away."""
    backend, speed = accepting(look, asked), speed_of_pod(look, asked)
    if backend is None or speed is None or not speed.full:
        return None
    pod = look(asks.pod_named(asked.namespace, backend.pod))
    if pod is None:
        return None
    return ACCEPT_QUEUE.confirmed(
        at=owner_of(look, pod),
        backend=backend.label,
        waiting="too many",
        dropped=speed.overflowed,
        effect=Effect.DEGRADES,
        saw=(speed.words, f"ListenOverflows of {pod.name}: +{speed.overflowed} during {speed.tries} connects"),
    )


SLOW_SERVER = Cause(
    code="slow-first-byte",
    title="The server takes long to answer",
    says="{where} accepts in {connect} and takes {first} to send the first byte of its answer.",
    means="The network is not what is slow: names, connects and handshakes are quick, the server itself is not.",
    symptom="Requests take seconds although connections come about at once.",
    apart="With slow names the time goes by before the connect; with lost packets connects take 1, 3 or 7 s.",
    mend="Look into the server: its load, its CPU limit, what it waits for itself (a database, names, locks).",
    symptom_only=True,
)


@explains(Hop.SPEED, SLOW_SERVER)
def slow_first_byte(look: Look, asked: Question) -> Finding | None:
    """The wait for the first byte is long and everything before it short."""
    speed, where = _measured(look, asked)
    if speed is None or not speed.slow or speed.first_byte is None:
        return None
    at = ObjectRef("Host", "", asked.host) if asked.host else ObjectRef("Pod", asked.namespace, asked.pod)
    return SLOW_SERVER.confirmed(
        at=at,
        where=where,
        connect=f"{speed.connect:.0f} ms",
        first=f"{speed.first_byte / 1000:.1f} s",
        effect=Effect.DEGRADES,
        saw=speed.words,
    )


def _measured(look: Look, asked: Question) -> tuple[Speed | None, str]:
    if is_outside(asked):
        return measured(look, asked), f"{asked.host}:{asked.port}"
    backend = accepting(look, asked)
    return (speed_of_pod(look, asked), backend.label) if backend else (None, "")
