"""The resolver of the client's Pod: what its spec asks for, and what its resolv.conf says."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_named, client_pod
from kubectl_netdebug.causes.dns_cluster import DEFAULT_DOMAIN, config_of, usual_service, workload
from kubectl_netdebug.causes.resolving import conf_of
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question, SourceKind
from kubectl_netdebug.net.resolvconf import RESOLV_CONF, ResolvConf

CLUSTER_FIRST = ("ClusterFirst", "ClusterFirstWithHostNet")
LOCAL_CACHES = ipaddress.ip_network("169.254.0.0/16")


@dataclass(frozen=True)
class Resolver:
    """How the client's Pod resolves names.

    `policy` is the dnsPolicy as it is written; `observed` tells a resolv.conf that was read from one that follows from
    the configuration.
    """

    pod: Pod
    policy: str
    conf: ResolvConf
    observed: bool
    spec: Mapping[str, Any]

    @property
    def effective(self) -> str:
        """The policy that counts: a Pod on the node's network needs ClusterFirstWithHostNet to mean ClusterFirst."""
        return "Default" if self.policy == "ClusterFirst" and self.pod.host_network else self.policy

    @property
    def means_cluster(self) -> bool:
        """Kubelet writes the cluster's DNS into its resolv.conf."""
        return self.effective in CLUSTER_FIRST

    @property
    def first(self) -> str:
        """The name server that is asked first, or ''."""
        return self.conf.nameservers[0] if self.conf.nameservers else ""

    @property
    def own_config(self) -> Mapping[str, Any]:
        """`spec.dnsConfig`."""
        found = self.spec.get("dnsConfig")
        return found if isinstance(found, Mapping) else {}


def the_client(look: Look, asked: Question) -> Pod | None:
    """The Pod whose names are asked about: as a live one that can be probed, else by its API object alone."""
    if asked.source.kind is SourceKind.OUTSIDE:
        return None
    if look.why_unknown(asks.may_probe()) is None:
        return client_pod(look, asked)
    return client_named(look, asked)


def resolver_of(look: Look, asked: Question) -> Resolver | None:
    """The client's resolver; None where no client is known."""
    client = the_client(look, asked)
    if client is None:
        return None
    if asked.source.kind is SourceKind.NODE:
        return Resolver(client, "Default", conf_of(look, client), True, {})
    raw = asks.raw_object("pods", client.namespace, client.name)
    probing = look.why_unknown(asks.may_probe()) is None
    if probing:
        look.foresee(raw, asks.file_in(client, RESOLV_CONF), asks.services_in("kube-system"))
    spec = tree.dig(look(raw), "spec")
    spec = spec if isinstance(spec, Mapping) else {}
    policy = tree.text(spec, "dnsPolicy") or "ClusterFirst"
    if probing:
        return Resolver(client, policy, conf_of(look, client), True, spec)
    bare = Resolver(client, policy, ResolvConf((), (), 1), False, spec)
    return Resolver(client, policy, _expected(look, bare), False, spec)


def _expected(look: Look, bare: Resolver) -> ResolvConf:
    """What kubelet writes, as far as the API tells: its own configuration is taken to name the usual DNS Service."""
    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    ndots = 1
    if bare.means_cluster:
        service = usual_service(look)
        servers = (service.address,) if service and service.address else ()
        domain = cluster_domain(look)
        search = (f"{bare.pod.namespace}.svc.{domain}", f"svc.{domain}", domain)
        ndots = 5
    own = bare.own_config
    for option in tree.entries(own, "options"):
        value = tree.text(option, "value")
        if tree.text(option, "name") == "ndots" and value.isdecimal():
            ndots = int(value)
    added = tuple(name.rstrip(".") for name in tree.strings(own, "searches"))
    return ResolvConf((*servers, *tree.strings(own, "nameservers")), (*search, *added), ndots)


def cluster_domain(look: Look, conf: ResolvConf | None = None) -> str:
    """`cluster.local` or what stands in its place: by the search list, else by the Corefile."""
    if conf is not None and conf.cluster_domain:
        return conf.cluster_domain
    config = config_of(look, workload(look, usual_service(look)))
    zones = config.parsed.cluster_zones() if config else ()
    return zones[0] if zones else DEFAULT_DOMAIN


def is_local_cache(address: str) -> bool:
    """A link-local address, as NodeLocal DNSCache has one on every node."""
    try:
        return ipaddress.ip_address(address) in LOCAL_CACHES
    except ValueError:
        return False


def is_cloud(address: str) -> bool:
    """The link-local resolvers of clouds, which are no cache of the cluster."""
    return address in ("169.254.169.253", "169.254.169.254")


def asks_cluster(look: Look, resolver: Resolver) -> bool:
    """Whether its first name server is the cluster's, straight or through a cache on the node."""
    if resolver.means_cluster or (is_local_cache(resolver.first) and not is_cloud(resolver.first)):
        return True
    return bool(resolver.first) and any(
        resolver.first in s.cluster_ips or resolver.first == s.cluster_ip for s in look(asks.services_in("kube-system"))
    )
