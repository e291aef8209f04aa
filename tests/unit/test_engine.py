from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from kubectl_netdebug.engine.run import Engine, Moment, Settled
from kubectl_netdebug.engine.source import Job, Nothing
from kubectl_netdebug.model.facts import Answer, FactKey, Known, Unknown, Why
from kubectl_netdebug.model.finding import Effect
from kubectl_netdebug.model.hop import Hop, Outcome, State, skipped, unknown
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import Flow, Step, When
from tests.unit.flows import (
    AT,
    BROKEN,
    FINE,
    QUESTION,
    Gate,
    Played,
    ask,
    cause,
    explanation,
    key,
    looking,
    run,
    states,
    step,
)


def test_a_fact_that_many_need_is_fetched_once() -> None:
    source = Played()
    needs = explanation(Hop.SERVICE, lambda look, asked: look.together(ask("a"), ask("b")) and None)
    run([step(Hop.SERVICE, looking("a", then=BROKEN)), step(Hop.NAME, looking("a"))], [needs, needs], source)

    assert source.rounds == [{key("a")}, {key("b")}]


def test_what_all_steps_miss_is_fetched_in_one_round() -> None:
    source = Played()
    run([step(Hop.NAME, looking("a", "b")), step(Hop.SERVICE, looking("c", "b"))], source=source)

    assert source.rounds[0] == {key("a"), key("c")}
    assert sum(map(len, source.rounds)) == 3


def test_facts_are_fetched_side_by_side() -> None:
    meeting = threading.Barrier(3)

    def meet() -> Answer:
        meeting.wait(10)  # raises unless all three are here at once
        return Known(True)

    diagnosis = run(
        [step(Hop.NAME, lambda look, asked: FINE if all(look.all([ask(n) for n in "abc"])) else BROKEN)],
        source=Played(dict.fromkeys("abc", meet)),
    )

    assert states(diagnosis) == {"name": "pass"}


def test_a_slow_fact_does_not_hold_up_what_needs_it_not() -> None:
    gate = Gate()

    def slow() -> Answer:
        gate.wait()
        return Known(True)

    def watch(moment: Moment, done: Step, settled: Settled | None) -> None:
        if moment is Moment.SETTLED and done.hop is Hop.SERVICE:
            gate.open()

    diagnosis = run(
        [step(Hop.NAME, looking("slow")), step(Hop.SERVICE, looking("a", "b"))],
        source=Played({"slow": slow}),
        observer=watch,
    )

    assert states(diagnosis) == {"name": "pass", "service": "pass"}


def test_a_job_is_left_at_its_deadline_and_its_answer_ignored() -> None:
    late, answered = Gate(), Gate()

    def slow() -> Answer:
        late.wait()
        answered.open()
        return Known("too late")

    def after() -> Answer:
        late.open()
        answered.wait()
        return Known("in time")

    source = Played({"slow": slow, "after": after})
    source.seconds[key("slow")] = 0.05

    def decide(look: Look, asked: Question) -> Outcome:
        look.all_known([ask("slow")])
        return FINE if look(ask("after")) == "in time" else BROKEN

    diagnosis = run([step(Hop.NAME, decide)], source=source)
    answer = diagnosis.facts[key("slow")]

    assert states(diagnosis) == {"name": "pass"}
    assert isinstance(answer, Unknown)
    assert (answer.why, answer.milliseconds) == (Why.TIMEOUT, 50.0)


def test_the_time_limit_ends_everything() -> None:
    gate = Gate()

    def never() -> Answer:
        gate.wait()
        return Known(True)

    began = time.monotonic()
    source = Played({"never": never})
    decide = lambda look, asked: FINE if look.all_known([ask("never")]) and look(ask("later")) else BROKEN  # noqa: E731
    diagnosis = run([step(Hop.NAME, decide), step(Hop.SERVICE, looking("quick"))], source=source, timeout=0.1)
    took = time.monotonic() - began
    gate.open()

    assert took < 5
    assert states(diagnosis) == {"name": "unknown", "service": "pass"}
    later = diagnosis.facts[key("later")]
    assert isinstance(later, Unknown)
    assert (later.why, later.unlock) == (Why.TIMEOUT, "--timeout")
    assert {key("later")} not in source.rounds, "nothing is begun after the end"


