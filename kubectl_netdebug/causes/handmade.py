"""Endpoints that people make: which Services have them, where an address is written, how to write one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import Backend
from kubectl_netdebug.model.command import Fix, Risk, apply, json_patch
from kubectl_netdebug.model.facts import Ask, Object
from kubectl_netdebug.model.finding import ObjectRef
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.endpoints import Endpoints, read_endpoints
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.objects.slices import SERVICE_LABEL, EndpointSlice
from kubectl_netdebug.model.question import Question

MIRROR_CONTROLLER = "endpointslicemirroring-controller.k8s.io"
UNKNOWN_ADDRESS = {"IPv4": "192.0.2.1", "IPv6": "2001:db8::1"}
"""Stands in commands for the address that only the reader knows (documentation ranges, RFC 5737 and 3849)."""

PUT_ADDRESS = "put the backend's real address in place of {address}"


def handmade_service(look: Look, asked: Question) -> Service | None:
    """The Service that was asked about, where nothing but people fills its endpoints.

    The API server fills those of `default/kubernetes` itself.
    """
    service = look(asks.the_service(asked))
    if service is None or service.selector or service.is_alias or is_api(service):
        return None
    return service


def is_api(service: Service) -> bool:
    """The Service of the API server."""
    return (service.namespace, service.name) == ("default", "kubernetes")


def endpoints_named(namespace: str, name: str) -> Ask[Endpoints | None]:
    """The v1 Endpoints object of a Service, or None."""

    def says(found: Endpoints | None) -> str:
        listed = ", ".join(found.addresses) or "no address" if found else ""
        return f"Endpoints {namespace}/{name}: {listed}" if found else f"no Endpoints object {namespace}/{name}"

    return Ask(Object("endpoints", namespace, name), read_endpoints, says)


@dataclass(frozen=True)
class Place:
    """Where something is written: the object with its field, and the field as a JSON pointer for a patch."""

    at: ObjectRef
    pointer: str

    def replace(self, value: Any, title: str, not_pasteable: str = "") -> Fix:
        """The patch that writes something else there (a JSON patch `add` also overwrites)."""
        operation = {"op": "add", "path": self.pointer, "value": value}
        return self._patch(operation, title, not_pasteable)

    def remove(self, title: str) -> Fix:
        """The patch that takes it away."""
        return self._patch({"op": "remove", "path": self.pointer}, title, "")

    def _patch(self, operation: dict[str, Any], title: str, not_pasteable: str) -> Fix:
        command = json_patch(self.at.kind.lower(), self.at.name, [operation], self.at.namespace)
        return Fix(title, command, not_pasteable=not_pasteable)


def place_of_address(look: Look, backend: Backend) -> Place:
    """Where the address of a backend is written: in its slice, or in the Endpoints object that the slice mirrors."""
    owner = mirrored_from(look, backend.slice)
    if owner is None:
        index = next((i for i, e in enumerate(backend.slice.endpoints) if backend.address in e.addresses), 0)
        return Place(backend.slice.at.at(f"endpoints[{index}].addresses[0]"), f"/endpoints/{index}/addresses/0")
    for number, subset in enumerate(owner.subsets):
        if backend.address in subset.addresses:
            index = subset.addresses.index(backend.address)
            field = f"subsets[{number}].addresses[{index}].ip"
            return Place(owner.at.at(field), f"/subsets/{number}/addresses/{index}/ip")
    return Place(owner.at.at("subsets"), "/subsets")


def place_of_endpoint(look: Look, backend: Backend) -> Place:
    """The whole entry around the address, for taking it out."""
    address = place_of_address(look, backend)
    owner = mirrored_from(look, backend.slice)
    pointer = address.pointer.removesuffix("/ip").removesuffix("/addresses/0") if owner is None else address.pointer
    if owner is not None:
        pointer = pointer.removesuffix("/ip")
        subset = next((s for s in owner.subsets if backend.address in s.addresses), None)
        if subset is not None and len(subset.addresses) == 1:
            pointer = pointer.rsplit("/", 2)[0]  # a subset without addresses is not valid
    return Place(address.at, pointer)


def place_of_port(look: Look, each: EndpointSlice, index: int, part: str) -> Place:
    """Where a part (`name`, `port`, `protocol`) of a slice's port is written."""
    owner = mirrored_from(look, each)
    if owner is None:
        return Place(each.at.at(f"ports[{index}].{part}"), f"/ports/{index}/{part}")
    for number, subset in enumerate(owner.subsets):
        if each.ports[index] in subset.ports:
            where = subset.ports.index(each.ports[index])
            return Place(
                owner.at.at(f"subsets[{number}].ports[{where}].{part}"), f"/subsets/{number}/ports/{where}/{part}"
            )
    return Place(owner.at.at("subsets"), "/subsets")


def mirrored_from(look: Look, each: EndpointSlice) -> Endpoints | None:
    """The Endpoints object that a slice is a copy of: that is where a change lasts."""
    if each.managed_by != MIRROR_CONTROLLER:
        return None
    return look.if_known(endpoints_named(each.namespace, each.service))


def slice_manifest(service: Service, addresses: tuple[str, ...], family: str = "") -> dict[str, Any]:
    """An EndpointSlice that leads every port of the Service to these addresses, on its target port."""
    family = family or (service.ip_families[0] if service.ip_families else "IPv4")
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service.name}-1",
            "namespace": service.namespace,
            "labels": {SERVICE_LABEL: service.name},
        },
        "addressType": family,
        "ports": [
            {"name": port.name, "port": port.target_number or port.port, "protocol": port.protocol}
            for port in service.ports
        ],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
    }


def make_slice(service: Service, addresses: tuple[str, ...] = ()) -> Fix:
    """The command that makes such a slice; without addresses it holds one to be replaced."""
    family = service.ip_families[0] if service.ip_families else "IPv4"
    stand_in = UNKNOWN_ADDRESS.get(family, UNKNOWN_ADDRESS["IPv4"])
    return Fix(
        f"list {', '.join(addresses)} as the backend" if addresses else "list the backend's address",
        apply(slice_manifest(service, addresses or (stand_in,), family), service.namespace),
        Risk.REVERSIBLE,
        not_pasteable="" if addresses else PUT_ADDRESS.format(address=stand_in),
    )
