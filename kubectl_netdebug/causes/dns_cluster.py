"""The cluster's own DNS as the API shows it: Service, replicas, workload and configuration."""

from __future__ import annotations

import itertools
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import live_pods
from kubectl_netdebug.model.facts import Ask, Objects
from kubectl_netdebug.model.finding import ObjectRef
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Pod, read_pod
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.objects.slices import EndpointSlice
from kubectl_netdebug.net.corefile import Corefile, parse_corefile

NAMESPACE = "kube-system"
SERVICE_NAMES = ("kube-dns", "coredns", "rke2-coredns-rke2-coredns")
DNS_LABEL = "kube-dns"
"""The value of the label `k8s-app` that the Pods of the cluster's DNS bear nearly everywhere."""

PORT = 53
DEFAULT_DOMAIN = "cluster.local"


@dataclass(frozen=True)
class Workload:
    """The Deployment or DaemonSet of the DNS server. `spec` is that of its Pod template."""

    ref: ObjectRef
    replicas: int
    labels: Mapping[str, str]
    selector: Mapping[str, str]
    spec: Mapping[str, Any]

    @property
    def container(self) -> Mapping[str, Any]:
        """The container that serves DNS: the one with port 53, else the first."""
        containers = list(tree.entries(self.spec, "containers"))
        serving = [
            c for c in containers if any(tree.number(p, "containerPort") == PORT for p in tree.entries(c, "ports"))
        ]
        return next(iter(serving or containers), {})

    @property
    def container_name(self) -> str:
        """Its name."""
        return tree.text(self.container, "name")

    @property
    def is_coredns(self) -> bool:
        """Whether the image is CoreDNS."""
        return "coredns" in tree.text(self.container, "image")


@dataclass(frozen=True)
class Replica:
    """One endpoint of the DNS Service with its ports; a port is 0 where no slice names it."""

    address: str
    pod: str
    node: str
    udp: int
    tcp: int
    ready: bool

    @property
    def label(self) -> str:
        """For people."""
        where = f" on {self.node}" if self.node else ""
        return f"{self.pod or self.address}{where}"


@dataclass(frozen=True)
class Config:
    """A Corefile and the ConfigMap that holds it."""

    ref: ObjectRef
    key: str
    text: str
    parsed: Corefile
    version: str = ""


def dns_services(look: Look) -> tuple[Service, ...]:
    """The Services of kube-system that look like the cluster's DNS, the likeliest first."""
    found = [s for s in look(asks.services_in(NAMESPACE)) if _is_dns(s)]
    return tuple(sorted(found, key=lambda s: (s.name not in SERVICE_NAMES, s.headless, s.name)))


def _is_dns(service: Service) -> bool:
    if service.name in SERVICE_NAMES or service.labels.get("kubernetes.io/name") in ("CoreDNS", "KubeDNS"):
        return True
    return service.labels.get("k8s-app") == DNS_LABEL and any(p.port == PORT for p in service.ports)


def service_with(look: Look, address: str) -> Service | None:
    """The Service that has an address: of the cluster's DNS, else of any namespace."""
    near = next((s for s in dns_services(look) if address in (s.cluster_ip, *s.cluster_ips)), None)
    return near or look(asks.service_at(address))


def usual_service(look: Look) -> Service | None:
    """The cluster's DNS Service by its name or labels."""
    return next((s for s in dns_services(look) if not s.headless), None)


def slices(look: Look, service: Service) -> tuple[EndpointSlice, ...]:
    """Where it leads."""
    return look(asks.slices_for(service.namespace, service.name))


def replicas(look: Look, service: Service) -> tuple[Replica, ...]:
    """The endpoints for port 53, each address once, in a stable order."""
    ports = {p.protocol: p for p in service.ports if p.port == PORT}
    found: dict[str, Replica] = {}
    for each in slices(look, service):
        numbers = {}
        for protocol, port in ports.items():
            target = each.port_for(port.name, protocol)
            numbers[protocol] = (target.port or 0) if target else 0
        for endpoint in each.endpoints:
            if endpoint.address and not endpoint.terminating:
                found[endpoint.address] = Replica(
                    endpoint.address,
                    endpoint.target_name,
                    endpoint.node,
                    numbers.get("UDP", 0),
                    numbers.get("TCP", 0),
                    endpoint.ready,
                )
    return tuple(found[address] for address in sorted(found))


