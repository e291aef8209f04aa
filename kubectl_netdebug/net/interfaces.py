"""Packet counters of network devices, from `/proc/net/dev`."""

from __future__ import annotations


def read_packets(text: str) -> dict[str, tuple[int, int]]:
    """(received, sent) packets by device; lines that are none are passed over."""
    found = {}
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        columns = rest.split()
        if colon and len(columns) == 16 and all(column.isdecimal() for column in columns):
            found[name.strip()] = (int(columns[1]), int(columns[9]))
    return found
