"""Routes, neighbours and own addresses from `/proc/net/{route,ipv6_route,arp,fib_trie}`, where no `ip` can be had."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from kubectl_netdebug.net import procroute

ROUTE_HEAD, ARP_HEAD = "Iface", "IP address"
"""What the first lines of the two tables begin with."""

COMPLETE, PERMANENT = 0x2, 0x4
"""Flags of `/proc/net/arp`."""

_LEAF = re.compile(r"\|-- (\S+)")
_END = re.compile(r"/(\d+) (\w+) (\w+)")


def proc_routes(text: str) -> Iterator[tuple[str, str, str, str]]:
    """(network, gateway, device, type) of the main table; refusing routes have the device `*` and one flag or none."""
    rows = procroute.read_routes(text) if text.startswith(ROUTE_HEAD) else procroute.read_routes6(text)
    for row in rows:
        if row.rejects:
            yield str(row.network), "", "", "unreachable"
        elif row.device == "*":
            yield str(row.network), "", "", "blackhole"
        else:
            yield str(row.network), row.gateway, row.device, "unicast"


def is_proc_routes(text: str) -> bool:
    """`/proc/net/route` or `/proc/net/ipv6_route` rather than what `ip` prints."""
    return text.startswith(ROUTE_HEAD) or bool(re.match(r"[0-9a-f]{32} [0-9a-f]{2} [0-9a-f]{32}", text))


def proc_neighbours(text: str) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """(address, device, MAC, states) of `/proc/net/arp`."""
    for columns in (line.split() for line in text.splitlines()[1:]):
        if len(columns) != 6 or not columns[2].startswith("0x"):
            continue
        try:
            flags = int(columns[2], 16)
        except ValueError:
            continue
        state = "PERMANENT" if flags & PERMANENT else "REACHABLE" if flags & COMPLETE else "INCOMPLETE"
        mac = columns[3].lower() if flags & COMPLETE else ""
        yield columns[0], columns[5], mac, (state,)


def read_trie(text: str) -> tuple[tuple[str, ipaddress.IPv4Network, str], ...]:
    """(table, network, type) of everything in `/proc/net/fib_trie`: `("Local", 10.0.0.1/32, "LOCAL")`."""
    found = []
    table, address = "", ""
    for line in text.splitlines():
        words = line.strip()
        if words.endswith(":") and not line[:1].isspace():
            table = words[:-1]
        elif leaf := _LEAF.search(words):
            address = leaf[1]
        elif (end := _END.fullmatch(words)) and address:
            try:
                found.append((table, ipaddress.IPv4Network(f"{address}/{end[1]}"), end[3].lower()))
            except ValueError:
                continue
    return tuple(found)


def own_addresses(text: str) -> tuple[str, ...]:
    """The machine's IPv4 addresses by its `/proc/net/fib_trie`, without loopback."""
    found = {
        str(network.network_address)
        for _, network, kind in read_trie(text)
        if kind == "local" and network.prefixlen == 32 and not network.is_loopback
    }
    return tuple(sorted(found))
