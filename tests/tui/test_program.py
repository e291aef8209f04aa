"""The real program on a terminal of its own: how it starts, and every way in which it ends."""

from __future__ import annotations

import os
import select
import signal
import termios
import time

import pytest

from tests.cli.conftest import Program, api, healthy, program
from tests.cli.test_terminal import Terminal
from tests.kube.fakeapi import FakeApi, hang

__all__ = ["api", "healthy", "program"]

CASE = "service-selector-mismatch"
PATIENCE = 60.0
ALTERNATE_OFF = "\x1b[?1049l"


def reads(terminal: Terminal, words: str) -> None:
    end = time.monotonic() + PATIENCE
    while words not in terminal.text:
        left = end - time.monotonic()
        assert left > 0, f"{words!r} never came: {terminal.text[-2000:]!r}"
        if select.select([terminal.ours], [], [], left)[0]:
            terminal.text += os.read(terminal.ours, 65536).decode("utf-8", "replace")


def ends(terminal: Terminal, limit: float) -> int:
    """The exit code; whoever writes to a terminal that nobody reads would hang."""
    end = time.monotonic() + limit
    while terminal.process.poll() is None:
        assert time.monotonic() < end, "it does not end"
        if select.select([terminal.ours], [], [], 0.05)[0]:
            terminal.text += terminal._chunk()
    return terminal.finish()


def test_a_demo_leaves_its_verdict_in_the_scrollback(program: Program) -> None:
    terminal = Terminal(program, "demo", CASE)
    reads(terminal, "(reversible)")
    terminal.type("q")

    assert ends(terminal, PATIENCE) == 0
    assert terminal.after == terminal.before
    left = terminal.text.rpartition(ALTERNATE_OFF)[2]
    assert "cedar:3144 — Selector" in left
    assert "kubectl --context netlab" in left
    assert "Traceback" not in terminal.text


def test_without_a_terminal_it_is_plain(program: Program) -> None:
    ran = program.run("demo", CASE)

    assert ran.returncode == 0
    assert ran.stdout.startswith("✗ cedar")
    assert "\x1b" not in ran.stdout


@pytest.mark.parametrize(("words", "env"), [((), {"TERM": "dumb"}), (("-o", "text"), {}), (("--plain",), {})], ids=str)
def test_a_dumb_terminal_or_a_format_is_plain(program: Program, words: tuple[str, ...], env: dict[str, str]) -> None:
    terminal = Terminal(program, "demo", CASE, *words, **env)

    assert ends(terminal, PATIENCE) == 0
    assert "\x1b[?1049h" not in terminal.text
    assert "✗" in terminal.text


def test_ctrl_c_twice_and_a_storm_of_resizes(program: Program) -> None:
    terminal = Terminal(program, "demo", CASE)
    reads(terminal, "netdebug")
    for number in range(40):
        termios.tcsetwinsize(terminal.theirs, (10 + number, 40 + 3 * number))
        os.kill(terminal.process.pid, signal.SIGWINCH)
        time.sleep(0.005)
    termios.tcsetwinsize(terminal.theirs, (24, 80))
    os.kill(terminal.process.pid, signal.SIGWINCH)
    reads(terminal, "(reversible)")
    terminal.type("\x03")
    reads(terminal, "again")
    terminal.type("\x03")

    assert ends(terminal, PATIENCE) == 130
    assert terminal.after == terminal.before


def test_a_signal_ends_it_with_the_terminal_restored(program: Program) -> None:
    terminal = Terminal(program, "demo", CASE)
    reads(terminal, "(reversible)")
    terminal.process.send_signal(signal.SIGTERM)

    assert ends(terminal, PATIENCE) == 130
    assert ALTERNATE_OFF in terminal.text
    assert terminal.after == terminal.before


def test_leaving_does_not_wait_for_a_server_that_hangs(program: Program, healthy: FakeApi) -> None:
    healthy.on("/api/v1/namespaces/default/services", hang)
    healthy.on("/api/v1/namespaces/default/pods", hang)
    terminal = Terminal(program)
    reads(terminal, "What is broken?")
    began = time.monotonic()
    terminal.type("q")

    assert ends(terminal, PATIENCE) == 0
    assert time.monotonic() - began < 5
    assert terminal.after == terminal.before
