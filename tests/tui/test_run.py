"""Runs without a screen: the same verdicts as `replay`, and nothing that hangs is waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping

import pytest

from kubectl_netdebug.cli.replay import diagnose_recording
from kubectl_netdebug.engine.recording import Recording
from kubectl_netdebug.engine.source import Job
from kubectl_netdebug.model.facts import Answer, FactKey, MayProbe, Price, Unknown
from kubectl_netdebug.model.hop import Hop, State
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.result import VerdictState
from kubectl_netdebug.tui.played import Played
from kubectl_netdebug.tui.run import ClosableSource, Run
from kubectl_netdebug.tui.state import Stage
from tests.tui.stage import recording

CASES = ("service-selector-mismatch", "loopback-bind", "np-dns-egress-blocked", "etp-local", "dns-healthy-twin")


def over(run: Run, patience: float = 30.0) -> None:
    end = time.monotonic() + patience
    while not run.snapshot().is_over:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("name", CASES)
def test_a_played_recording_comes_to_the_verdict_of_its_replay(name: str) -> None:
    recorded = recording(name)
    run = Run(recorded.question, Played(recorded, 0))
    run.start()
    over(run)

    state, replayed = run.snapshot(), diagnose_recording(recorded)
    assert state.result is not None
    assert state.result.verdict == replayed.verdict
    assert [hop.state for hop in state.result.path] == [hop.state for hop in replayed.path]
    assert all(check.stage is Stage.DONE for check in state.checks)
    assert state.is_certain


class Hanging(Played):
    """Probes in Pods never answer; `released` lets them."""

    def __init__(self, recording: Recording, pace: float = 1.0) -> None:
        super().__init__(recording, pace)
        self.released = threading.Event()
        self.reached = threading.Event()
        self.closed = 0

    def open(self, question: Question, ask: Callable[[str], bool]) -> ClosableSource:
        return _Hangs(super().open(question, ask), self)


class _Hangs:
    def __init__(self, source: ClosableSource, owner: Hanging) -> None:
        self._source, self._owner = source, owner

    def plan(self, keys: Iterable[FactKey]) -> list[Job]:
        return [self._hung(job) for job in self._source.plan(keys)]

    def close(self) -> None:
        self._owner.closed += 1
        self._source.close()

    def _hung(self, job: Job) -> Job:
        if job.keys[0].price is not Price.POD or isinstance(job.keys[0], MayProbe):
            return job

        def fetch() -> Mapping[FactKey, Answer]:
            self._owner.reached.set()
            self._owner.released.wait(60)
            return job.fetch()

        return Job(job.title, job.keys, fetch, job.seconds)


def test_stopping_ends_a_run_whose_probes_hang_and_closes_its_source() -> None:
    recorded = recording("loopback-bind")
    backing = Hanging(recorded, 0)
    run = Run(recorded.question, backing)
    run.start()
    assert backing.reached.wait(20)
    began = time.monotonic()
    run.stop()
    over(run, 5)

    assert time.monotonic() - began < 5
    state = run.snapshot()
    assert state.stopped == "stopped by you"
    assert state.result is not None
    assert state.result.verdict.state is not VerdictState.HEALTHY
    assert backing.closed == 1
    run.close()
    assert backing.closed == 1
    backing.released.set()


def test_cancelling_one_check_leaves_the_others() -> None:
    recorded = recording("loopback-bind")
    backing = Hanging(recorded, 0)
    run = Run(recorded.question, backing)
    run.start()
    assert backing.reached.wait(20)
    end = time.monotonic() + 60
    while not run.snapshot().is_over and time.monotonic() < end:
        for check in run.snapshot().checks:
            if check.stage is Stage.RUNNING and check.flights:
                run.cancel(check.step.hop)
        time.sleep(0.02)

    state = run.snapshot()
    assert state.is_over
    assert not state.stopped
    passed = {c.step.hop for c in state.checks if c.settled and c.settled.outcome.state is State.PASS}
    assert {Hop.SERVICE, Hop.ENDPOINTS} <= passed
    assert any(isinstance(answer, Unknown) and "stopped by you" in answer.says for _, answer in state.facts)
    backing.released.set()


def test_a_limit_that_counts_no_thinking_time() -> None:
    recorded = recording("loopback-bind")
    backing = Hanging(recorded, 0)
    run = Run(recorded.question, backing, limit=0.2)
    run.start()
    assert backing.reached.wait(20)
    time.sleep(0.3)
    run.enforce_limit()
    over(run, 10)

    assert "time limit" in run.snapshot().stopped
    backing.released.set()


def test_repeating_one_check_asks_only_for_what_it_saw() -> None:
    recorded = recording("loopback-bind")
    run = Run(recorded.question, Played(recorded, 0))
    run.start()
    over(run)
    kept = run.facts_without(Hop.ENDPOINTS)
    again = Run(recorded.question, Played(recorded, 0), known=kept)
    again.start()
    over(again)

    assert 0 < len(again.snapshot().flights) < len(run.snapshot().flights)
    first, second = run.snapshot().result, again.snapshot().result
    assert first is not None
    assert second is not None
    assert first.verdict == second.verdict


def test_a_failing_backing_is_told_and_raises_nothing() -> None:
    class Broken(Played):
        def open(self, question: Question, ask: object) -> ClosableSource:
            raise OSError("the cluster is not there")

    recorded = recording("loopback-bind")
    run = Run(recorded.question, Broken(recorded, 0))
    run.start()
    over(run)

    assert run.snapshot().problem == "the cluster is not there"
    assert run.snapshot().result is None
    run.close()


class Asks(Played):
    """Asks the person before the first fact that is more than a read."""

    def open(self, question: Question, ask: Callable[[str], bool]) -> ClosableSource:
        return _Asks(super().open(question, ask), ask)


class _Asks:
    def __init__(self, source: ClosableSource, ask: Callable[[str], bool]) -> None:
        self._source, self._ask, self._asked = source, ask, False

    def plan(self, keys: Iterable[FactKey]) -> list[Job]:
        keys = list(keys)
        if not self._asked and any(key.price is Price.POD for key in keys):
            self._asked = True
            self._ask("May I?")
        return self._source.plan(keys)

    def close(self) -> None:
        self._source.close()


def test_reads_go_on_while_the_person_thinks() -> None:
    recorded = recording("np-dns-egress-blocked")
    asked, answered = threading.Event(), threading.Event()
    landed: list[int] = []

    def ask(text: str) -> bool:
        landed.append(landed_reads(run))
        asked.set()
        return answered.wait(60)

    run = Run(recorded.question, Asks(recorded, 1.0), ask=ask)
    run.start()
    assert asked.wait(60)
    end = time.monotonic() + 30
    while landed_reads(run) <= landed[0]:
        assert time.monotonic() < end, "no read came in while the question stood"
        time.sleep(0.02)
    assert not run.snapshot().is_over
    answered.set()
    over(run, 60)
    result = run.snapshot().result
    assert result is not None
    assert result.verdict == diagnose_recording(recorded).verdict


def landed_reads(run: Run) -> int:
    """How many reads have been answered."""
    return sum(f.ended is not None and f.keys[0].price is Price.READ for f in run.snapshot().flights)


def test_stopping_while_the_person_is_asked_ends_the_run() -> None:
    recorded = recording("loopback-bind")
    asked, answered = threading.Event(), threading.Event()

    def ask(text: str) -> bool:
        asked.set()
        return answered.wait(60)

    run = Run(recorded.question, Asks(recorded, 0), ask=ask)
    run.start()
    assert asked.wait(60)
    run.stop()
    answered.set()  # as the screen does when it is left
    over(run, 30)

    assert run.snapshot().stopped
