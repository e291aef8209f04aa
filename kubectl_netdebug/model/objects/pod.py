"""A Pod: its place, its containers, and why it is not ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kubectl_netdebug.model.finding import ObjectRef
from kubectl_netdebug.model.objects import tree

ADDED = "netdebug-"
"""What the names of ephemeral containers begin with that were added for probing."""

MESH_PROXIES = {
    "istio-proxy": "Istio",
    "linkerd-proxy": "Linkerd",
    "kuma-sidecar": "Kuma",
    "consul-dataplane": "Consul",
}
"""The containers that meshes put into Pods, by name, and the mesh."""


@dataclass(frozen=True)
class ContainerPort:
    """A declared port; informational for numbers, binding for names."""

    name: str
    port: int
    protocol: str
    host_port: int = 0
    host_ip: str = ""
    """The one address of the node that the host port is for; '' for all."""


@dataclass(frozen=True)
class Probe:
    """A kubelet probe. `port` is a number as text or a name; `kind` is http, tcp, grpc, exec or ''."""

    kind: str
    path: str
    port: str
    scheme: str
    timeout: int
    period: int
    failure_threshold: int


@dataclass(frozen=True)
class Termination:
    """How a container ended. `exit_code` is 137 for a kill; `reason` is kubelet's: Error, OOMKilled, Completed."""

    exit_code: int
    reason: str
    message: str
    finished: datetime | None


@dataclass(frozen=True)
class Container:
    """Spec and status of one container, joined by name."""

    name: str
    image: str
    index: int
    ports: tuple[ContainerPort, ...]
    env: Mapping[str, str | None]
    """Names with their plain values where the value may be shown, else None."""
    env_from: tuple[tuple[str, str], ...]
    """(kind, name) of ConfigMaps and Secrets taken whole."""
    readiness: Probe | None
    liveness: Probe | None
    startup: Probe | None
    has_pre_stop: bool
    ready: bool
    started: bool
    restarts: int
    state: str
    """waiting, running, terminated or ''."""
    reason: str
    message: str
    running_since: datetime | None
    terminated: Termination | None
    last: Termination | None
    restart_policy: str = ""


@dataclass(frozen=True)
class Condition:
    """One entry of `status.conditions`."""

    type: str
    status: str
    reason: str
    message: str
    since: datetime | None


@dataclass(frozen=True)
class Pod:
    """What diagnosing needs of a Pod."""

    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    node: str
    ip: str
    phase: str
    reason: str
    host_network: bool
    deleting: bool
    created: datetime | None
    owner_kind: str
    owner_name: str
    service_links: bool
    readiness_gates: tuple[str, ...]
    host_aliases: tuple[tuple[str, tuple[str, ...]], ...]
    """(address, names) pairs that are written to /etc/hosts."""
    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...]
    ephemeral: tuple[Container, ...]
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    ips: tuple[str, ...] = ()
    """One address of each family; the first is `ip`."""

    @property
    def at(self) -> ObjectRef:
        """The object itself."""
        return ObjectRef("Pod", self.namespace, self.name)

    @property
    def finished(self) -> bool:
        """Succeeded or Failed: it will never serve again."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def ready(self) -> bool:
        """Kubelet's word, which decides whether endpoints are ready."""
        condition = self.conditions.get("Ready")
        return condition is not None and condition.status == "True"

    @property
    def ports(self) -> tuple[ContainerPort, ...]:
        """All declared ports."""
        return tuple(port for container in self.containers for port in container.ports)

    def age(self, now: datetime) -> float:
        """Seconds since it was created; a large number where that is unknown."""
        return (now - self.created).total_seconds() if self.created else 1e9


