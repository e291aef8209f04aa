"""EndpointSlices: where a Service's traffic goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.model.finding import ObjectRef
from kubectl_netdebug.model.objects import tree

SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"


@dataclass(frozen=True)
class Endpoint:
    """One endpoint of a slice. As the API has it, an absent `ready` means ready, and `serving` falls back to it."""

    addresses: tuple[str, ...]
    ready: bool
    serving: bool
    terminating: bool
    node: str
    target_kind: str
    target_name: str
    for_zones: tuple[str, ...] = ()
    """Topology hints: the zones whose clients should use it."""
    for_nodes: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The address that proxies use (the first), or ''."""
        return self.addresses[0] if self.addresses else ""


@dataclass(frozen=True)
class SlicePort:
    """One port of a slice; the name is what links it to the Service's port."""

    name: str
    port: int | None
    protocol: str


@dataclass(frozen=True)
class EndpointSlice:
    """One slice."""

    namespace: str
    name: str
    address_type: str
    service: str
    managed_by: str
    ports: tuple[SlicePort, ...]
    endpoints: tuple[Endpoint, ...]

    @property
    def at(self) -> ObjectRef:
        """The object itself."""
        return ObjectRef("EndpointSlice", self.namespace, self.name)

    @property
    def by_controller(self) -> bool:
        """Made by the control plane from a selector."""
        return self.managed_by == CONTROLLER

    def port_for(self, name: str, protocol: str) -> SlicePort | None:
        """The port of this slice that serves a Service port of that name and protocol."""
        return next((p for p in self.ports if p.name == name and p.protocol == protocol), None)


def read_slice(raw: Any) -> EndpointSlice:
    """The view of a raw EndpointSlice."""
    return EndpointSlice(
        namespace=tree.text(raw, "metadata", "namespace"),
        name=tree.text(raw, "metadata", "name"),
        address_type=tree.text(raw, "addressType"),
        service=tree.text(raw, "metadata", "labels", SERVICE_LABEL),
        managed_by=tree.text(raw, "metadata", "labels", MANAGED_BY_LABEL),
        ports=tuple(
            SlicePort(
                name=tree.text(port, "name"),
                port=tree.number(port, "port") or None,
                protocol=tree.text(port, "protocol") or "TCP",
            )
            for port in tree.entries(raw, "ports")
        ),
        endpoints=tuple(_endpoint(entry) for entry in tree.entries(raw, "endpoints")),
    )


def _endpoint(raw: Mapping[str, Any]) -> Endpoint:
    ready = tree.flag(raw, "conditions", "ready", default=True)
    return Endpoint(
        addresses=tree.strings(raw, "addresses"),
        ready=ready,
        serving=tree.flag(raw, "conditions", "serving", default=ready),
        terminating=tree.flag(raw, "conditions", "terminating"),
        node=tree.text(raw, "nodeName"),
        target_kind=tree.text(raw, "targetRef", "kind"),
        target_name=tree.text(raw, "targetRef", "name"),
        for_zones=tuple(tree.text(hint, "name") for hint in tree.entries(raw, "hints", "forZones")),
        for_nodes=tuple(tree.text(hint, "name") for hint in tree.entries(raw, "hints", "forNodes")),
    )
