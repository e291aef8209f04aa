"""Pods whose containers cannot begin: an image that cannot be had, an init container that does not end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.owners import template_path
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.revisions import undo_of
from kubectl_netdebug.causes.trouble import (
    PULL_REASONS,
    STARTING,
    Trouble,
    about_container,
    container_path,
    ending_log,
    is_sidecar,
    last_line,
    worst,
)
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Container, Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.text import sanitise

IMAGE_PULL = Cause(
    code="pod-image-pull",
    title="The image cannot be pulled",
    says="Image {image} of {whose} cannot be pulled: {why}.",
    means="The container never starts, so its Pod takes no traffic.",
    symptom="The Pod waits in ErrImagePull or ImagePullBackOff.",
    apart="The node pulls images, with the node's own resolver and routes: the Pod's network plays no part.",
    mend="Correct the image, give the Pod a pull secret, or mend the node's way to the registry.",
    explains=("endpoints-not-ready",),
)

_PULL_ERRORS = (
    (r"ErrImageNeverPull|pull policy of Never", "it is not on the node, and imagePullPolicy is Never"),
    (r"InvalidImageName|couldn't parse image|invalid reference format", "the name is not a valid image name"),
    (
        r"no such host|i/o timeout|connection refused|unreachable|server misbehaving|deadline|x509|tls:|dial tcp",
        "the node cannot reach the registry",
    ),
    (r"toomanyrequests|429|rate limit", "the registry limits the rate of pulls"),
    (r"unauthorized|denied|authorization failed|authentication required|401|403", "the registry refuses access"),
    (r"not found|manifest unknown|does not exist|404", "there is no such image or tag"),
)
"""What the runtime's words come down to. Reaching the registry comes first: its errors quote names freely."""


@explains(Hop.POD, IMAGE_PULL)
def image_pull(look: Look, asked: Question) -> Finding | None:
    """Kubelet says that it cannot pull."""
    trouble = worst(look, asked, _cannot_pull)
    if trouble is None:
        return None
    said = _pull_message(look, trouble)
    why = next((words for pattern, words in _PULL_ERRORS if re.search(pattern, said, re.I)), "")
    return IMAGE_PULL.confirmed(
        at=trouble.owner.at(template_path(trouble.owner, f"{container_path(trouble.pod, trouble.container)}.image")),
        image=trouble.container.image,
        whose=trouble.whose,
        why=why or trouble.container.reason,
        effect=trouble.effect,
        saw=f"{trouble.pod.name} on {trouble.pod.node}: {sanitise(said, 240)}",
        fixes=_image_fixes(look, trouble),
    )


def _cannot_pull(pod: Pod) -> Container | None:
    return next((c for c in (*pod.init_containers, *pod.containers) if c.reason in PULL_REASONS), None)


def _pull_message(look: Look, trouble: Trouble) -> str:
    """The runtime's own words: in the status, else (where that only says "back-off") in the events."""
    said = f"{trouble.container.reason}: {trouble.container.message}"
    if any(re.search(pattern, said, re.I) for pattern, _ in _PULL_ERRORS):
        return said
    events = look.if_known(asks.events_about("Pod", trouble.pod.namespace, trouble.pod.name)) or ()
    failed = [e.message for e in events if e.reason == "Failed" and about_container(e, trouble.container)]
    telling = [m for m in failed if any(re.search(pattern, m, re.I) for pattern, _ in _PULL_ERRORS)]
    return telling[-1] if telling else said


def _image_fixes(look: Look, trouble: Trouble) -> tuple[Fix, ...]:
    def images(spec: Mapping[str, Any]) -> list[str]:
        return [tree.text(c, "image") for part in ("initContainers", "containers") for c in tree.entries(spec, part)]

    owner, container = trouble.owner, trouble.container
    undone = undo_of(look, owner, trouble.pod, images)
    correct = Fix(
        "set an image that exists",
        kubectl("set", "image", owner.short, f"{container.name}=IMAGE", namespace=owner.namespace),
        not_pasteable="IMAGE is yours to fill in",
    )
    return (undone, correct) if undone else (correct,)


INIT_BLOCKED = Cause(
    code="pod-init-blocked",
    title="An init container does not let the Pod start",
    says="Init container {container} of {whose} {how}{target}.",
    means="The app's own containers start only when all init containers have ended well.",
    symptom="The Pod stays in Init:0/1 or Init:CrashLoopBackOff.",
    apart="A sidecar (an init container with restartPolicy Always) is meant to go on running.",
    mend="Mend what the init container waits for; the Pod then goes on by itself.",
    explains=("endpoints-not-ready",),
)


