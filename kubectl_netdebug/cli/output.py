"""The only writer to standard output, and what is known about the terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kubectl_netdebug.cli.exits import OutputProblem

if TYPE_CHECKING:
    import argparse

    from kubectl_netdebug.model.result import Result
    from kubectl_netdebug.report.style import Style

# Help must not pay for drawing results: what draws is imported where it is needed.


def style_for(args: argparse.Namespace) -> Style:
    """Width, colours and characters that standard output can take. Pipes get 80 columns and no colour."""
    from kubectl_netdebug.report.style import Style

    terminal = sys.stdout.isatty()
    dull = getattr(args, "no_color", False) or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    width = min(100, max(60, _columns())) if terminal else 80
    encoding = (getattr(sys.stdout, "encoding", "") or "ascii").lower()
    return Style(width=width, colour=terminal and not dull, ascii_only="utf" not in encoding)


def _columns() -> int:
    """The terminal's width; 80 where it does not say. (shutil's function loads every archive format.)"""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def is_terminal() -> bool:
    """Whether a person sits at a terminal that can be drawn on: on all three streams, and not a dumb one."""
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    able = os.environ.get("TERM", "") not in ("", "dumb")
    return able and all(stream is not None and stream.isatty() for stream in streams)


def show(result: Result, args: argparse.Namespace) -> None:
    """Draws a result in the format that was asked for."""
    form = getattr(args, "output", "text")
    if form == "markdown":
        from kubectl_netdebug.report.markdown import as_markdown

        write(as_markdown(result))
        return
    if form in ("json", "yaml"):
        from kubectl_netdebug.report.data import as_json, as_yaml

        write(as_json(result) if form == "json" else as_yaml(result))
        return
    from kubectl_netdebug.report.text import render

    write(render(result, style_for(args), wide=form == "wide"))


def write(text: str) -> None:
    """To standard output; a reader that went away (`| head`) ends the program quietly. Raises OutputProblem."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as problem:
        # The interpreter would complain when it flushes at exit; there is nothing left to flush to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(problem, BrokenPipeError):
            raise OutputProblem(f"the result could not be written: {problem.strerror}") from problem


def say(text: str) -> None:
    """One sentence to standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
