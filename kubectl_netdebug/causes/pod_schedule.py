"""Pods that no node takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.owners import is_patchable, template_path
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.revisions import undo_of
from kubectl_netdebug.causes.trouble import STARTING, Trouble, worst
from kubectl_netdebug.model.command import Fix, Risk, json_patch, kubectl, patch
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.node import Node
from kubectl_netdebug.model.objects.pod import Container, Pod
from kubectl_netdebug.model.question import Question

UNSCHEDULED = Cause(
    code="pod-unscheduled",
    title="No node takes the Pod",
    says="{whose}: not scheduled: {message}",
    means="A Pod without a node never starts, so it takes no traffic; with no other Pod, connections are refused.",
    symptom="The Pod stays Pending and has no node; the Service has too few endpoints, or none.",
    apart="A Pod that hangs in ContainerCreating has a node already: that is the network plugin, a volume or an image.",
    mend="Do what the scheduler's message says: make room, uncordon, tolerate the taint, or correct the constraint.",
    explains=("endpoints-not-ready",),
)

_PARTS = ("nodeSelector", "affinity", "tolerations", "topologySpreadConstraints", "schedulerName", "volumes")


@explains(Hop.POD, UNSCHEDULED)
def unscheduled(look: Look, asked: Question) -> Finding | None:
    """The scheduler says why, in a condition that stays; where it says nothing for long, nobody schedules."""
    now = look(asks.now())

    def waits(pod: Pod) -> Container | None:
        condition = pod.conditions.get("PodScheduled")
        refused = condition is not None and condition.status == "False"
        ignored = condition is None and pod.age(now) >= STARTING
        waiting = pod.phase == "Pending" and not pod.node and (refused or ignored)
        return pod.containers[0] if waiting and pod.containers else None

    trouble = worst(look, asked, waits)
    if trouble is None:
        return None
    raw = look.if_known(asks.raw_object("pods", trouble.pod.namespace, trouble.pod.name)) or {}
    spec = tree.dig(raw, "spec") or {}
    condition = trouble.pod.conditions.get("PodScheduled")
    if condition is None:
        return _nobody_schedules(trouble, spec)
    message = _short(condition.message) or condition.reason
    return UNSCHEDULED.confirmed(
        at=trouble.owner.at(template_path(trouble.owner, _field(condition.message, condition.reason, spec))),
        whose=trouble.whose,
        message=message,
        effect=trouble.effect,
        saw=f"{trouble.pod.name}: PodScheduled is False ({condition.reason}), no node",
        fixes=_fixes(look, trouble, condition.message, spec),
    )


def _nobody_schedules(trouble: Trouble, spec: Mapping[str, Any]) -> Finding:
    scheduler = tree.text(spec, "schedulerName") or "default-scheduler"
    return UNSCHEDULED.likely(
        at=trouble.owner.at(template_path(trouble.owner, "schedulerName")),
        whose=trouble.whose,
        message=f"no scheduler has looked at it; it waits for {scheduler}",
        effect=trouble.effect,
        saw=f"{trouble.pod.name} has neither a node nor a PodScheduled condition",
        fix=Fix(
            "see which schedulers are alive",
            kubectl("get", "leases", namespace="kube-system"),
            Risk.READ_ONLY,
        ),
    )


def _field(message: str, reason: str, spec: Mapping[str, Any]) -> str:
    """The field of the Pod spec that the message is about."""
    if reason == "SchedulingGated":
        return "schedulingGates"
    if "affinity/selector" in message:
        return "nodeSelector" if tree.labels(spec, "nodeSelector") else "affinity"
    if "Insufficient" in message:
        return "containers[0].resources.requests"
    if "taint" in message:
        return "tolerations"
    if "PersistentVolumeClaim" in message or "persistentvolumeclaim" in message:
        return "volumes"
    return ""


def _short(message: str) -> str:
    """The scheduler's message without what it says about preemption."""
    return re.split(r"\s*(?:no new claims to deallocate|preemption:)", message)[0].strip(" ,.")


def _fixes(look: Look, trouble: Trouble, message: str, spec: Mapping[str, Any]) -> tuple[Fix, ...]:
    nodes = look.if_known(asks.nodes()) or ()
    undone = undo_of(look, trouble.owner, trouble.pod, _placement)
    wanted = (
        undone,
        _drop_selector(trouble, nodes, spec) if "affinity/selector" in message else None,
        _lower_requests(look, trouble, message, spec) if "Insufficient" in message else None,
        _uncordon(nodes) if "unschedulable" in message else None,
        _tolerate(trouble, message, spec) if "untolerated taint" in message else None,
    )
    describe = kubectl("describe", "pod", trouble.pod.name, namespace=trouble.pod.namespace)
    found = tuple(fix for fix in wanted if fix)
    return found or (Fix("read what the scheduler says of each node", describe, Risk.READ_ONLY),)


