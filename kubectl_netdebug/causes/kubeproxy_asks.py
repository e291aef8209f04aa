"""Facts about kube-proxy: its rules and its process on a node, its ConfigMap, its DaemonSet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.node_asks import node_view
from kubectl_netdebug.model.facts import Ask, NodeText, Object, Objects
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Pod, read_pod
from kubectl_netdebug.net.iptables import Saved, read_saved
from kubectl_netdebug.net.ipvs import Place, VirtualServer, read_ipvs
from kubectl_netdebug.net.nftables import Ruleset, read_ruleset
from kubectl_netdebug.net.proxy_process import Program, read_program
from kubectl_netdebug.net.proxyrules import ServicePorts

NAMESPACE = "kube-system"
NAME = "kube-proxy"
LABEL = "k8s-app=kube-proxy"
CHANGED = "endpoints.kubernetes.io/last-change-trigger-time"


@dataclass(frozen=True)
class Rules:
    """All rules of a node that may be kube-proxy's; None where they could not be read."""

    saved: Saved | None
    legacy: Saved | None
    listed: Ruleset | None
    servers: Mapping[Place, VirtualServer] | None


def rules_on(look: Look, node: str, ports: ServicePorts, again: int = 0) -> Rules:
    """The rules of a node, reduced to those about some Service ports and to what is not kube-proxy's."""
    about = tuple(port.to_text() for port in ports)

    def reading(what: str) -> NodeText:
        return NodeText(node, what, () if what == "ipvs" else about, again)

    found = look.all_known([Ask[Any](reading(what), _READERS[what]) for what in _READERS])
    saved, legacy, listed, servers = found
    return Rules(saved, legacy, listed, servers)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


_READERS = {
    "iptables": lambda v: read_saved(_text(v)),
    "iptables-legacy": lambda v: read_saved(_text(v)),
    "nft": lambda v: read_ruleset(_text(v)),
    "ipvs": lambda v: read_ipvs(_text(v)),
}


def program_on(node: str) -> Ask[Program]:
    """kube-proxy's process, health and counters on a node."""

    def says(found: Program) -> str:
        process = found.process
        told = f"process {process.pid}, {process.state}" if process else "no process"
        return f"kube-proxy on {node}: {told}; healthz {found.health or 'gives no answer'}"

    return node_view(node, "kube-proxy", read_program, says=says)


@dataclass(frozen=True)
class Config:
    """ConfigMap kube-system/kube-proxy, as kubeadm lays it out; '' for what it does not say."""

    mode: str
    cluster_cidr: str
    hostname_override: str
    node_port_addresses: tuple[str, ...]
    server: str
    text: str


def config() -> Ask[Config | None]:
    """kube-proxy's configuration, or None where there is no such ConfigMap."""

    def read(value: Any) -> Config | None:
        if value is None:
            return None
        text = tree.text(value, "data", "config.conf")
        addresses = re.search(r"^nodePortAddresses:\s*(\[.*?\]|(?:\n\s*-.*)+)", text, re.MULTILINE)
        return Config(
            mode=_field(text, "mode"),
            cluster_cidr=_field(text, "clusterCIDR"),
            hostname_override=_field(text, "hostnameOverride"),
            node_port_addresses=tuple(re.findall(r"[^\s\[\],\"'-][^\s\[\],\"']*", addresses[1])) if addresses else (),
            server=_field(tree.text(value, "data", "kubeconfig.conf"), "server"),
            text=text,
        )

    return Ask(Object("configmaps", NAMESPACE, NAME), read)


def _field(text: str, name: str) -> str:
    match = re.search(rf"^\s*{name}:[ \t]*(\S*)", text, re.MULTILINE)
    return match[1].strip("\"'") if match else ""


def proxy_pods() -> Ask[tuple[Pod, ...]]:
    """The Pods of the DaemonSet kube-proxy."""
    return Ask(Objects("pods", NAMESPACE, labels=LABEL), lambda v: tuple(map(read_pod, asks.items(v))))


def daemonset_named() -> Ask[bool]:
    """Whether kube-proxy runs as a DaemonSet."""
    return Ask(Object("daemonsets.apps", NAMESPACE, NAME), lambda v: v is not None)


def last_change(namespace: str, service: str) -> Ask[datetime | None]:
    """When the endpoints of a Service changed last, as their controller noted; None where it did not."""

    def read(value: Any) -> datetime | None:
        times = [
            written
            for item in asks.items(value)
            for path in (("annotations", CHANGED), ("creationTimestamp",))
            if (written := tree.when(item, "metadata", *path))
        ]
        return max(times, default=None)

    return Ask(asks.slices_for(namespace, service).key, read)
