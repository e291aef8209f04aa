"""How one HTTP request ended, as the `Http` fact tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class HttpAnswer:
    """The end of a request. `status` is 0 where no HTTP answer came."""

    outcome: str
    status: int
    milliseconds: float

    @property
    def answered(self) -> bool:
        """A server that speaks HTTP sent an answer, whatever its status."""
        return self.outcome == "answer"

    @property
    def good(self) -> bool:
        """A status that kubelet takes for success: 200 to 399."""
        return self.answered and 200 <= self.status < 400

    @property
    def nothing(self) -> bool:
        """Connected, and neither an answer nor an end of the connection within the time limit."""
        return self.outcome == "timed-out"

    @property
    def words(self) -> str:
        """For people."""
        if self.answered:
            return f"HTTP {self.status} in {self.milliseconds:.0f} ms"
        plain = {"timed-out": "no answer", "closed": "closed without an answer", "not-http": "not an HTTP answer"}
        return f"{plain.get(self.outcome, self.outcome)} after {self.milliseconds / 1000:.1f} s"


def read_http(value: Any) -> HttpAnswer:
    """The view of an `Http` fact's value; anything odd is an outcome that is neither an answer nor silence."""
    data = value if isinstance(value, Mapping) else {}
    status, ms = data.get("status"), data.get("ms")
    return HttpAnswer(
        str(data.get("outcome", "")),
        status if isinstance(status, int) else 0,
        float(ms) if isinstance(ms, int | float) else 0.0,
    )
