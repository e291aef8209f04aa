"""Reads what a person typed for a Service and for a source."""

from __future__ import annotations

import re

from kubectl_netdebug.cli.exits import UsageProblem
from kubectl_netdebug.model.question import FlowName, Question, Source, SourceKind

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_PORT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_KINDS = {
    "pod": SourceKind.POD,
    "po": SourceKind.POD,
    "pods": SourceKind.POD,
    "deploy": SourceKind.DEPLOYMENT,
    "deployment": SourceKind.DEPLOYMENT,
    "sts": SourceKind.STATEFULSET,
    "statefulset": SourceKind.STATEFULSET,
    "ds": SourceKind.DAEMONSET,
    "daemonset": SourceKind.DAEMONSET,
    "job": SourceKind.JOB,
}


def service_question(written: str, namespace: str, source: str | None) -> Question:
    """`web`, `web:80`, `web:http`, also `svc/web` and `web.shop` (name and namespace). Raises UsageProblem."""
    text = re.sub(r"^(svc|service|services)/", "", written)
    name, colon, port = text.partition(":")
    if "." in name:
        name, namespace = _with_namespace(name, namespace)
    _check_name(name, "Service name")
    _check_name(namespace, "namespace")
    if colon:
        _check_port(port)
    return Question(FlowName.SERVICE, namespace, name, port, source=read_source(source, namespace))


def read_source(written: str | None, namespace: str) -> Source:
    """`pod/N`, `deploy/N`, `NS/pod/N`, or a bare Pod name; None: any Pod. Raises UsageProblem."""
    if not written:
        return Source()
    parts = written.split("/")
    if len(parts) == 3:
        namespace, parts = parts[0], parts[1:]
    kind, name = ("pod", parts[0]) if len(parts) == 1 else (parts[0], parts[-1])
    if len(parts) > 2 or kind not in _KINDS:
        raise UsageProblem(f"--from {shown(written)}: write pod/NAME, deploy/NAME, sts/NAME, ds/NAME or job/NAME")
    _check_name(name, "name")
    _check_name(namespace, "namespace")
    return Source(_KINDS[kind], namespace, name)


def _with_namespace(name: str, namespace: str) -> tuple[str, str]:
    """`web.shop` and `web.shop.svc.cluster.local` name a Service and its namespace, as DNS does."""
    labels = name.split(".")
    if len(labels) == 2 or labels[2] == "svc":
        return labels[0], labels[1]
    raise UsageProblem(f"{shown(name)} is no Service: write NAME, NAME.NAMESPACE or NAME.NAMESPACE.svc")


def _check_name(text: str, what: str) -> None:
    if not _NAME.fullmatch(text):
        raise UsageProblem(
            f"{shown(text)} cannot be a {what}: lower-case letters, digits and '-' are allowed, at most 253"
        )


def _check_port(text: str) -> None:
    if text.isdecimal():
        if not 0 < int(text[:9]) < 65536:
            raise UsageProblem(f"port {shown(text)} is out of range: 1 to 65535")
    elif not _PORT_NAME.fullmatch(text):
        raise UsageProblem(f"{shown(text)} is neither a port number nor a port name")


def shown(text: str) -> str:
    """A word of the person's, safe to print and of bearable length."""
    from kubectl_netdebug.net.text import sanitise

    return repr(sanitise(text, 80))
