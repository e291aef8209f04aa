"""Addresses that a node has given to Pods: the files of `host-local`, against the sandboxes that there are."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

FOLDER = "/var/lib/cni/networks"
"""Where `host-local` keeps its files unless it is told otherwise."""


@dataclass(frozen=True)
class Reservation:
    """A file: the address that is its name, and the sandbox that it was given to."""

    network: str
    address: str
    sandbox: str
    interface: str = ""


@dataclass(frozen=True)
class Sandbox:
    """A Pod's sandbox as the runtime lists it, or (without a state) any of its containers."""

    id: str
    running: bool


@dataclass(frozen=True)
class Sandboxes:
    """What the runtime knows. `by` names what was asked: crictl, ctr, run (its directory) or cgroups."""

    by: str
    known: tuple[Sandbox, ...]

    @property
    def complete(self) -> bool:
        """Nothing that holds an address can be missing: the runtime itself was asked and it listed something."""
        return self.by in ("crictl", "ctr") and bool(self.known)

    def has(self, reservation: Reservation) -> bool:
        """The runtime knows the sandbox, running or not."""
        return any(s.id == reservation.sandbox for s in self.known)

    def runs(self, reservation: Reservation) -> bool:
        """The sandbox is alive."""
        return any(s.id == reservation.sandbox and s.running for s in self.known)


def read_reservations(text: str) -> tuple[Reservation, ...]:
    """Lines `NETWORK ADDRESS SANDBOX [INTERFACE]`; anything else is left out."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and _is_address(words[1]):
            found.append(Reservation(words[0], words[1], *words[2:4]) if len(words) > 2 else _empty(words))
    return tuple(found)


def _empty(words: list[str]) -> Reservation:
    return Reservation(words[0], words[1], "")


def read_sandboxes(text: str) -> Sandboxes:
    """First line `by WHAT`; then the table of `crictl pods --no-trunc`, or lines `ID known|running`."""
    lines = text.splitlines()
    by = lines[0].removeprefix("by ").strip() if lines and lines[0].startswith("by ") else ""
    found: dict[str, bool] = {}
    for line in lines[1:]:
        listed = re.match(r"([0-9a-f]{64})\s(?:.*\s)?(Ready|NotReady|known|running)(?:\s|$)", line)
        if listed:
            found[listed[1]] = found.get(listed[1], False) or listed[2] in ("Ready", "running")
    return Sandboxes(by, tuple(Sandbox(name, running) for name, running in found.items()))


def size_of(written: str) -> int:
    """How many addresses a range gives to Pods: `10.0.0.0/24`, or `10.0.0.3-10.0.0.9[,…]` as the plugin writes it.

    0 where it cannot be read. Of a whole network, its own address, the gateway's and the broadcast address go off.
    """
    if "/" in written:
        try:
            return max(0, ipaddress.ip_network(written, strict=False).num_addresses - 3)
        except ValueError:
            return 0
    return sum(_between(part) for part in written.split(","))


def holds(written: str, address: str) -> bool:
    """Whether an address lies in a range of either form."""
    try:
        wanted = int(ipaddress.ip_address(address))
        if "/" in written:
            return ipaddress.ip_address(address) in ipaddress.ip_network(written, strict=False)
        return any(low <= wanted <= high for low, high in map(_ends, written.split(",")))
    except ValueError:
        return False


def last_of(written: Iterable[str]) -> str:
    """Ranges for people, the first few."""
    listed = list(written)
    return ", ".join(listed[:3]) + (" …" if len(listed) > 3 else "")


def _between(part: str) -> int:
    try:
        low, high = _ends(part)
    except ValueError:
        return 0
    return max(0, high - low + 1)


def _ends(part: str) -> tuple[int, int]:
    low, dash, high = part.strip().partition("-")
    if not dash:
        raise ValueError(part)
    return int(ipaddress.ip_address(low)), int(ipaddress.ip_address(high))


def _is_address(word: str) -> bool:
    try:
        ipaddress.ip_address(word)
    except ValueError:
        return False
    return True
