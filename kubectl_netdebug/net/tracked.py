"""Tracked connections to one address, shortened to the source ports that a node gave to each destination.

`keep` makes lines `PROTOCOL ADDRESS PORT SOURCE PORTS` of what `conntrack -L` or `/proc/net/nf_conntrack` prints: PORTS
are those that answers come back to, as `40000-40003,40010`. A hundred thousand connections so become a few lines.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

_TUPLE = r"src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)"
_LINE = re.compile(rf"\b(tcp|udp|sctp)\b.*?\b{_TUPLE}\b.*?\b{_TUPLE}\b")
MOST_PORTS = 200_000


@dataclass(frozen=True)
class Given:
    """Source ports in use from one address of the node to one destination."""

    protocol: str
    address: str
    port: int
    source: str
    ports: tuple[range, ...]

    def within(self, low: int, high: int) -> int:
        """How many of them lie between two ports, both included."""
        return sum(max(0, min(r.stop - 1, high) - max(r.start, low) + 1) for r in self.ports)


def keep(lines: Iterable[str], about: tuple[str, ...]) -> Iterable[str]:
    """The short form of all answered connections to the address that `about` names."""
    found: dict[tuple[str, str, int, str], set[int]] = defaultdict(set)
    count = 0
    for match in map(_LINE.search, lines):
        # What was never answered says that the destination is silent, not that ports are short.
        if match is None or match[3] not in about or "[UNREPLIED]" in match.string or count >= MOST_PORTS:
            continue
        count += 1
        # Answers come from the destination, and go to the address and port that the node gave.
        found[match[1].upper(), match[3], int(match[5]), match[7]].add(int(match[9]))
    for (protocol, address, port, source), ports in sorted(found.items()):
        yield f"{protocol} {address} {port} {source} {','.join(_runs(sorted(ports)))}"


def read_tracked(text: str) -> tuple[Given, ...]:
    """What `keep` made. Lines that are not understood are passed over."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if (
            len(words) != 5
            or not words[2].isdecimal()
            or not re.fullmatch(r"\d{1,5}(?:-\d{1,5})?(?:,\d{1,5}(?:-\d{1,5})?)*", words[4])
        ):
            continue
        ports = tuple(_range(part) for part in words[4].split(","))
        found.append(Given(words[0], words[1], int(words[2]), words[3], ports))
    return tuple(found)


def _range(text: str) -> range:
    first, dash, last = text.partition("-")
    return range(int(first), int(last if dash else first) + 1)


def _runs(ports: list[int]) -> Iterable[str]:
    start = 0
    for place, port in enumerate(ports):
        if place + 1 == len(ports) or ports[place + 1] != port + 1:
            yield str(port) if start == place else f"{ports[start]}-{port}"
            start = place + 1
