"""Containers that cannot be made because something their Pod refers to is missing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.owners import is_patchable, template_path
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.revisions import undo_of
from kubectl_netdebug.causes.trouble import Trouble, worst
from kubectl_netdebug.model.command import Fix, json_patch, kubectl
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Container, Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.text import sanitise

CONFIG_ERROR = Cause(
    code="pod-config-error",
    title="A ConfigMap or Secret that the Pod refers to is missing",
    says="{missing}, so container {container} of {whose} cannot start.",
    means="The container is never made, so its Pod takes no traffic.",
    symptom="The Pod waits in CreateContainerConfigError, or in ContainerCreating with FailedMount events.",
    apart="ContainerCreating with FailedCreatePodSandBox events is the network plugin.",
    mend="Create what is missing, or correct the reference in the Pod template.",
    explains=("endpoints-not-ready",),
)

PLURALS = {"ConfigMap": "configmaps", "Secret": "secrets"}


@dataclass(frozen=True)
class _Missing:
    """A whole object, or (with `key`) one entry of it."""

    kind: str
    name: str
    key: str
    said: str

    @property
    def words(self) -> str:
        """For the summary."""
        if not self.name:
            return f"Its configuration is refused ({self.said})"
        whole = f"{self.kind} {self.name}"
        return f"{whole} has no key {self.key}" if self.key else f"{whole} does not exist"


@dataclass(frozen=True)
class _Reference:
    """One mention of a ConfigMap or Secret in a Pod spec; `path` leads to the name (or key) in it."""

    path: tuple[str | int, ...]
    kind: str
    name: str
    key: str

    @property
    def field(self) -> str:
        """As people write it: `containers[0].envFrom[0].configMapRef.name`."""
        return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in self.path).lstrip(".")

    @property
    def pointer(self) -> str:
        """As a JSON pointer."""
        return "".join(f"/{p}" for p in self.path)


@explains(Hop.POD, CONFIG_ERROR)
def config_error(look: Look, asked: Question) -> Finding | None:
    """Kubelet says in the container's status that it lacks something."""
    trouble = worst(look, asked, _cannot_be_made)
    return _finding(look, trouble, _read(trouble.container.message)) if trouble else None


@explains(Hop.POD, CONFIG_ERROR)
def mount_error(look: Look, asked: Question) -> Finding | None:
    """Kubelet says in an event that it cannot mount what the Pod refers to."""
    trouble = worst(look, asked, _is_being_made)
    if trouble is None:
        return None
    events = look(asks.events_about("Pod", trouble.pod.namespace, trouble.pod.name))
    failed = [missing for e in events if e.reason == "FailedMount" and (missing := _read(e.message)).name]
    return _finding(look, trouble, failed[-1]) if failed else None


def _cannot_be_made(pod: Pod) -> Container | None:
    everything = (*pod.init_containers, *pod.containers)
    return next((c for c in everything if c.reason == "CreateContainerConfigError"), None)


def _is_being_made(pod: Pod) -> Container | None:
    waiting = [c for c in pod.containers if c.reason in ("ContainerCreating", "PodInitializing")]
    return waiting[0] if waiting and pod.node else None


_PATTERNS = (
    re.compile(r"couldn't find key (?P<key>\S+) in (?P<kind>ConfigMap|Secret) (?:[^/\s]+/)?(?P<name>\S+)", re.I),
    re.compile(r"(?P<kind>configmap|secret) \"(?P<name>[^\"]+)\" not found", re.I),
    re.compile(r"(?P<kind>configmap|secret) references non-existent (?:config|secret) key: (?P<key>\S+)", re.I),
    re.compile(r"references non-existent (?P<kind>config|secret) key: (?P<key>\S+)", re.I),
)


def _read(message: str) -> _Missing:
    """What kubelet's message says is missing; an empty name where it is about something else."""
    for pattern in _PATTERNS:
        match = pattern.search(message)
        if match:
            parts = match.groupdict()
            kind = "Secret" if parts["kind"].lower() == "secret" else "ConfigMap"
            return _Missing(kind, parts.get("name") or "?", parts.get("key") or "", message)
    return _Missing("", "", "", sanitise(message, 160))


def _finding(look: Look, trouble: Trouble, missing: _Missing) -> Finding:
    raw = look.if_known(asks.raw_object("pods", trouble.pod.namespace, trouble.pod.name)) or {}
    references = tuple(_references(tree.dig(raw, "spec") or {}))
    reference = next((r for r in references if _meant(r, missing)), None)
    if reference and missing.name == "?":
        missing = _Missing(missing.kind, reference.name, missing.key, missing.said)
    return CONFIG_ERROR.confirmed(
        at=trouble.owner.at(template_path(trouble.owner, reference.field if reference else "containers")),
        missing=missing.words,
        container=trouble.container.name,
        whose=trouble.whose,
        effect=trouble.effect,
        saw=f"{trouble.pod.name}: {sanitise(missing.said, 240)}",
        fixes=_fixes(look, trouble, missing, reference),
    )


