"""What every cause of the catalogue comes with: words, a page, and a case that injects it."""

from __future__ import annotations

import re
import string
from collections import Counter
from pathlib import Path

import pytest
import yaml

from kubectl_netdebug.causes.catalogue import by_code, explanations
from kubectl_netdebug.model.finding import Cause
from tests import docs
from tests.contract.repository import ROOT
from tests.faults.case import FOLDER, KINDS, load
from tests.pages import catalogue as whole

CATALOGUE = by_code()
NOT_INJECTED = FOLDER.parent / "not-injected.yaml"

each_cause = pytest.mark.parametrize("cause", CATALOGUE.values(), ids=lambda cause: cause.code)


@each_cause
def test_a_cause_has_all_its_words(cause: Cause) -> None:
    texts = {name: getattr(cause, name) for name in ("title", "says", "means", "symptom", "apart", "mend")}

    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", cause.code)
    assert {name for name, text in texts.items() if len(text.strip()) < 10} == set()
    assert {name for name, text in texts.items() if text != text.strip()} == set()
    assert {name for name in ("says", "means", "symptom", "apart", "mend") if texts[name][-1] not in ".?!}"} == set()
    assert not cause.title.endswith(".")


@each_cause
def test_its_words_take_only_named_values(cause: Cause) -> None:
    for text in (cause.says, cause.means):
        for _, name, spec, _ in string.Formatter().parse(text):
            assert name is None or name.isidentifier()
            assert not spec

    for text in (cause.title, cause.symptom, cause.apart, cause.mend):
        assert not re.search(r"\{\w+\}", text), "placeholders are filled in `says` and `means` alone"


@each_cause
def test_it_explains_only_causes_that_exist(cause: Cause) -> None:
    assert [code for code in cause.explains if code not in CATALOGUE] == []
    assert cause.code not in cause.explains


def test_a_code_is_one_cause() -> None:
    causes: dict[str, set[Cause]] = {}
    for explanation in explanations():
        causes.setdefault(explanation.cause.code, set()).add(explanation.cause)

    assert [code for code, several in causes.items() if len(several) > 1] == []


def test_nothing_explains_in_a_circle() -> None:
    def reaches(code: str, seen: frozenset[str]) -> bool:
        return code in seen or any(reaches(next_code, seen | {code}) for next_code in CATALOGUE[code].explains)

    assert [code for code in CATALOGUE if reaches(code, frozenset())] == []


def test_pages_are_what_the_catalogue_says() -> None:
    assert docs.differences() == [], "run: make docs"


def test_differences_of_pages_are_seen(tmp_path: Path) -> None:
    texts = tmp_path / "catalogue.json"
    docs.write(tmp_path, texts)
    code = next(iter(CATALOGUE))
    (tmp_path / f"{code}.md").write_text("edited")
    (tmp_path / "nothing-like-it.md").write_text("left over")
    (tmp_path / docs.INDEX).unlink()
    texts.write_text("{}")

    assert set(docs.differences(tmp_path, texts)) == {
        "README.md is missing",
        "catalogue.json is out of date",
        f"{code}.md is out of date",
        "nothing-like-it.md belongs to no cause",
    }

    docs.write(tmp_path, texts)

    assert docs.differences(tmp_path, texts) == []


def test_every_cause_is_injected_or_says_why_not() -> None:
    injected = {case.expect.code for case in load() if case.kind == "fault"}
    excused = _excuses()

    assert sorted(CATALOGUE.keys() - injected - excused.keys()) == []
    assert sorted(excused.keys() & injected) == [], "injected after all"
    strangers = {code: str(excused[code]) for code in excused.keys() - CATALOGUE.keys()}
    assert [code for code, reason in strangers.items() if not reason.startswith("no cause: ")] == [], "no such cause"
    assert [code for code, reason in excused.items() if len(str(reason)) < 10] == []


def test_every_known_fault_is_accounted_for() -> None:
    sections = whole.sections()
    codes = [code for listed in sections.values() for code in listed]

    assert sorted(code for code, times in Counter(codes).items() if times > 1) == []
    assert sorted(CATALOGUE.keys() - set(codes)) == []
    assert sorted(set(codes) - CATALOGUE.keys() - _excuses().keys()) == [], "neither a cause nor a reason"
    assert {row.state for row in whole.rows(codes)} <= whole.MEANS.keys()


UNFILLED = "TO" + "DO"
OWED = FOLDER.parent / "owed.yaml"


def test_nothing_of_a_scaffold_is_left_unfilled() -> None:
    families = sorted((ROOT / "kubectl_netdebug" / "causes").glob("*.py"))
    left = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in (*families, *sorted(FOLDER.glob("*.yaml")))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if UNFILLED in line
    ]

    assert left == [], "begun by make new-cause and not finished"


def test_every_injected_cause_has_a_twin_or_a_look_alike() -> None:
    cases = load()
    injected = {case.expect.code for case in cases if case.kind == "fault" and case.expect.code}
    quiet = {case.row for case in cases if case.kind != "fault"}
    owed = set(yaml.safe_load(OWED.read_text())["twin"])

    assert sorted(injected - quiet - owed) == [], "no case of kind twin or look-alike has it as its row"
    assert sorted(owed & quiet) == [], f"has one now: take it out of {OWED.name}"
    assert sorted(owed - CATALOGUE.keys()) == []


def test_every_injected_cause_has_a_recording() -> None:
    faults = {case.id: case.expect.code for case in load() if case.kind == "fault" and case.expect.code}
    recorded = {code for name, code in faults.items() if (ROOT / "tests" / "cases" / f"{name}.json.gz").exists()}
    owed = set(yaml.safe_load(OWED.read_text())["recording"])

    # A code may be recorded and still stand there: recordings come from benches that run beside other work.
    assert sorted(set(faults.values()) - recorded - owed) == [], "run its fault on the laboratory: make bench CASES=…"
    assert sorted(owed - CATALOGUE.keys()) == []


def test_cases_name_causes_that_exist() -> None:
    cases = load()
    named = {code for case in cases for code in (case.expect.code, *case.expect.also) if code}

    assert sorted(named - CATALOGUE.keys()) == []
    assert {case.kind for case in cases} <= set(KINDS)
    for case in cases:
        assert case.expect.state in ("healthy", "faulty", "partial", "inconclusive"), case.id
        assert case.expect.code or not case.expect.object, case.id
        assert case.kind != "fault" or case.expect.code, case.id


def _excuses() -> dict[str, str]:
    return (yaml.safe_load(NOT_INJECTED.read_text()) or {}) if NOT_INJECTED.exists() else {}
