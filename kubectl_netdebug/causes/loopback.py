"""Finds the setting that binds an application to loopback, where it stands in plain sight in the arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.owners import EDITABLE, is_patchable, template_path
from kubectl_netdebug.model.command import Fix, json_patch, kubectl
from kubectl_netdebug.model.finding import ObjectRef
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Container, Pod

LOOPBACK = r"(?:127\.0\.0\.1|localhost|\[::1\]|::1)"

_BINDING_WORD = re.compile(r"bind|listen|host|addr|interface|(?:^|[-_.])ip(?:$|[-_.=])", re.IGNORECASE)

_WHOLE = re.compile(rf"^(?P<flag>--?[A-Za-z][\w.-]*=)?(?P<address>{LOOPBACK})$")


def rebind(look: Look, pod: Pod, owner: ObjectRef, container: Container, port: int) -> tuple[str, tuple[Fix, ...]]:
    """The field of the owner to change, and how.

    Only an argument that certainly is the listening address is rewritten: one that names loopback together with the
    port, or as the value of a flag that speaks of binding. Everything else is for the person to find.
    """
    template = f"containers[{container.index}]"
    raw = _container_of(look, owner, container)
    for key in ("args", "command"):
        for place, word in enumerate(tree.strings(raw, key)):
            before = tree.text(raw, key, place - 1) if place else ""
            changed = _rebound(word, before, port)
            if changed is not None:
                field = template_path(owner, f"{_list_of(raw, template)}.{key}[{place}]")
                return field, (_rewrite(owner, field, changed),)
    return template_path(owner, template), (_by_hand(pod, owner, container),)


def _container_of(look: Look, owner: ObjectRef, container: Container) -> Mapping[str, Any]:
    """The container as the owner's own object has it, with its place there; injected sidecars shift places in Pods."""
    resource = EDITABLE.get(owner.kind, "pods" if owner.kind == "Pod" else "")
    raw = look.if_known(asks.raw_object(resource, owner.namespace, owner.name)) if resource else None
    where = ("spec",) if owner.kind == "Pod" else ("spec", "template", "spec")
    for kind in ("containers", "initContainers"):
        for place, entry in enumerate(tree.entries(raw, *where, kind)):
            if tree.text(entry, "name") == container.name:
                return {**entry, "place": f"{kind}[{place}]"}
    return {}


def _list_of(raw: Mapping[str, Any], otherwise: str) -> str:
    return tree.text(raw, "place") or otherwise


def _rebound(word: str, before: str, port: int) -> str | None:
    """The argument with the address of all interfaces in it, or None where it may be something else."""
    with_port = re.compile(rf"(?<![\w.:/]){LOOPBACK}(?=:{port}(?!\d))")
    if len(with_port.findall(word)) == 1:
        return with_port.sub(lambda match: _everywhere(match[0]), word)
    whole = _WHOLE.match(word)
    if whole and _BINDING_WORD.search(whole["flag"] or before):
        return (whole["flag"] or "") + _everywhere(whole["address"])
    return None


def _everywhere(address: str) -> str:
    return {"[::1]": "[::]", "::1": "::"}.get(address, "0.0.0.0")


def _rewrite(owner: ObjectRef, field: str, changed: str) -> Fix:
    path = "/" + re.sub(r"\[(\d+)\]", r"/\1", field).replace(".", "/")
    operations = [{"op": "replace", "path": path, "value": changed}]
    return Fix(
        f"listen on all addresses: {changed if len(changed) < 60 else 'in that argument'}",
        json_patch(owner.kind.lower(), owner.name, operations, owner.namespace),
        not_pasteable="" if is_patchable(owner) else "a running Pod's arguments cannot be changed: recreate it",
    )


def _by_hand(pod: Pod, owner: ObjectRef, container: Container) -> Fix:
    if is_patchable(owner):
        command = kubectl("set", "env", owner.short, "-c", container.name, "HOST=0.0.0.0", namespace=owner.namespace)
        why = "HOST stands for the application's own setting; it may be an argument or a line of its configuration"
    else:
        command = kubectl("get", "pod", pod.name, "-o", "yaml", namespace=pod.namespace)
        why = "the application's own setting has to be found, and the Pod made anew"
    return Fix("bind the application to all addresses", command, not_pasteable=why)
