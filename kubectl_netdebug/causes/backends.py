"""What follows from a Service and its slices: the ports asked about, the backends behind, the Pod to probe from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.node_asks import node_as_client
from kubectl_netdebug.causes.policy_clients import shut_out
from kubectl_netdebug.model.facts import MayProbe, Unknown, Why
from kubectl_netdebug.model.look import Look, Unestablished
from kubectl_netdebug.model.objects.pod import ADDED, Pod
from kubectl_netdebug.model.objects.service import Service, ServicePort
from kubectl_netdebug.model.objects.slices import Endpoint, EndpointSlice
from kubectl_netdebug.model.question import FlowName, Question, Source, SourceKind
from kubectl_netdebug.net.outcome import Attempt

MOST_BACKENDS = 32
"""Backends that are connected to in one run; of more, the first ones are taken and the result says so."""

UNDECLARED = -1
"""The index of a port that was typed and stands nowhere in the Service."""


@dataclass(frozen=True)
class Backend:
    """One endpoint on one port of the Service."""

    address: str
    port: int
    protocol: str
    endpoint: Endpoint
    slice: EndpointSlice
    service_port: ServicePort

    @property
    def pod(self) -> str:
        """The name of the Pod behind it, or ''."""
        return self.endpoint.target_name if self.endpoint.target_kind == "Pod" else ""

    @property
    def label(self) -> str:
        """For people: the Pod where there is one, and the address."""
        where = f"{self.address}:{self.port}"
        return f"{self.pod} ({where})" if self.pod else where


def ports_asked(service: Service, asked: Question) -> tuple[ServicePort, ...]:
    """The Service ports that the question is about: the one typed (number or name), else all. Empty: not declared.

    Behind a headless name the Pods' own ports are used, so there the target port may be typed as well.
    """
    ports = tuple(p for p in service.ports if not asked.protocol or asked.protocol == p.protocol)
    typed = tuple(p for p in ports if not asked.port or asked.port in (str(p.port), p.name))
    behind = tuple(p for p in ports if asked.port == p.target) if service.headless else ()
    if typed or behind:
        return typed or behind
    if asked.port.isdecimal() and (service.headless or service.is_alias):
        return (ServicePort(UNDECLARED, "", int(asked.port), asked.protocol or "TCP", "", 0, ""),)
    return ()


def backends(service: Service, slices: Iterable[EndpointSlice], asked: Question) -> tuple[Backend, ...]:
    """Every endpoint on every port asked about, ready or not, in a stable order.

    A slice counts for a Service port when it has a port of the same name and protocol, and is of one of the Service's
    address families; proxies ignore the rest.
    """
    families = service.ip_families or ("IPv4", "IPv6")
    found = {}
    for port in ports_asked(service, asked):
        for each in slices:
            number = _number_in(each, port, service)
            if number is None or each.address_type not in families:
                continue
            for endpoint in each.endpoints:
                if endpoint.address:
                    key = (endpoint.address, number, port.protocol, port.index)
                    found[key] = Backend(endpoint.address, number, port.protocol, endpoint, each, port)
    return tuple(found[key] for key in sorted(found))


def _number_in(each: EndpointSlice, port: ServicePort, service: Service) -> int | None:
    """The port that a slice's addresses are used on; None where the slice does not serve this Service port.

    A headless name gives the addresses whatever the ports are called, and clients bring the number themselves.
    """
    found = each.port_for(port.name, port.protocol)
    if found is not None and port.index != UNDECLARED:
        return found.port
    by_number = service.headless and (port.index == UNDECLARED or not service.selector)
    return port.port if by_number else None


def in_use(found: Iterable[Backend]) -> tuple[Backend, ...]:
    """The backends that get traffic: the ready ones, else those terminating ones that still serve."""
    everything = tuple(found)
    ready = tuple(b for b in everything if b.endpoint.ready)
    return ready or tuple(b for b in everything if b.endpoint.terminating and b.endpoint.serving)


def backends_asked(look: Look, asked: Question) -> tuple[Backend, ...]:
    """The backends of the Service that was asked about, or the Pod itself on each of its ports that was asked about.

    None where there is no such object, or neither was asked about. A Pod that asks for itself is what it is behind the
    Services that lead to it.
    """
    if asked.pod:
        pod = look(asks.pod_named(asked.namespace, asked.pod))
        return own_backends(pod, asked) if pod else ()
    if asked.flow is FlowName.POD_TO_ITSELF:
        return tuple(backend for _, backend in behind_services(look, asked))
    if not asked.service:
        return ()
    service, slices = look.together(asks.the_service(asked), asks.slices_of(asked))
    return backends(service, slices, asked) if service else ()


def own_backends(pod: Pod, asked: Question) -> tuple[Backend, ...]:
    """A Pod as a backend by itself: on the port that was typed (number or name), else on all that it declares."""
    endpoint = Endpoint((pod.ip,), pod.ready, pod.ready, pod.deleting, pod.node, "Pod", pod.name)
    nowhere = EndpointSlice(pod.namespace, "", "IPv6" if ":" in pod.ip else "IPv4", "", "", (), (endpoint,))
    return (
        tuple(Backend(pod.ip, p.port, p.protocol, endpoint, nowhere, p) for p in pod_ports(pod, asked))
        if pod.ip
        else ()
    )


def pod_ports(pod: Pod, asked: Question) -> tuple[ServicePort, ...]:
    """The Pod's ports that the question is about, in the form of a Service's. Empty: not declared, and no number."""
    declared = tuple(
        ServicePort(index, p.name, p.port, p.protocol, str(p.port), 0, "")
        for index, p in enumerate(pod.ports)
        if not asked.protocol or asked.protocol == p.protocol
    )
    typed = tuple(p for p in declared if not asked.port or asked.port in (str(p.port), p.name))
    if typed or not asked.port.isdecimal():
        return typed
    return (ServicePort(UNDECLARED, "", int(asked.port), asked.protocol or "TCP", asked.port, 0, ""),)


def behind_services(look: Look, asked: Question) -> tuple[tuple[Service, Backend], ...]:
    """The Services of its namespace that lead to the client's Pod, each with the Pod as its backend, port by port."""
    client = _itself(look, asked)
    services, slices = look.together(asks.services_in(client.namespace), asks.slices_in(client.namespace))
    found = []
    for service in services:
        own = [each for each in slices if each.service == service.name]
        if service.is_alias or (asked.service and service.name != asked.service):
            continue
        every = backends(service, own, replace(asked, port="", service=service.name))
        found += [(service, b) for b in every if b.address in (client.ip, *client.ips)]
    return tuple(found)


