"""The whole catalogue, by code. Importing this module imports every family."""

from __future__ import annotations

import importlib

from kubectl_netdebug.causes.registry import registered
from kubectl_netdebug.model.finding import Cause
from kubectl_netdebug.model.step import Explanation

FAMILIES = (
    "dns_pods",
    "dns_config",
    "dns_service",
    "dns_kubernetes",
    "dns_providers",
    "dns_policy",
    "dns_path",
    "dns_nodelocal",
    "dns_outside",
    "dns_search",
    "dns_records",
    "dns_missing",
    "dns_load",
    "service",
    "endpoints",
    "slices",
    "destinations",
    "alias",
    "tls",
    "capacity",
    "ports",
    "control",
    "probes",
    "sockets",
    "policy",
    "policy_rules",
    "policy_dns",
    "policy_cluster",
    "backends_reach",
    "traffic_policy",
    "external_record",
    "ingress",
    "ingress_rules",
    "ingress_tls",
    "gateway",
    "exposure",
    "loadbalancer",
    "loadbalancer_pool",
    "loadbalancer_path",
    "nodeport",
    "nodeport_host",
    "hostport",
    "client",
    "client_name",
    "client_proxy",
    "outside_proxy",
    "outside_routes",
    "outside_tls",
    "outside_http",
    "outside_reach",
    "itself",
    "node_dns",
    "node_kernel",
    "conntrack",
    "node_paths",
    "node_filters",
    "node_masquerade",
    "snat_ports",
    "hairpin",
    "node_speed",
    "kubeproxy_log",
    "kubeproxy",
    "kubeproxy_config",
    "kubeproxy_ports",
    "pods_port",
    "slow",
    "pod_schedule",
    "pod_start",
    "pod_config",
    "pod_log",
    "pod_host_port",
    "sctp",
    "pod_liveness",
    "pod_crash",
    "pod_ready",
    "api_address",
    "api_trust",
    "api_account",
    "api_rights",
    "api_extensions",
    "webhook",
    "mesh",
    "node_state",
    "cni",
    "cni_agent",
    "ipam",
    "ipam_calico",
    "flannel",
    "fabric_links",
    "fabric_ranges",
    "fabric_routes",
    "fabric_overlay",
    "fabric_size",
    "ipv6",
    "ipv6_node",
)
"""Modules of this package that declare causes, in the order of the path."""


def explanations() -> tuple[Explanation, ...]:
    """Every cause function with its hop."""
    for family in FAMILIES:
        importlib.import_module(f"kubectl_netdebug.causes.{family}")
    # Families import parts of each other, so the order of registration depends on who was imported first.
    return tuple(sorted(registered(), key=lambda each: FAMILIES.index(each.find.__module__.rpartition(".")[2])))


def by_code() -> dict[str, Cause]:
    """Every cause by its code, in catalogue order; a cause that several functions can find stands once."""
    return {explanation.cause.code: explanation.cause for explanation in explanations()}
