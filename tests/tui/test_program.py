"""The real program on a terminal of its own: how it starts, and every way in which it ends."""

from __future__ import annotations

import os
import shlex
import signal
import time

import pytest

from tests.cli import world
from tests.cli.conftest import Program, api, healthy, program
from tests.kube.fakeapi import FakeApi, answer, drop, hang
from tests.tui.terminal import Display

__all__ = ["api", "healthy", "program"]

CASE = "service-selector-mismatch"
LOST = (world.SERVICE, world.SERVICES, world.SLICES, world.PODS, world.NAMESPACE)
ALTERNATE_OFF = "\x1b[?1049l"


def opened(program: Program, *words: str, **env: str) -> Display:
    """The program on a terminal of 80 columns."""
    return Display(program.argv(*words), program.env | env, program.home)


def test_a_demo_leaves_its_verdict_in_the_scrollback(program: Program) -> None:
    with opened(program, "demo", CASE) as display:
        display.sees("(reversible)")
        display.type("q")

        assert display.ends() == 0
        assert display.after == display.before
        left = display.raw.rpartition(ALTERNATE_OFF)[2]
        assert "cedar:3144 — Selector" in left
        assert "kubectl --context netlab" in left
        assert "Traceback" not in display.raw


def test_without_a_terminal_it_is_plain(program: Program) -> None:
    ran = program.run("demo", CASE)

    assert ran.returncode == 0
    assert ran.stdout.startswith("✗ cedar")
    assert "\x1b" not in ran.stdout


@pytest.mark.parametrize(("words", "env"), [((), {"TERM": "dumb"}), (("-o", "text"), {}), (("--plain",), {})], ids=str)
def test_a_dumb_terminal_or_a_format_is_plain(program: Program, words: tuple[str, ...], env: dict[str, str]) -> None:
    with opened(program, "demo", CASE, *words, **env) as display:
        assert display.ends() == 0
        assert "\x1b[?1049h" not in display.raw
        assert "✗" in display.raw


def test_ctrl_c_twice_and_a_storm_of_resizes(program: Program) -> None:
    with opened(program, "demo", CASE) as display:
        display.sees("netdebug")
        for number in range(40):
            display.resize(40 + 3 * number, 10 + number)
            time.sleep(0.005)
        display.resize(90, 26)
        display.sees("(reversible)")
        display.until(lambda: display.lines[25].lstrip().startswith("c copy fix"), "the footer in the last line")
        display.type("\x03")
        display.sees("again leaves")
        display.type("\x03")

        assert display.ends() == 130
        assert display.after == display.before


def test_ctrl_c_stops_what_runs_before_it_leaves(program: Program, healthy: FakeApi) -> None:
    healthy.on(world.SERVICE, hang)
    healthy.on(world.SERVICES, answer(world.listed(world.service())))
    with opened(program) as display:
        display.sees("endpoints")
        display.type("9")
        display.sees("To which Service?")
        display.type("web:80")
        display.sees("web:80")
        display.type("\r")
        display.sees("running ")
        display.type("\x03")
        display.sees("Stopped. Ctrl+C again leaves", "stopped by you")
        display.type("\x03")

        assert display.ends() == 130
        assert display.after == display.before


def test_a_signal_ends_it_with_the_terminal_restored(program: Program) -> None:
    with opened(program, "demo", CASE) as display:
        display.sees("(reversible)")
        display.process.send_signal(signal.SIGTERM)

        assert display.ends() == 130
        assert ALTERNATE_OFF in display.raw
        assert display.after == display.before


def test_leaving_does_not_wait_for_a_server_that_hangs(program: Program, healthy: FakeApi) -> None:
    healthy.on(world.SERVICES, hang)
    healthy.on(world.PODS, hang)
    with opened(program) as display:
        display.sees("What is broken?")
        began = time.monotonic()
        display.type("q")

        assert display.ends() == 0
        assert time.monotonic() - began < 5
        assert display.after == display.before


def test_ctrl_z_gives_the_terminal_back_and_fg_draws_it_again(program: Program) -> None:
    words = " ".join(shlex.quote(word) for word in program.argv("demo", CASE))
    shell = ["bash", "--norc", "--noprofile", "-i"]
    with Display(shell, program.env | {"PS1": "prompt> "}, program.home) as display:
        display.sees("prompt>")
        display.type(f"{words}\n")
        display.sees("(reversible)")
        display.type("\x1a")
        display.sees("Stopped", "prompt>")
        assert ALTERNATE_OFF in display.raw
        display.type("echo still$((1 + 1))here\n")
        display.sees("still2here")
        display.type("fg\n")
        display.sees("(reversible)", "c copy")
        display.type("qxexit")  # and what is typed too late does no harm
        display.until(lambda: "prompt>" in display.raw.partition("[service-selector-mismatch")[2], "the way out")
        display.type("\x15exit 0\n")

        assert display.ends() == 0
        assert "Traceback" not in display.raw


def test_a_terminal_that_goes_away_ends_it(program: Program) -> None:
    with opened(program, "demo", CASE) as display:
        display.sees("(reversible)")
        os.close(display.theirs)
        os.close(display.ours)
        try:
            display.process.wait(20)
        finally:
            display.ours, display.theirs = os.openpty()  # what is closed at the end


def test_a_terminal_that_goes_away_unsaid_ends_it_too(program: Program) -> None:
    """As under `nohup`: no signal tells it."""
    argv = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *program.argv("demo", CASE)]
    with Display(argv, program.env, program.home) as display:
        display.sees("(reversible)")
        os.close(display.theirs)
        os.close(display.ours)
        try:
            display.process.wait(20)
        finally:
            display.ours, display.theirs = os.openpty()


def test_a_connection_that_is_lost_in_a_run_is_said_and_the_next_run_tells(program: Program, healthy: FakeApi) -> None:
    with opened(program) as display:
        display.sees("1 Service has all its endpoints")
        for path in LOST:
            healthy.on(path, drop)
        display.type("9")
        display.sees("To which Service?")
        display.type("web:80")
        display.sees("web:80")
        display.type("\r")
        display.until(lambda: "no result" in display.lines[0] or "inconclusive" in display.lines[0], "the end")
        display.until(lambda: any(word in display.text for word in ("cut", "closed", "reached")), "what was lost")
        for path in LOST:
            healthy.on(path)
        display.type("r")
        display.sees("This needs your consent")
        display.type("n")
        display.sees("✓ Service", "1 of 1 ready")
        display.type("q")

        assert display.ends() in (0, 4)
        assert "Traceback" not in display.raw