def _meant(reference: _Reference, missing: _Missing) -> bool:
    same_name = missing.name in ("?", reference.name)
    return reference.kind == missing.kind and same_name and (not missing.key or reference.key == missing.key)


def _references(spec: Mapping[str, Any]) -> Iterator[_Reference]:
    """Every mention of a ConfigMap or Secret, with the path of the part that would have to change."""
    for part in ("initContainers", "containers"):
        for i, container in enumerate(tree.entries(spec, part)):
            yield from _of_container((part, i), container)
    for i, volume in enumerate(tree.entries(spec, "volumes")):
        yield from _of_source(("volumes", i), volume, "secretName")
        for j, source in enumerate(tree.entries(volume, "projected", "sources")):
            yield from _of_source(("volumes", i, "projected", "sources", j), source, "name")


def _of_container(base: tuple[str | int, ...], container: Mapping[str, Any]) -> Iterator[_Reference]:
    for i, source in enumerate(tree.entries(container, "envFrom")):
        for kind, ref in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            if tree.text(source, ref, "name"):
                yield _Reference((*base, "envFrom", i, ref, "name"), kind, tree.text(source, ref, "name"), "")
    for i, variable in enumerate(tree.entries(container, "env")):
        for kind, ref in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
            name, key = (tree.text(variable, "valueFrom", ref, what) for what in ("name", "key"))
            if name:
                path = (*base, "env", i, "valueFrom", ref)
                yield _Reference((*path, "name"), kind, name, "")
                yield _Reference((*path, "key"), kind, name, key)


def _of_source(base: tuple[str | int, ...], source: Mapping[str, Any], secret_name: str) -> Iterator[_Reference]:
    for kind, part, field in (("ConfigMap", "configMap", "name"), ("Secret", "secret", secret_name)):
        name = tree.text(source, part, field)
        if name:
            yield _Reference((*base, part, field), kind, name, "")
            for i, item in enumerate(tree.entries(source, part, "items")):
                yield _Reference((*base, part, "items", i, "key"), kind, name, tree.text(item, "key"))


def _fixes(look: Look, trouble: Trouble, missing: _Missing, reference: _Reference | None) -> tuple[Fix, ...]:
    def mentioned(spec: Mapping[str, Any]) -> bool:
        return any(_meant(r, missing) for r in _references(spec))

    undone = undo_of(look, trouble.owner, trouble.pod, mentioned) if missing.name else None
    nearest = _nearest(look, trouble, missing) if reference and not undone else ""
    correct = _refer_to(trouble, reference, nearest) if reference and nearest else None
    return tuple(fix for fix in (undone, correct, _create(trouble, missing)) if fix)


def _nearest(look: Look, trouble: Trouble, missing: _Missing) -> str:
    """An existing name (or key) so close to the missing one that it was surely meant."""
    if missing.kind not in PLURALS:
        return ""
    plural, namespace = PLURALS[missing.kind], trouble.pod.namespace
    if missing.key:
        raw = look.if_known(asks.raw_object(plural, namespace, missing.name))
        there = [str(key) for key in (tree.dig(raw, "data") or {})]
    else:
        there = [tree.text(o, "metadata", "name") for o in look.if_known(asks.objects_in(plural, namespace)) or ()]
    return next(iter(difflib.get_close_matches(missing.key or missing.name, there, n=1, cutoff=0.8)), "")


def _refer_to(trouble: Trouble, reference: _Reference, nearest: str) -> Fix | None:
    if not is_patchable(trouble.owner):
        return None
    owner = trouble.owner
    operation = {"op": "replace", "path": f"/spec/template/spec{reference.pointer}", "value": nearest}
    return Fix(f"refer to {nearest}", json_patch(owner.kind.lower(), owner.name, [operation], owner.namespace))


def _create(trouble: Trouble, missing: _Missing) -> Fix | None:
    why = "only you know what belongs in it"
    namespace = trouble.pod.namespace
    if not missing.name:
        return None
    if missing.key:
        field = "data" if missing.kind == "ConfigMap" else "stringData"
        body = f'{{"{field}":{{"{missing.key}":"VALUE"}}}}'
        command = kubectl("patch", missing.kind.lower(), missing.name, "-p", body, namespace=namespace)
        return Fix(f"add the key {missing.key}", command, not_pasteable=why)
    kind = ("secret", "generic") if missing.kind == "Secret" else ("configmap",)
    command = kubectl("create", *kind, missing.name, "--from-literal=KEY=VALUE", namespace=namespace)
    return Fix(f"create {missing.kind} {missing.name}", command, not_pasteable=why)
