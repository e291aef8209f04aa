"""Hops: the places a packet passes, in the order in which it passes them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Hop(StrEnum):
    """A place on the path. Order of definition is the order of the path."""

    SOURCE = "source"
    NAME = "name"
    SERVICE = "service"
    ENDPOINTS = "endpoints"
    POD = "pod"
    SOCKET = "socket"
    BACKENDS = "backends"
    ADDRESS = "address"
    ENTRY = "entry"
    PROTOCOL = "protocol"

    @property
    def order(self) -> int:
        """Position on the path; smaller is earlier."""
        return _ORDER[self]


_ORDER = {hop: place for place, hop in enumerate(Hop)}


class State(StrEnum):
    """How a hop came out."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    ERROR = "error"


@dataclass(frozen=True)
class Outcome:
    """What a hop's own facts say: its state and, in one short line, the value that matters."""

    state: State
    saw: str
    counts: tuple[int, int] | None = None
    """(good, all) where the hop is about several things, such as backends."""


NOT_REACHED = "not reached"
"""How the words of a hop begin that was skipped because an earlier one failed."""


def passed(saw: str, counts: tuple[int, int] | None = None) -> Outcome:
    """The hop works."""
    return Outcome(State.PASS, saw, counts)


def warned(saw: str, counts: tuple[int, int] | None = None) -> Outcome:
    """The hop works for a part of the traffic."""
    return Outcome(State.WARN, saw, counts)


def failed(saw: str, counts: tuple[int, int] | None = None) -> Outcome:
    """The hop is broken."""
    return Outcome(State.FAIL, saw, counts)


def skipped(why: str) -> Outcome:
    """The hop does not apply, or was not looked at; `why` says which."""
    return Outcome(State.SKIPPED, why)


def unknown(why: str) -> Outcome:
    """The hop matters and could not be judged."""
    return Outcome(State.UNKNOWN, why)
