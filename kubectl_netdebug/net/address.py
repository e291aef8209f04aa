"""Addresses as text."""

from __future__ import annotations

import ipaddress


def is_address(text: str) -> bool:
    """An IPv4 or IPv6 address, and not a name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def family_of(address: str) -> str:
    """`IPv4`, `IPv6`, or '' for what is no address."""
    try:
        return f"IPv{ipaddress.ip_address(address).version}"
    except ValueError:
        return ""


def lies_in(address: str, written: str) -> bool:
    """Whether an address is in a range, written as `10.0.0.0/8`, `10.0.0.1-10.0.0.9` or a single address."""
    try:
        ip = ipaddress.ip_address(address)
        first, dash, last = written.partition("-")
        if dash:
            low, high = ipaddress.ip_address(first.strip()), ipaddress.ip_address(last.strip())
            return low.version == ip.version == high.version and int(low) <= int(ip) <= int(high)
        return ip in ipaddress.ip_network(written, strict=False)
    except ValueError:
        return False
