"""Collects the causes that the families declare."""

from __future__ import annotations

from collections.abc import Callable

from kubectl_netdebug.model.finding import Cause
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.step import CauseFunction, Explanation, When

_EXPLANATIONS: list[Explanation] = []


def explains(hop: Hop, cause: Cause, when: When = When.BAD) -> Callable[[CauseFunction], CauseFunction]:
    """Registers a function that can find `cause` when `hop` came out badly (or, with `When.ALWAYS`, at all)."""

    def register(function: CauseFunction) -> CauseFunction:
        _EXPLANATIONS.append(Explanation(hop, cause, function, when))
        return function

    return register


def registered() -> tuple[Explanation, ...]:
    """All explanations declared so far; `causes.catalogue` imports every family first."""
    return tuple(_EXPLANATIONS)