def _itself(look: Look, asked: Question) -> Pod:
    """The Pod that asks for itself; where a workload was named, the first of its Pods that runs."""
    if asked.source.kind is SourceKind.POD:
        look(asks.may_probe())
        return _named_client(look, asked.source)
    return client_pod(look, replace(asked, flow=FlowName.POD_TO_POD))


def live_pods(pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
    """Pods that serve or should: neither finished nor on their way out."""
    return tuple(pod for pod in pods if not pod.finished and not pod.deleting)


def client_pod(look: Look, asked: Question) -> Pod:
    """The Pod to probe from: the one asked for, else one of the namespace, rather no backend, none kept out by policy.

    A client outside stands in no Pod, so any will do to see how it is behind the way in. Leaves the asking function
    where probes are not allowed or no Pod can serve.
    """
    if asked.source.kind is SourceKind.NODE:
        return _node_client(look, asked.source)
    look(asks.may_probe())
    if asked.source.kind is SourceKind.POD:
        return _named_client(look, asked.source)
    namespace = asked.source.namespace or asked.namespace
    if asked.flow is FlowName.POD_TO_ITSELF:
        return _itself(look, asked)
    candidates = [pod for pod in look(asks.pods_in(namespace)) if can_host_probe(pod)]
    if asked.source.kind not in (SourceKind.ANY, SourceKind.OUTSIDE):
        candidates = [pod for pod in candidates if _belongs_to(pod, asked.source)]
    if not candidates:
        whose = f"of {asked.source} " if asked.source.name else ""
        raise _no_client(f"no running Pod {whose}in namespace {namespace} to probe from", "--from pod/NAME")
    found = backends_asked(look, asked)
    serving = {backend.address for backend in found}
    places = [(b.address, b.port, b.protocol) for b in in_use(found)]
    kept_out = frozenset() if asked.source.name else shut_out(look, namespace, candidates, places)
    return min(
        candidates,
        key=lambda pod: (pod.ip in serving, pod.host_network, pod.name in kept_out, not has_probe(pod), pod.name),
    )


def client_named(look: Look, asked: Question) -> Pod | None:
    """The client that the person named, by its API object alone; None where none was named or none is there."""
    source = asked.source
    if not source.name:
        return None
    if source.kind is SourceKind.NODE:
        return node_as_client(look, source.name)
    if source.kind is SourceKind.POD:
        return look(asks.pod_named(source.namespace, source.name))
    pods = [pod for pod in look(asks.pods_in(source.namespace)) if _belongs_to(pod, source)]
    return min(live_pods(tuple(pods)), key=lambda pod: (not pod.ready, pod.name), default=None)


def can_host_probe(pod: Pod) -> bool:
    """Whether a probe container can be added: it runs, has an address, and is not made from a file on the node."""
    return (
        pod.phase == "Running"
        and bool(pod.ip)
        and not pod.deleting
        and "kubernetes.io/config.mirror" not in pod.annotations
    )


def has_probe(pod: Pod) -> bool:
    """Whether one of our probe containers still runs in it."""
    return any(c.name.startswith(ADDED) and c.state == "running" for c in pod.ephemeral)


def attempts_at(look: Look, client: Pod, found: Iterable[Backend]) -> tuple[tuple[Backend, Attempt], ...]:
    """One connect from the client to each backend, side by side."""
    wanted = tuple(found)[:MOST_BACKENDS]
    results = look.all([asks.connect(client, b.address, b.port, b.protocol) for b in wanted])
    return tuple(zip(wanted, results, strict=True))


def check_there(look: Look, asked: Question) -> None:
    """Leaves the asking function where the API says that there is no such client, though nothing may be probed.

    A question about a mistyped Pod must not be called healthy because nothing was tried from it.
    """
    source = asked.source
    if source.kind is SourceKind.POD:
        named = asks.pod_named(source.namespace, source.name)
        if look.why_unknown(named) is None and look(named) is None:
            raise _no_such_pod(source)
    elif source.name and source.kind is not SourceKind.NODE:
        every = asks.pods_in(source.namespace)
        if look.why_unknown(every) is None and not any(_belongs_to(pod, source) for pod in look(every)):
            raise _no_client(f"no Pod of {source} in namespace {source.namespace}", "--from pod/NAME")


def _named_client(look: Look, source: Source) -> Pod:
    pod = look(asks.pod_named(source.namespace, source.name))
    if pod is None:
        raise _no_such_pod(source)
    if not can_host_probe(pod):
        raise _no_client(
            f"Pod {source.name} does not run ({pod.phase or 'no phase'}), so nothing can be tried from it",
            "--from pod/NAME",
        )
    return pod


def _node_client(look: Look, source: Source) -> Pod:
    node = node_as_client(look, source.name)
    if node is None:
        raise _no_client(f"there is no node {source.name}", "--from node/NAME")
    return node


def _belongs_to(pod: Pod, source: Source) -> bool:
    if source.kind is SourceKind.DEPLOYMENT:
        suffix = "-" + pod.labels.get("pod-template-hash", "")
        return pod.owner_kind == "ReplicaSet" and pod.owner_name.removesuffix(suffix) == source.name
    kinds = {SourceKind.STATEFULSET: "StatefulSet", SourceKind.DAEMONSET: "DaemonSet", SourceKind.JOB: "Job"}
    return pod.owner_kind == kinds.get(source.kind) and pod.owner_name == source.name


def _no_such_pod(source: Source) -> Unestablished:
    return _no_client(f"there is no Pod {source.name} in namespace {source.namespace}", "--from pod/NAME")


def _no_client(says: str, unlock: str) -> Unestablished:
    return Unestablished(MayProbe(), Unknown(Why.NO_TOOL, says, unlock))