def read_pod(raw: Any) -> Pod:
    """The view of a raw Pod."""
    spec, status, meta = (tree.dig(raw, part) for part in ("spec", "status", "metadata"))
    owner = next((o for o in tree.entries(meta, "ownerReferences") if tree.flag(o, "controller")), {})
    ip = tree.text(status, "podIP")
    return Pod(
        namespace=tree.text(meta, "namespace"),
        name=tree.text(meta, "name"),
        uid=tree.text(meta, "uid"),
        labels=tree.labels(meta, "labels"),
        annotations=tree.labels(meta, "annotations"),
        node=tree.text(spec, "nodeName"),
        ip=ip,
        phase=tree.text(status, "phase"),
        reason=tree.text(status, "reason"),
        host_network=tree.flag(spec, "hostNetwork"),
        deleting=bool(tree.text(meta, "deletionTimestamp")),
        created=tree.when(meta, "creationTimestamp"),
        owner_kind=tree.text(owner, "kind"),
        owner_name=tree.text(owner, "name"),
        service_links=tree.flag(spec, "enableServiceLinks", default=True),
        readiness_gates=tuple(tree.text(gate, "conditionType") for gate in tree.entries(spec, "readinessGates")),
        host_aliases=tuple(
            (tree.text(a, "ip"), tree.strings(a, "hostnames")) for a in tree.entries(spec, "hostAliases")
        ),
        containers=_containers(spec, status, "containers", "containerStatuses"),
        init_containers=_containers(spec, status, "initContainers", "initContainerStatuses"),
        ephemeral=_containers(spec, status, "ephemeralContainers", "ephemeralContainerStatuses"),
        conditions={
            tree.text(c, "type"): Condition(
                type=tree.text(c, "type"),
                status=tree.text(c, "status"),
                reason=tree.text(c, "reason"),
                message=tree.text(c, "message"),
                since=tree.when(c, "lastTransitionTime"),
            )
            for c in tree.entries(status, "conditions")
        },
        ips=tuple(tree.text(entry, "ip") for entry in tree.entries(status, "podIPs")) or ((ip,) if ip else ()),
    )


def _containers(spec: Any, status: Any, spec_key: str, status_key: str) -> tuple[Container, ...]:
    statuses = {tree.text(s, "name"): s for s in tree.entries(status, status_key)}
    return tuple(
        _container(index, entry, statuses.get(tree.text(entry, "name"), {}))
        for index, entry in enumerate(tree.entries(spec, spec_key))
    )


def _container(index: int, spec: Mapping[str, Any], status: Mapping[str, Any]) -> Container:
    state = next((name for name in ("waiting", "running", "terminated") if tree.dig(status, "state", name)), "")
    return Container(
        name=tree.text(spec, "name"),
        image=tree.text(spec, "image"),
        index=index,
        ports=tuple(
            ContainerPort(
                tree.text(p, "name"),
                tree.number(p, "containerPort"),
                tree.text(p, "protocol") or "TCP",
                tree.number(p, "hostPort"),
                "" if tree.text(p, "hostIP") in ("0.0.0.0", "::") else tree.text(p, "hostIP"),
            )
            for p in tree.entries(spec, "ports")
        ),
        env={
            tree.text(e, "name"): (tree.text(e, "value") if isinstance(tree.dig(e, "value"), str) else None)
            for e in tree.entries(spec, "env")
        },
        env_from=tuple(_env_from(entry) for entry in tree.entries(spec, "envFrom")),
        readiness=_probe(tree.dig(spec, "readinessProbe")),
        liveness=_probe(tree.dig(spec, "livenessProbe")),
        startup=_probe(tree.dig(spec, "startupProbe")),
        has_pre_stop=isinstance(tree.dig(spec, "lifecycle", "preStop"), Mapping),
        ready=tree.flag(status, "ready"),
        started=tree.flag(status, "started"),
        restarts=tree.number(status, "restartCount"),
        state=state,
        reason=tree.text(status, "state", state, "reason") if state else "",
        message=tree.text(status, "state", state, "message") if state else "",
        running_since=tree.when(status, "state", "running", "startedAt"),
        terminated=_termination(tree.dig(status, "state", "terminated")),
        last=_termination(tree.dig(status, "lastState", "terminated")),
        restart_policy=tree.text(spec, "restartPolicy"),
    )


def _env_from(raw: Mapping[str, Any]) -> tuple[str, str]:
    if tree.dig(raw, "configMapRef"):
        return "ConfigMap", tree.text(raw, "configMapRef", "name")
    return "Secret", tree.text(raw, "secretRef", "name")


def _probe(raw: Any) -> Probe | None:
    if not isinstance(raw, Mapping):
        return None
    kind, key = next(
        (
            (k, v)
            for k, v in (("http", "httpGet"), ("tcp", "tcpSocket"), ("grpc", "grpc"), ("exec", "exec"))
            if v in raw
        ),
        ("", ""),
    )
    return Probe(
        kind=kind,
        path=tree.text(raw, key, "path") or ("/" if kind == "http" else ""),
        port=tree.text(raw, key, "port"),
        scheme=tree.text(raw, key, "scheme") or "HTTP",
        timeout=tree.number(raw, "timeoutSeconds", default=1),
        period=tree.number(raw, "periodSeconds", default=10),
        failure_threshold=tree.number(raw, "failureThreshold", default=3),
    )


def _termination(raw: Any) -> Termination | None:
    if not isinstance(raw, Mapping):
        return None
    return Termination(
        exit_code=tree.number(raw, "exitCode"),
        reason=tree.text(raw, "reason"),
        message=tree.text(raw, "message"),
        finished=tree.when(raw, "finishedAt"),
    )
