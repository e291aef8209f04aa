"""A Node: its addresses and what is stored on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Condition


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
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    """Keys of the taints, such as `node.kubernetes.io/not-ready`."""
    max_pods: int = 0
    """How many Pods kubelet takes (its maxPods); 0 where it has not said."""

    @property
    def network_unavailable(self) -> bool:
        """A controller says that the node has no Pod network."""
        condition = self.conditions.get("NetworkUnavailable")
        return condition is not None and condition.status == "True"

    @property
    def silent(self) -> bool:
        """Its kubelet has not been heard of for long."""
        condition = self.conditions.get("Ready")
        return condition is not None and condition.status == "Unknown"

    @property
    def internal_ip(self) -> str:
        """The first InternalIP, or ''."""
        return next((address for kind, address in self.addresses if kind == "InternalIP"), "")


def read_node(raw: Any) -> Node:
    """The view of a raw Node."""
    conditions = {
        tree.text(c, "type"): Condition(
            type=tree.text(c, "type"),
            status=tree.text(c, "status"),
            reason=tree.text(c, "reason"),
            message=tree.text(c, "message"),
            since=tree.when(c, "lastTransitionTime"),
        )
        for c in tree.entries(raw, "status", "conditions")
    }
    ready = conditions.get("Ready")
    pod_cidr = tree.text(raw, "spec", "podCIDR")
    return Node(
        name=tree.text(raw, "metadata", "name"),
        ready=ready is not None and ready.status == "True",
        unschedulable=tree.flag(raw, "spec", "unschedulable"),
        addresses=tuple(
            (tree.text(a, "type"), tree.text(a, "address")) for a in tree.entries(raw, "status", "addresses")
        ),
        pod_cidrs=tree.strings(raw, "spec", "podCIDRs") or ((pod_cidr,) if pod_cidr else ()),
        images=tuple(name for image in tree.entries(raw, "status", "images") for name in tree.strings(image, "names")),
        os=tree.text(raw, "status", "nodeInfo", "operatingSystem"),
        labels=tree.labels(raw, "metadata", "labels"),
        conditions=conditions,
        taints=tuple(tree.text(taint, "key") for taint in tree.entries(raw, "spec", "taints")),
        max_pods=_count(tree.text(raw, "status", "capacity", "pods")),
    )


def _count(written: str) -> int:
    """A small quantity such as `110`; 0 for anything else."""
    return int(written) if written.isascii() and written.isdecimal() and len(written) < 9 else 0
