"""Pods between serving and not serving: a gate that nobody opens, and Pods on their way out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import backends, backends_asked, client_pod, live_pods
from kubectl_netdebug.causes.owners import EDITABLE, is_patchable, owner_of, template_path
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.trouble import Trouble, worst
from kubectl_netdebug.model.command import Command, Fix, Risk, json_patch, kubectl, patch
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Container, Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.outcome import Outcome as End

GATE_UNMET = Cause(
    code="readiness-gate-unmet",
    title="A readiness gate is not open",
    says="All containers of {whose} are ready, but readiness gate {gate} is {state}.",
    means="A Pod with a closed gate is not Ready, so proxies send it nothing.",
    symptom="The Pod shows all containers ready and is not Ready; connections to the Service are refused.",
    apart="With a failing readiness probe, the containers themselves are not ready.",
    mend="Repair the controller that sets the condition (often a load balancer's), or take the gate out.",
    explains=("endpoints-not-ready",),
)


@explains(Hop.POD, GATE_UNMET)
def gate_unmet(look: Look, asked: Question) -> Finding | None:
    """The containers are ready, the Pod is not, and a gate of it is not True."""
    trouble = worst(look, asked, _kept_out)
    if trouble is None:
        return None
    pod = trouble.pod
    gate = _closed_gates(pod)[0]
    condition = pod.conditions.get(gate)
    state = f"{condition.status} ({condition.reason})".replace(" ()", "") if condition else "set by nobody"
    index = pod.readiness_gates.index(gate)
    return GATE_UNMET.confirmed(
        at=trouble.owner.at(template_path(trouble.owner, f"readinessGates[{index}].conditionType")),
        whose=trouble.whose,
        gate=gate,
        state=state,
        effect=trouble.effect,
        saw=f"{pod.name}: ContainersReady is True, Ready is False, {gate} is {state}",
        fix=_open_gate(trouble, gate),
    )


def _kept_out(pod: Pod) -> Container | None:
    containers = pod.conditions.get("ContainersReady")
    kept = containers is not None and containers.status == "True" and not pod.ready and _closed_gates(pod)
    return pod.containers[0] if kept and pod.containers else None


def _closed_gates(pod: Pod) -> list[str]:
    return [g for g in pod.readiness_gates if (c := pod.conditions.get(g)) is None or c.status != "True"]


def _open_gate(trouble: Trouble, gate: str) -> Fix:
    owner = trouble.owner
    if is_patchable(owner):
        closed = set(_closed_gates(trouble.pod))
        kept = [{"conditionType": g} for g in trouble.pod.readiness_gates if g not in closed]
        operation: dict[str, Any] = {"op": "replace", "path": "/spec/template/spec/readinessGates", "value": kept}
        title = f"take the gate out (or repair the controller that sets {gate})"
        return Fix(title, json_patch(owner.kind.lower(), owner.name, [operation], owner.namespace))
    body = json.dumps({"status": {"conditions": [{"type": gate, "status": "True"}]}}, separators=(",", ":"))
    command = Command(("patch", "pod", trouble.pod.name, "--subresource=status", "-p", body), owner.namespace)
    return Fix("open the gate by hand, which its controller should do", command)


ONLY_TERMINATING = Cause(
    code="endpoints-only-terminating",
    title="Only Pods that are being deleted stand behind the Service",
    says="Service {service} has no endpoint left but of Pods that are being deleted ({count}){why}.",
    means="Traffic goes to those that still serve; when the last of them has ended, connections are refused.",
    symptom="The Service still answers, or only just, and fails within the Pods' grace period.",
    apart="During a rollout, terminating Pods stand beside ready ones and get no new traffic.",
    mend="Have Pods that stay: scale up, roll out with maxSurge, and guard them with a PodDisruptionBudget.",
    explains=("workload-scaled-to-zero", "endpoints-not-ready"),
)


@explains(Hop.ENDPOINTS, ONLY_TERMINATING, When.ALWAYS)
def only_terminating(look: Look, asked: Question) -> Finding | None:
    """Every endpoint is terminating, and no Pod is on its way to replace them."""
    service, slices = look.together(asks.the_service(asked), asks.slices_of(asked))
    if service is None or not service.selector:
        return None
    found = {b.address: b for b in backends(service, slices, asked)}
    if not found or not all(b.endpoint.terminating for b in found.values()):
        return None
    pods = look(asks.pods_selected_by(service))
    leaving = [pod for pod in pods if pod.deleting]
    if live_pods(pods) or not leaving:
        return None
    owner = owner_of(look, leaving[0])
    wanted = _replicas(look, owner)
    serving = [b for b in found.values() if b.endpoint.serving]
    return ONLY_TERMINATING.confirmed(
        at=owner.at("spec.replicas") if owner.kind != "Pod" else owner,
        count=len(found),
        service=service.name,
        why=f"; {owner.kind} {owner.name} is scaled to 0" if wanted == 0 else "",
        effect=Effect.DEGRADES if serving else Effect.BREAKS,
        saw=f"endpoints: {len(found)} terminating, {len(serving)} of them still serving, none else",
        fix=_have_pods(owner, leaving, wanted),
    )


def _replicas(look: Look, owner: ObjectRef) -> int | None:
    if owner.kind not in EDITABLE:
        return None
    raw = look.if_known(asks.raw_object(EDITABLE[owner.kind], owner.namespace, owner.name))
    return tree.number(raw, "spec", "replicas", default=1) if raw else None


def _have_pods(owner: ObjectRef, leaving: list[Pod], wanted: int | None) -> Fix:
    if wanted == 0 and owner.kind in ("Deployment", "StatefulSet"):
        command = kubectl("scale", owner.short, f"--replicas={max(2, len(leaving))}", namespace=owner.namespace)
        return Fix("scale it up again", command)
    watch = kubectl("get", "pods", "--watch", namespace=owner.namespace)
    return Fix("watch whether new Pods come", watch, Risk.READ_ONLY)


ROLLOUT_RESETS = Cause(
    code="rollout-resets",
    title="Pods stop serving the moment they are deleted",
    says="Container {container} of {owner} stops serving within {seconds} s of its Pod's deletion; it has no preStop.",
    means="Proxies need a moment to forget a deleted Pod; connections that come in that moment are refused or reset, "
    "at each rollout and each scale-down.",
    symptom="Bursts of refused or reset connections (502 behind an Ingress) whenever Pods are replaced.",
    apart="Between rollouts all is well; with a crash, Pods that nobody deletes fail.",
    mend="Let the container go on serving for a while: a preStop sleep, or the same in the app at SIGTERM.",
)

AT_ONCE = 10.0
"""Seconds after the deletion began in which proxies may still send traffic to the Pod."""


@explains(Hop.BACKENDS, ROLLOUT_RESETS, When.ALWAYS)
def rollout_resets(look: Look, asked: Question) -> Finding | None:
    """A Pod whose deletion has just begun, beside others that serve, refuses connections already."""
    service = look(asks.the_service(asked))
    if service is None or not service.selector:
        return None
    pods = look(asks.pods_selected_by(service))
    if not any(pod.ready for pod in live_pods(pods)):
        return None
    ports = {s.target for s in service.ports} | {str(s.port) for s in service.ports if not s.target}
    for pod in (p for p in pods if p.deleting):
        container = next((c for c in pod.containers if _serves(pod, c, ports)), None)
        seconds = _leaving_for(look, pod)
        if container is None or container.has_pre_stop or not 0 <= seconds <= AT_ONCE:
            continue
        behind = next((b for b in backends_asked(look, asked) if b.pod == pod.name and b.protocol == "TCP"), None)
        if behind and look(asks.connect(client_pod(look, asked), behind.address, behind.port)).outcome is End.REFUSED:
            return _resets(look, pod, container, seconds)
    return None


def _serves(pod: Pod, container: Container, ports: set[str]) -> bool:
    declared = {str(p.port) for p in container.ports} | {p.name for p in container.ports}
    return bool(declared & ports) or len(pod.containers) == 1


def _leaving_for(look: Look, pod: Pod) -> float:
    """Seconds since the deletion began, -1 where unknown; `deletionTimestamp` is when the grace period ends."""
    raw = look.if_known(asks.raw_object("pods", pod.namespace, pod.name))
    ends = tree.when(raw, "metadata", "deletionTimestamp")
    if ends is None:
        return -1.0
    began = ends - timedelta(seconds=tree.number(raw, "metadata", "deletionGracePeriodSeconds"))
    return max(0.0, (look(asks.now()) - began).total_seconds())


def _resets(look: Look, pod: Pod, container: Container, seconds: float) -> Finding:
    owner = owner_of(look, pod)
    change: Mapping[str, Any] = {"name": container.name, "lifecycle": {"preStop": {"sleep": {"seconds": 10}}}}
    body = {"spec": {"template": {"spec": {"containers": [change]}}}}
    fix = (
        Fix("serve for 10 s more", patch(owner.kind.lower(), owner.name, body, owner.namespace))
        if is_patchable(owner)
        else None
    )
    return ROLLOUT_RESETS.confirmed(
        at=owner.at(template_path(owner, f"containers[{container.index}].lifecycle.preStop")),
        container=container.name,
        owner=f"{owner.kind} {owner.name}",
        seconds=f"{seconds:.0f}",
        effect=Effect.DEGRADES,
        saw=f"{pod.name} refuses connections {seconds:.0f} s after its deletion began; {container.name} has no preStop",
        fix=fix,
    )
