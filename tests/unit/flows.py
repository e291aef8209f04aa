"""Small flows and a source that is played, for tests of the engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kubectl_netdebug.engine.run import Diagnosis, Engine
from kubectl_netdebug.engine.source import Job
from kubectl_netdebug.model.facts import Answer, Ask, FactKey, Known, Object
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop, Outcome, failed, passed
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.model.step import CauseFunction, Explanation, Flow, HopFunction, Step, When

QUESTION = Question(FlowName.SERVICE, "shop", "web")
AT = ObjectRef("Service", "shop", "web")

Fetch = Callable[[], Answer]


def key(name: str) -> FactKey:
    return Object("things", "shop", name)


def ask(name: str) -> Ask[Any]:
    return Ask(key(name), lambda value: value, lambda value: f"{name} is {value}")


class Played:
    """Answers with what the test says, a function where it has to block, and True for the rest. A job for each key."""

    def __init__(self, answers: Mapping[str, Answer | Fetch] | None = None, seconds: float = 30.0) -> None:
        self.answers = {key(name): answer for name, answer in (answers or {}).items()}
        self.seconds = dict.fromkeys(self.answers, seconds)
        self.default_seconds = seconds
        self.rounds: list[set[FactKey]] = []

    def plan(self, keys: Iterable[FactKey]) -> list[Job]:
        wanted = list(keys)
        self.rounds.append(set(wanted))
        return [self._job(each) for each in wanted]

    def _job(self, each: FactKey) -> Job:
        answer = self.answers.get(each, Known(True))

        def fetch() -> Mapping[FactKey, Answer]:
            return {each: answer() if callable(answer) else answer}

        return Job(str(vars(each)["name"]), (each,), fetch, self.seconds.get(each, self.default_seconds))


class Gate:
    """Something to block on that gives up before a test hangs."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def open(self) -> None:
        self._event.set()

    def wait(self) -> None:
        assert self._event.wait(30), "nobody opened the gate"


def cause(code: str, explains: tuple[str, ...] = (), *, symptom_only: bool = False) -> Cause:
    words = f"words of {code}."
    return Cause(code, code, words, words, words, words, words, explains, symptom_only)


def explanation(hop: Hop, find: CauseFunction | Finding, of: Cause | None = None, when: When = When.BAD) -> Explanation:
    """A cause that is found by a function, or at once."""
    if isinstance(find, Finding):
        finding = find
        return Explanation(hop, finding.cause, lambda look, asked: finding, when)
    return Explanation(hop, of or cause("some-cause"), find, when)


def looking(*names: str, then: Outcome | None = None) -> HopFunction:
    """Decides for an outcome once it has looked at facts, one after the other."""

    def decide(look: Look, asked: Question) -> Outcome:
        for name in names:
            look(ask(name))
        return then or passed("fine")

    return decide


def step(hop: Hop, decide: HopFunction | Outcome, *after: Hop, **more: Any) -> Step:
    if isinstance(decide, Outcome):
        outcome = decide
        return Step(hop, hop.value, lambda look, asked: outcome, after, **more)
    return Step(hop, hop.value, decide, after, **more)


def run(
    steps: Iterable[Step],
    explanations: Iterable[Explanation] = (),
    source: Any = None,
    *,
    timeout: float = 30.0,
    **more: Any,
) -> Diagnosis:
    flow = Flow(tuple(steps), tuple(explanations))
    return Engine(QUESTION, flow, source or Played(), facts={}, timeout=timeout, **more).run()


def states(diagnosis: Diagnosis) -> dict[str, str]:
    return {settled.step.hop.value: settled.outcome.state.value for settled in diagnosis.steps}


BROKEN = failed("broken")
FINE = passed("fine")
