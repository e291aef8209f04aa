"""One run on threads of its own: watched step by step, cancelled piece by piece, and never waited for.

All threads are daemons and every wait of the engine is on a queue that a cancel can fill, so a call that hangs holds up
neither the next key nor the way out.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from kubectl_netdebug.engine.conclude import Circumstances, conclude
from kubectl_netdebug.engine.describe import describe
from kubectl_netdebug.engine.run import Diagnosis, Engine, Moment, Settled
from kubectl_netdebug.engine.source import FactSource, Job
from kubectl_netdebug.flows import flow_for
from kubectl_netdebug.model.facts import Answer, FactKey, Price, Unknown, Why
from kubectl_netdebug.model.hop import Hop, Outcome
from kubectl_netdebug.model.look import Look, Suspended
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.result import Result
from kubectl_netdebug.model.step import Explanation, Flow, Step
from kubectl_netdebug.tui.state import Check, Flight, RunState, Stage

ENGINE_LIMIT = 86_400.0
"""Seconds: the limit of a run is kept here, where the time that a person takes to answer does not count."""

LONG, SHORT = 15.0, 0.5
"""Seconds that leaving waits for a run to end: where something has to be removed, and where not."""


_Box = queue.SimpleQueue[Mapping[FactKey, Answer]]


class ClosableSource(FactSource, Protocol):
    """A source of facts that may leave something to tidy up."""

    def close(self) -> None:
        """Removes what can be removed. Never raises."""


class Backing(Protocol):
    """Where runs get their facts from: a live cluster, or a recording."""

    def open(self, question: Question, ask: Callable[[str], bool]) -> ClosableSource:
        """The source of one run; `ask` puts a question to the person and blocks. Raises KubeError."""

    def first_facts(self) -> Mapping[FactKey, Answer]:
        """What is known before anything is asked."""

    def circumstances(self, question: Question, source: ClosableSource, diagnosis: Diagnosis) -> Circumstances:
        """What the result says about the run."""

    def check(self, diagnosis: Diagnosis) -> None:
        """Raises KubeError where the diagnosis says nothing but that the cluster was never reached."""


@dataclass
class _Fetch:
    """A job under way and the queue on which its answer, or its cancellation, arrives."""

    flight: Flight
    box: _Box


class Run:
    """A question being answered. All methods may be called from any thread."""

    def __init__(
        self,
        question: Question,
        backing: Backing,
        *,
        known: Mapping[FactKey, Answer] | None = None,
        limit: float = 60.0,
        changed: Callable[[], None] = lambda: None,
        ask: Callable[[str], bool] = lambda text: False,
    ) -> None:
        self.question = question
        self._backing = backing
        self._limit = limit
        self._changed = changed
        self._person = ask
        self._lock = threading.RLock()
        self._planning = threading.Lock()
        self._began = time.monotonic()
        self._ended: float | None = None
        self._asking_since: float | None = None
        self._thought = 0.0
        """Seconds in which the person was asked: they count for nothing."""
        self._thought_before: dict[Hop, float] = {}
        self._started: dict[Hop, float] = {}
        self._settled: dict[Hop, Settled] = {}
        self._waits: dict[Hop, frozenset[FactKey]] = {}
        self._fetches: list[_Fetch] = []
        self._result: Result | None = None
        self._stopped = ""
        self._problem = ""
        self._trouble = ""
        self._source: ClosableSource | None = None
        self._closed = threading.Event()
        self._about = Circumstances("", "")
        self._diagnosis: Diagnosis | None = None
        flow = flow_for(question)
        self._steps = flow.steps
        self._engine = Engine(
            question,
            watched_flow(flow, self._note_wait),
            _Source(self),
            facts=backing.first_facts() if known is None else known,
            timeout=ENGINE_LIMIT,
            observer=self._observe,
        )
        self._thread = threading.Thread(target=self._run, name="run", daemon=True)

    # --- for the screens --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins; returns at once."""
        self._began = time.monotonic()
        self._thread.start()

    def snapshot(self) -> RunState:
        """The run as it is now."""
        with self._lock:
            thinking = time.monotonic() - self._asking_since if self._asking_since is not None else 0.0
            return RunState(
                question=self.question,
                checks=tuple(self._check(step) for step in self._steps),
                now=time.monotonic(),
                began=self._began + self._thought + thinking,
                ended=self._ended,
                result=self._result,
                facts=tuple(self._engine.facts.items()) if self._ended is not None else (),
                flights=tuple(fetch.flight for fetch in self._fetches),
                stopped=self._stopped,
                problem=self._problem,
                trouble=self._trouble,
                cluster_flags=self._about.cluster_flags,
            )

    @property
    def recordable(self) -> tuple[Diagnosis, Circumstances] | None:
        """What a recording is made of, once the run is over."""
        return (self._diagnosis, self._about) if self._diagnosis else None

    def facts_without(self, hop: Hop) -> dict[FactKey, Answer]:
        """What is known, less what this check saw: to repeat it alone. What nobody could say is asked again too."""
        settled = self._settled.get(hop)
        seen = {ask.key for ask in settled.used} if settled else set()
        seen |= {ask.key for found in (settled.found if settled else ()) for ask in found.used}
        always = self._backing.first_facts()
        return {
            key: answer
            for key, answer in self._engine.facts.items()
            if key in always or (key not in seen and not isinstance(answer, Unknown))
        }

    def cancel(self, hop: Hop) -> bool:
        """Gives up what this check waits for; False where there is nothing to give up."""
        with self._lock:
            wanted = self._waits.get(hop, frozenset())
            fetches = [f for f in self._fetches if f.flight.ended is None and wanted & set(f.flight.keys)]
        for fetch in fetches:
            self._give_up(fetch, "stopped by you")
        return bool(fetches)

    def stop(self, why: str = "stopped by you") -> None:
        """Gives up everything that is under way and asks for nothing more; the verdict is made of what is known."""
        with self._lock:
            if self._ended is not None or self._stopped:
                return
            self._stopped = why
            fetches = [f for f in self._fetches if f.flight.ended is None]
        for fetch in fetches:
            self._give_up(fetch, why)

    def enforce_limit(self) -> None:
        """Stops a run that has taken too long. The time in which a person was asked does not count."""
        with self._lock:
            thinking = time.monotonic() - self._asking_since if self._asking_since else 0.0
            over = time.monotonic() - self._began - self._thought - thinking > self._limit
        if over:
            self.stop(f"the time limit of {self._limit:.0f} s was reached")

    def close(self) -> None:
        """Stops, and sees to it that what was made in the cluster is removed. Blocks; call it when no screen waits."""
        self.stop("the app was left")
        if self._thread.is_alive():
            self._closed.wait(LONG if self.made_something else SHORT)
        self._close_source()

    @property
    def is_closed(self) -> bool:
        """Whether there is nothing left to remove."""
        return self._closed.is_set()

    @property
    def made_something(self) -> bool:
        """Whether this run changed the cluster."""
        return bool(getattr(self._source, "changes", ()))

    # --- on the run's threads ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            source = self._backing.open(self.question, self._ask)
            with self._lock:
                self._source = source
            self._changed()
            diagnosis = self._as_it_took(self._engine.run())
            self._close_source()
            self._about = self._backing.circumstances(self.question, source, diagnosis)
            if not self._stopped:
                self._backing.check(diagnosis)
            result = conclude(diagnosis, self._about)
            with self._lock:
                self._diagnosis, self._result = diagnosis, result
        except Exception as problem:  # told in place: the app stays
            with self._lock:
                self._problem = str(problem) or type(problem).__name__
        finally:
            self._close_source()
            with self._lock:
                self._ended = time.monotonic()
            self._closed.set()
            self._changed()

    def _as_it_took(self, diagnosis: Diagnosis) -> Diagnosis:
        """The same, with the times of the checks as they are without the person's."""
        steps = tuple(self._settled.get(each.step.hop, each) for each in diagnosis.steps)
        return replace(diagnosis, steps=steps, seconds=max(0.0, diagnosis.seconds - self._thought))

    def _close_source(self) -> None:
        with self._lock:
            source, self_closing = self._source, not getattr(self, "_source_closed", False)
            self._source_closed = True
        if source is not None and self_closing:
            source.close()

    def _ask(self, text: str) -> bool:
        if self._stopped:
            return False
        with self._lock:
            self._asking_since = time.monotonic()
        try:
            return self._person(text)
        finally:
            with self._lock:
                self._thought += time.monotonic() - (self._asking_since or 0.0)
                self._asking_since = None

    def _observe(self, moment: Moment, step: Step, settled: Settled | None) -> None:
        with self._lock:
            if moment is Moment.STARTED:
                self._started[step.hop] = time.monotonic()
                self._thought_before[step.hop] = self._thought
            elif settled is not None:
                asked = 1000 * (self._thought - self._thought_before.get(step.hop, self._thought))
                self._settled[step.hop] = replace(settled, elapsed_ms=max(0.0, settled.elapsed_ms - asked))
        if settled is not None and settled.found:
            so_far = conclude(self._engine.so_far(), self._about)
            with self._lock:
                self._result = so_far
        self._changed()

    def _note_wait(self, hop: Hop, keys: frozenset[FactKey]) -> None:
        with self._lock:
            self._waits[hop] = self._waits.get(hop, frozenset()) | keys

    def _check(self, step: Step) -> Check:
        settled = self._settled.get(step.hop)
        if settled is not None:
            return Check(step, Stage.DONE, self._started.get(step.hop, 0.0), settled)
        if step.hop not in self._started:
            return Check(step, Stage.WAITING)
        wanted = self._waits.get(step.hop, frozenset())
        open_ones = (f.flight for f in self._fetches if f.flight.ended is None)
        flights = tuple(flight for flight in open_ones if not wanted.isdisjoint(flight.keys))
        return Check(step, Stage.RUNNING, self._started[step.hop], None, flights)

    # --- fetching ---------------------------------------------------------------------------------------------------

    def plan(self, keys: Iterable[FactKey]) -> list[Job]:
        """For the engine: the source's jobs, each of which can be given up. Never waits for a person."""
        wanted = tuple(keys)
        if self._stopped or self._source is None:
            return [Job("stopped", wanted, lambda: self._not_looked_at(wanted), 60.0)]
        dear = tuple(key for key in wanted if key.price is not Price.READ)
        boxes: dict[FactKey, _Box] = {key: queue.SimpleQueue() for key in dear}
        if dear:
            threading.Thread(target=self._plan_dear, args=(boxes,), name="plan", daemon=True).start()
        reads = self._source.plan([key for key in wanted if key not in boxes])
        asked = [Job(describe(key), (key,), box.get, ENGINE_LIMIT) for key, box in boxes.items()]
        return [*(self._watched(job) for job in reads), *asked]

    def _not_looked_at(self, keys: Iterable[FactKey]) -> dict[FactKey, Answer]:
        return dict.fromkeys(keys, Unknown(Why.TIMEOUT, f"not looked at: {self._stopped}"))

    def _plan_dear(self, boxes: Mapping[FactKey, _Box]) -> None:
        """Plans what a person may have to be asked for, one plan after the other; reads go on meanwhile."""
        assert self._source is not None
        with self._planning:
            try:
                jobs = [] if self._stopped else self._source.plan(tuple(boxes))
            except Exception as defect:  # else the engine would wait for ever
                fault: Answer = Unknown(Why.ERROR, f"cannot be planned: {type(defect).__name__}: {defect}")
                _put(boxes, dict.fromkeys(boxes, fault))
                return
        if self._stopped:  # also when it was stopped while the person was asked
            _put(boxes, self._not_looked_at(boxes))
            return
        for job in map(self._watched, jobs):
            threading.Thread(target=_deliver, args=(job, boxes), name=f"deliver {job.title}", daemon=True).start()

    def _watched(self, job: Job) -> Job:
        fetch = _Fetch(Flight(job.title, job.keys, time.monotonic(), job.seconds), queue.SimpleQueue())
        with self._lock:
            self._fetches.append(fetch)
            stopped = self._stopped
        if stopped:  # between the plan and here
            self._give_up(fetch, stopped)

        def really() -> None:
            try:
                fetch.box.put(job.fetch())
            except Exception as defect:  # a source turns failures into answers; this is a defect of its own
                fault = Unknown(Why.ERROR, f"{job.title}: {type(defect).__name__}: {defect}")
                fetch.box.put(dict.fromkeys(job.keys, fault))

        def fetched() -> Mapping[FactKey, Answer]:
            threading.Thread(target=really, name=f"fetch {job.title}", daemon=True).start()
            try:
                answers = fetch.box.get(timeout=job.seconds)
            except queue.Empty:
                late = Unknown(Why.TIMEOUT, f"no answer within {job.seconds:.0f} s", milliseconds=job.seconds * 1000)
                answers = dict.fromkeys(job.keys, late)
            self._landed(fetch, answers)
            return answers

        return replace(job, fetch=fetched)

    def _landed(self, fetch: _Fetch, answers: Mapping[FactKey, Answer]) -> None:
        lost = [answer for answer in answers.values() if isinstance(answer, Unknown)]
        unreachable = next((answer.says for answer in lost if answer.why is Why.UNREACHABLE), "")
        with self._lock:
            fetch.flight = replace(fetch.flight, ended=time.monotonic(), how=lost[0].why.value if lost else "known")
            self._trouble = unreachable or (self._trouble if lost else "")
        self._changed()

    def _give_up(self, fetch: _Fetch, why: str) -> None:
        seconds = time.monotonic() - fetch.flight.began
        given_up = Unknown(Why.TIMEOUT, f"{why} after {seconds:.1f} s", milliseconds=seconds * 1000)
        fetch.box.put(dict.fromkeys(fetch.flight.keys, given_up))


