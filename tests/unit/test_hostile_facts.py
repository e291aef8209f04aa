"""Every cause and hop, on facts that nobody would expect: no defect, whatever the cluster says."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.cli.cases import all_cases
from kubectl_netdebug.engine.conclude import Circumstances, conclude
from kubectl_netdebug.engine.recording import Recording
from kubectl_netdebug.engine.run import Engine
from kubectl_netdebug.engine.source import Job
from kubectl_netdebug.flows import flow_for
from kubectl_netdebug.model.facts import Answer, FactKey, Known, Objects, Unknown, Why
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.report.data import as_json
from kubectl_netdebug.report.style import Style
from kubectl_netdebug.report.text import render
from tests.unit.anything import objects

ABOUT = Circumstances("id", "2026-01-01T00:00:00Z")
RECORDINGS: list[Recording] = [case.read() for case in all_cases()]
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    10**30,
    1.5,
    "",
    "x",
    "None",
    "9" * 5000,
    "\x1b[2J",
    [],
    [None],
    {},
    {"": ""},
    "80",
]


class AtOnce:
    """Answers each key from a function, without threads' worth of waiting."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def plan(self, keys: Iterable[FactKey]) -> list[Job]:
        answers: dict[FactKey, Answer] = {key: self._answer(key) for key in keys}
        return [Job("played", tuple(answers), lambda: answers, 60.0)]


def diagnose(question: Question, facts: dict[FactKey, Answer], answer: Any) -> None:
    """Strict: a defect in a cause is raised. The result must be drawn as well."""
    engine = Engine(question, flow_for(question), AtOnce(answer), facts=facts, strict=True)
    result = conclude(engine.run(), ABOUT)
    assert render(result, Style(), wide=True)
    assert as_json(result)


@given(st.data())
def test_facts_of_any_shape(data: st.DataObject) -> None:
    def answer(key: FactKey) -> Answer:
        value = data.draw(objects)
        if isinstance(key, Objects) and data.draw(st.booleans()):
            value = {"items": [value, data.draw(objects)], "complete": data.draw(st.booleans())}
        return Known(value) if data.draw(st.integers(0, 5)) else Unknown(data.draw(st.sampled_from(Why)), "why", "do")

    port = data.draw(st.sampled_from(["", "80", "http"]))
    diagnose(Question(FlowName.SERVICE, "shop", "web", port), {}, answer)


@given(st.integers(0, 2**32))
def test_real_facts_with_something_odd_in_them(seed: int) -> None:
    """Far closer to what causes read than anything made up: one value of a real cluster is another."""
    dice = random.Random(seed)
    if not RECORDINGS:
        return
    recording = dice.choice(RECORDINGS)
    facts: dict[FactKey, Answer] = {}
    for key, answer in recording.facts.items():
        changed = answer
        if isinstance(answer, Known) and dice.random() < 0.5:
            changed = Known(_with_odd(answer.value, dice), answer.milliseconds, answer.how)
        elif dice.random() < 0.1:
            changed = Unknown(dice.choice(list(Why)), "why", "do")
        facts[key] = changed
    diagnose(recording.question, facts, lambda key: Unknown(Why.NOT_RECORDED, "not recorded"))


def _with_odd(value: Any, dice: random.Random) -> Any:
    """The value with one of its parts replaced or left out, at a random depth."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        name = dice.choice(sorted(value))
        if dice.random() < 0.15:
            return {k: v for k, v in value.items() if k != name}
        return value | {name: _with_odd(value[name], dice)}
    if isinstance(value, list) and value and dice.random() < 0.9:
        place = dice.randrange(len(value))
        return [*value[:place], _with_odd(value[place], dice), *value[place + 1 :]]
    return dice.choice(ODD)
