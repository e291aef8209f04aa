"""How one connection attempt ended. The names are part of recordings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """The end of a connect."""

    CONNECTED = "connected"
    REFUSED = "refused"
    TIMED_OUT = "timed-out"
    HOST_UNREACHABLE = "host-unreachable"
    NET_UNREACHABLE = "net-unreachable"
    RESET = "reset"
    NAME_ERROR = "name-error"
    NOT_PERMITTED = "not-permitted"
    NO_LOCAL_ADDRESS = "no-local-address"
    SILENT = "silent"
    """UDP only: sent, and neither an answer nor an ICMP error came back. Says nothing."""
    OTHER = "other"

    @property
    def connected(self) -> bool:
        """The far side accepted."""
        return self is Outcome.CONNECTED

    @property
    def lost(self) -> bool:
        """Nothing answered: dropped on the way, or sent off to nowhere.

        A packet that no rule catches leaves by the default route and ends there as a timeout or as "network
        unreachable", depending on that router, so both are one class.
        """
        return self in (Outcome.TIMED_OUT, Outcome.NET_UNREACHABLE, Outcome.HOST_UNREACHABLE)

    @property
    def words(self) -> str:
        """For people."""
        return _WORDS[self]


_WORDS = {
    Outcome.CONNECTED: "connected",
    Outcome.REFUSED: "refused",
    Outcome.TIMED_OUT: "timed out",
    Outcome.HOST_UNREACHABLE: "no route to host",
    Outcome.NET_UNREACHABLE: "network unreachable",
    Outcome.RESET: "reset after accept",
    Outcome.NAME_ERROR: "name does not resolve",
    Outcome.NOT_PERMITTED: "not permitted",
    Outcome.NO_LOCAL_ADDRESS: "no free local address or port",
    Outcome.SILENT: "no answer (UDP: open or filtered)",
    Outcome.OTHER: "failed",
}


@dataclass(frozen=True)
class Attempt:
    """One attempt: how it ended, after how many milliseconds, and the tool's own words where they add something."""

    outcome: Outcome
    milliseconds: float
    detail: str = ""

    @property
    def words(self) -> str:
        """`refused in 1 ms`, `timed out after 2.0 s`."""
        if self.outcome.connected:
            return f"connected in {self.milliseconds:.0f} ms"
        if self.milliseconds >= 1000:
            return f"{self.outcome.words} after {self.milliseconds / 1000:.1f} s"
        return f"{self.outcome.words} in {self.milliseconds:.0f} ms"


def read_attempt(value: Any) -> Attempt:
    """The view of a `Connect` fact's value; unknown outcomes of other versions become OTHER."""
    data = value if isinstance(value, Mapping) else {}
    name = data.get("outcome")
    outcome = Outcome(name) if isinstance(name, str) and name in set(Outcome) else Outcome.OTHER
    ms = data.get("ms")
    return Attempt(outcome, float(ms) if isinstance(ms, int | float) else 0.0, str(data.get("detail", "")))


def tally(attempts: list[Attempt]) -> str:
    """`refused ×2, connected ×1`, the most frequent first."""
    counts: dict[Outcome, int] = {}
    for attempt in attempts:
        counts[attempt.outcome] = counts.get(attempt.outcome, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{outcome.words} ×{count}" if len(attempts) > 1 else outcome.words for outcome, count in ordered)
