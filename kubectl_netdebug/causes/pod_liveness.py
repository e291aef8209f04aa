"""Containers that kubelet restarts because a probe of theirs fails, although they would go on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.owners import is_patchable, template_path
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.trouble import Trouble, container_path, ending, keeps_ending, serving, worst
from kubectl_netdebug.model.command import Fix, Risk, kubectl, patch
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.event import Event
from kubectl_netdebug.model.objects.pod import Container, Pod, Probe
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.text import sanitise

LIVENESS_LOOP = Cause(
    code="liveness-restart-loop",
    title="Kubelet restarts the container because its liveness probe fails",
    says="Kubelet kills container {container} of {whose} again and again: its {probe} probe {why}.",
    means="At each kill the Pod drops its connections and refuses new ones until it is back and ready.",
    symptom="Connections are reset or refused in a rhythm; the restart count rises; exit code 137 or 143.",
    apart="The events say Killing; an app that ends by itself leaves none, and one out of memory is OOMKilled.",
    mend="Give the probe the time that the app needs, or ask what the app answers; a slow start wants a startup probe.",
    explains=("pod-crashloop", "endpoints-not-ready", "early-ready-no-probe", "backend-partly-dead"),
)

KILL_TO_END = 90.0
"""Seconds between kubelet's word that it kills and the end of the container: its grace period."""

_KILLING = re.compile(r"failed (liveness|startup) probe")
_SLOW = re.compile(r"deadline exceeded|timed? ?out|Client\.Timeout", re.I)


@explains(Hop.POD, LIVENESS_LOOP, When.ALWAYS)
def liveness_loop(look: Look, asked: Question) -> Finding | None:
    """Events say that kubelet ended it for a failing probe."""
    now = look(asks.now())

    def restarts(pod: Pod) -> Container | None:
        probed = (c for c in serving(pod) if c.liveness or c.startup)
        return next((c for c in probed if ending(c) and keeps_ending(c, now)), None)

    trouble = worst(look, asked, restarts)
    if trouble is None:
        return None
    pod, container = trouble.pod, trouble.container
    events = look(asks.events_about("Pod", pod.namespace, pod.name))
    kind = _killed_for(events, container)
    probe = container.startup if kind == "startup" else container.liveness
    if not kind or probe is None:
        return None
    said = next((e.message for e in reversed(events) if e.message.lower().startswith(f"{kind} probe failed")), "")
    return LIVENESS_LOOP.confirmed(
        at=trouble.owner.at(template_path(trouble.owner, f"{container_path(pod, container)}.{kind}Probe")),
        container=container.name,
        whose=trouble.whose,
        probe=kind,
        why=_why(said, probe),
        effect=trouble.effect,
        saw=(
            f"{pod.name}/{container.name}: {container.restarts} restarts",
            *([sanitise(said, 240)] if said else []),
        ),
        fixes=_fixes(look, trouble, kind, probe, said),
    )


def _killed_for(events: tuple[Event, ...], container: Container) -> str:
    """`liveness` or `startup` where kubelet's last kill of this container was for that probe and ended it, else ''."""
    ended = ending(container)
    for event in reversed(events):
        match = _KILLING.search(event.message)
        if event.reason == "Killing" and match and f"Container {container.name} " in event.message:
            if event.last is None or ended is None or ended.finished is None:
                return match[1]
            return match[1] if abs((ended.finished - event.last).total_seconds()) < KILL_TO_END else ""
    return ""


def _why(said: str, probe: Probe) -> str:
    if _SLOW.search(said):
        return f"gets no answer within {probe.timeout} s"
    status = re.search(r"statuscode: (\d+)", said)
    if status:
        return f"gets status {status[1]} for {probe.path}"
    if "refused" in said:
        return f"is refused on port {probe.port}"
    return "fails"


def _fixes(look: Look, trouble: Trouble, kind: str, probe: Probe, said: str) -> tuple[Fix, ...]:
    if not is_patchable(trouble.owner):
        describe = kubectl("describe", "pod", trouble.pod.name, namespace=trouble.pod.namespace)
        return (Fix("see the probe and its failures", describe, Risk.READ_ONLY),)
    if _SLOW.search(said):
        return (_more_time(trouble, kind, probe),)
    if kind == "startup":
        return (_more_tries(trouble, probe),)
    copied = _like_readiness(look, trouble)
    expects = str(probe.port) in {str(p) for port in trouble.container.ports for p in (port.port, port.name)}
    late = _start_slowly(look, trouble) if "refused" in said and expects else None
    return tuple(fix for fix in (copied, late, _take_out(trouble)) if fix)


def _more_time(trouble: Trouble, kind: str, probe: Probe) -> Fix:
    timeout, threshold = max(10, 5 * probe.timeout), max(3, probe.failure_threshold)
    change = {"timeoutSeconds": timeout, "failureThreshold": threshold}
    return Fix(
        f"wait {timeout} s for its answer instead of {probe.timeout} s", _patch(trouble, {f"{kind}Probe": change})
    )


def _more_tries(trouble: Trouble, probe: Probe) -> Fix:
    tries = max(30, 10 * probe.failure_threshold)
    return Fix(
        f"give it {tries * probe.period} s to start", _patch(trouble, {"startupProbe": {"failureThreshold": tries}})
    )


def _like_readiness(look: Look, trouble: Trouble) -> Fix | None:
    """Asks what the readiness probe asks, where that one is content and asks something else."""
    container = trouble.container
    spec = _raw_container(look, trouble)
    ready, live = _handler(spec, "readinessProbe"), _handler(spec, "livenessProbe")
    if not container.ready or not ready or ready == live:
        return None
    change = {**dict.fromkeys(live), **ready}
    return Fix("ask what the readiness probe asks, which is content", _patch(trouble, {"livenessProbe": change}))


def _start_slowly(look: Look, trouble: Trouble) -> Fix | None:
    """A startup probe of the same kind: liveness is judged only when the app has come up once."""
    handler = _handler(_raw_container(look, trouble), "livenessProbe")
    if not handler or trouble.container.startup:
        return None
    probe = {**handler, "failureThreshold": 30, "periodSeconds": 10}
    return Fix("give it up to 300 s to start listening", _patch(trouble, {"startupProbe": probe}))


def _take_out(trouble: Trouble) -> Fix:
    return Fix("take the probe out until it asks the right thing", _patch(trouble, {"livenessProbe": None}))


def _raw_container(look: Look, trouble: Trouble) -> Mapping[str, Any]:
    raw = look.if_known(asks.raw_object("pods", trouble.pod.namespace, trouble.pod.name)) or {}
    part = "initContainers" if trouble.container in trouble.pod.init_containers else "containers"
    return next((c for c in tree.entries(raw, "spec", part) if c.get("name") == trouble.container.name), {})


def _handler(spec: Mapping[str, Any], probe: str) -> dict[str, Any]:
    """What a probe does, without its times."""
    raw = tree.dig(spec, probe)
    kinds = ("httpGet", "tcpSocket", "grpc", "exec")
    return {kind: raw[kind] for kind in kinds if kind in raw} if isinstance(raw, Mapping) else {}


def _patch(trouble: Trouble, change: Mapping[str, Any]) -> Any:
    part = "initContainers" if trouble.container in trouble.pod.init_containers else "containers"
    body = {"spec": {"template": {"spec": {part: [{"name": trouble.container.name, **change}]}}}}
    return patch(trouble.owner.kind.lower(), trouble.owner.name, body, trouble.owner.namespace)
