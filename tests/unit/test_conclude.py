from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.engine.conclude import Circumstances, conclude, rank
from kubectl_netdebug.engine.run import Diagnosis, Found, Lost, Settled
from kubectl_netdebug.model.command import Fix, kubectl
from kubectl_netdebug.model.facts import Answer, Connect, FactKey, Known, Unknown, Why
from kubectl_netdebug.model.finding import Confidence, Effect
from kubectl_netdebug.model.hop import Hop, Outcome, State
from kubectl_netdebug.model.result import Result, VerdictState
from tests.unit.flows import AT, QUESTION, ask, cause, key, step

ABOUT = Circumstances("id", "2026-01-01T00:00:00Z", cluster_flags=("--context", "a b"), verify="ask again")


def found(code: str, hop: Hop = Hop.SERVICE, sure: str = "confirmed", **more: Any) -> Found:
    explains, symptom_only = more.pop("explains", ()), more.pop("symptom_only", False)
    finding = getattr(cause(code, explains, symptom_only=symptom_only), sure)(AT, **more)
    return Found(hop, finding, ())


def settled(hop: Hop, state: State, *findings: Found, essential: bool = True, lost: tuple[Lost, ...] = ()) -> Settled:
    place = step(hop, Outcome(state, "saw this"), essential=essential)
    return Settled(place, Outcome(state, "saw this"), findings, lost, (), 1.0)


def result_of(*steps: Settled, facts: dict[FactKey, Answer] | None = None) -> Result:
    return conclude(Diagnosis(QUESTION, steps, facts or {}, 0.5), ABOUT)


def codes(ranked: list[Found]) -> list[str]:
    return [each.finding.code for each in ranked]


def test_confirmed_before_likely_then_the_earlier_hop_then_what_breaks() -> None:
    mixed = [
        found("possible-one", Hop.NAME, "possible"),
        found("likely-one", Hop.NAME, "likely"),
        found("late-one", Hop.ADDRESS),
        found("slow-one", Hop.SERVICE, effect=Effect.DEGRADES),
        found("early-one", Hop.SERVICE),
    ]

    assert codes(rank(mixed)[0]) == ["early-one", "slow-one", "late-one", "likely-one", "possible-one"]
    assert codes(rank(mixed[::-1])[0]) == codes(rank(mixed)[0])


def test_a_note_makes_no_cause() -> None:
    assert rank([found("by-the-way", effect=Effect.NOTE)]) == ([], {})


def test_one_fault_that_shows_at_two_hops_is_one_cause() -> None:
    at_both = [found("same-cause", Hop.ADDRESS, "likely"), found("same-cause", Hop.SERVICE)]
    elsewhere = found("same-cause", Hop.SERVICE)
    other = Found(Hop.SERVICE, dataclasses.replace(elsewhere.finding, at=AT.at("spec.other")), ())
    ranked, _ = rank([*at_both, other])

    assert [(each.hop, each.finding.confidence, each.finding.at) for each in ranked] == [
        (Hop.SERVICE, Confidence.CONFIRMED, AT),
        (Hop.SERVICE, Confidence.CONFIRMED, AT.at("spec.other")),
    ]


@pytest.mark.parametrize(
    ("sure_of_cause", "sure_of_consequence", "symptom_only", "listed"),
    [
        ("confirmed", "confirmed", False, ["root-cause"]),
        ("confirmed", "likely", False, ["root-cause"]),
        ("likely", "confirmed", False, ["in-between", "root-cause"]),
        ("likely", "confirmed", True, ["root-cause"]),
        ("possible", "confirmed", True, ["in-between", "root-cause"]),
        ("possible", "possible", False, ["root-cause"]),
    ],
)
def test_a_consequence_stands_under_its_cause(
    sure_of_cause: str, sure_of_consequence: str, symptom_only: bool, listed: list[str]
) -> None:
    root = found("root-cause", Hop.ADDRESS, sure_of_cause, explains=("in-between",))
    consequence = found("in-between", Hop.SERVICE, sure_of_consequence, symptom_only=symptom_only)
    ranked, consequences = rank([consequence, root])

    assert codes(ranked) == listed
    assert consequences[root.finding] == (("in-between",) if listed == ["root-cause"] else ())


def test_independent_causes_are_all_listed_and_the_first_is_primary() -> None:
    result = result_of(
        settled(Hop.SERVICE, State.FAIL, found("one-cause")), settled(Hop.POD, State.FAIL, found("two-cause", Hop.POD))
    )

    assert [(line.code, line.primary) for line in result.causes] == [("one-cause", True), ("two-cause", False)]
    assert result.verdict.headline == "words of one-cause."
    assert result.verdict.confidence is Confidence.CONFIRMED


STEPS = st.lists(st.tuples(st.sampled_from(State), st.booleans()), min_size=1, max_size=len(Hop))


