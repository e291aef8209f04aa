"""Listening sockets from `/proc/net/{tcp,tcp6,udp,udp6}` (format: Linux Documentation/networking/proc_net_tcp.rst)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

LISTEN = "0A"
UDP_UNCONNECTED = "07"

_LINE = re.compile(
    r"\s*\d+: ([0-9A-Fa-f]+):([0-9A-Fa-f]{4}) ([0-9A-Fa-f]+):([0-9A-Fa-f]{4})"
    r" ([0-9A-Fa-f]{2}) ([0-9A-Fa-f]+):([0-9A-Fa-f]+)"
)


@dataclass(frozen=True)
class Listener:
    """A socket that accepts: `address` in its usual notation (`0.0.0.0`, `::`, `127.0.0.1`)."""

    protocol: str
    address: str
    port: int
    backlog_used: int
    """TCP: connections that wait for accept(); 0 for UDP."""

    @property
    def loopback(self) -> bool:
        """Only processes inside the Pod can reach it."""
        return self._plain.is_loopback

    @property
    def wildcard(self) -> bool:
        """Bound to every address of its family (an IPv6 wildcard usually takes IPv4 too)."""
        return self._plain.is_unspecified

    @property
    def _plain(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        """The IPv4 address behind a mapped one, as Java programs bind: Python before 3.13 does not look behind it."""
        address = ipaddress.ip_address(self.address)
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return mapped or address

    def reachable_at(self, pod_ip: str) -> bool:
        """Whether a connection to the Pod's own address reaches this socket; `::` is taken to accept IPv4 as well."""
        if self.address == "0.0.0.0" and ":" in pod_ip:
            return False
        return self.wildcard or self.address == pod_ip or self.address == f"::ffff:{pod_ip}"

    def __str__(self) -> str:
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return f"{shown}:{self.port}/{self.protocol}"


def listeners(files: Mapping[str, str]) -> tuple[Listener, ...]:
    """All listening sockets in the given files (keyed `tcp`, `tcp6`, `udp`, `udp6`), sorted by port and protocol.

    Bad lines are passed over.
    """
    found = []
    for name in ("tcp", "tcp6", "udp", "udp6"):
        protocol, state = ("TCP", LISTEN) if name.startswith("tcp") else ("UDP", UDP_UNCONNECTED)
        for match in map(_LINE.match, files.get(name, "").splitlines()):
            if match and match[5].upper() == state and (address := _address(match[1])):
                backlog = int(match[7], 16) if protocol == "TCP" else 0
                found.append(Listener(protocol, address, int(match[2], 16), backlog))
    return tuple(sorted(set(found), key=lambda s: (s.port, s.protocol, s.address)))


def remote_ends(files: Mapping[str, str]) -> list[tuple[str, int, str]]:
    """(address, port, state in hexadecimal) of the far end of every TCP socket; mapped addresses as IPv4."""
    found = []
    for name in ("tcp", "tcp6"):
        for match in map(_LINE.match, files.get(name, "").splitlines()):
            if match and (address := _address(match[3])):
                found.append((address.removeprefix("::ffff:"), int(match[4], 16), match[5].upper()))
    return found


def _address(hexadecimal: str) -> str:
    """The kernel prints each 32-bit word of the address in host byte order (little-endian on all common machines)."""
    if len(hexadecimal) not in (8, 32):
        return ""
    words = [bytes.fromhex(hexadecimal[i : i + 8])[::-1] for i in range(0, len(hexadecimal), 8)]
    address = ipaddress.ip_address(b"".join(words))
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return f"::ffff:{address.ipv4_mapped}"
    return str(address)
