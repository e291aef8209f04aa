"""Signals, terminals and pipes."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import termios
import threading
import time

import pytest

from tests.cli import world
from tests.cli.conftest import LIMIT, Program
from tests.kube.fakeapi import Asked, FakeApi, Wire, hang


class Hanging:
    """Hangs like the real thing, and says when somebody has come to wait."""

    def __init__(self) -> None:
        self.reached = threading.Event()

    def __call__(self, asked: Asked, wire: Wire) -> bool:
        self.reached.set()
        return hang(asked, wire)


@pytest.fixture
def hanging(healthy: FakeApi) -> Hanging:
    behaviour = Hanging()
    healthy.on(world.SERVICE, behaviour)
    return behaviour


@pytest.mark.parametrize("words", [["service", "web"], ["service", "web", "-o", "json"]], ids=" ".join)
def test_an_interrupt_while_the_server_hangs(program: Program, hanging: Hanging, words: list[str]) -> None:
    running = subprocess.Popen(
        program.argv(*words), env=program.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert hanging.reached.wait(LIMIT)
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    stdout, stderr = running.communicate(timeout=LIMIT)

    assert time.monotonic() - began < 2
    assert running.returncode == 130
    assert stdout == ""
    assert stderr.splitlines()[-1].startswith("Interrupted. Known so far: ")
    assert "Traceback" not in stderr


class Terminal:
    """A process with a terminal of its own, of 80 columns."""

    def __init__(self, program: Program, *words: str, **env: str) -> None:
        self.ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (24, 80))
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        self.process = subprocess.Popen(
            program.argv(*words),
            env=program.env | {"TERM": "xterm-256color"} | env,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        self.text = ""

    def read_until(self, wanted: str) -> None:
        """Reads what is drawn until the wanted text is there."""
        end = time.monotonic() + LIMIT
        while wanted not in self.text:
            ready, _, _ = select.select([self.ours], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"waited for {wanted!r}, saw {self.text!r}"
            self.text += self._chunk()

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())

    def finish(self) -> int:
        """Reads the rest; gives the exit code."""
        code = self.process.wait(LIMIT)
        while select.select([self.ours], [], [], 0)[0] and (chunk := self._chunk()):
            self.text += chunk
        self.after = termios.tcgetattr(self.theirs)
        os.close(self.theirs)
        os.close(self.ours)
        return code

    def _chunk(self) -> str:
        try:
            return os.read(self.ours, 65536).decode()
        except OSError as problem:
            if problem.errno != errno.EIO:
                raise
            return ""


def test_an_interrupt_leaves_the_terminal_as_it_was(program: Program, hanging: Hanging) -> None:
    terminal = Terminal(program, "service", "web", "--probe", "never")
    terminal.read_until("…")  # the line of progress
    os.killpg(terminal.process.pid, signal.SIGINT)
    began = time.monotonic()
    code = terminal.finish()

    assert (code, time.monotonic() - began < 2) == (130, True)
    assert terminal.after == terminal.before
    drawn = terminal.text.rsplit("\r\x1b[K", 1)[-1]
    assert drawn.startswith("Interrupted.")
    assert "\x1b" not in drawn


def test_a_terminal_gets_colour_and_may_refuse_it(program: Program, healthy: FakeApi) -> None:
    plain = {"--no-color": ({}, ["--no-color"]), "NO_COLOR": ({"NO_COLOR": "1"}, []), "TERM": ({"TERM": "dumb"}, [])}
    coloured = Terminal(program, "service", "wbe", "--probe", "never")

    assert coloured.finish() == 1
    assert "\x1b[31m✗\x1b[0m" in coloured.text
    for how, (env, words) in plain.items():
        terminal = Terminal(program, "service", "wbe", "--probe", "never", *words, **env)

        assert terminal.finish() == 1
        assert "✗ wbe" in terminal.text, how
        assert "\x1b[3" not in terminal.text, how
        assert "\x1b[1m" not in terminal.text, how


def test_consent_is_asked_for_before_anything_is_added(program: Program, healthy: FakeApi) -> None:
    terminal = Terminal(program, "service", "web")
    terminal.read_until("[y/N] ")
    writes_before = {asked.method for asked in healthy.asked} - {"GET"}
    terminal.type("n\n")

    assert terminal.finish() == 0
    assert writes_before == set()
    assert {asked.method for asked in healthy.asked} == {"GET"}
    for word in ("ephemeralcontainers", "pods/exec", "10 minutes"):
        assert word in " ".join(terminal.text.split())
    assert "no connection was tried" in " ".join(terminal.text.split())


def test_an_interrupt_at_the_question_is_an_interrupt(program: Program, healthy: FakeApi) -> None:
    terminal = Terminal(program, "service", "web")
    terminal.read_until("[y/N] ")
    os.killpg(terminal.process.pid, signal.SIGINT)

    assert terminal.finish() == 130
    assert {asked.method for asked in healthy.asked} == {"GET"}
    assert terminal.after == terminal.before


@pytest.mark.parametrize(
    "words",
    [["service", "wbe"], ["service", "wbe", "-o", "json"], ["explain", "--list"], ["--help"], ["access", "--role"]],
    ids=" ".join,
)
def test_a_reader_that_went_away(program: Program, healthy: FakeApi, words: list[str]) -> None:
    """As with `| head`, only surer: nobody reads at all."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ran = program.run(*words, stdout=writing)
    finally:
        os.close(writing)

    assert ran.returncode in (0, 1)
    assert "Broken pipe" not in ran.stderr


def test_a_full_disk_is_said(program: Program, healthy: FakeApi) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as full:
        ran = program.run("service", "wbe", stdout=full.fileno())

    assert ran.returncode not in (0, 130)
    assert "No space left" in ran.stderr
