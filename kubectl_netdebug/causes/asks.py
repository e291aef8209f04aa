"""The facts that causes ask for, with the words in which they are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from kubectl_netdebug.model.facts import (
    Ask,
    Connect,
    ConnectFromHere,
    Http,
    Log,
    Lookup,
    MayLookAtNodes,
    MayProbe,
    Now,
    Object,
    Objects,
    PodFile,
    Sockets,
    Tls,
)
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.event import Event, read_event
from kubectl_netdebug.model.objects.node import Node, read_node
from kubectl_netdebug.model.objects.pod import Pod, read_pod
from kubectl_netdebug.model.objects.policy import NetworkPolicy, read_policy
from kubectl_netdebug.model.objects.service import Service, read_service
from kubectl_netdebug.model.objects.slices import SERVICE_LABEL, EndpointSlice, read_slice
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.outcome import Attempt, read_attempt
from kubectl_netdebug.net.procnet import Listener, listeners
from kubectl_netdebug.net.spoken import DnsAnswer, HttpReply, TlsAnswer, read_dns, read_reply, read_tls

SLICES = "endpointslices.discovery.k8s.io"


def now() -> Ask[datetime]:
    """When the run began."""
    return Ask(Now(), lambda value: tree.parse_time(str(value)) or datetime.fromtimestamp(0, UTC))


def may_probe() -> Ask[bool]:
    """Leaves the asking function at once where probes are not allowed, before anything is read for their sake."""
    return Ask(MayProbe(), bool)


def may_look_at_nodes() -> Ask[bool]:
    """For what is only looked at where nodes are allowed already: nobody is asked for its sake."""
    return Ask(MayLookAtNodes(), bool)


def service_named(namespace: str, name: str) -> Ask[Service | None]:
    """A Service, or None where there is none of that name."""

    def says(service: Service | None) -> str:
        return f"Service {namespace}/{name}: {service.describe()}" if service else f"no Service {namespace}/{name}"

    return Ask(Object("services", namespace, name), read_service, says)


def the_service(asked: Question) -> Ask[Service | None]:
    """The Service that was asked about."""
    return service_named(asked.namespace, asked.service)


def services_in(namespace: str) -> Ask[tuple[Service, ...]]:
    """Services of a namespace ('' for all), the first 500."""
    return Ask(Objects("services", namespace), lambda v: tuple(s for s in map(read_service, items(v)) if s))


def services_everywhere(most: int = 5000) -> Ask[tuple[Service, ...]]:
    """The Services of all namespaces: dear in large clusters, for questions that only all of them answer."""
    return Ask(Objects("services", most=most), lambda v: tuple(s for s in map(read_service, items(v)) if s))


def service_at(address: str) -> Ask[Service | None]:
    """The Service that has this ClusterIP, in whatever namespace."""

    def says(service: Service | None) -> str:
        return (
            f"{address} is the ClusterIP of {service.namespace}/{service.name}"
            if service
            else f"no Service has {address}"
        )

    return Ask(
        Objects("services", fields=f"spec.clusterIP={address}"),
        lambda v: next(filter(None, map(read_service, items(v))), None),
        says,
    )


def slices_of(asked: Question) -> Ask[tuple[EndpointSlice, ...]]:
    """The EndpointSlices that the Service's label leads to."""
    return _slices(asked.namespace, f"{SERVICE_LABEL}={asked.service}", _describe_slices)


def slices_for(namespace: str, service: str) -> Ask[tuple[EndpointSlice, ...]]:
    """The EndpointSlices of another Service than the one that was asked about."""
    return _slices(namespace, f"{SERVICE_LABEL}={service}")


def slices_read_again(asked: Question) -> Ask[tuple[EndpointSlice, ...]]:
    """The same slices, read at a later moment: facts are read once, so the same choice is put in other words."""
    return _slices(asked.namespace, f"{SERVICE_LABEL} in ({asked.service})", _describe_slices)


def slices_in(namespace: str) -> Ask[tuple[EndpointSlice, ...]]:
    """All EndpointSlices of a namespace, the first 500."""
    return _slices(namespace)


def _slices(
    namespace: str, labels: str = "", says: Callable[[tuple[EndpointSlice, ...]], str] | None = None
) -> Ask[tuple[EndpointSlice, ...]]:
    return Ask(Objects(SLICES, namespace, labels=labels), lambda v: tuple(map(read_slice, items(v))), says)


