"""The address ranges of the cluster, and who has an address in them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree

SERVICE_CIDRS = "servicecidrs.networking.k8s.io"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Range:
    """A range of the cluster; `what` names it for people."""

    network: Network
    what: str


def cluster_range_of(look: Look, address: str) -> Range | None:
    """The Service or Pod range that holds an address, or None where none does or the ranges cannot be read."""
    ip = ipaddress.ip_address(address)
    ranges = (*service_ranges(look), *pod_ranges(look))
    return next((r for r in ranges if r.network.version == ip.version and ip in r.network), None)


def service_ranges(look: Look) -> tuple[Range, ...]:
    """What Services get their ClusterIPs from; servers before 1.33 do not say."""
    found = look.if_known(asks.objects_in(SERVICE_CIDRS, "")) or []
    return tuple(
        Range(network, f"the Service range {network} (ServiceCIDR {tree.text(each, 'metadata', 'name')})")
        for each in found
        for network in _networks(tree.strings(each, "spec", "cidrs"))
    )


def pod_ranges(look: Look) -> tuple[Range, ...]:
    """What the nodes give addresses to Pods from, as far as it stands in their specs."""
    return tuple(
        Range(network, f"the Pod range {network} of node {node.name}")
        for node in look.if_known(asks.nodes()) or ()
        for network in _networks(node.pod_cidrs)
    )


def nobody_has(look: Look, address: str) -> bool:
    """Whether neither a Service nor a Pod nor a node has this address; False where that cannot be told."""
    services, pods = look.if_known(asks.service_at(address)), look.if_known(asks.pods_at(address))
    sure = look.why_unknown(asks.service_at(address)) is None and look.why_unknown(asks.pods_at(address)) is None
    nodes = look.if_known(asks.nodes()) or ()
    return sure and services is None and not pods and not any(address == a for n in nodes for _, a in n.addresses)


def _networks(written: Iterable[str]) -> tuple[Network, ...]:
    found = []
    for each in written:
        try:
            found.append(ipaddress.ip_network(each, strict=False))
        except ValueError:
            continue
    return tuple(found)
