"""What proxy variables mean: which proxy a client uses, and which names and addresses it leaves out.

There is no standard; what is read here is what Go, curl, Python and their like agree on: a list with commas, `*` for
everything, a name for itself and all below it (a leading dot or `*.` changes little), an address, or a network.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_URL = re.compile(r"^(?:([A-Za-z][A-Za-z0-9+.-]*)://)?(\[[^\]]+\]|[^:/\s]+)(?::(\d+))?/?$")
_DEFAULT_PORTS = {"https": 443, "socks5": 1080, "socks5h": 1080, "socks4": 1080}


@dataclass(frozen=True)
class Proxy:
    """Where a proxy variable leads to."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def read_proxy(value: str) -> Proxy | None:
    """`http://proxy:3128`, `proxy:3128`; None for what leads nowhere or refers to other variables."""
    match = _URL.match(value.strip())
    if not match or "$(" in value:
        return None
    scheme = (match[1] or "http").lower()
    port = int(match[3]) if match[3] else _DEFAULT_PORTS.get(scheme, 80)
    return Proxy(scheme, match[2].strip("[]"), port) if 0 < port < 65536 else None


def leaves_out(exclusions: str, host: str, port: int) -> bool:
    """Whether a client with this NO_PROXY goes to the host directly."""
    return any(_matches(entry, host.lower(), port) for entry in re.split(r"[,\s]+", exclusions.lower()) if entry)


def _matches(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    network = _network(entry)
    address = _address(host)
    if network is not None or address is not None:
        return network is not None and address is not None and address in network
    name, _, only = entry.partition(":")
    if only and only != str(port):
        return False
    suffix = name.removeprefix("*").strip(".")
    return host == suffix or host.endswith(f".{suffix}")


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