def pods_selected_by(service: Service) -> Ask[tuple[Pod, ...]]:
    """The Pods that the selector matches, finished ones included."""
    selector = ",".join(f"{k}={v}" for k, v in sorted(service.selector.items()))
    return Ask(
        Objects("pods", service.namespace, labels=selector),
        lambda v: tuple(map(read_pod, items(v))),
        lambda pods: (
            f"{len(pods)} Pods match {selector}" + (f": {', '.join(p.name for p in pods[:5])}" if pods else "")
        ),
    )


def pods_in(namespace: str) -> Ask[tuple[Pod, ...]]:
    """Pods of a namespace, the first 500."""
    return Ask(Objects("pods", namespace), lambda v: tuple(map(read_pod, items(v))))


def pods_at(address: str) -> Ask[tuple[Pod, ...]]:
    """The Pods that have this address, in whatever namespace: several for a node's own."""

    def says(pods: tuple[Pod, ...]) -> str:
        return f"{address} belongs to Pod {', '.join(p.name for p in pods[:3])}" if pods else f"no Pod has {address}"

    return Ask(Objects("pods", fields=f"status.podIP={address}"), lambda v: tuple(map(read_pod, items(v))), says)


def pod_named(namespace: str, name: str) -> Ask[Pod | None]:
    """A Pod, or None."""
    return Ask(Object("pods", namespace, name), lambda v: None if v is None else read_pod(v))


def raw_object(resource: str, namespace: str, name: str) -> Ask[Mapping[str, Any] | None]:
    """Any object as plain data, or None."""
    return Ask(Object(resource, namespace, name), lambda v: v if isinstance(v, Mapping) else None)


def objects_in(resource: str, namespace: str) -> Ask[list[Mapping[str, Any]]]:
    """Objects of a resource in a namespace as plain data, the first 500."""
    return Ask(Objects(resource, namespace), items)


def policies_in(namespace: str) -> Ask[tuple[NetworkPolicy, ...]]:
    """The NetworkPolicies of a namespace; they select no Pods elsewhere."""
    return Ask(
        Objects("networkpolicies.networking.k8s.io", namespace),
        lambda v: tuple(map(read_policy, items(v))),
        lambda found: f"{len(found)} NetworkPolicies in {namespace}" + _first_names([p.name for p in found]),
    )


def labels_of_namespace(name: str) -> Ask[Mapping[str, str]]:
    """The labels of a namespace."""
    return Ask(
        Object("namespaces", "", name),
        lambda v: tree.labels(v, "metadata", "labels"),
        lambda labels: f"namespace {name}: {', '.join(f'{k}={v}' for k, v in sorted(labels.items())) or 'no labels'}",
    )


def namespaces() -> Ask[tuple[tuple[str, Mapping[str, str]], ...]]:
    """All namespaces with their labels, the first 500."""
    return Ask(
        Objects("namespaces"),
        lambda v: tuple((tree.text(n, "metadata", "name"), tree.labels(n, "metadata", "labels")) for n in items(v)),
    )


def node_named(name: str) -> Ask[Node | None]:
    """A node, or None."""
    return Ask(
        Object("nodes", "", name),
        lambda v: None if v is None else read_node(v),
        lambda node: f"node {name}: {'ready' if node.ready else 'not ready'}" if node else f"no node {name}",
    )


def pods_on(node: str) -> Ask[tuple[Pod, ...]]:
    """The Pods of one node, the first 500."""
    return Ask(Objects("pods", fields=f"spec.nodeName={node}"), lambda v: tuple(map(read_pod, items(v))))


def nodes() -> Ask[tuple[Node, ...]]:
    """The cluster's nodes, the first 500."""
    return Ask(Objects("nodes"), lambda v: tuple(map(read_node, items(v))))


def events_about(kind: str, namespace: str, name: str) -> Ask[tuple[Event, ...]]:
    """Events about one object, oldest first; the API keeps them for an hour by default."""

    def read(value: Any) -> tuple[Event, ...]:
        events = map(read_event, items(value))
        return tuple(sorted(events, key=lambda e: e.last or datetime.fromtimestamp(0, UTC)))

    def says(events: tuple[Event, ...]) -> str:
        notable = [e for e in events if e.type == "Warning"][-2:] or list(events[-1:])
        return "; ".join(f"{e.reason} ×{e.count}: {e.message}" for e in notable) or f"no events about {name}"

    return Ask(
        Objects("events", namespace, fields=f"involvedObject.kind={kind},involvedObject.name={name}"), read, says
    )