@given(STEPS)
def test_the_algebra_of_verdicts(given_steps: list[tuple[State, bool]]) -> None:
    steps = [settled(hop, state, essential=e) for hop, (state, e) in zip(Hop, given_steps, strict=False)]
    verdict = result_of(*steps).verdict
    states = [state for state, _ in given_steps]
    essential = [state for state, is_essential in given_steps if is_essential]

    if State.FAIL in states:
        assert verdict.state is VerdictState.FAULTY
    elif State.WARN in states:
        assert verdict.state is VerdictState.PARTIAL
    elif State.UNKNOWN in essential or State.ERROR in essential:
        assert verdict.state is VerdictState.INCONCLUSIVE
    else:
        assert verdict.state is VerdictState.HEALTHY
    assert verdict.headline
    assert (verdict.confidence is None) == (not any(s.found for s in steps))


def test_without_a_cause_the_headline_names_the_earliest_broken_hop_and_says_so() -> None:
    verdict = result_of(settled(Hop.ADDRESS, State.FAIL), settled(Hop.SERVICE, State.FAIL)).verdict

    assert verdict.headline == "Service: saw this; the cause is not established"
    assert verdict.confidence is None


def test_evidence_is_what_was_established_and_can_be_told() -> None:
    finding = cause("some-cause").confirmed(AT, fix=Fix("do", kubectl("delete", "pod", "x y", namespace="shop")))
    silent = ask("silent")
    used = (ask("a"), ask("lost"), type(silent)(silent.key, silent.read), ask("not asked"))
    facts: dict[FactKey, Answer] = {
        key("a"): Known("seen"),
        key("lost"): Unknown(Why.TIMEOUT, "late"),
        key("silent"): Known(1),
    }
    result = result_of(settled(Hop.SERVICE, State.FAIL, Found(Hop.SERVICE, finding, used)), facts=facts)
    (line,) = result.causes

    assert [(e.vantage, e.observed, e.command) for e in line.evidence] == [
        ("api", "a is seen", "kubectl --context 'a b' -n shop get things a -o yaml")
    ]
    assert [(f.command, f.verify) for f in line.fixes] == [
        ("kubectl --context 'a b' -n shop delete pod 'x y'", "ask again")
    ]


def test_what_is_missing_is_told_once_for_each_reason() -> None:
    def lost(name: str, why: str, *, essential: bool = True) -> Lost:
        return Lost(key(name), Unknown(Why.FORBIDDEN, why, "ask for it"), "x", essential)

    step_lost = (lost("a", "no"), lost("b", "no"), lost("c", "other"), lost("d", "mere", essential=False))
    undecided = result_of(settled(Hop.SERVICE, State.UNKNOWN, lost=step_lost))
    decided = result_of(settled(Hop.SERVICE, State.FAIL, found("some-cause"), lost=step_lost))

    assert [line.why for line in undecided.unknown] == ["no", "other", "mere"]
    assert [(line.why, line.aside) for line in decided.unknown] == [("no", False), ("other", False), ("mere", True)]


def test_a_read_that_broke_down_weighs_whatever_the_verdict_is() -> None:
    broke = key("a"), Unknown(Why.ERROR, "the answer ended in the middle")
    forbidden = key("b"), Unknown(Why.FORBIDDEN, "you may not", "the right to")
    unasked = key("c"), Unknown(Why.NO_CONSENT, "not allowed")
    facts: dict[FactKey, Known | Unknown] = dict((broke, forbidden, unasked))

    for result in (
        result_of(settled(Hop.SERVICE, State.PASS), facts=facts),
        result_of(settled(Hop.SERVICE, State.FAIL, found("some-cause")), facts=facts),
    ):
        assert [(line.why, line.aside) for line in result.unknown] == [
            ("the answer ended in the middle", False),
            ("you may not", True),
        ]


def test_healthy_says_how_it_is_known() -> None:
    connect = Connect("shop", "client", "10.0.0.1", 80)
    probed = Settled(step(Hop.ADDRESS, Outcome(State.PASS, "")), Outcome(State.PASS, ""), (), (), (_ask(connect),), 1.0)
    refused = (Lost(connect, Unknown(Why.NO_CONSENT, "no"), "x", True),)

    result = result_of(probed, facts={connect: Known({"outcome": "connected"})})
    assert result.verdict.headline == "web answers from pod/client, now"
    assert "the client was chosen (pod/client)" in result.assumptions[0]
    by_configuration = result_of(settled(Hop.ADDRESS, State.SKIPPED, lost=refused))
    assert by_configuration.verdict.headline == "the configuration of web is complete; no connection was tried"
    assert "judged by configuration alone" in by_configuration.assumptions[0]


def _ask(connect: Connect) -> Any:
    like = ask("x")
    return type(like)(connect, like.read)
