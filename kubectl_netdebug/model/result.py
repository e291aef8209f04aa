"""The one result object that every front end draws."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kubectl_netdebug.model.command import Risk
from kubectl_netdebug.model.finding import Confidence, ObjectRef
from kubectl_netdebug.model.hop import Hop, State
from kubectl_netdebug.model.question import Question

SCHEMA_VERSION = "netdebug/v1"


class VerdictState(StrEnum):
    """The answer in one word."""

    HEALTHY = "healthy"
    FAULTY = "faulty"
    PARTIAL = "partial"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Verdict:
    """The answer in one sentence. `confidence` is that of the primary cause, or None where no cause is named."""

    state: VerdictState
    headline: str
    confidence: Confidence | None = None


@dataclass(frozen=True)
class Evidence:
    """One observation behind a cause: from where, what, and the command that reproduces it."""

    vantage: str
    observed: str
    command: str


@dataclass(frozen=True)
class FixLine:
    """A fix ready to copy. `verify` is the command that shows whether it helped."""

    title: str
    command: str
    risk: Risk
    verify: str
    not_pasteable: str = ""


@dataclass(frozen=True)
class CauseLine:
    """A cause in the order in which to mend; `explains` are the codes of its consequences."""

    code: str
    primary: bool
    object: ObjectRef
    summary: str
    means: str
    saw: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    fixes: tuple[FixLine, ...]
    confidence: Confidence
    explains: tuple[str, ...] = ()


@dataclass(frozen=True)
class HopLine:
    """A hop as it came out."""

    hop: Hop
    title: str
    state: State
    vantage: str
    elapsed_ms: float
    saw: str


@dataclass(frozen=True)
class UnknownLine:
    """A fact that is missing, why, and what would unlock it; `aside` where the checks could do without it."""

    fact: str
    why: str
    unlock: str
    aside: bool = False


@dataclass(frozen=True)
class Change:
    """Something this run left in the cluster, and when it goes away."""

    object: str
    permanent: bool
    removed: bool
    cleanup: str


@dataclass(frozen=True)
class RunInfo:
    """What the run cost and who made it; `started_at` is RFC 3339 in UTC."""

    id: str
    started_at: str
    seconds: float
    api_calls: int
    probes: int
    versions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Result:
    """A whole diagnosis."""

    question: Question
    verdict: Verdict
    causes: tuple[CauseLine, ...]
    path: tuple[HopLine, ...]
    unknown: tuple[UnknownLine, ...]
    changes: tuple[Change, ...]
    assumptions: tuple[str, ...]
    run: RunInfo
    protocol: str = ""

    @property
    def missing(self) -> tuple[UnknownLine, ...]:
        """What is not known and weighs: what every reader is told, also without asking for more."""
        return tuple(line for line in self.unknown if not line.aside)
