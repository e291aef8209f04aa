"""Network devices of a machine: from `ip -d -j addr` or the text of busybox's `ip addr`, and bridge ports' flags."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kubectl_netdebug.model.objects import tree

UNREPORTED = "?"
"""The kind of a device where the tool does not say kinds."""


@dataclass(frozen=True)
class Vxlan:
    """What a VXLAN device does: its network, the address that it sends from, by which device, to which port."""

    id: int
    local: str
    device: str
    port: int
    learning: bool
    external: bool = False
    """Somebody else (Open vSwitch, eBPF) says for each packet where it goes: there are no entries to look at."""


@dataclass(frozen=True)
class Link:
    """A device. `master` is the bridge (or bond) that it is a port of; `peer` the index of a veth's other end."""

    index: int
    name: str
    flags: tuple[str, ...]
    mtu: int
    mac: str = ""
    master: str = ""
    peer: int = 0
    peer_elsewhere: bool = False
    """The other end is in another network namespace, where `peer` counts."""
    kind: str = ""
    state: str = ""
    """The operational state: UP, DOWN, UNKNOWN (as loopback and overlays say), LOWERLAYERDOWN."""
    addresses: tuple[str, ...] = ()
    """With their prefix lengths: `10.244.1.1/24`."""
    vxlan: Vxlan | None = None

    @property
    def up(self) -> bool:
        """It was switched on."""
        return "UP" in self.flags

    @property
    def carrier(self) -> bool:
        """It is on, and so is what is below it."""
        return self.up and "NO-CARRIER" not in self.flags and self.state not in ("DOWN", "LOWERLAYERDOWN")

    @property
    def plain_addresses(self) -> tuple[str, ...]:
        """Without prefix lengths."""
        return tuple(address.partition("/")[0] for address in self.addresses)

    @property
    def networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """The networks that it has an address in."""
        return tuple(ipaddress.ip_interface(address).network for address in self.addresses)


@dataclass(frozen=True)
class Port:
    """A port of a bridge with the flags that matter for Pods; None where the tool did not say."""

    name: str
    bridge: str
    state: str
    hairpin: bool | None = None
    isolated: bool | None = None


def read_links(text: str) -> tuple[Link, ...]:
    """Of `ip -d -j addr` (or `link`), or of busybox's `ip addr`."""
    if text.lstrip()[:1] == "[":
        return tuple(link for link in map(_json_link, _entries(text)) if link is not None)
    return tuple(_text_links(text))


def with_addresses(links: tuple[Link, ...], addressed: tuple[Link, ...]) -> tuple[Link, ...]:
    """What `ip -d link` and `ip addr` say together; devices that only one of them saw stay as they are."""
    found = {link.index: link for link in addressed}
    joined = [replace(link, addresses=found.pop(link.index, link).addresses) for link in links]
    return (*joined, *found.values())


def read_ports(text: str) -> tuple[Port, ...]:
    """Of `bridge -d -j link`; of `bridge -d link` without JSON as well."""
    found = map(_json_port, _entries(text)) if text.lstrip()[:1] == "[" else map(_text_port, _paragraphs(text))
    return tuple(port for port in found if port is not None)


def link_named(links: tuple[Link, ...], name: str) -> Link | None:
    """The device of that name."""
    return next((link for link in links if link.name == name), None)


def link_with(links: tuple[Link, ...], address: str) -> Link | None:
    """The device that has an address."""
    return next((link for link in links if address in link.plain_addresses), None)


def host_end(links: tuple[Link, ...], peer_index: int, pod_side: int = 0) -> Link | None:
    """The node's end of a Pod's veth: by the index that the Pod's `eth0` names as its peer (`iflink`).

    `pod_side` is the index of the Pod's own end; where it is known, the pair must name each other.
    """
    found = next((link for link in links if link.index == peer_index), None)
    return None if found is None or (pod_side and found.peer and found.peer != pod_side) else found


def _entries(text: str) -> Iterator[Mapping[str, Any]]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    yield from (entry for entry in tree.entries({"list": value}, "list") if entry)