@explains(Hop.POD, INIT_BLOCKED)
def init_blocked(look: Look, asked: Question) -> Finding | None:
    """An init container runs for long, or fails again and again."""
    now = look(asks.now())

    def blocked(pod: Pod) -> Container | None:
        for container in pod.init_containers:
            if is_sidecar(container):
                continue
            if _fails(container):
                return container
            since = container.running_since
            if since is not None and (now - since).total_seconds() >= STARTING:
                return container
        return None

    trouble = worst(look, asked, blocked)
    if trouble is None:
        return None
    pod, container = trouble.pod, trouble.container
    failing = _fails(container)
    log = ending_log(look, pod, container) if failing else look.if_known(asks.log_of(pod, container.name)) or ""
    awaited = _awaited(look, pod, container, log)
    line = last_line(log)
    return INIT_BLOCKED.confirmed(
        at=trouble.owner.at(template_path(trouble.owner, container_path(pod, container))),
        container=container.name,
        whose=trouble.whose,
        how=_how(container) if failing else "does not end",
        target=f": {awaited.says}" if awaited else "",
        effect=trouble.effect,
        saw=(f"{pod.name}: {container.state} {container.reason}".rstrip(), *([f"it wrote: {line}"] if line else [])),
        fixes=_init_fixes(look, trouble, awaited),
    )


def _fails(container: Container) -> bool:
    crashed = container.terminated is not None and container.terminated.exit_code != 0
    return container.reason == "CrashLoopBackOff" or crashed


def _how(container: Container) -> str:
    ended = container.terminated or container.last
    return f"keeps failing (exit code {ended.exit_code})" if ended else "keeps failing"


@dataclass(frozen=True)
class _Awaited:
    """A Service that an init container waits for, and what is wrong with it."""

    namespace: str
    name: str
    says: str
    exists: bool


_HOSTS = (
    r"(?:nslookup|getent\s+\w*hosts\w*|dig|host|ping)\s+(?:-\S+\s+)*([a-z][-a-z0-9.]*)",
    r"\bnc\s+(?:-\S+\s+(?:\d+\s+)?)*([a-z][-a-z0-9.]*)\s+\d+",
    r"https?://([a-z][-a-z0-9.]*)",
    r"\b([a-z][-a-z0-9.]*):\d{2,5}\b",
    r"(?:resolve|bad address)\s+['\"]([a-z][-a-z0-9.]*)['\"]",
    r"lookup ([a-z][-a-z0-9.]*) on ",
)


def _awaited(look: Look, pod: Pod, container: Container, log: str) -> _Awaited | None:
    """The first Service named in the command or the log that is absent, or has nothing ready behind it."""
    raw = look.if_known(asks.raw_object("pods", pod.namespace, pod.name)) or {}
    spec = next((c for c in tree.entries(raw, "spec", "initContainers") if c.get("name") == container.name), {})
    text = "\n".join((*tree.strings(spec, "command"), *tree.strings(spec, "args"), *log.splitlines()[-5:]))
    hosts = dict.fromkeys(m[1].strip(".") for pattern in _HOSTS for m in re.finditer(pattern, text))
    for host in list(hosts)[:4]:
        name, _, rest = host.partition(".")
        labels = rest.split(".") if rest else []
        if len(labels) > 1 and labels[1] != "svc":
            continue  # a name outside the cluster
        awaited = _judge(look, labels[0] if labels else pod.namespace, name, surely_ours=len(labels) != 1)
        if awaited:
            return awaited
    return None


def _judge(look: Look, namespace: str, name: str, *, surely_ours: bool) -> _Awaited | None:
    """`surely_ours`: the name can only be a Service's; with two labels, `example.com` looks like `web.shop`."""
    service = look.if_known(asks.service_named(namespace, name))
    if service is None:
        if not surely_ours or look.why_unknown(asks.service_named(namespace, name)):
            return None
        says = f"it waits for {name}, and there is no Service {name} in namespace {namespace}"
        return _Awaited(namespace, name, says, exists=False)
    slices = look.if_known(asks.slices_for(namespace, name))
    if service.is_alias or slices is None or any(e.ready for s in slices for e in s.endpoints):
        return None
    return _Awaited(namespace, name, f"it waits for Service {name}, which has no ready endpoint", exists=True)


def _init_fixes(look: Look, trouble: Trouble, awaited: _Awaited | None) -> tuple[Fix, ...]:
    def commands(spec: Mapping[str, Any]) -> list[Any]:
        return [
            (tree.text(c, "name"), tree.text(c, "image"), tree.strings(c, "command"), tree.strings(c, "args"))
            for c in tree.entries(spec, "initContainers")
        ]

    undone = undo_of(look, trouble.owner, trouble.pod, commands)
    logs = kubectl("logs", trouble.pod.name, "-c", trouble.container.name, namespace=trouble.pod.namespace)
    ask = (
        Fix(
            f"ask what is wrong with Service {awaited.name}",
            kubectl("netdebug", "service", awaited.name, namespace=awaited.namespace),
            Risk.READ_ONLY,
        )
        if awaited
        else None
    )
    read = Fix("read what it waits for", logs, Risk.READ_ONLY)
    return tuple(fix for fix in (undone, ask, read) if fix)
