"""A Node: its addresses and what is stored on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.model.objects import tree


@dataclass(frozen=True)
class Node:
    """What diagnosing needs of a Node."""

    name: str
    ready: bool
    unschedulable: bool
    addresses: tuple[tuple[str, str], ...]
    """(type, address) pairs such as ("InternalIP", "10.0.0.1")."""
    pod_cidrs: tuple[str, ...]
    images: tuple[str, ...]
    """Names of images that kubelet reports as present (at most the 50 largest, by default)."""
    os: str
    labels: Mapping[str, str]

    @property
    def internal_ip(self) -> str:
        """The first InternalIP, or ''."""
        return next((address for kind, address in self.addresses if kind == "InternalIP"), "")


def read_node(raw: Any) -> Node:
    """The view of a raw Node."""
    conditions = {tree.text(c, "type"): tree.text(c, "status") for c in tree.entries(raw, "status", "conditions")}
    pod_cidr = tree.text(raw, "spec", "podCIDR")
    return Node(
        name=tree.text(raw, "metadata", "name"),
        ready=conditions.get("Ready") == "True",
        unschedulable=tree.flag(raw, "spec", "unschedulable"),
        addresses=tuple(
            (tree.text(a, "type"), tree.text(a, "address")) for a in tree.entries(raw, "status", "addresses")
        ),
        pod_cidrs=tree.strings(raw, "spec", "podCIDRs") or ((pod_cidr,) if pod_cidr else ()),
        images=tuple(name for image in tree.entries(raw, "status", "images") for name in tree.strings(image, "names")),
        os=tree.text(raw, "status", "nodeInfo", "operatingSystem"),
        labels=tree.labels(raw, "metadata", "labels"),
    )
