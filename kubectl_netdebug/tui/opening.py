"""Opens the app and closes it: a plain summary in the scrollback, and nothing left behind in the cluster."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kubectl_netdebug.cli.exits import Exit, UsageProblem, exit_for
from kubectl_netdebug.cli.output import say, style_for, write
from kubectl_netdebug.cli.signals import close_undisturbed

if TYPE_CHECKING:
    from textual.screen import Screen

    from kubectl_netdebug.tui.screens.run import RunScreen
    from kubectl_netdebug.tui.settings import Remembered


def open_demo(args: argparse.Namespace) -> Exit:
    """`demo` at a terminal: the list of recordings, or one of them."""
    from kubectl_netdebug.cli.cases import all_cases
    from kubectl_netdebug.tui import settings
    from kubectl_netdebug.tui.screens.cases import CasesScreen

    cases = all_cases()
    if not cases:
        raise UsageProblem("no recordings came with this program")
    chosen = None
    if args.case:
        from kubectl_netdebug.cli.replay import choose

        chosen = choose(cases, args.case)
    screen = CasesScreen(cases)

    def first() -> CasesScreen:
        if chosen is not None:
            screen.call_after_refresh(screen.play, chosen)
        return screen

    left = run(args, first, settings.Remembered(settings.load()))
    return Exit.INTERRUPTED if left is Exit.INTERRUPTED else Exit.HEALTHY


def open_live(args: argparse.Namespace) -> Exit:
    """`kubectl netdebug` at a terminal: the guided questions, and the runs that come of them."""
    from kubectl_netdebug.tui import settings
    from kubectl_netdebug.tui.place import Cluster
    from kubectl_netdebug.tui.screens.start import StartScreen

    remembered = settings.Remembered(settings.load())
    cluster = Cluster(args, remembered)
    try:
        return run(args, lambda: StartScreen(cluster), remembered)
    finally:
        cluster.close()


def run(args: argparse.Namespace, first: Callable[[], Screen[None]], remembered: Remembered) -> Exit:
    """Runs the app to its end, then tells the last result where it stays. Returns the exit code."""
    from kubectl_netdebug.tui.app import NetdebugApp

    if getattr(args, "no_color", False):
        os.environ["NO_COLOR"] = "1"
    app = NetdebugApp(first, remembered)
    left = app.run()
    for screen in app.opened:
        screen.abandon()
        if screen.run.made_something and not screen.run.is_closed:
            say("netdebug: removing what was made in the cluster ...")
        close_undisturbed(screen.run)
    _tell(args, app.finished)
    if left == Exit.INTERRUPTED:
        return Exit.INTERRUPTED
    last = app.finished[-1].run.snapshot() if app.finished else None
    if last is None:
        return Exit.HEALTHY
    if last.result is None:
        say(f"netdebug: {last.problem}")
        return Exit.UNREACHABLE
    return exit_for(last.result.verdict.state)


def _tell(args: argparse.Namespace, finished: Sequence[RunScreen]) -> None:
    """The last verdict as plain text, and each earlier one in a line."""
    from kubectl_netdebug.report.text import VERDICT_GLYPHS, render
    from kubectl_netdebug.tui.rows import asked_line

    for number, screen in enumerate(finished):
        state = screen.run.snapshot()
        if state.result is None:
            continue
        if number < len(finished) - 1:
            verdict = state.result.verdict
            write(f"{VERDICT_GLYPHS[verdict.state]} {asked_line(state.question)}: {verdict.headline}\n")
        else:
            write(render(state.result, style_for(args)))
