"""`make new-cause` in a copy of the folders that it writes to."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from kubectl_netdebug.model.hop import Hop
from tests.contract.repository import ROOT
from tests.faults.case import load
from tests.newcause import main

CAUSES = Path("kubectl_netdebug") / "causes"
CASES = Path("tests") / "faults" / "cases"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in (CAUSES, CASES):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def declared(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = {each.name for node in tree.body if isinstance(node, ast.ImportFrom) for each in node.names}
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return names | functions


def test_into_a_family_that_is_there(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = declared(copy / CAUSES / "itself.py")

    assert main(["self-new-fault", "itself", "own-address"], copy) == 0

    after = copy / CAUSES / "itself.py"
    assert declared(after) > before
    assert {"explains", "Cause", "Finding", "Hop", "Look", "Question", "asks", "self_new_fault"} <= declared(after)
    assert "@explains(Hop.OWN_ADDRESS, SELF_NEW_FAULT)" in after.read_text()
    said = capsys.readouterr().out
    assert "make bench CASES='self-new-fault*'" in said
    assert "docs/causes/self-new-fault.md" in said


def test_into_a_new_family(copy: Path) -> None:
    assert main(["quite-new-fault", "brand_new", ""], copy) == 0

    assert '"brand_new",' in (copy / CAUSES / "catalogue.py").read_text()
    assert "quite_new_fault" in declared(copy / CAUSES / "brand_new.py")
    assert f"Hop.{Hop.SERVICE.name}" in (copy / CAUSES / "brand_new.py").read_text()


def test_its_cases_can_be_read(copy: Path) -> None:
    main(["quite-new-fault", "service", ""], copy)
    kinds = {case.id: case.kind for case in load(copy / CASES) if case.row == "quite-new-fault"}

    assert kinds == {"quite-new-fault": "fault", "quite-new-fault-twin": "twin"}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["service-selector-mismatch"], "there is a cause"),
        (["word"], "two or more words"),
        (["../../etc", "service"], "two or more words"),
        (["quite-new", "../x"], "is no name of a module"),
        (["quite-new", "asks"], "helper"),
        (["quite-new", "service", "nowhere"], "none of"),
        ([""], "usage"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(
    copy: Path, capsys: pytest.CaptureFixture[str], words: list[str], reason: str
) -> None:
    def everything() -> dict[Path, str]:
        return {path: path.read_text() for path in copy.rglob("*") if path.is_file()}

    before = everything()

    assert main(words, copy) == 2
    assert reason in capsys.readouterr().err
    assert everything() == before
