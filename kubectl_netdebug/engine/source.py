"""What the engine needs from the outside: somebody who turns fact keys into answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from kubectl_netdebug.model.facts import Answer, FactKey, Unknown, Why


@dataclass(frozen=True)
class Job:
    """One piece of fetching, run on a thread of its own. `fetch` may block; after `seconds` nobody waits for it."""

    title: str
    keys: tuple[FactKey, ...]
    fetch: Callable[[], Mapping[FactKey, Answer]]
    seconds: float


class FactSource(Protocol):
    """Turns keys into jobs. Called on the main thread, so this is where consent may be asked for."""

    def plan(self, keys: Iterable[FactKey]) -> list[Job]:
        """Jobs that together answer all keys; must not block on the network."""
        ...


class Nothing:
    """The source of a replay: what is not in the recording cannot be had."""

    def plan(self, keys: Iterable[FactKey]) -> list[Job]:
        """One job that answers every key at once with "not recorded"."""
        wanted = tuple(keys)
        lost = Unknown(Why.NOT_RECORDED, "the recording does not hold this")
        return [Job("recording", wanted, lambda: dict.fromkeys(wanted, lost), 10.0)]
