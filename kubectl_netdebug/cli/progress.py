"""A line on standard error that says what is going on, on terminals only."""

from __future__ import annotations

import sys
import threading
import time

from kubectl_netdebug.engine.run import Moment, Settled
from kubectl_netdebug.model.step import Step

DELAY = 0.4
"""Seconds before anything is shown: a quick run shows nothing."""


class Progress:
    """Shows the steps that run now. Silent where standard error is no terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._lock = threading.Lock()
        self._running: dict[str, None] = {}
        self._timer: threading.Timer | None = None
        self._drawn = False

    def __call__(self, moment: Moment, step: Step, settled: Settled | None) -> None:
        """Called by the engine."""
        if not self._shown:
            return
        with self._lock:
            if moment is Moment.STARTED:
                self._running[step.title] = None
            else:
                self._running.pop(step.title, None)
            if self._drawn:
                self._draw()
            elif self._timer is None:
                self._timer = threading.Timer(DELAY, self._late)
                self._timer.daemon = True
                self._timer.start()

    def clear(self) -> None:
        """Takes the line away, before a result or a question is printed."""
        with self._lock:
            if self._timer:
                self._timer.cancel()
            if self._drawn:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()
            self._drawn, self._timer = False, None

    def _late(self) -> None:
        with self._lock:
            self._draw()

    def _draw(self) -> None:
        if self._running:
            sys.stderr.write(f"\r\x1b[K  … {', '.join(self._running)}"[:76])
            sys.stderr.flush()
            self._drawn = True


class Line:
    """One line on standard error that says what is going on; silent where that is no terminal. For many threads."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._lock = threading.Lock()
        self._due = time.monotonic() + DELAY
        self._drawn = False

    def show(self, text: str) -> None:
        """Shows a text in place of the last one, at most ten times a second."""
        if not self._shown:
            return
        with self._lock:
            now = time.monotonic()
            if now >= self._due:
                self._due, self._drawn = now + 0.1, True
                sys.stderr.write(f"\r\x1b[K  … {text}"[:76])
                sys.stderr.flush()

    def clear(self) -> None:
        """Takes the line away, for good."""
        with self._lock:
            if self._drawn:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()
            self._shown = self._drawn = False
