"""Reads what a person typed for a source and for a destination."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import urlsplit

from kubectl_netdebug.cli.exits import UsageProblem
from kubectl_netdebug.model.question import FlowName, Question, Source, SourceKind
from kubectl_netdebug.net.address import is_address

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_PORT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL = r"(?!-)[-A-Za-z0-9_]{1,63}"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_TARGETS = {
    **dict.fromkeys(("svc", "service", "services"), "service"),
    **dict.fromkeys(("po", "pod", "pods"), "pod"),
    **dict.fromkeys(("ing", "ingress", "ingresses"), "ingress"),
    **dict.fromkeys(("gtw", "gateway", "gateways"), "gateway"),
}
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
    **dict.fromkeys(("node", "nodes", "no"), SourceKind.NODE),
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
    client = read_source(source, namespace)
    flow = FlowName.OUTSIDE_TO_POD if client.kind is SourceKind.OUTSIDE else FlowName.SERVICE
    return Question(flow, namespace, name, port, source=client)


def path_question(source: str, destination: str, namespace: str) -> Question:
    """`path SOURCE DESTINATION`. Raises UsageProblem for words that name neither."""
    client = read_source(source, namespace)
    question = _destination(destination, client, namespace)
    if client.kind is SourceKind.NODE and question.flow in (FlowName.POD_TO_ITSELF, FlowName.API):
        raise UsageProblem(f"from a node, {shown(destination)} cannot be a destination: name a Service, a Pod or a URL")
    if client.kind is SourceKind.OUTSIDE:
        if question.flow in (FlowName.POD_TO_ITSELF, FlowName.API) or question.pod:
            raise UsageProblem(f"from outside, {shown(destination)} cannot be a destination: name a Service or a URL")
        return replace(question, flow=FlowName.OUTSIDE_TO_POD)
    return question


def dns_question(source: str, name: str | None, namespace: str) -> Question:
    """`dns SOURCE [NAME]`. Raises UsageProblem."""
    client = _pod_source(source, namespace)
    if name is not None and (len(name) > 253 or not _HOST.fullmatch(name)):
        raise UsageProblem(f"{shown(name)} cannot be a name in DNS")
    return Question(FlowName.DNS, client.namespace, source=client, host=name or "")


def api_question(source: str, namespace: str) -> Question:
    """`api SOURCE`. Raises UsageProblem."""
    client = _pod_source(source, namespace)
    return Question(FlowName.API, client.namespace, source=client)


def node_question(written: str, namespace: str) -> Question:
    """`node NAME`, also `node/NAME`. Raises UsageProblem."""
    name = re.sub(r"^(no|node|nodes)/", "", written)
    _check_name(name, "node name")
    return Question(FlowName.NODE, namespace, node=name)


def _pod_source(written: str, namespace: str) -> Source:
    source = read_source(written, namespace)
    if source.kind in (SourceKind.OUTSIDE, SourceKind.NODE):
        raise UsageProblem("this is asked from a Pod: write pod/NAME, deploy/NAME, sts/NAME, ds/NAME or job/NAME")
    return source


def read_source(written: str | None, namespace: str) -> Source:
    """`pod/N`, `deploy/N`, `NS/pod/N`, `outside`, or a bare Pod name; None: any Pod. Raises UsageProblem."""
    if not written:
        return Source()
    if written == "outside":
        return Source(SourceKind.OUTSIDE)
    parts = written.split("/")
    if len(parts) == 3:
        namespace, parts = parts[0], parts[1:]
    kind, name = ("pod", parts[0]) if len(parts) == 1 else (parts[0], parts[-1])
    if len(parts) > 2 or kind not in _KINDS:
        raise UsageProblem(
            f"source {shown(written)}: write pod/NAME, deploy/NAME, sts/NAME, ds/NAME, job/NAME, node/NAME or outside"
        )
    _check_name(name, "name")
    _check_name(namespace, "namespace")
    return Source(_KINDS[kind], namespace, name)


def _destination(written: str, client: Source, namespace: str) -> Question:
    """The question for a destination, as if the client were a Pod."""
    home = client.namespace or namespace
    if written == "self":
        return Question(FlowName.POD_TO_ITSELF, home, source=client)
    if written == "api":
        return Question(FlowName.API, home, source=client)
    if "://" in written:
        return _url(written, client, home)
    kind, name, owner = _kind_and_name(written, namespace)
    if not kind:
        return _host_or_service(written, client, namespace)
    name, colon, port = name.partition(":")
    if kind == "service" and "." in name:
        name, owner = _with_namespace(name, owner)
    _check_name(name, f"{kind} name")
    _check_name(owner, "namespace")
    if colon:
        _check_port(port)
    flow = FlowName.OUTSIDE_TO_POD if kind in ("ingress", "gateway") else FlowName.POD_TO_POD
    question = Question(flow, owner, port=port, source=client)
    match kind:
        case "service":
            return replace(question, service=name)
        case "pod":
            return replace(question, pod=name)
        case "ingress":
            return replace(question, ingress=name)
    return replace(question, gateway=name)


def _kind_and_name(written: str, namespace: str) -> tuple[str, str, str]:
    """(kind, name with port, namespace); the kind is '' where no kind was written."""
    parts = written.split("/")
    if len(parts) == 3:
        namespace, parts = parts[0], parts[1:]
    if len(parts) == 1:
        return "", "", ""
    kind = _TARGETS.get(parts[0], "")
    if len(parts) > 2 or not kind:
        raise UsageProblem(
            f"destination {shown(written)}: write svc/NAME[:PORT], pod/NAME:PORT, ing/NAME, gateway/NAME, "
            "a URL, HOST:PORT, self or api"
        )
    return kind, parts[1], namespace


def _url(written: str, client: Source, namespace: str) -> Question:
    try:
        parts = urlsplit(written)
        host, port = parts.hostname or "", parts.port
    except ValueError as problem:
        raise UsageProblem(f"{shown(written)} is no URL: {problem}") from problem
    if parts.scheme not in ("http", "https", "tcp"):
        raise UsageProblem(f"{shown(written)}: http, https and tcp are spoken, not {shown(parts.scheme)}")
    if parts.username or parts.password:
        raise UsageProblem("a URL with a user or password is not taken: it would stand in the output")
    if port is None and parts.scheme == "tcp":
        raise UsageProblem(f"which port? For example {shown(written + ':443')}")
    number = str(port or {"http": 80, "https": 443}[parts.scheme])
    _check_port(number)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    scheme = "" if parts.scheme == "tcp" else parts.scheme
    return replace(_host(host, number, client, namespace), scheme=scheme, path=path)


def _host_or_service(written: str, client: Source, namespace: str) -> Question:
    host, port = _split_port(written)
    if port:
        _check_port(port)
    if not is_address(host) and "." not in host:
        _check_name(host, "Service name")
        return Question(FlowName.POD_TO_POD, namespace, host, port, source=client)
    question = _host(host, port, client, client.namespace or namespace)
    if not port and question.host:
        shown_host = f"[{host}]" if ":" in host else host
        raise UsageProblem(f"which port? Write {shown_host}:443, or a URL such as https://{shown_host}")
    return question


def _host(host: str, port: str, client: Source, namespace: str) -> Question:
    """A name of a Service of the cluster is that Service; any other name or address stays what it is."""
    host = host.rstrip(".")
    if not is_address(host):
        if not host or len(host) > 253 or not _HOST.fullmatch(host):
            raise UsageProblem(f"{shown(host)} is neither a host name nor an address")
        labels = host.split(".")
        if len(labels) > 2 and labels[2] == "svc":
            return Question(FlowName.POD_TO_POD, labels[1], labels[0], port, source=client)
    return Question(FlowName.POD_TO_OUTSIDE, namespace, port=port, source=client, host=host)


def _split_port(written: str) -> tuple[str, str]:
    """`host:80`, `[::1]:80`, `::1`; a bare IPv6 address has no port."""
    if written.startswith("["):
        host, _, rest = written[1:].partition("]")
        return host, rest.removeprefix(":")
    if written.count(":") > 1:
        return written, ""
    host, _, port = written.partition(":")
    return host, port


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
