"""Results drawn as text and as data, whatever stands in them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.model.command import Risk
from kubectl_netdebug.model.finding import Confidence, ObjectRef
from kubectl_netdebug.model.hop import Hop, State
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.model.result import (
    CauseLine,
    Change,
    Evidence,
    FixLine,
    HopLine,
    Result,
    RunInfo,
    UnknownLine,
    Verdict,
    VerdictState,
)
from kubectl_netdebug.report.data import as_data, as_json, as_yaml
from kubectl_netdebug.report.style import Style
from kubectl_netdebug.report.text import render
from tests.contract.repository import ROOT

SCHEMA = jsonschema.Draft202012Validator(
    json.loads((ROOT / "docs" / "result.schema.json").read_text(encoding="utf-8")),
    format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
)
T = TypeVar("T")

COMMAND = "kubectl --context a-long-context -n a-long-namespace " + "x" * 60
HERE_DOCUMENT = 'kubectl apply -f - <<\'EOF\'\n{\n "kind": "' + "y" * 90 + '"\n}\nEOF'

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-./:=×→é"


class Maker:
    """Makes results by dice: a strategy that draws each letter would be many times slower."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def word(self) -> str:
        """Up to 40 characters: longer words cannot be broken, and go over the edge in one piece."""
        return "".join(self.dice.choices(ALPHABET, k=self.dice.choice([1, 2, 3, 5, 8, 13, 21, 40])))

    def sentence(self) -> str:
        return " ".join(self.word() for _ in range(self.dice.choice([1, 3, 8, 20])))

    def name(self) -> str:
        return "n" + "".join(self.dice.choices("abc-019", k=self.dice.randint(0, 38))) + "z"

    def code(self) -> str:
        return "-".join("".join(self.dice.choices("abcxyz", k=self.dice.randint(2, 8))) for _ in range(3))

    def command(self) -> str:
        return self.dice.choice([COMMAND, HERE_DOCUMENT])

    def few(self, make: Callable[[], T], most: int = 2) -> tuple[T, ...]:
        return tuple(make() for _ in range(self.dice.randint(0, most)))

    def maybe(self, text: str) -> str:
        return self.dice.choice([text, ""])

    def one(self, words: Iterable[T]) -> T:
        return self.dice.choice(list(words))

    def cause(self) -> CauseLine:
        fix = lambda: FixLine(self.sentence(), self.command(), self.one(Risk), COMMAND, self.maybe(self.sentence()))  # noqa: E731
        evidence = lambda: Evidence(self.word(), self.sentence(), self.maybe(self.command()))  # noqa: E731
        return CauseLine(
            code=self.code(),
            primary=self.one([True, False]),
            object=ObjectRef("Service", self.maybe(self.name()), self.name(), self.maybe(self.word())),
            summary=self.sentence(),
            means=self.sentence(),
            saw=self.few(self.sentence),
            evidence=self.few(evidence),
            fixes=self.few(fix),
            confidence=self.one(Confidence),
            explains=self.few(self.code, 3),
        )

    def hop(self) -> HopLine:
        title = self.one(["Service", "endpoints", "listening socket", "each Pod directly"])
        return HopLine(self.one(Hop), title, self.one(State), self.word(), self.dice.uniform(0, 9999), self.sentence())

    def change(self) -> Change:
        return Change(self.sentence(), self.one([True, False]), self.one([True, False]), self.sentence())

    def unknown(self) -> UnknownLine:
        return UnknownLine(self.sentence(), self.sentence(), self.maybe(self.sentence()))

    def result(self) -> Result:
        versions = (("kubectl-netdebug", "1.0.0"),)
        counts = self.dice.randint(0, 9999), self.dice.randint(0, 9999)
        return Result(
            question=Question(FlowName.SERVICE, self.name(), self.name(), self.one(["", "80", "http"])),
            verdict=Verdict(self.one(VerdictState), self.sentence(), self.one([None, *Confidence])),
            causes=self.few(self.cause, 3),
            path=self.few(self.hop, 8),
            unknown=self.few(self.unknown, 3),
            changes=self.few(self.change),
            assumptions=self.few(self.sentence),
            run=RunInfo("id", "2026-01-01T00:00:00Z", self.dice.uniform(0, 9999), *counts, versions),
        )


results = st.integers(0, 2**32).map(lambda seed: Maker(seed).result())


def command_lines(result: Result) -> set[str]:
    told = [fix.command for cause in result.causes for fix in cause.fixes]
    told += [each.command for cause in result.causes for each in cause.evidence]
    return {line.strip() for command in told for line in command.splitlines()}