def log_of(pod: Pod, container: str, *, previous: bool = False, lines: int = 40) -> Ask[str]:
    """The last lines of a container's log."""
    return Ask(Log(pod.namespace, pod.name, container, previous, lines), lambda v: v if isinstance(v, str) else "")


def connect(client: Pod, host: str, port: int, protocol: str = "TCP", attempt: int = 0) -> Ask[Attempt]:
    """One connection attempt from inside a Pod."""
    return Ask(
        Connect(client.namespace, client.name, host, port, protocol, attempt),
        read_attempt,
        lambda a: f"{client.name} → {host}:{port}/{protocol}: {a.words}",
    )


def connect_from_here(host: str, port: int, attempt: int = 0) -> Ask[Attempt]:
    """One connection attempt from this machine."""
    return Ask(ConnectFromHere(host, port, attempt), read_attempt, lambda a: f"this machine → {host}:{port}: {a.words}")


def sockets_of(pod: Pod) -> Ask[tuple[Listener, ...]]:
    """What listens inside a Pod."""
    container = pod.containers[0].name if pod.containers else ""

    def read(value: Any) -> tuple[Listener, ...]:
        return listeners({name: tree.text(value, "files", name) for name in ("tcp", "tcp6", "udp", "udp6")})

    return Ask(
        Sockets(pod.namespace, pod.name, container),
        read,
        lambda found: f"/proc/net of {pod.name}: {', '.join(map(str, found)) or 'nothing'} listening",
    )


def socket_files(pod: Pod) -> Ask[Mapping[str, str]]:
    """The socket tables themselves, for what does not listen."""
    container = pod.containers[0].name if pod.containers else ""

    def read(value: Any) -> Mapping[str, str]:
        return {name: tree.text(value, "files", name) for name in ("tcp", "tcp6")}

    return Ask(Sockets(pod.namespace, pod.name, container), read)


def file_in(pod: Pod, path: str, again: int = 0, container: str = "") -> Ask[str]:
    """A small file as a Pod sees it, or one of its own containers."""
    key = PodFile(pod.namespace, pod.name, path, again, container)
    return Ask(key, lambda v: v if isinstance(v, str) else "")


def lookup(
    client: Pod, server: str, name: str, record: str = "A", *, transport: str = "TCP", attempt: int = 0, port: int = 53
) -> Ask[DnsAnswer]:
    """One DNS question for an absolute name, from a Pod to one server."""
    at = server if port == 53 else f"{server}:{port}"
    return Ask(
        Lookup(client.namespace, client.name, server, name, record, transport, attempt, port),
        read_dns,
        lambda a: f"{name} {record} asked at {at} over {transport}: {a.words}",
    )


def http(
    client: Pod,
    host: str,
    port: int,
    path: str = "/",
    *,
    scheme: str = "http",
    host_header: str = "",
    attempt: int = 0,
    via: str = "",
    padding: int = 0,
) -> Ask[HttpReply]:
    """One GET, with what the server said. `padding` makes the request that many bytes longer."""
    key = Http(client.namespace, client.name, host, port, scheme, path, host_header, attempt, via, padding)
    named = f" (Host: {host_header})" if host_header else ""
    through = f" through proxy {via}" if via else ""
    longer = f", {padding} bytes longer" if padding else ""
    over = "over TLS " if scheme == "https" else ""
    return Ask(
        key,
        read_reply,
        lambda a: f"GET {path} {over}from {client.name} at {host}:{port}{named}{through}{longer}: {a.words}",
    )


def tls(client: Pod, host: str, port: int, server_name: str = "", *, via: str = "") -> Ask[TlsAnswer]:
    """One TLS handshake; nothing is verified."""
    key = Tls(client.namespace, client.name, host, port, server_name, via)
    through = f" through proxy {via}" if via else ""
    return Ask(key, read_tls, lambda a: f"TLS from {client.name} at {host}:{port}{through}: {a.words}")


def items(value: Any) -> list[Mapping[str, Any]]:
    """The objects of an `Objects` fact."""
    return list(tree.entries(value, "items"))


def _first_names(names: list[str]) -> str:
    return f": {', '.join(names[:5])}" if names else ""


def _describe_slices(slices: tuple[EndpointSlice, ...]) -> str:
    endpoints = [e for s in slices for e in s.endpoints]
    ready = sum(1 for e in endpoints if e.ready)
    return f"{len(slices)} EndpointSlices: {ready} of {len(endpoints)} endpoints ready"