def _deliver(job: Job, boxes: Mapping[FactKey, _Box]) -> None:
    """Does a job and puts each answer where the engine waits for it."""
    answers = job.fetch()
    missing = Unknown(Why.ERROR, f"{job.title} gave no answer")
    _put(boxes, {key: answers.get(key, missing) for key in job.keys})


def _put(boxes: Mapping[FactKey, _Box], answers: Mapping[FactKey, Answer]) -> None:
    for key, answer in answers.items():
        if key in boxes:
            boxes[key].put({key: answer})


class _Source:
    """The run as the engine's source."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def plan(self, keys: Iterable[FactKey]) -> list[Job]:
        return self._run.plan(keys)


def watched_flow(flow: Flow, note: Callable[[Hop, frozenset[FactKey]], None]) -> Flow:
    """The same flow, telling which facts each hop waits for."""
    return Flow(
        tuple(replace(step, decide=_noting(step.decide, step.hop, note)) for step in flow.steps),
        tuple(_watched_explanation(each, note) for each in flow.explanations),
    )


def _noting(
    decide: Callable[[Look, Question], Outcome], hop: Hop, note: Callable[[Hop, frozenset[FactKey]], None]
) -> Callable[[Look, Question], Outcome]:
    def noted(look: Look, asked: Question) -> Outcome:
        try:
            return decide(look, asked)
        except Suspended as waiting:
            note(hop, waiting.keys)
            raise

    return noted


def _watched_explanation(each: Explanation, note: Callable[[Hop, frozenset[FactKey]], None]) -> Explanation:
    find = each.find

    def noted(look: Look, asked: Question):  # type: ignore[no-untyped-def]  # noqa: ANN202 - as `find`
        try:
            return find(look, asked)
        except Suspended as waiting:
            note(each.hop, waiting.keys)
            raise

    return replace(each, find=noted)
