"""A VXLAN tunnel from one node's side: which MAC and which machine its entries lead to, and which they should."""

from __future__ import annotations

import json
from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.fabric_view import Direction, Machine, address_of, fdb_of, machine_of
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.net.fdb import remotes_of
from kubectl_netdebug.net.links import Link

FLANNEL = "flannel.alpha.coreos.com"
DEFAULT_MAC = "00:00:00:00:00:00"
"""The entry for what has no entry of its own."""


@dataclass(frozen=True)
class Announced:
    """What a node's flannel tells the others, in annotations; '' for what is not there."""

    mac: str
    address: str


@dataclass(frozen=True)
class Tunnel:
    """One direction through a VXLAN device. MACs and machines are '' where they are not known.

    `mac` and `remote` are what the near node's entries say; `real_mac` and `real_address` the far node's device has.
    """

    way: Direction
    device: Link
    gateway: str
    mac: str
    remote: str
    announced: Announced
    real_mac: str
    real_address: str

    @property
    def port(self) -> int:
        """The UDP port of the outer packets."""
        return self.device.vxlan.port if self.device.vxlan else 0

    @property
    def right_mac(self) -> str:
        """Of the far device, else as announced."""
        return self.real_mac or self.announced.mac

    @property
    def right_remote(self) -> str:
        """Of the far node: what its device sends from, else as announced, else its own address."""
        return self.real_address or self.announced.address or address_of(self.way.there)

    @property
    def complete(self) -> bool:
        """Both entries exist."""
        return bool(self.mac and self.remote)

    @property
    def right(self) -> bool:
        """Both entries exist and agree with the far node."""
        return self.complete and self.mac == (self.right_mac or self.mac) and self.remote == self.right_remote


def tunnel_of(look: Look, way: Direction) -> Tunnel | None:
    """The tunnel that a direction goes through; None where it goes by none, or by one whose entries say nothing."""
    route = way.machine.plainly(way.target).route
    device = way.machine.link(route.device) if route is not None else None
    if route is None or device is None or device.vxlan is None or device.vxlan.external:
        return None
    entries = fdb_of(look, way.here.name)
    if entries is None or device.vxlan.learning:
        return None
    if any(e.device == device.name and e.mac == DEFAULT_MAC for e in entries):
        return None
    gateway = route.gateway or way.target
    neighbour = next(
        (n for n in way.machine.neighbours if n.address == gateway and n.device == device.name and not n.failed), None
    )
    mac = neighbour.mac if neighbour else ""
    remotes = remotes_of(entries, device.name, mac) if mac else ()
    far = _device(machine_of(look, way.there.name), device) if way.trouble is not None else None
    return Tunnel(
        way=way,
        device=device,
        gateway=gateway,
        mac=mac,
        remote=remotes[-1] if remotes else "",
        announced=announced_by(look, way.there.name),
        real_mac=far.mac if far else "",
        real_address=far.vxlan.local if far and far.vxlan else "",
    )


def announced_by(look: Look, node: str) -> Announced:
    """The annotations of flannel on a Node."""
    raw = look.if_known(asks.raw_object("nodes", "", node))
    notes = tree.labels(raw, "metadata", "annotations")
    try:
        data = json.loads(notes.get(f"{FLANNEL}/backend-data", "null"))
    except (ValueError, RecursionError):
        data = None
    return Announced(tree.text(data, "VtepMAC").lower(), notes.get(f"{FLANNEL}/public-ip", ""))


def _device(machine: Machine | None, like: Link) -> Link | None:
    """The far end of a tunnel: the device of the same network number."""
    assert like.vxlan is not None
    links = machine.links if machine else ()
    return next((link for link in links if link.vxlan and link.vxlan.id == like.vxlan.id), None)
