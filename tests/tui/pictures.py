"""Makes the pictures of docs/screens from recordings (`make pictures`), of the app as it runs in the tests."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from textual.screen import Screen

from kubectl_netdebug.tui.app import NetdebugApp
from kubectl_netdebug.tui.screens.run import RunScreen
from kubectl_netdebug.tui.screens.start import StartScreen
from tests.tui.stage import Stage, recording, run_screen
from tests.tui.test_guided import PROBED, Asking, StandIn

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "screens"


async def start(stage: Stage) -> None:
    """What is broken?"""
    await stage.sees("no endpoints")


async def ask(stage: Stage) -> None:
    """From which Pod?"""
    await start(stage)
    await stage.press("2")
    await stage.sees("deploy/cart")


async def live(stage: Stage) -> None:
    """Checks fill in."""
    await stage.sees("✓ endpoints")


async def verdict(stage: Stage) -> None:
    """The cause and the fix."""
    await stage.over()
    await stage.sees("(reversible)")


async def consent(stage: Stage) -> None:
    """Before anything is made."""
    await stage.sees("needs your consent")


async def connections(stage: Stage) -> None:
    """Who connected to what."""
    await stage.over()
    await stage.press("v")
    await stage.sees("outcome")


def asking() -> RunScreen:
    recorded = recording(PROBED)
    return RunScreen(recorded.question, Asking(recorded, 0))


Scene = tuple[str, Callable[[], Screen[None]], Callable[[Stage], Awaitable[None]], tuple[int, int]]
SCENES: tuple[Scene, ...] = (
    ("start", lambda: StartScreen(StandIn("service-selector-mismatch")), start, (80, 24)),
    ("ask", lambda: StartScreen(StandIn("service-selector-mismatch")), ask, (80, 24)),
    ("consent", asking, consent, (80, 24)),
    ("run", lambda: run_screen(PROBED, pace=3.0), live, (80, 24)),
    ("verdict", lambda: run_screen("service-selector-mismatch"), verdict, (80, 24)),
    ("wide", lambda: run_screen("etp-local"), verdict, (140, 36)),
    ("connections", lambda: run_screen("etp-local"), connections, (100, 16)),
)


async def picture(
    make: Callable[[], Screen[None]], play: Callable[[Stage], Awaitable[None]], size: tuple[int, int]
) -> str:
    """The screen as SVG, once the scene was played."""
    screen = make()
    app: Any = NetdebugApp(lambda: screen)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        stage = Stage(app, pilot, screen)
        await play(stage)
        await pilot.pause(0.3)
        drawn = app.export_screenshot(title="kubectl netdebug")
    for each in app.opened:
        each.abandon()
    return str(drawn)


def main() -> None:
    """Writes all pictures."""
    os.environ["NETDEBUG_SETTINGS"] = os.path.join(tempfile.gettempdir(), "netdebug-no-settings")
    os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
    os.environ.pop("NO_COLOR", None)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make, play, size in SCENES:
        (FOLDER / f"{name}.svg").write_text(asyncio.run(picture(make, play, size)), encoding="utf-8")


if __name__ == "__main__":
    main()
