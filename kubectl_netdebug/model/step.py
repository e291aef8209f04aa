"""A step of a flow: a hop, the question it answers, and what must be settled before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop, Outcome
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question

HopFunction = Callable[[Look, Question], Outcome]
CauseFunction = Callable[[Look, Question], "Finding | None"]


class When(Enum):
    """When a cause is worth looking for at its hop."""

    BAD = auto()
    """Only when the hop did not simply pass."""
    ALWAYS = auto()
    """Also when the hop passed: the cause degrades traffic that still flows, or shows only in configuration."""


@dataclass(frozen=True)
class Explanation:
    """A cause function with the hop whose bad outcome it can explain."""

    hop: Hop
    cause: Cause
    find: CauseFunction
    when: When


@dataclass(frozen=True)
class Step:
    """One hop of a flow.

    `after` are hops that must be settled first; where one of them failed and its cause is known, this step is
    skipped. `essential` steps make the verdict inconclusive when they cannot be judged.
    """

    hop: Hop
    title: str
    decide: HopFunction
    after: tuple[Hop, ...] = ()
    essential: bool = True
    follow_failures: bool = False
    """Judge this hop even when an earlier one failed without a known cause."""


@dataclass(frozen=True)
class Flow:
    """A decision tree: its steps in the order of the path, and all causes that may explain them."""

    steps: tuple[Step, ...]
    explanations: tuple[Explanation, ...]

    def explanations_for(self, hop: Hop) -> tuple[Explanation, ...]:
        """The causes that can explain a bad outcome of a hop."""
        return tuple(e for e in self.explanations if e.hop is hop)