@given(results, st.booleans(), st.sampled_from([80, 100]))
def test_nothing_but_commands_is_wider_than_the_terminal(result: Result, wide: bool, width: int) -> None:
    lines = render(result, Style(width), wide=wide).splitlines()

    too_wide = [line for line in lines if len(line) > width and line.strip() not in command_lines(result)]
    # A name is never broken: one that is longer than the line stands on a line of its own.
    assert [line for line in too_wide if len(line.split()) > 1] == []


@given(results, st.booleans())
def test_without_colour_there_is_no_escape(result: Result, wide: bool) -> None:
    plain = render(result, Style(), wide=wide)
    coloured = render(result, Style(colour=True), wide=wide)

    assert "\x1b" not in plain
    assert _without_colours(coloured) == plain
    assert coloured.count("\x1b[0m") * 2 == coloured.count("\x1b["), "every colour ends"


@given(results, st.booleans())
def test_ascii_is_ascii(result: Result, wide: bool) -> None:
    text = render(result, Style(ascii_only=True), wide=wide)

    assert text.isascii()
    assert text.endswith("\n")


@given(results)
def test_the_text_holds_what_matters(result: Result) -> None:
    text = render(result, Style())
    flowing = " ".join(text.split())

    assert flowing.startswith(f"{text[0]} ")
    assert " ".join(result.verdict.headline.split()) in flowing
    for cause in result.causes:
        assert f"[{cause.code}," in text or len(result.causes) == 1
        for fix in cause.fixes:
            assert all(line in text for line in fix.command.splitlines())


@given(results)
def test_here_documents_can_be_pasted(result: Result) -> None:
    """The shell looks for the closing word at the very margin."""
    lines = render(result, Style(), wide=False).splitlines()
    opened = sum(line.endswith("<<'EOF'") for line in lines)

    assert lines.count("EOF") == opened


@given(results)
def test_data_keeps_to_the_schema(result: Result) -> None:
    SCHEMA.validate(as_data(result))

    assert json.loads(as_json(result)) == as_data(result)
    assert yaml.safe_load(as_yaml(result)) == as_data(result)


def test_the_schema_is_one_and_describes_every_field() -> None:
    schema = SCHEMA.schema
    jsonschema.Draft202012Validator.check_schema(schema)

    assert list(_loose(schema)) == []


def test_the_schema_refuses_what_is_not_in_it() -> None:
    data = as_data(_example())
    SCHEMA.validate(data)
    for broken in (
        data | {"more": 1},
        {k: v for k, v in data.items() if k != "run"},
        data | {"schemaVersion": "netdebug/v2"},
        data | {"verdict": data["verdict"] | {"state": "fine"}},
        data | {"causes": [data["causes"][0] | {"code": "No Code"}]},
        data | {"run": data["run"] | {"startedAt": 5}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            SCHEMA.validate(broken)


def test_the_schema_knows_every_word_of_the_model() -> None:
    assert isinstance(SCHEMA.schema, dict)
    definitions = SCHEMA.schema["$defs"]
    properties = SCHEMA.schema["properties"]
    cause = definitions["cause"]["properties"]

    assert definitions["hop"]["properties"]["hop"]["enum"] == [hop.value for hop in Hop]
    assert definitions["hop"]["properties"]["state"]["enum"] == [state.value for state in State]
    assert set(properties["verdict"]["properties"]["state"]["enum"]) == {state.value for state in VerdictState}
    assert properties["question"]["properties"]["flow"]["enum"] == [flow.value for flow in FlowName]
    assert cause["confidence"]["enum"] == [confidence.value for confidence in Confidence]
    assert cause["fixes"]["items"]["properties"]["risk"]["enum"] == [risk.value for risk in Risk]


def _example() -> Result:
    line = CauseLine(
        "some-cause", True, ObjectRef("Service", "shop", "web"), "It is so.", "So it is.", (), (), (), Confidence.LIKELY
    )
    run = RunInfo("id", "2026-01-01T00:00:00Z", 1.0, 3, 0)
    question = Question(FlowName.SERVICE, "shop", "web")
    return Result(question, Verdict(VerdictState.FAULTY, "It is so."), (line,), (), (), (), (), run)


def _loose(schema: Any, path: str = "") -> Any:
    """Objects that take anything, and fields that nobody described."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" and "additionalProperties" not in schema:
            yield f"{path} is open"
        for field, described in schema.get("properties", {}).items():
            if "description" not in described:
                yield f"{path}/{field} is not described"
        for key, inner in schema.items():
            yield from _loose(inner, f"{path}/{key}")


def _without_colours(text: str) -> str:
    import re

    return re.sub(r"\x1b\[\d+m", "", text)