def test_a_source_that_breaks_is_an_unknown() -> None:
    def broken() -> Answer:
        raise ZeroDivisionError("no")

    diagnosis = run([step(Hop.NAME, looking("a")), step(Hop.SERVICE, looking("b"))], source=Played({"a": broken}))

    assert states(diagnosis) == {"name": "unknown", "service": "pass"}
    assert diagnosis.facts[key("a")] == Unknown(Why.ERROR, "a: ZeroDivisionError: no")


def test_a_source_that_forgets_a_key_is_an_unknown() -> None:
    class Forgetful:
        def plan(self, keys: Any) -> list[Job]:
            wanted: tuple[FactKey, ...] = tuple(keys)
            return [Job("all", wanted, lambda: {wanted[0]: Known(True)}, 10.0)]

    decide = lambda look, asked: FINE if look.all_known([ask("a"), ask("b")]) == [True, None] else BROKEN  # noqa: E731

    assert states(run([step(Hop.NAME, decide)], source=Forgetful())) == {"name": "pass"}


def test_without_a_source_everything_unknown_says_so() -> None:
    diagnosis = run([step(Hop.NAME, looking("a"))], source=Nothing())

    assert [lost.unknown.why for lost in diagnosis.steps[0].lost] == [Why.NOT_RECORDED]


@pytest.mark.parametrize("where", ["hop", "cause"])
def test_a_defect_is_reported_and_raised_where_tests_want_it(where: str) -> None:
    def defective(look: Look, asked: Question) -> Any:
        look(ask("a"))
        raise ZeroDivisionError("my own")

    steps = [step(Hop.NAME, defective if where == "hop" else BROKEN), step(Hop.SERVICE, FINE)]
    causes = [
        explanation(Hop.NAME, defective, cause("bad-cause")),
        explanation(Hop.NAME, cause("good-cause").likely(AT)),
    ]
    diagnosis = run(steps, causes)

    assert states(diagnosis) == {"name": "error" if where == "hop" else "fail", "service": "pass"}
    assert [found.finding.code for found in diagnosis.steps[0].found] == ["good-cause"]
    assert "ZeroDivisionError: my own" in str(diagnosis.steps[0])
    with pytest.raises(ZeroDivisionError):
        run(steps, causes, strict=True)


def test_a_defect_before_the_first_fact_is_reported_too() -> None:
    def defective(look: Look, asked: Question) -> Any:
        raise ZeroDivisionError("at once")

    diagnosis = run([step(Hop.NAME, BROKEN)], [explanation(Hop.NAME, defective, cause("bad-cause"))])

    assert [(lost.by, lost.unknown.why) for lost in diagnosis.steps[0].lost] == [("bad-cause", Why.ERROR)]


def test_causes_are_looked_for_only_where_a_hop_is_bad() -> None:
    source = Played()
    curious = explanation(Hop.NAME, lambda look, asked: look(ask("x")) and None)
    run([step(Hop.NAME, FINE)], [curious], source)
    assert source.rounds == []

    always = explanation(Hop.NAME, lambda look, asked: look(ask("x")) and None, when=When.ALWAYS)
    run([step(Hop.NAME, FINE)], [always], source)
    assert source.rounds == [{key("x")}]


ROOT = explanation(Hop.NAME, cause("root-cause").confirmed(AT))


@pytest.mark.parametrize(
    ("found", "follows", "reached"),
    [
        ([], False, False),
        ([], True, True),
        ([ROOT], False, False),
        ([ROOT], True, False),
        ([explanation(Hop.NAME, cause("guess").likely(AT))], True, True),
        ([explanation(Hop.NAME, cause("symptom", symptom_only=True).confirmed(AT))], True, True),
        ([explanation(Hop.NAME, cause("slow-down").confirmed(AT, effect=Effect.DEGRADES))], True, True),
    ],
    ids=["no cause", "no cause, follows", "root", "root, follows", "likely", "symptom", "degrades"],
)
def test_what_lies_behind_a_failure(found: list[Any], follows: bool, reached: bool) -> None:
    source = Played()
    steps = [step(Hop.NAME, BROKEN), step(Hop.SERVICE, looking("a"), Hop.NAME, follow_failures=follows)]
    diagnosis = run(steps, found, source)

    assert states(diagnosis)["service"] == ("pass" if reached else "skipped")
    assert source.rounds == ([{key("a")}] if reached else [])
    if not reached:
        assert "name failed" in diagnosis.steps[1].outcome.saw


