"""Routes and local ports of a network namespace, from `/proc/net/route`, `/proc/net/ipv6_route` and sysctl files."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from kubectl_netdebug.net.procnet import LISTEN, remote_ends

UP, REJECT = 0x1, 0x200

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Route:
    """A route of the main table. `gateway` is '' for a network on the link; `rejects` one that only says no."""

    network: Network
    gateway: str
    device: str
    rejects: bool = False

    @property
    def default(self) -> bool:
        """It leads everywhere."""
        return self.network.prefixlen == 0

    def __str__(self) -> str:
        where = "default" if self.default else str(self.network)
        return f"{where} via {self.gateway} dev {self.device}" if self.gateway else f"{where} dev {self.device}"


def read_routes(text: str) -> tuple[Route, ...]:
    """IPv4 routes that are up: a header, then columns with little-endian addresses. Bad lines are passed over."""
    found = []
    for columns in (line.split() for line in text.splitlines()[1:]):
        try:
            device, target, gateway, flags, mask = columns[0], columns[1], columns[2], int(columns[3], 16), columns[7]
            network = ipaddress.IPv4Network((_little(target), str(ipaddress.IPv4Address(_little(mask)))), strict=False)
        except (IndexError, ValueError):
            continue
        if flags & UP:
            via = str(ipaddress.IPv4Address(_little(gateway))) if int(gateway, 16) else ""
            found.append(Route(network, via, device, bool(flags & REJECT)))
    return tuple(found)


def read_routes6(text: str) -> tuple[Route, ...]:
    """IPv6 routes that are up, without those to the machine itself and to multicast."""
    found = []
    for columns in (line.split() for line in text.splitlines()):
        try:
            network = ipaddress.IPv6Network((int(columns[0], 16), int(columns[1], 16)), strict=False)
            gateway, flags, device = int(columns[4], 16), int(columns[8], 16), columns[9]
        except (IndexError, ValueError):
            continue
        if flags & UP and device != "lo" and not network.is_multicast:
            via = str(ipaddress.IPv6Address(gateway)) if gateway else ""
            found.append(Route(network, via, device, bool(flags & REJECT)))
    return tuple(found)


def route_to(routes: tuple[Route, ...], address: str) -> Route | None:
    """The most specific route to an address, or None."""
    ip = ipaddress.ip_address(address)
    covering = [r for r in routes if r.network.version == ip.version and ip in r.network]
    return max(covering, key=lambda r: r.network.prefixlen, default=None)


def read_range(text: str) -> tuple[int, int] | None:
    """`ip_local_port_range`: the first and the last local port that a client may get."""
    words = text.split()
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        return None
    return int(words[0]), int(words[1])


def used_towards(files: Mapping[str, str], address: str, port: int) -> Counter[str]:
    """Sockets towards one far end, by state (`ESTABLISHED`, `TIME_WAIT`, …), from `/proc/net/tcp` and `tcp6`."""
    found: Counter[str] = Counter()
    for far, number, state in remote_ends(files):
        if (far, number) == (address, port) and state != LISTEN:
            found[_STATES.get(state, "other")] += 1
    return found


_STATES = {
    "01": "ESTABLISHED",
    "02": "SYN_SENT",
    "03": "SYN_RECV",
    "04": "FIN_WAIT1",
    "05": "FIN_WAIT2",
    "06": "TIME_WAIT",
    "07": "CLOSE",
    "08": "CLOSE_WAIT",
    "09": "LAST_ACK",
    "0B": "CLOSING",
}


def _little(hexadecimal: str) -> int:
    """A 32-bit number as the kernel prints it on a little-endian machine."""
    return int.from_bytes(bytes.fromhex(hexadecimal), "little")