def _placement(spec: Mapping[str, Any]) -> list[Any]:
    """What of a Pod spec decides where it may run."""
    requests = [tree.dig(c, "resources", "requests") for c in tree.entries(spec, "containers")]
    ports = [tree.number(p, "hostPort") for c in tree.entries(spec, "containers") for p in tree.entries(c, "ports")]
    return [requests, ports, *(spec.get(part) for part in _PARTS)]


def _drop_selector(trouble: Trouble, nodes: tuple[Node, ...], spec: Mapping[str, Any]) -> Fix | None:
    """Takes those labels out of the node selector that no node carries."""
    selector = tree.labels(spec, "nodeSelector")
    absent = sorted(k for k, v in selector.items() if not any(node.labels.get(k) == v for node in nodes))
    if not absent or not nodes or not is_patchable(trouble.owner):
        return None
    body = {"spec": {"template": {"spec": {"nodeSelector": dict.fromkeys(absent)}}}}
    said = ", ".join(f"{k}={selector[k]}" for k in absent)
    return Fix(
        f"stop asking for a node with {said}, which none has",
        patch(trouble.owner.kind.lower(), trouble.owner.name, body, trouble.owner.namespace),
    )


def _lower_requests(look: Look, trouble: Trouble, message: str, spec: Mapping[str, Any]) -> Fix | None:
    """Asks for a tenth of the largest node where the request fits on none at all."""
    named = re.search(r"Insufficient (cpu|memory)", message)
    if named is None or not is_patchable(trouble.owner):
        return None
    resource = named[1]
    sizes = [
        quantity(tree.text(raw, "status", "allocatable", resource))
        for raw in look.if_known(asks.objects_in("nodes", "")) or ()
    ]
    asking = {
        tree.text(c, "name"): quantity(tree.text(c, "resources", "requests", resource))
        for c in tree.entries(spec, "containers")
    }
    greedy = max(asking, key=lambda name: asking[name], default="")
    largest = max(sizes, default=0.0)
    if not greedy or not largest or asking[greedy] <= largest:
        return None
    tenth = f"{int(largest * 100)}m" if resource == "cpu" else f"{int(largest / 10 / 2**20)}Mi"
    command = kubectl(
        *("set", "resources", trouble.owner.short, "-c", greedy, f"--requests={resource}={tenth}"),
        namespace=trouble.owner.namespace,
    )
    return Fix(f"ask for {resource} that a node has (the largest has {largest:g})", command)


_UNITS = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def quantity(written: str) -> float:
    """A Kubernetes quantity (`250m`, `512Mi`, `2`, `1e3`) as a number; 0 for anything else."""
    match = re.fullmatch(r"([0-9.]+(?:e[0-9]+)?)([mkMGT]|[KMGT]i)?", written)
    try:
        return float(match[1]) * _UNITS.get(match[2] or "", 1.0) if match else 0.0
    except ValueError:
        return 0.0


def _uncordon(nodes: tuple[Node, ...]) -> Fix | None:
    cordoned = [node.name for node in nodes if node.unschedulable]
    if not cordoned:
        return None
    return Fix("let Pods onto the cordoned nodes again", kubectl("uncordon", *cordoned))


def _tolerate(trouble: Trouble, message: str, spec: Mapping[str, Any]) -> Fix | None:
    """Tolerates the taint that the message names, unless it says that the node itself is unwell."""
    taint = re.search(r"untolerated taint(?:\(s\))? \{([^:}]+):\s*([^}]*)\}", message)
    if taint is None or taint[1].startswith("node.kubernetes.io/") or not is_patchable(trouble.owner):
        return None
    key, value = taint[1].strip(), taint[2].strip()
    entry = {"key": key, "operator": "Equal", "value": value} if value else {"key": key, "operator": "Exists"}
    owner = trouble.owner
    base = "/spec/template/spec/tolerations"
    there = [t for t in tree.entries(spec, "tolerations") if not tree.text(t, "key").startswith("node.kubernetes.io/")]
    operation = {"op": "add", "path": base, "value": [*there, entry]}
    return Fix(
        f"tolerate the taint {key}{'=' + value if value else ''}",
        json_patch(owner.kind.lower(), owner.name, [operation], owner.namespace),
    )
