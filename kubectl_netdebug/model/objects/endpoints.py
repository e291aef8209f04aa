"""v1 Endpoints: the old list of addresses, mirrored into EndpointSlices for Services without selector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.model.finding import ObjectRef
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.slices import SlicePort

SKIP_MIRROR_LABEL = "endpointslice.kubernetes.io/skip-mirror"
LEADER_ANNOTATION = "control-plane.alpha.kubernetes.io/leader"


@dataclass(frozen=True)
class Subset:
    """Addresses that share their ports."""

    addresses: tuple[str, ...]
    not_ready: tuple[str, ...]
    ports: tuple[SlicePort, ...]


@dataclass(frozen=True)
class Endpoints:
    """One Endpoints object."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    subsets: tuple[Subset, ...]

    @property
    def at(self) -> ObjectRef:
        """The object itself."""
        return ObjectRef("Endpoints", self.namespace, self.name)

    @property
    def addresses(self) -> tuple[str, ...]:
        """All ready addresses."""
        return tuple(address for subset in self.subsets for address in subset.addresses)


def read_endpoints(raw: Any) -> Endpoints | None:
    """The view of a raw Endpoints object, or None for None."""
    if raw is None:
        return None
    return Endpoints(
        namespace=tree.text(raw, "metadata", "namespace"),
        name=tree.text(raw, "metadata", "name"),
        labels=tree.labels(raw, "metadata", "labels"),
        annotations=tree.labels(raw, "metadata", "annotations"),
        subsets=tuple(
            Subset(
                addresses=tuple(tree.text(a, "ip") for a in tree.entries(subset, "addresses")),
                not_ready=tuple(tree.text(a, "ip") for a in tree.entries(subset, "notReadyAddresses")),
                ports=tuple(
                    SlicePort(tree.text(p, "name"), tree.number(p, "port") or None, tree.text(p, "protocol") or "TCP")
                    for p in tree.entries(subset, "ports")
                ),
            )
            for subset in tree.entries(raw, "subsets")
        ),
    )
