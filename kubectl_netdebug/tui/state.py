"""What is known of a run at one instant: immutable, made on the run's threads and drawn by the screens."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from kubectl_netdebug.engine.run import Settled, has_root_cause
from kubectl_netdebug.model.facts import Answer, FactKey
from kubectl_netdebug.model.hop import State
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.result import Result
from kubectl_netdebug.model.step import Step


class Stage(Enum):
    """Where a check is."""

    WAITING = auto()
    RUNNING = auto()
    DONE = auto()


@dataclass(frozen=True)
class Flight:
    """One piece of fetching that is under way or over; times are seconds of the monotonic clock."""

    title: str
    keys: tuple[FactKey, ...]
    began: float
    limit: float
    ended: float | None = None
    how: str = ""
    """In one word how it ended: `known`, or why it is not."""


@dataclass(frozen=True)
class Check:
    """A step of the flow as it stands now."""

    step: Step
    stage: Stage
    began: float = 0.0
    settled: Settled | None = None
    flights: tuple[Flight, ...] = ()
    """What it waits for, while it runs."""

    @property
    def is_bad(self) -> bool:
        """Whether a person should look at it."""
        bad = (State.FAIL, State.WARN, State.UNKNOWN, State.ERROR)
        return self.settled is not None and self.settled.outcome.state in bad


@dataclass(frozen=True)
class RunState:
    """A run at one instant. `now` is when it was looked at."""

    question: Question
    checks: tuple[Check, ...]
    now: float
    began: float
    ended: float | None = None
    result: Result | None = None
    """What follows from what is settled; final once the run has ended."""
    facts: tuple[tuple[FactKey, Answer], ...] = ()
    flights: tuple[Flight, ...] = ()
    stopped: str = ""
    """Why the run was ended early, '' where it was not."""
    problem: str = ""
    """Why there is no result at all, in one sentence."""
    cluster_flags: tuple[str, ...] = ()
    """kubectl's flags that choose the cluster, for commands to copy."""
    trouble: str = ""
    """What the way to the cluster is like where it fails, in one sentence."""

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.ended is not None

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return (self.now if self.ended is None else self.ended) - self.began

    @property
    def is_certain(self) -> bool:
        """Whether the verdict will not change: over, or a proven cause with nothing open before it on the path."""
        if self.is_over:
            return True
        proven = [
            check.step.hop.order
            for check in self.checks
            if check.settled and check.settled.outcome.state is State.FAIL and has_root_cause(check.settled)
        ]
        still = [check.step.hop.order for check in self.checks if check.stage is not Stage.DONE]
        return bool(proven) and all(order > min(proven) for order in still)

    @property
    def has_failure(self) -> bool:
        """Whether something failed already."""
        return any(c.settled and c.settled.outcome.state in (State.FAIL, State.WARN) for c in self.checks)
