"""Crashes whose reason stands in the container's log and is proved by something else: a port or a variable taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.owners import is_patchable, template_path
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.revisions import undo_of
from kubectl_netdebug.causes.trouble import (
    Trouble,
    container_path,
    ending,
    ending_log,
    keeps_ending,
    serving,
    worst,
)
from kubectl_netdebug.model.command import Fix, Risk, kubectl, patch
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Container, Pod
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.text import sanitise

PORT_CLASH = Cause(
    code="port-clash-in-pod",
    title="Two containers of a Pod want the same port",
    says="Containers {container} and {other} of {whose} both bind port {port}.",
    means="The containers of a Pod share one network: the second one to bind a port fails, and ends.",
    symptom="One container of the Pod keeps exiting with 'address already in use'.",
    apart="On the host's network the other party may be outside the Pod; in a Pod of its own it cannot.",
    mend="Give one of the two another port: its arguments or environment, its containerPort, its probes.",
    explains=("pod-crashloop", "endpoints-not-ready", "readiness-probe-wrong", "backend-partly-dead"),
)

_IN_USE = re.compile(
    r"address (?:already )?in use|EADDRINUSE|port \d+ is (?:already )?(?:in use|allocated|taken)", re.I
)
_PORT = re.compile(r"(?:[:\]]|port[ =:]+)(\d{1,5})\b")


@explains(Hop.POD, PORT_CLASH)
def port_clash(look: Look, asked: Question) -> Finding | None:
    """Its log says that the address is in use, and another container of the Pod holds it."""
    now = look(asks.now())

    def crashes(pod: Pod) -> Container | None:
        if pod.host_network or len(serving(pod)) < 2:
            return None
        return next((c for c in serving(pod) if ending(c) and keeps_ending(c, now)), None)

    trouble = worst(look, asked, crashes)
    if trouble is None:
        return None
    pod, container = trouble.pod, trouble.container
    line = in_use_line(look, pod, container)
    if not line:
        return None
    others = [c for c in serving(pod) if c.name != container.name and c.state == "running"]
    port = port_in(line, container)
    holder = _holder(look, pod, container, others, port)
    if holder is None:
        return None
    held = look.if_known(asks.may_probe()) and look.if_known(asks.sockets_of(pod))
    listening = bool(held) and any(s.port == port for s in held or ())
    if held and not listening:
        return None
    found = PORT_CLASH.confirmed if listening or _declares(holder, port) else PORT_CLASH.likely
    return found(
        at=trouble.owner.at(template_path(trouble.owner, container_path(pod, container))),
        container=container.name,
        other=holder.name,
        whose=trouble.whose,
        port=port,
        effect=trouble.effect,
        saw=f"{pod.name}/{container.name} wrote: {line}",
        fixes=one_port_each(look, trouble),
    )


def in_use_line(look: Look, pod: Pod, container: Container) -> str:
    """The last line of its log that says that an address is in use, fit to be shown; '' without one."""
    lines = [line for line in ending_log(look, pod, container).splitlines() if _IN_USE.search(line)]
    return sanitise(lines[-1].strip(), 200) if lines else ""


def _holder(look: Look, pod: Pod, ending_one: Container, others: list[Container], port: int) -> Container | None:
    """The other container that has the port: one that declares it, or names it in its command, or is the same program.

    That something holds the port is not enough: it may be a child of the very container that fails to bind it.
    """
    raw = look.if_known(asks.raw_object("pods", pod.namespace, pod.name)) or {}
    words = {
        tree.text(c, "name"): " ".join((*tree.strings(c, "command"), *tree.strings(c, "args")))
        for part in ("initContainers", "containers")
        for c in tree.entries(raw, "spec", part)
    }
    tests: tuple[Callable[[Container], bool], ...] = (
        lambda c: _declares(c, port),
        lambda c: re.search(rf"(?<!\d){port}(?!\d)", words.get(c.name, "")) is not None,
        lambda c: c.image == ending_one.image,
    )
    return next((c for test in tests for c in others if port and test(c)), None)


def _declares(container: Container, port: int) -> bool:
    return any(p.port == port for p in container.ports)


def port_in(line: str, container: Container) -> int:
    """The port that the log line names, else the only one that the container declares; 0 where neither helps."""
    after = [int(number) for number in _PORT.findall(line) if 0 < int(number) < 65536]
    if after:
        return after[-1]
    declared = {port.port for port in container.ports}
    return declared.pop() if len(declared) == 1 else 0


def one_port_each(look: Look, trouble: Trouble) -> tuple[Fix, ...]:
    """Undoing the last change where that brought the clash, and the place to choose another port."""

    def commands(spec: Mapping[str, Any]) -> list[Any]:
        keys = ("name", "image", "command", "args", "ports", "env")
        return [spec.get("hostNetwork"), *([c.get(key) for key in keys] for c in tree.entries(spec, "containers"))]

    owner = trouble.owner
    undone = undo_of(look, owner, trouble.pod, commands)
    edit = Fix(
        f"give container {trouble.container.name} another port (arguments, environment, containerPort, probes)",
        kubectl("edit", owner.short, namespace=owner.namespace),
        not_pasteable="which setting chooses the port is the app's own affair",
    )
    return (undone, edit) if undone else (edit,)


ENV_COLLISION = Cause(
    code="service-env-collision",
    title="A variable that Kubernetes injects for a Service is taken for a setting",
    says="Service {service} injects {variable}={value}, which container {container} of {whose} reads as its setting.",
    means="For each Service of the namespace, Pods get variables such as NAME_PORT=tcp://ADDRESS:PORT; an app that "
    "expects a number there fails.",
    symptom="The app ends at once and complains about a value that begins with tcp://.",
    apart="The value in the complaint is the address of a Service of the namespace, and the Pod sets no such variable.",
    mend="Set enableServiceLinks: false in the Pod template, or rename the Service or the variable.",
    explains=("pod-crashloop", "endpoints-not-ready", "readiness-probe-wrong", "backend-partly-dead"),
)

_VALUE = re.compile(r"(tcp|udp)://(\[[0-9a-fA-F:]+\]|[0-9.]+):(\d+)")
_COMPLAINT = re.compile(
    r"invalid|pars(?:e|ing)|not an? |NaN|Atoi|ParseInt|illegal|ValueError|NumberFormat|bad (?:port|number|address)"
    r"|unexpected|convert|expected|out of range|malformed|too many colons|integer|numeric",
    re.I,
)


@explains(Hop.POD, ENV_COLLISION)
def env_collision(look: Look, asked: Question) -> Finding | None:
    """The log complains about a value that only a service link can have brought."""
    now = look(asks.now())

    def unwell(pod: Pod) -> Container | None:
        if not pod.service_links:
            return None
        return next((c for c in serving(pod) if ending(c) and keeps_ending(c, now)), None)

    trouble = worst(look, asked, unwell)
    if trouble is None:
        return None
    pod, container = trouble.pod, trouble.container
    lines = [line for line in ending_log(look, pod, container).splitlines() if _complains(line)]
    services = look(asks.services_in(pod.namespace)) if lines else ()
    for line in reversed(lines):
        match = _VALUE.search(line)
        service = _service_at(services, match) if match else None
        variable = f"{link_prefix(service.name)}_PORT" if service else ""
        if match and service and container.env.get(variable, "") == "":
            return ENV_COLLISION.confirmed(
                at=trouble.owner.at(template_path(trouble.owner, "enableServiceLinks")),
                service=service.name,
                variable=variable,
                value=match[0],
                container=container.name,
                whose=trouble.whose,
                effect=trouble.effect,
                saw=f"{pod.name}/{container.name} wrote: {sanitise(line.strip(), 200)}",
                fix=_no_links(trouble),
            )
    return None


def _complains(line: str) -> bool:
    """About the value, not merely showing its environment."""
    value = _VALUE.search(line)
    return value is not None and _COMPLAINT.search(line[: value.start()] + line[value.end() :]) is not None


def _service_at(services: tuple[Service, ...], value: re.Match[str]) -> Service | None:
    address = value[2].strip("[]")
    return next(
        (s for s in services if s.address == address and any(p.port == int(value[3]) for p in s.ports)),
        None,
    )


def link_prefix(service: str) -> str:
    """How the variables of a Service begin: `my-db` gives `MY_DB`."""
    return service.upper().replace("-", "_")


def _no_links(trouble: Trouble) -> Fix:
    owner = trouble.owner
    if not is_patchable(owner):
        get = kubectl("get", "pod", trouble.pod.name, "-o", "yaml", namespace=owner.namespace)
        return Fix("make the Pod again with enableServiceLinks: false", get, Risk.READ_ONLY)
    body = {"spec": {"template": {"spec": {"enableServiceLinks": False}}}}
    return Fix("stop injecting them", patch(owner.kind.lower(), owner.name, body, owner.namespace))
