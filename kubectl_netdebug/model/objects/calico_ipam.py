"""Calico's own address management as its objects show it: pools, and the blocks of them that nodes hold."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.model.finding import ObjectRef
from kubectl_netdebug.model.objects import tree

POOLS = "ippools.crd.projectcalico.org"
BLOCKS = "ipamblocks.crd.projectcalico.org"

_MOST = 4096
"""Places that are read of one block; Calico's largest has as many."""


@dataclass(frozen=True)
class IPPool:
    """A range that Calico gives addresses from."""

    name: str
    cidr: str
    disabled: bool
    node_selector: str
    for_pods: bool
    """It may be used for workloads, not for tunnels alone."""

    @property
    def at(self) -> ObjectRef:
        """The object itself."""
        return ObjectRef("IPPool", "", self.name)

    @property
    def size(self) -> int:
        """How many addresses it has; 0 where its range cannot be read."""
        try:
            return ipaddress.ip_network(self.cidr, strict=False).num_addresses
        except ValueError:
            return 0


@dataclass(frozen=True)
class Allocation:
    """An address that is taken. `namespace` and `pod` are '' where it is no Pod's (a tunnel's, or reserved)."""

    address: str
    place: int
    """Its number in the block."""
    attribute: int
    """The number of what is written about it."""
    handle: str
    namespace: str
    pod: str
    node: str


@dataclass(frozen=True)
class IPAMBlock:
    """A part of a pool. `node` has affinity for it, or ''."""

    name: str
    cidr: str
    node: str
    allocations: tuple[Allocation, ...]
    free: int

    @property
    def at(self) -> ObjectRef:
        """The object itself."""
        return ObjectRef("IPAMBlock", "", self.name)

    @property
    def size(self) -> int:
        """How many addresses it has."""
        return len(self.allocations) + self.free


def read_pool(raw: Any) -> IPPool:
    """The view of a raw IPPool."""
    uses = tree.strings(raw, "spec", "allowedUses")
    return IPPool(
        name=tree.text(raw, "metadata", "name"),
        cidr=tree.text(raw, "spec", "cidr"),
        disabled=tree.flag(raw, "spec", "disabled"),
        node_selector=tree.text(raw, "spec", "nodeSelector"),
        for_pods=not uses or "Workload" in uses,
    )


def read_block(raw: Any) -> IPAMBlock | None:
    """The view of a raw IPAMBlock; None for one that is on its way out, or without a range."""
    cidr, places = tree.text(raw, "spec", "cidr"), tree.dig(raw, "spec", "allocations")
    try:
        first = ipaddress.ip_network(cidr, strict=False).network_address
    except ValueError:
        return None
    if not isinstance(places, list) or tree.flag(raw, "spec", "deleted"):
        return None
    taken = [(place, value) for place, value in enumerate(places[:_MOST]) if _is_whole(value)]
    kind, _, node = tree.text(raw, "spec", "affinity").partition(":")
    return IPAMBlock(
        name=tree.text(raw, "metadata", "name"),
        cidr=cidr,
        node=node if kind == "host" else "",
        allocations=tuple(_allocation(raw, str(first + place), place, attribute) for place, attribute in taken),
        free=len(places[:_MOST]) - len(taken),
    )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _allocation(raw: Any, address: str, place: int, attribute: int) -> Allocation:
    about = ("spec", "attributes", attribute)
    secondary = tree.labels(raw, *about, "secondary")
    return Allocation(
        address=address,
        place=place,
        attribute=attribute,
        handle=tree.text(raw, *about, "handle_id"),
        namespace=secondary.get("namespace", ""),
        pod=secondary.get("pod", ""),
        node=secondary.get("node", ""),
    )


def lies_in_pool(block: IPAMBlock, pool: IPPool) -> bool:
    """Whether the block is a part of the pool."""
    try:
        inner, outer = ipaddress.ip_network(block.cidr, strict=False), ipaddress.ip_network(pool.cidr, strict=False)
        return inner.subnet_of(outer)  # type: ignore[arg-type]
    except (ValueError, TypeError):  # no range, or one of each family
        return False