def _json_link(entry: Mapping[str, Any]) -> Link | None:
    name = tree.text(entry, "ifname")
    if not name:
        return None
    kind = tree.text(entry, "linkinfo", "info_kind")
    return Link(
        index=tree.number(entry, "ifindex"),
        name=name,
        flags=tree.strings(entry, "flags"),
        mtu=tree.number(entry, "mtu"),
        mac=tree.text(entry, "address").lower(),
        master=tree.text(entry, "master"),
        peer=tree.number(entry, "link_index"),
        peer_elsewhere="link_netnsid" in entry,
        kind=kind if "linkinfo" in entry or "promiscuity" in entry else UNREPORTED,
        state=tree.text(entry, "operstate"),
        addresses=tuple(
            f"{tree.text(each, 'local')}/{tree.number(each, 'prefixlen')}"
            for each in tree.entries(entry, "addr_info")
            if _is_interface(f"{tree.text(each, 'local')}/{tree.number(each, 'prefixlen')}")
        ),
        vxlan=_vxlan(entry) if kind == "vxlan" else None,
    )


def _vxlan(entry: Mapping[str, Any]) -> Vxlan:
    data = tree.dig(entry, "linkinfo", "info_data")
    return Vxlan(
        id=tree.number(data, "id"),
        local=tree.text(data, "local") or tree.text(data, "local6"),
        device=tree.text(data, "link"),
        port=tree.number(data, "port"),
        learning=tree.flag(data, "learning", default=True),
        external=tree.flag(data, "external"),
    )


_HEAD = re.compile(r"(\d+): ([^:@\s]+)(?:@(\S+))?: <([^>]*)> mtu (\d+)(.*)")


def _text_links(text: str) -> Iterator[Link]:
    """busybox names a veth's peer by looking up its index on this side, which is wrong for another namespace's."""
    current: Link | None = None
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head:
            if current is not None:
                yield current
            rest = head[6].split()
            current = Link(
                index=int(head[1]),
                name=head[2],
                flags=tuple(head[4].split(",")),
                mtu=int(head[5]),
                master=rest[rest.index("master") + 1] if "master" in rest[:-1] else "",
                kind=UNREPORTED,
                state=rest[rest.index("state") + 1] if "state" in rest[:-1] else "",
            )
            continue
        words = line.split()
        if current is None or len(words) < 2:
            continue
        if words[0].startswith("link/"):
            current = replace(current, mac=words[1].lower())
        elif words[0] in ("inet", "inet6") and _is_interface(words[1]):
            current = replace(current, addresses=(*current.addresses, words[1]))
    if current is not None:
        yield current


def _is_interface(written: str) -> bool:
    try:
        ipaddress.ip_interface(written)
    except ValueError:
        return False
    return True


def _json_port(entry: Mapping[str, Any]) -> Port | None:
    name, bridge = tree.text(entry, "ifname"), tree.text(entry, "master")
    if not name or not bridge:
        return None
    flags = {key: value for key in ("hairpin", "isolated") if isinstance(value := entry.get(key), bool)}
    return Port(name, bridge, tree.text(entry, "state"), flags.get("hairpin"), flags.get("isolated"))


def _paragraphs(text: str) -> Iterator[str]:
    """`bridge -d link` continues a port's line on indented ones."""
    current: list[str] = []
    for line in text.splitlines():
        if current and not line[:1].isspace():
            yield " ".join(current)
            current = []
        current.append(line.strip())
    if current:
        yield " ".join(current)


def _text_port(text: str) -> Port | None:
    head = _HEAD.match(text)
    if head is None:
        return None
    words = head[6].split()
    given = {name: words[words.index(name) + 1] for name in ("master", "state") if name in words[:-1]}
    flags = {name: words[words.index(name) + 1] == "on" for name in ("hairpin", "isolated") if name in words[:-1]}
    if "master" not in given:
        return None
    return Port(head[2], given["master"], given.get("state", ""), flags.get("hairpin"), flags.get("isolated"))
