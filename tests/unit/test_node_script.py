"""The script that reads a node runs in a real shell, and its sections come back whatever stands in them."""

from __future__ import annotations

import gzip
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.vantage import node_script
from kubectl_netdebug.vantage.node_script import READINGS, Section, Wanted

NONCE = "5eed0123456789ab"


def run(*wanted: Wanted) -> list[str | Section]:
    """Runs the script here: `nsenter` has no right to enter anything, so the image's own tools serve."""
    line = node_script.script(wanted, NONCE)
    done = subprocess.run(["sh", "-c", line], capture_output=True, check=True, timeout=30)
    output = gzip.decompress(done.stdout) if done.stdout[:2] == b"\x1f\x8b" else done.stdout
    return list(node_script.sections(output.decode().split("\n"), NONCE))


@pytest.mark.parametrize("what", sorted(READINGS))
def test_every_reading_is_shell_that_ends(what: str) -> None:
    (end,) = [each for each in run(Wanted(what)) if isinstance(each, Section)]
    assert end.index == 0


def test_settings_are_named() -> None:
    found = run(Wanted("sysctl", ("net/ipv4/ip_forward", "net/ipv4/there_is_no_such_thing")))
    lines = [line for line in found if isinstance(line, str) and line]
    assert len(lines) == 1
    assert lines[0].startswith("net/ipv4/ip_forward = ")


def test_a_setting_cannot_become_a_command() -> None:
    found = run(Wanted("sysctl", ("$(echo forged)", "; echo forged")))
    assert not any("forged" in line for line in found if isinstance(line, str))


def test_sections_keep_their_order() -> None:
    ends = [each for each in run(Wanted("counters"), Wanted("sockets")) if isinstance(each, Section)]
    assert [end.index for end in ends] == [0, 1]


def test_an_unknown_reading_is_a_defect() -> None:
    with pytest.raises(KeyError):
        node_script.script([Wanted("no-such-reading")], NONCE)


def test_text_that_looks_like_a_frame_is_text() -> None:
    lines = [f"{NONCE} > 0", "other > 1", "other < 0 0", "kept", f"{NONCE} < 0 0", "outside"]
    assert list(node_script.sections(lines, NONCE)) == ["other > 1", "other < 0 0", "kept", Section(0, 0)]


@given(st.lists(st.text(max_size=80), max_size=40))
def test_nothing_in_the_output_raises(lines: list[str]) -> None:
    for each in node_script.sections(lines, NONCE):
        assert isinstance(each, str | Section)
