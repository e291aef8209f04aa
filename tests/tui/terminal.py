"""A terminal of its own for the real program: keys go in, what a person would see comes out."""

from __future__ import annotations

import codecs
import errno
import os
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyte

PATIENCE = 60.0
UNKNOWN_TO_PYTE = re.compile(r"\x1b\[[<>=][0-9;]*[a-zA-Z]|\x1b\[\?[0-9;]*\$p|\x1bP.*?\x1b\\", re.DOTALL)
"""Questions to the terminal and the modes of its keyboard: a real one draws nothing for them, pyte some letters."""

BEGUN = re.compile(r"\x1b(\[[0-?]*[ -/]*)?$|\x1bP[^\x1b]*$")
"""An escape sequence whose end has not come yet."""


class Display:
    """A program on a terminal. What it draws is read at every wait, so that it never waits for its reader."""

    def __init__(
        self, argv: Sequence[str], env: dict[str, str], cwd: Path, size: tuple[int, int] = (80, 24), **more: bool
    ) -> None:
        self.ours, self.theirs = os.openpty()
        self.before = termios.tcgetattr(self.theirs)
        self._screen = pyte.Screen(*size)
        self._stream = pyte.Stream(self._screen)
        self.raw = ""
        self._rest = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        termios.tcsetwinsize(self.theirs, (size[1], size[0]))
        self.process = subprocess.Popen(
            argv,
            env={"TERM": "xterm-256color", **env},
            cwd=cwd,
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
            start_new_session=True,
            **more,  # type: ignore[call-overload]
        )

    @property
    def lines(self) -> list[str]:
        """What stands on the terminal now."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        """The same in one piece."""
        return "\n".join(self.lines).rstrip()

    def resize(self, width: int, height: int) -> None:
        """Another size, and the signal that says so."""
        self._screen.resize(height, width)
        termios.tcsetwinsize(self.theirs, (height, width))
        self.process.send_signal(signal.SIGWINCH)

    def type(self, keys: str) -> None:
        """Keys as the terminal sends them."""
        os.write(self.ours, keys.encode())

    def read(self, seconds: float) -> bool:
        """Takes what is drawn; waits for it that long at most. False where nothing came."""
        if not select.select([self.ours], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.ours, 65536)
        except OSError as problem:
            if problem.errno != errno.EIO:
                raise
            return False
        text = self._decoder.decode(data)
        self.raw += text
        whole = self._rest + text
        cut = begun.start() if (begun := BEGUN.search(whole)) else len(whole)
        self._rest = whole[cut:]
        self._stream.feed(UNKNOWN_TO_PYTE.sub("", whole[:cut]))
        return True

    def until(self, fine: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
        """Reads until something is so."""
        end = time.monotonic() + patience
        while not fine():
            assert time.monotonic() < end, f"{what} never came; the screen:\n{self.text}"
            assert self.process.poll() is None or self.read(0) or fine(), f"it ended before {what}:\n{self.raw[-2000:]}"
            self.read(0.05)

    def sees(self, *words: str, patience: float = PATIENCE) -> None:
        """Reads until all words stand on the terminal."""
        for each in words:
            self.until(lambda each=each: each in self.text, repr(each), patience)  # type: ignore[misc]

    def settle(self, seconds: float = 0.3, most: float = 1.5) -> None:
        """Reads until nothing is drawn for a while, or for so long at most: clocks of running checks never rest."""
        end = time.monotonic() + most
        while time.monotonic() < end and self.read(seconds):
            pass

    def ends(self, patience: float = PATIENCE) -> int:
        """Reads to the end; the exit code."""
        end = time.monotonic() + patience
        while self.process.poll() is None:
            assert time.monotonic() < end, f"it does not end; the screen:\n{self.text}"
            self.read(0.05)
        while self.read(0):
            pass
        self.after = termios.tcgetattr(self.theirs)
        code: int = self.process.wait()
        return code

    def close(self) -> None:
        """Ends what still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.theirs)
        os.close(self.ours)

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()
