"""What was asked of the API server, for `-v` and for the price shown with a result."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """One request. `status` is 0 when no answer came; `bytes` is the size of the answer's body, unpacked."""

    method: str
    path: str
    status: int
    milliseconds: float
    bytes: int


class Transcript:
    """Calls in the order in which they ended. Thread-safe."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._lock = threading.Lock()

    def add(self, call: Call) -> None:
        with self._lock:
            self._calls.append(call)

    @property
    def calls(self) -> tuple[Call, ...]:
        with self._lock:
            return tuple(self._calls)
