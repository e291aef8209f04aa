"""`demo` and `replay`: no cluster, no settings."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from kubectl_netdebug.cli.cases import all_cases
from kubectl_netdebug.cli.replay import FIRST
from tests.cli.conftest import Program

RECORDED = [case.name for case in all_cases()]

needs_recordings = pytest.mark.skipif(not RECORDED, reason="nothing is recorded yet")


@needs_recordings
def test_demo_lists_every_recording(program: Program) -> None:
    ran = program.run("demo", "--list")
    names = [line.split()[0] for line in ran.stdout.splitlines()]

    assert (ran.returncode, ran.stderr) == (0, "")
    assert names == RECORDED
    assert all(len(line.split()) > 2 for line in ran.stdout.splitlines()), "each with a title"


@needs_recordings
def test_demo_shows_a_fault_by_itself(program: Program) -> None:
    ran = program.run("demo")
    first = FIRST if FIRST in RECORDED else RECORDED[0]

    assert ran.returncode == 0
    # The last line says how long it took.
    assert ran.stdout.splitlines()[:-1] == program.run("demo", first).stdout.splitlines()[:-1]
    assert f"[{FIRST}, " in ran.stdout
    assert ran.stderr.startswith("Recorded on a real cluster: ")


@needs_recordings
def test_demo_finds_a_case_by_the_start_of_its_name(program: Program) -> None:
    name = RECORDED[-1]

    assert program.run("demo", name[:-1]).returncode == 0
    typo = program.run("demo", f"x{name}")
    assert typo.returncode == 2
    assert name in typo.stderr


@needs_recordings
def test_demo_as_data(program: Program) -> None:
    assert json.loads(program.run("demo", "-o", "json").stdout)["causes"][0]["code"] == FIRST


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cut short"),
        (b"hello", "not a netdebug recording"),
        (gzip.compress(b"hello"), "not a netdebug recording"),
        (gzip.compress(b'{"format": "netdebug-recording/v1"}'), "cannot be read"),
        (gzip.compress(b'{"format": "netdebug-recording/v99"}'), "netdebug-recording/v1"),
        (gzip.compress(b'{"format": "netdebug-recording/v1"}')[:-9], "cut short"),
    ],
    ids=["empty", "text", "gzip", "no facts", "another version", "cut"],
)
def test_files_that_are_no_recordings(program: Program, tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "file").write_bytes(content)
    ran = program.run("replay", "file")

    assert (ran.returncode, ran.stdout) == (2, "")
    assert says in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_a_folder_is_no_recording(program: Program) -> None:
    ran = program.run("replay", ".")

    assert ran.returncode == 2
    assert "directory" in ran.stderr.lower()
