"""The only writer to standard output, and what is known about the terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from kubectl_netdebug.model.result import Result
    from kubectl_netdebug.report.style import Style

# Help must not pay for drawing results: what draws is imported where it is needed.


def style_for(args: argparse.Namespace) -> Style:
    """Width, colours and characters that standard output can take. Pipes get 80 columns and no colour."""
    import shutil

    from kubectl_netdebug.report.style import Style

    terminal = sys.stdout.isatty()
    dull = getattr(args, "no_color", False) or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    width = min(100, max(60, shutil.get_terminal_size((80, 24)).columns)) if terminal else 80
    encoding = (getattr(sys.stdout, "encoding", "") or "ascii").lower()
    return Style(width=width, colour=terminal and not dull, ascii_only="utf" not in encoding)


def show(result: Result, args: argparse.Namespace) -> None:
    """Draws a result in the format that was asked for."""
    form = getattr(args, "output", "text")
    if form in ("json", "yaml"):
        from kubectl_netdebug.report.data import as_json, as_yaml

        write(as_json(result) if form == "json" else as_yaml(result))
        return
    from kubectl_netdebug.report.text import render

    write(render(result, style_for(args), wide=form == "wide"))


def write(text: str) -> None:
    """To standard output; a reader that went away (`| head`) ends the program quietly."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter would complain when it flushes at exit; there is nothing left to flush to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str) -> None:
    """One sentence to standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
