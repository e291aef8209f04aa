"""The cluster's DNS as far as it concerns the client, and the ways to mend it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from kubectl_netdebug.causes.dns_client import Resolver, asks_cluster, resolver_of
from kubectl_netdebug.causes.dns_cluster import (
    Config,
    Replica,
    Workload,
    config_of,
    pods_of,
    replicas,
    usual_service,
    workload,
)
from kubectl_netdebug.causes.dns_tried import dns_service
from kubectl_netdebug.model.command import Command, Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Effect
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.corefile import Directive
from kubectl_netdebug.net.resolvconf import RESOLV_CONF


@dataclass(frozen=True)
class ClusterDns:
    """What the client depends on. `service` is the one at its first name server, or else the usual one."""

    resolver: Resolver
    service: Service | None
    workload: Workload | None
    pods: tuple[Pod, ...]
    replicas: tuple[Replica, ...]

    @property
    def serving(self) -> tuple[Replica, ...]:
        """Replicas that get traffic."""
        return tuple(r for r in self.replicas if r.ready)

    @property
    def effect(self) -> Effect:
        """What a fault of some Pods costs: everything, or a part while others serve."""
        return Effect.DEGRADES if self.serving else Effect.BREAKS


def cluster_dns(look: Look, asked: Question) -> ClusterDns | None:
    """None where the client does not use the cluster's DNS, or no client is known."""
    resolver = resolver_of(look, asked)
    if resolver is None or not asks_cluster(look, resolver):
        return None
    service = dns_service(look, resolver) or usual_service(look)
    runs = workload(look, service)
    return ClusterDns(
        resolver,
        service,
        runs,
        pods_of(look, runs) if runs else (),
        replicas(look, service) if service else (),
    )


def config(look: Look, dns: ClusterDns) -> Config | None:
    """Its Corefile."""
    return config_of(look, dns.workload)


def restart(runs: Workload) -> Command:
    """New Pods with the configuration as it is now."""
    return kubectl("rollout", "restart", runs.ref.short, namespace=runs.ref.namespace)


def with_corefile(title: str, found: Config, runs: Workload, text: str) -> Fix:
    """Puts another Corefile in place and restarts: Pods that crash do not read it again for minutes."""
    body = json.dumps({"data": {found.key: text}}, separators=(",", ":"))
    command = kubectl("patch", "configmap", found.ref.name, "-p", body, namespace=found.ref.namespace)
    return Fix(title, replace(command, then=(restart(runs),)), Risk.REVERSIBLE)


def by_hand(title: str, found: Config, runs: Workload, why: str) -> Fix:
    """Where the right text cannot be known."""
    command = kubectl("edit", "configmap", found.ref.name, namespace=found.ref.namespace)
    return Fix(title, replace(command, then=(restart(runs),)), not_pasteable=why)


def to_node_resolver(title: str, found: Config, runs: Workload, forward: Directive) -> Fix:
    """Forwards the zone of a directive to what the nodes themselves ask."""
    zone = forward.args[0] if forward.args else "."
    return with_corefile(title, found, runs, with_line(found, forward, f"forward {zone} {RESOLV_CONF}"))


def with_line(found: Config, directive: Directive, words: str) -> str:
    """The Corefile with the words of one directive replaced; its braces and everything else stay."""
    lines = found.text.split("\n")
    old = lines[directive.line - 1]
    indent = old[: len(old) - len(old.lstrip())]
    brace = " {" if old.split("#")[0].rstrip().endswith("{") else ""
    lines[directive.line - 1] = f"{indent}{words}{brace}"
    return "\n".join(lines)


def with_lines_before(found: Config, directive: Directive, new: list[str]) -> str:
    """The Corefile with lines put before a directive, indented as that is."""
    lines = found.text.split("\n")
    old = lines[directive.line - 1]
    indent = old[: len(old) - len(old.lstrip())]
    lines[directive.line - 1 : directive.line - 1] = [indent + line for line in new]
    return "\n".join(lines)


def in_main_file(directive: Directive | None) -> bool:
    """Whether the directive stands in the Corefile itself, not in what that imports."""
    return directive is not None and not directive.file
