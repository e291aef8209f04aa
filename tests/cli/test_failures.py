"""A part of the failure matrix (`make failures` runs all of it): one call of each flow fails in every way."""

from __future__ import annotations

import random

import pytest

from tests.cli import world
from tests.failures.harms import HARMS, VANISHES, When, harmed
from tests.failures.judge import in_order, problems
from tests.failures.matrix import CALM, Disturbance, calm, try_it
from tests.failures.program import Ran, run
from tests.failures.recorded import RecordedApi

FLOWS = ("service-selector-mismatch", "pods-crash", "dns-pods-down-without-probes", "node-notready", "self-twin")
QUICK = [harm for harm in HARMS if harm.limit > 4 and "huge" not in harm.name]
PLAIN = ("access", "cleanup", "walk")


def _sample() -> list[Disturbance]:
    dice = random.Random(7)
    every = [(harm.name, when) for harm in QUICK for when in harm.when] + [(VANISHES, When.ONWARD)]
    return [Disturbance(FLOWS[n % len(FLOWS)], dice.randrange(4), *each) for n, each in enumerate(every)]


@pytest.mark.parametrize("disturbance", _sample(), ids=str)
def test_a_disturbed_run_holds_to_what_it_must(disturbance: Disturbance) -> None:
    calls = len(calm(disturbance.recording)[1])
    moved = Disturbance(disturbance.recording, disturbance.at % calls, disturbance.harm, disturbance.when)

    assert try_it(moved).problems == ()


@pytest.mark.parametrize("words", PLAIN)
def test_commands_without_a_verdict_end_in_a_sentence(words: str) -> None:
    commands = {"access": ("access",), "cleanup": ("cleanup",), "walk": ("--plain", "--probe", "never")}
    for harm in QUICK:
        with RecordedApi({}) as api:
            api.add(*world.healthy())
            run(api, commands[words], "\n\n")
            first = api.calls[0]
            api.harm = harmed(api, harm, first, When.ONWARD)
            ran = run(api, (*commands[words], *(harm.flags if words == "walk" else ())), "\n\n")

        assert in_order(ran, 10.0) == [], harm.name


@pytest.mark.parametrize(
    ("ran", "problem"),
    [
        (Ran(None, "", "Traceback (most recent call last)", 1.0), "an exception escaped"),
        (Ran(3, "", "unreachable", 1.0), "says that the cluster cannot be reached, which had answered"),
        (Ran(4, "", "", 1.0), "says nothing"),
        (Ran(4, "", "slow", 90.0), "took 90.0 s, the limit was 10 s"),
        (Ran(0, '{"verdict": {"state": "healthy"}, "causes": [], "unknown": []}', "", 1.0), "healthy, but faulty"),
    ],
)
def test_what_does_not_hold_is_seen(ran: Ran, problem: str) -> None:
    undisturbed = calm(FLOWS[0])[0]
    found = problems(undisturbed, ran, 10.0, answered=True, gone=(), healed=False)

    assert any(each.startswith(problem) for each in found), found


def test_the_undisturbed_run_is_what_was_recorded() -> None:
    ran, calls = calm(FLOWS[0])

    assert ran.state == "faulty"
    assert len(calls) >= 3
    assert CALM
