"""A Service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubectl_netdebug.model.finding import ObjectRef
from kubectl_netdebug.model.objects import tree

PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"


@dataclass(frozen=True)
class ServicePort:
    """One entry of `spec.ports`. `target` is a number as text, a port name, or '' (the port itself)."""

    index: int
    name: str
    port: int
    protocol: str
    target: str
    node_port: int
    app_protocol: str

    @property
    def target_number(self) -> int | None:
        """The target port where it is a number; None for a name."""
        if not self.target:
            return self.port
        return int(self.target) if self.target.isdecimal() and len(self.target) <= 5 else None

    def __str__(self) -> str:
        name = f" ({self.name})" if self.name else ""
        return f"{self.port}/{self.protocol}{name}"


@dataclass(frozen=True)
class Service:
    """What diagnosing needs of a Service. Empty strings and tuples stand for absent fields."""

    namespace: str
    name: str
    type: str
    cluster_ip: str
    cluster_ips: tuple[str, ...]
    ip_families: tuple[str, ...]
    selector: Mapping[str, str]
    ports: tuple[ServicePort, ...]
    external_name: str
    external_ips: tuple[str, ...]
    load_balancer_ips: tuple[str, ...]
    internal_policy: str
    external_policy: str
    affinity: str
    publish_not_ready: bool
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    load_balancer_class: str = ""
    source_ranges: tuple[str, ...] = ()
    health_check_port: int = 0
    load_balancer_names: tuple[str, ...] = ()
    """Host names that its status gives instead of addresses."""

    @property
    def headless(self) -> bool:
        """No virtual address: the name gives the Pods' own addresses."""
        return self.cluster_ip == "None"

    @property
    def is_alias(self) -> bool:
        """An ExternalName Service: nothing but a DNS alias."""
        return self.type == "ExternalName"

    @property
    def address(self) -> str:
        """The virtual address, or '' where there is none."""
        return "" if self.headless or self.is_alias else self.cluster_ip

    @property
    def at(self) -> ObjectRef:
        """The object itself."""
        return ObjectRef("Service", self.namespace, self.name)

    def field(self, path: str) -> ObjectRef:
        """A field of it, such as `spec.selector`."""
        return self.at.at(path)

    def describe(self) -> str:
        """One line for people."""
        ports = ", ".join(f"{p} → {p.target or p.port}" for p in self.ports) or "no ports"
        kind = "headless" if self.headless else self.type
        if self.is_alias:
            return f"ExternalName → {self.external_name}"
        address = f" {self.cluster_ip}" if self.address else ""
        return f"{kind}{address}, {ports}"


def read_service(raw: Any) -> Service | None:
    """The view of a raw Service, or None for None (no such object)."""
    if raw is None:
        return None
    spec = tree.dig(raw, "spec")
    cluster_ip = tree.text(spec, "clusterIP")
    addresses = tuple(
        tree.text(entry, "ip")
        for entry in tree.entries(raw, "status", "loadBalancer", "ingress")
        if tree.text(entry, "ip")
    )
    return Service(
        namespace=tree.text(raw, "metadata", "namespace"),
        name=tree.text(raw, "metadata", "name"),
        type=tree.text(spec, "type") or "ClusterIP",
        cluster_ip=cluster_ip,
        cluster_ips=tree.strings(spec, "clusterIPs") or ((cluster_ip,) if cluster_ip else ()),
        ip_families=tree.strings(spec, "ipFamilies"),
        selector=tree.labels(spec, "selector"),
        ports=tuple(_port(index, entry) for index, entry in enumerate(tree.entries(spec, "ports"))),
        external_name=tree.text(spec, "externalName"),
        external_ips=tree.strings(spec, "externalIPs"),
        load_balancer_ips=addresses,
        internal_policy=tree.text(spec, "internalTrafficPolicy") or "Cluster",
        external_policy=tree.text(spec, "externalTrafficPolicy") or "Cluster",
        affinity=tree.text(spec, "sessionAffinity") or "None",
        publish_not_ready=tree.flag(spec, "publishNotReadyAddresses"),
        labels=tree.labels(raw, "metadata", "labels"),
        annotations=tree.labels(raw, "metadata", "annotations"),
        load_balancer_class=tree.text(spec, "loadBalancerClass"),
        source_ranges=tree.strings(spec, "loadBalancerSourceRanges"),
        health_check_port=tree.number(spec, "healthCheckNodePort"),
        load_balancer_names=tuple(
            name
            for entry in tree.entries(raw, "status", "loadBalancer", "ingress")
            if (name := tree.text(entry, "hostname")) and not tree.text(entry, "ip")
        ),
    )


def _port(index: int, raw: Mapping[str, Any]) -> ServicePort:
    return ServicePort(
        index=index,
        name=tree.text(raw, "name"),
        port=tree.number(raw, "port"),
        protocol=tree.text(raw, "protocol") or "TCP",
        target=tree.text(raw, "targetPort"),
        node_port=tree.number(raw, "nodePort"),
        app_protocol=tree.text(raw, "appProtocol"),
    )
