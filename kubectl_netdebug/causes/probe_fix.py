"""What a readiness probe should ask instead: found by looking and asking, never guessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.owners import EDITABLE, is_patchable
from kubectl_netdebug.model.command import Fix, Risk, json_patch, kubectl
from kubectl_netdebug.model.finding import ObjectRef
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Container, Pod
from kubectl_netdebug.model.question import Question

if TYPE_CHECKING:
    from kubectl_netdebug.causes.probes import Failing

PATHS = ("/healthz", "/health", "/ready", "/readyz", "/livez", "/status", "/")
"""Where applications usually tell their health, the most telling first."""


@dataclass(frozen=True)
class Remedy:
    """What is wrong with a probe: the field below `readinessProbe`, what it asks, what is there, the right value."""

    field: str
    asks: str
    instead: str
    sure: bool
    value: str | int | None = None
    saw: tuple[str, ...] = ()


def find_port(
    look: Look, asked: Question, failing: Failing, asks_for: str, instead: str, listening: list[int] | None = None
) -> Remedy:
    """The port that the Service sends to, where the application listens there; else its only port."""
    if listening is None:
        found = look.if_known(asks.sockets_of(failing.pod)) if look.if_known(asks.may_probe()) else None
        listening = sorted({s.port for s in found or () if s.protocol == "TCP" and s.reachable_at(failing.pod.ip)})
    wanted = _served(look, asked, failing) & set(listening)
    candidates = sorted(wanted) or listening
    value = candidates[0] if len(candidates) == 1 else None
    kind = {"http": "httpGet", "tcp": "tcpSocket"}[failing.probe.kind]
    return Remedy(f"{kind}.port", asks_for, instead, True, value)


def _served(look: Look, asked: Question, failing: Failing) -> set[int]:
    """Ports of this Pod that the Service leads to."""
    service = look(asks.the_service(asked))
    named = {p.name: p.port for p in failing.container.ports if p.name}
    ports = service.ports if service else ()
    numbers = (p.target_number if p.target_number is not None else named.get(p.target) for p in ports)
    return {number for number in numbers if number is not None}


def find_path(look: Look, asked: Question, failing: Failing, status: int) -> Remedy:
    """The first of the usual paths that answers with success; the paths of the container's other probes come first."""
    path, port = failing.probe.path, failing.port or 0
    others = [
        p.path
        for p in (failing.container.startup, failing.container.liveness)
        if p and p.kind == "http" and p.port == failing.probe.port
    ]
    value, saw = None, ""
    if failing.probe.scheme == "HTTP" and look.if_known(asks.may_probe()):
        client = client_pod(look, asked)
        candidates = [p for p in dict.fromkeys((*others, *PATHS)) if p != path]
        answers = look.all_known([asks.http(client, failing.pod.ip, port, p) for p in candidates])
        tried = [(p, a) for p, a in zip(candidates, answers, strict=True) if a is not None]
        value = next((p for p, a in tried if a.good), None)
        saw = "; ".join(f"GET {p}: {a.words}" for p, a in tried if a.good)
    instead = f"the application answers {value}" if value else f"the application answers that with {status}"
    sure = status in (404, 410) or value is not None
    return Remedy("httpGet.path", f"{path} on port {failing.probe.port}", instead, sure, value, (saw,) if saw else ())


def change_probe(look: Look, pod: Pod, owner: ObjectRef, container: Container, remedy: Remedy) -> tuple[Fix, ...]:
    """The patch of the workload's template, and for a StatefulSet what else it takes to get past the stuck Pod."""
    operation = _operation(look, owner, container, remedy)
    fix = Fix(
        f"ask for {remedy.value}" if remedy.value is not None else "correct the probe",
        json_patch(owner.kind.lower(), owner.name, [operation], owner.namespace),
        Risk.REVERSIBLE,
        not_pasteable=_obstacle(owner, remedy),
    )
    if owner.kind != "StatefulSet":
        return (fix,)
    delete = kubectl("delete", "pod", pod.name, namespace=pod.namespace)
    return (fix, Fix("then replace the Pod that never became Ready, which holds up the rest", delete, Risk.DISRUPTIVE))


def _obstacle(owner: ObjectRef, remedy: Remedy) -> str:
    if not is_patchable(owner):
        return "the probe of a running Pod cannot be changed: correct its manifest and recreate it"
    return "" if remedy.value is not None else "what the probe should ask for could not be found out"


def _operation(look: Look, owner: ObjectRef, container: Container, remedy: Remedy) -> dict[str, Any]:
    base = "" if owner.kind == "Pod" else "/template/spec"
    place = _place(look, owner, container)
    path = f"/spec{base}/{place}/readinessProbe/{remedy.field.replace('.', '/')}"
    value = remedy.value if remedy.value is not None else "…"
    return {"op": "add", "path": path, "value": value}


def _place(look: Look, owner: ObjectRef, container: Container) -> str:
    """The container's place in the owner's template: injected sidecars shift places in Pods."""
    resource = EDITABLE.get(owner.kind)
    raw = look.if_known(asks.raw_object(resource, owner.namespace, owner.name)) if resource else None
    for kind in ("containers", "initContainers"):
        for place, entry in enumerate(tree.entries(raw, "spec", "template", "spec", kind)):
            if tree.text(entry, "name") == container.name:
                return f"{kind}/{place}"
    return f"containers/{container.index}"
