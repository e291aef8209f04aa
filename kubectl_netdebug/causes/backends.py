"""What follows from a Service and its slices: the ports asked about, the backends behind them, the Pod to probe from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.model.facts import MayProbe, Unknown, Why
from kubectl_netdebug.model.look import Look, Unestablished
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.service import Service, ServicePort
from kubectl_netdebug.model.objects.slices import Endpoint, EndpointSlice
from kubectl_netdebug.model.question import Question, Source, SourceKind
from kubectl_netdebug.net.outcome import Attempt

MOST_BACKENDS = 32
"""Backends that are connected to in one run; of more, the first ones are taken and the result says so."""

PROBE_CONTAINER = "netdebug-"
"""What the names of our ephemeral containers begin with."""


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
    """The Service ports that the question is about: the one typed (number or name), else all. Empty: not declared."""
    return tuple(
        port
        for port in service.ports
        if (not asked.port or asked.port in (str(port.port), port.name))
        and (not asked.protocol or asked.protocol == port.protocol)
    )


def backends(service: Service, slices: Iterable[EndpointSlice], asked: Question) -> tuple[Backend, ...]:
    """Every endpoint on every port asked about, ready or not, in a stable order.

    A slice counts for a Service port when it has a port of the same name and protocol, and is of one of the Service's
    address families; proxies ignore the rest.
    """
    families = service.ip_families or ("IPv4", "IPv6")
    found = {}
    for port in ports_asked(service, asked):
        for each in slices:
            target = each.port_for(port.name, port.protocol)
            if target is None or target.port is None or each.address_type not in families:
                continue
            for endpoint in each.endpoints:
                if endpoint.address:
                    key = (endpoint.address, target.port, port.protocol, port.index)
                    found[key] = Backend(endpoint.address, target.port, port.protocol, endpoint, each, port)
    return tuple(found[key] for key in sorted(found))


def in_use(found: Iterable[Backend]) -> tuple[Backend, ...]:
    """The backends that get traffic: the ready ones, else those terminating ones that still serve."""
    everything = tuple(found)
    ready = tuple(b for b in everything if b.endpoint.ready)
    return ready or tuple(b for b in everything if b.endpoint.terminating and b.endpoint.serving)


def backends_asked(look: Look, asked: Question) -> tuple[Backend, ...]:
    """The backends of the Service that was asked about; none where it does not exist."""
    service, slices = look.together(asks.the_service(asked), asks.slices_of(asked))
    return backends(service, slices, asked) if service else ()


def live_pods(pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
    """Pods that serve or should: neither finished nor on their way out."""
    return tuple(pod for pod in pods if not pod.finished and not pod.deleting)


def client_pod(look: Look, asked: Question) -> Pod:
    """The Pod to probe from: the one asked for, else one of the namespace, rather not a backend.

    Leaves the asking function where probes are not allowed or no Pod can serve.
    """
    look(asks.may_probe())
    if asked.source.kind is SourceKind.POD:
        return _named_client(look, asked.source)
    namespace = asked.source.namespace or asked.namespace
    candidates = [pod for pod in look(asks.pods_in(namespace)) if can_host_probe(pod)]
    if asked.source.kind is not SourceKind.ANY:
        candidates = [pod for pod in candidates if _belongs_to(pod, asked.source)]
    if not candidates:
        whose = f"of {asked.source} " if asked.source.name else ""
        raise _no_client(f"no running Pod {whose}in namespace {namespace} to probe from", "--from pod/NAME")
    serving = {backend.pod for backend in backends_asked(look, asked)}
    return min(candidates, key=lambda pod: (not has_probe(pod), pod.name in serving, pod.host_network, pod.name))


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
    return any(c.name.startswith(PROBE_CONTAINER) and c.state == "running" for c in pod.ephemeral)


def attempts_at(look: Look, client: Pod, found: Iterable[Backend]) -> tuple[tuple[Backend, Attempt], ...]:
    """One connect from the client to each backend, side by side."""
    wanted = tuple(found)[:MOST_BACKENDS]
    results = look.all([asks.connect(client, b.address, b.port, b.protocol) for b in wanted])
    return tuple(zip(wanted, results, strict=True))


def _named_client(look: Look, source: Source) -> Pod:
    pod = look(asks.pod_named(source.namespace, source.name))
    if pod is None:
        raise _no_client(f"there is no Pod {source.name} in namespace {source.namespace}", "--from pod/NAME")
    if not can_host_probe(pod):
        raise _no_client(
            f"Pod {source.name} does not run ({pod.phase or 'no phase'}), so nothing can be tried from it",
            "--from pod/NAME",
        )
    return pod


def _belongs_to(pod: Pod, source: Source) -> bool:
    if source.kind is SourceKind.DEPLOYMENT:
        suffix = "-" + pod.labels.get("pod-template-hash", "")
        return pod.owner_kind == "ReplicaSet" and pod.owner_name.removesuffix(suffix) == source.name
    kinds = {SourceKind.STATEFULSET: "StatefulSet", SourceKind.DAEMONSET: "DaemonSet", SourceKind.JOB: "Job"}
    return pod.owner_kind == kinds.get(source.kind) and pod.owner_name == source.name


def _no_client(says: str, unlock: str) -> Unestablished:
    return Unestablished(MayProbe(), Unknown(Why.NO_TOOL, says, unlock))
