"""Runs a flow. Facts that are missing are gathered over all steps and fetched side by side until each step is settled.

Causes are pure and written straight down: one that asks for a missing fact is left by `Suspended` and run again from
its start when the fact is there. So nobody writes fetching order, and two causes that need one fact cost one read.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from kubectl_netdebug.engine.source import FactSource, Job
from kubectl_netdebug.model.facts import Answer, Ask, FactKey, Unknown, Why
from kubectl_netdebug.model.finding import Confidence, Effect, Finding
from kubectl_netdebug.model.hop import NOT_REACHED, Hop, Outcome, State, skipped, unknown
from kubectl_netdebug.model.look import Look, Suspended, Unestablished, Views
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import Explanation, Flow, Step, When


@dataclass(frozen=True)
class Found:
    """A finding, the hop it was found at, and the facts its function looked at, in order."""

    hop: Hop
    finding: Finding
    used: tuple[Ask[object], ...]


@dataclass(frozen=True)
class Lost:
    """A fact that a step or a cause needed and could not have. `by` is the hop title or the code that asked.

    Without a key nothing is missing but the judgement: the cause itself has a defect.
    """

    key: FactKey | None
    unknown: Unknown
    by: str
    essential: bool


@dataclass(frozen=True)
class Settled:
    """A step that is done."""

    step: Step
    outcome: Outcome
    found: tuple[Found, ...]
    lost: tuple[Lost, ...]
    used: tuple[Ask[object], ...]
    elapsed_ms: float


@dataclass(frozen=True)
class Diagnosis:
    """Everything that a run established; `conclude` makes the result of it."""

    question: Question
    steps: tuple[Settled, ...]
    facts: Mapping[FactKey, Answer]
    seconds: float


class Moment(Enum):
    """What an observer is told about a step."""

    STARTED = auto()
    SETTLED = auto()


Observer = Callable[[Moment, Step, "Settled | None"], None]


@dataclass
class _Progress:
    """A step under way."""

    step: Step
    started: float = 0.0
    outcome: Outcome | None = None
    lost: list[Lost] = field(default_factory=list)
    used: dict[FactKey, Ask[object]] = field(default_factory=dict)
    open: list[Explanation] | None = None
    found: list[Found] = field(default_factory=list)
    settled: Settled | None = None


class Engine:
    """One run of one flow. `strict` lets defects in causes through instead of reporting them (for tests)."""

    def __init__(
        self,
        question: Question,
        flow: Flow,
        source: FactSource,
        *,
        facts: Mapping[FactKey, Answer],
        timeout: float = 60.0,
        observer: Observer | None = None,
        strict: bool = False,
    ) -> None:
        self._question = question
        self._flow = flow
        self._source = source
        self._facts: dict[FactKey, Answer] = dict(facts)
        self._views: Views = {}
        self._timeout = timeout
        self._observer = observer or (lambda moment, step, settled: None)
        self._strict = strict
        self._steps = [_Progress(step) for step in flow.steps]
        self._done: queue.SimpleQueue[tuple[Job, Mapping[FactKey, Answer]]] = queue.SimpleQueue()
        self._flying: dict[FactKey, tuple[Job, float]] = {}
        self._began = time.monotonic()

    @property
    def facts(self) -> Mapping[FactKey, Answer]:
        """What is known so far; complete when `run` has returned."""
        return self._facts

    def run(self) -> Diagnosis:
        """Runs to the end, or until the time limit has turned every missing fact into an unknown."""
        while True:
            missing = self._advance_all()
            if all(progress.settled for progress in self._steps):
                return self.so_far()
            self._dispatch(missing - self._flying.keys() - self._facts.keys())
            self._collect()

    def advance(self) -> frozenset[FactKey]:
        """Goes as far as the facts allow, for a caller that fetches: the keys to `learn`; empty at the end."""
        return frozenset(self._advance_all() - self._facts.keys())

    def learn(self, answers: Mapping[FactKey, Answer]) -> None:
        """Takes in facts that `advance` asked for."""
        self._facts.update(answers)

    def so_far(self) -> Diagnosis:
        """What is settled at this moment; the whole diagnosis once `run` has returned."""
        settled = tuple(progress.settled for progress in self._steps if progress.settled)
        return Diagnosis(self._question, settled, self._facts, time.monotonic() - self._began)

    # --- evaluating -----------------------------------------------------------------------------------------------

    def _advance_all(self) -> set[FactKey]:
        """Pushes every step as far as the facts allow; returns the keys that they wait for."""
        while True:
            missing: set[FactKey] = set()
            settled_before = sum(1 for p in self._steps if p.settled)
            for progress in self._steps:
                if not progress.settled:
                    missing |= self._advance(progress)
            if sum(1 for p in self._steps if p.settled) == settled_before:
                return missing

    def _advance(self, progress: _Progress) -> set[FactKey]:
        if not progress.started:
            gate = self._gate(progress.step)
            if gate is None:
                return set()
            progress.started = time.monotonic()
            if isinstance(gate, Outcome):
                progress.outcome, progress.open = gate, []
            else:
                self._observer(Moment.STARTED, progress.step, None)
        missing = self._decide(progress) if progress.outcome is None else set()
        if progress.outcome is not None and not missing:
            missing = self._explain(progress)
            if not missing:
                self._settle(progress)
        return missing

    def _gate(self, step: Step) -> Outcome | bool | None:
        """None: wait. True: go. An outcome: the step is skipped with it."""
        for hop in step.after:
            earlier = self._settled(hop)
            if earlier is None and any(p.step.hop is hop for p in self._steps):
                return None
            if earlier is None or earlier.outcome.state is not State.FAIL:
                continue
            if has_root_cause(earlier) or not step.follow_failures:
                return skipped(f"{NOT_REACHED}: {earlier.step.title} failed")
        return True

    def _settled(self, hop: Hop) -> Settled | None:
        return next((p.settled for p in self._steps if p.step.hop is hop), None)

    def _decide(self, progress: _Progress) -> set[FactKey]:
        look = Look(self._facts, self._views)
        step = progress.step
        try:
            progress.outcome = step.decide(look, self._question)
        except Suspended as waiting:
            return set(waiting.keys)
        except Unestablished as lost:
            progress.lost.append(Lost(lost.key, lost.unknown, step.title, step.essential))
            progress.outcome = _outcome_of(lost.unknown)
        except Exception as defect:
            if self._strict:
                raise
            progress.outcome = Outcome(State.ERROR, f"this check itself failed: {type(defect).__name__}: {defect}")
        progress.used = dict(look.used)
        return set()

    def _explain(self, progress: _Progress) -> set[FactKey]:
        if progress.open is None:
            assert progress.outcome is not None
            bad = progress.outcome.state not in (State.PASS, State.SKIPPED)
            candidates = self._flow.explanations_for(progress.step.hop)
            progress.open = [e for e in candidates if bad or e.when is When.ALWAYS]
        missing: set[FactKey] = set()
        still_open = []
        for explanation in progress.open:
            waiting = self._try(progress, explanation)
            if waiting:
                missing |= waiting
                still_open.append(explanation)
        progress.open = still_open
        return missing

    def _try(self, progress: _Progress, explanation: Explanation) -> set[FactKey]:
        look = Look(self._facts, self._views)
        try:
            finding = explanation.find(look, self._question)
        except Suspended as waiting:
            return set(waiting.keys)
        except Unestablished as lost:
            progress.lost.append(Lost(lost.key, lost.unknown, explanation.cause.code, essential=False))
            return set()
        except Exception as defect:
            if self._strict:
                raise
            fault = Unknown(Why.ERROR, f"the check itself failed: {type(defect).__name__}: {defect}")
            progress.lost.append(Lost(None, fault, explanation.cause.code, essential=False))
            return set()
        if finding is not None:
            progress.found.append(Found(explanation.hop, finding, tuple(look.used.values())))
        return set()

    def _settle(self, progress: _Progress) -> None:
        assert progress.outcome is not None
        progress.settled = Settled(
            step=progress.step,
            outcome=with_findings(progress.outcome, [f.finding for f in progress.found]),
            found=tuple(progress.found),
            lost=tuple(progress.lost),
            used=tuple(progress.used.values()),
            elapsed_ms=(time.monotonic() - progress.started) * 1000,
        )
        self._observer(Moment.SETTLED, progress.step, progress.settled)

    # --- fetching -------------------------------------------------------------------------------------------------

    def _dispatch(self, keys: set[FactKey]) -> None:
        if not keys:
            return
        for job in self._source.plan(sorted(keys, key=repr)):
            due = time.monotonic() + job.seconds
            self._flying.update(dict.fromkeys(job.keys, (job, due)))
            threading.Thread(target=self._fetch, args=(job,), name=f"fetch {job.title}", daemon=True).start()

    def _fetch(self, job: Job) -> None:
        try:
            answers = job.fetch()
        except Exception as defect:  # a source turns its failures into answers; this is its own defect
            fault = Unknown(Why.ERROR, f"{job.title}: {type(defect).__name__}: {defect}")
            answers = dict.fromkeys(job.keys, fault)
        self._done.put((job, answers))

    def _collect(self) -> None:
        """Waits for the next answers, or for the next deadline."""
        end = self._began + self._timeout
        due = min([end, *(due for _, due in self._flying.values())])
        try:
            job, answers = self._done.get(timeout=max(0.0, due - time.monotonic()))
        except queue.Empty:
            self._give_up(everything=time.monotonic() >= end)
            return
        for key in job.keys:
            if self._flying.pop(key, None):  # else its deadline has passed and the answer comes too late
                self._facts[key] = answers.get(key, Unknown(Why.ERROR, f"{job.title} gave no answer"))

    def _give_up(self, *, everything: bool) -> None:
        now = time.monotonic()
        for key, (job, due) in list(self._flying.items()):
            if everything or due <= now:
                limit = self._timeout if everything else job.seconds
                self._facts[key] = Unknown(Why.TIMEOUT, f"no answer within {limit:.0f} s", milliseconds=limit * 1000)
                del self._flying[key]
        if everything:
            self._source = _TimeIsUp(self._timeout)


class _TimeIsUp:
    """The source after the time limit: every further wish is answered at once."""

    def __init__(self, timeout: float) -> None:
        self._unknown = Unknown(Why.TIMEOUT, f"the time limit of {timeout:.0f} s was reached", "--timeout")

    def plan(self, keys: Iterable[FactKey]) -> list[Job]:
        wanted: tuple[FactKey, ...] = tuple(keys)
        return [Job("time limit", wanted, lambda: dict.fromkeys(wanted, self._unknown), 3600.0)]


def has_root_cause(step: Settled) -> bool:
    """Whether a settled step already has a cause that says why, so that nothing behind it needs a look."""
    return any(
        found.finding.confidence is Confidence.CONFIRMED
        and found.finding.effect is Effect.BREAKS
        and not found.finding.cause.symptom_only
        for found in step.found
    )


def with_findings(outcome: Outcome, findings: list[Finding]) -> Outcome:
    """The outcome of a hop in the light of what was found there. A merely possible cause changes nothing."""
    effects = {f.effect for f in findings if f.confidence is not Confidence.POSSIBLE}
    if Effect.BREAKS in effects and outcome.state in (State.PASS, State.SKIPPED, State.UNKNOWN):
        return replace(outcome, state=State.FAIL)
    if Effect.DEGRADES in effects and outcome.state in (State.PASS, State.SKIPPED, State.UNKNOWN):
        return replace(outcome, state=State.WARN)
    return outcome


def _outcome_of(lost: Unknown) -> Outcome:
    if lost.why is Why.NO_CONSENT:
        return skipped(lost.says)
    return unknown(lost.says)