def workload(look: Look, service: Service | None, namespace: str = NAMESPACE) -> Workload | None:
    """The workload behind the Service, or that which should be: by the selector, else by its label or image."""
    home = service.namespace if service else namespace
    everything = [
        _workload(kind, home, raw)
        for kind, resource in (("Deployment", "deployments.apps"), ("DaemonSet", "daemonsets.apps"))
        for raw in look.if_known(asks.objects_in(resource, home)) or []
    ]
    selector = dict(service.selector) if service else {}
    by_selector = [w for w in everything if selector and selector.items() <= w.labels.items()]
    by_label = [w for w in everything if w.labels.get("k8s-app") == DNS_LABEL]
    by_image = [w for w in everything if w.is_coredns and _serves_dns(w)]
    return next(iter([*by_selector, *by_label, *by_image]), None)


def _serves_dns(each: Workload) -> bool:
    """Not a cache on the nodes, which has CoreDNS inside as well."""
    return not tree.flag(each.spec, "hostNetwork")


def _workload(kind: str, namespace: str, raw: Mapping[str, Any]) -> Workload:
    spec = tree.dig(raw, "spec", "template", "spec")
    wanted = tree.number(raw, "spec", "replicas", default=1)
    return Workload(
        ref=ObjectRef(kind, namespace, tree.text(raw, "metadata", "name")),
        replicas=wanted if kind == "Deployment" else tree.number(raw, "status", "desiredNumberScheduled"),
        labels=tree.labels(raw, "spec", "template", "metadata", "labels"),
        selector=tree.labels(raw, "spec", "selector", "matchLabels"),
        spec=spec if isinstance(spec, Mapping) else {},
    )


def pods_of(look: Look, found: Workload) -> tuple[Pod, ...]:
    """Its Pods that serve or should."""
    return live_pods(look(_pods_labelled(found.ref.namespace, found.selector)))


def _pods_labelled(namespace: str, labels: Mapping[str, str]) -> Ask[tuple[Pod, ...]]:
    chosen = ",".join(f"{k}={v}" for k, v in sorted(labels.items()))
    return Ask(
        Objects("pods", namespace, labels=chosen),
        lambda v: tuple(map(read_pod, asks.items(v))),
        lambda pods: (
            ", ".join(f"{p.name} {'Ready' if p.ready else 'not Ready'}" for p in pods[:5]) or f"no Pod has {chosen}"
        ),
    )


def config_of(look: Look, found: Workload | None) -> Config | None:
    """The Corefile that its Pods mount, with what it imports; None where that cannot be seen."""
    if found is None:
        return None
    path = _argument(found.container, "-conf") or "/etc/coredns/Corefile"
    texts: dict[str, str] = {}
    main: tuple[ObjectRef, str, str] | None = None
    for mount, name, items in _config_maps(found):
        raw = look.if_known(asks.raw_object("configmaps", found.ref.namespace, name))
        for key, text in tree.labels(raw, "data").items():
            file = posixpath.join(mount, items.get(key, key))
            texts[file] = text
            if file == path or (main is None and key == "Corefile"):
                main = ObjectRef("ConfigMap", found.ref.namespace, name, f"data.{key}"), key, text
    if main is None:
        return None
    ref, key, text = main
    return Config(ref, key, text, parse_corefile(text, texts))


def _argument(container: Mapping[str, Any], name: str) -> str:
    words = [*tree.strings(container, "command"), *tree.strings(container, "args")]
    return next((b for a, b in itertools.pairwise(words) if a == name), "")


def _config_maps(found: Workload) -> list[tuple[str, str, dict[str, str]]]:
    """(mount path, ConfigMap, keys with their file names) of the container."""
    volumes = {tree.text(v, "name"): v for v in tree.entries(found.spec, "volumes")}
    mounted = []
    for mount in tree.entries(found.container, "volumeMounts"):
        volume = volumes.get(tree.text(mount, "name"), {})
        name = tree.text(volume, "configMap", "name")
        if name:
            items = {tree.text(i, "key"): tree.text(i, "path") for i in tree.entries(volume, "configMap", "items")}
            mounted.append((tree.text(mount, "mountPath"), name, items))
    return mounted