def test_a_step_waits_for_those_before_it_and_goes_on_unless_they_failed() -> None:
    order: list[tuple[Moment, str]] = []

    def watch(moment: Moment, seen: Step, settled: Settled | None) -> None:
        assert (settled is None) == (moment is Moment.STARTED)
        order.append((moment, seen.title))

    steps = [step(Hop.ADDRESS, looking("b"), Hop.NAME, Hop.ENTRY), step(Hop.NAME, looking("a", then=unknown("?")))]
    diagnosis = run(steps, observer=watch)

    assert states(diagnosis) == {"address": "pass", "name": "unknown"}
    assert order == [
        (Moment.STARTED, "name"),
        (Moment.SETTLED, "name"),
        (Moment.STARTED, "address"),
        (Moment.SETTLED, "address"),
    ]


@pytest.mark.parametrize(
    ("why", "state"), [(Why.NO_CONSENT, State.SKIPPED), (Why.FORBIDDEN, State.UNKNOWN), (Why.TIMEOUT, State.UNKNOWN)]
)
def test_a_fact_that_cannot_be_had(why: Why, state: State) -> None:
    lost = Unknown(why, "because", "this would help")
    diagnosis = run([step(Hop.NAME, looking("a"))], source=Played({"a": lost}))
    (settled,) = diagnosis.steps

    assert settled.outcome == Outcome(state, "because")
    assert [(each.key, each.unknown, each.by, each.essential) for each in settled.lost] == [
        (key("a"), lost, "name", True)
    ]


@pytest.mark.parametrize(
    ("outcome", "effect", "sure", "state"),
    [
        (FINE, Effect.BREAKS, "confirmed", State.FAIL),
        (FINE, Effect.DEGRADES, "likely", State.WARN),
        (FINE, Effect.BREAKS, "possible", State.PASS),
        (FINE, Effect.NOTE, "confirmed", State.PASS),
        (skipped("no"), Effect.BREAKS, "likely", State.FAIL),
        (unknown("no"), Effect.DEGRADES, "confirmed", State.WARN),
        (BROKEN, Effect.DEGRADES, "confirmed", State.FAIL),
    ],
)
def test_a_finding_counts_for_its_hop(outcome: Outcome, effect: Effect, sure: str, state: State) -> None:
    finding = getattr(cause("some-cause"), sure)(AT, effect=effect)
    diagnosis = run([step(Hop.NAME, outcome)], [explanation(Hop.NAME, finding, when=When.ALWAYS)])

    assert diagnosis.steps[0].outcome.state is state


def test_an_interrupt_leaves_what_is_known_so_far() -> None:
    class Interrupted(Played):
        def plan(self, keys: Any) -> list[Job]:
            if self.rounds:
                raise KeyboardInterrupt
            return super().plan(keys)

    flow = Flow((step(Hop.NAME, looking("a")), step(Hop.SERVICE, looking("a", "b"))), ())
    engine = Engine(QUESTION, flow, Interrupted(), facts={})
    with pytest.raises(KeyboardInterrupt):
        engine.run()

    assert states(engine.so_far()) == {"name": "pass"}
    assert engine.facts == {key("a"): Known(True)}


def test_facts_that_are_there_are_not_fetched() -> None:
    source = Played()
    flow = Flow((step(Hop.NAME, looking("a")),), ())
    Engine(QUESTION, flow, source, facts={key("a"): Known(True)}).run()

    assert source.rounds == []


def test_what_was_looked_at_is_kept_in_order() -> None:
    finding = cause("some-cause").confirmed(AT)

    def find(look: Look, asked: Question) -> Any:
        look.together(ask("b"), ask("a"))
        look(ask("b"))
        return finding

    diagnosis = run([step(Hop.NAME, BROKEN)], [explanation(Hop.NAME, find)])

    assert [each.key for each in diagnosis.steps[0].found[0].used] == [key("b"), key("a")]
