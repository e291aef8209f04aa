"""Makes the pictures of docs/screens from recordings (`make pictures`), of the app as it runs in the tests."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from textual.screen import Screen

from kubectl_netdebug.tui import rows
from kubectl_netdebug.tui.app import NetdebugApp
from kubectl_netdebug.tui.screens.run import RunScreen
from kubectl_netdebug.tui.screens.start import StartScreen
from tests.tui.stage import Stage, recording, run_screen
from tests.tui.test_guided import PROBED, Asking, StandIn

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "screens"
SNAPSHOTS = Path(__file__).parent / "snapshots"
SETTINGS = "~/.config/kubectl-netdebug/settings.json"
"""As it is shown; no scene writes it."""


async def start(stage: Stage) -> None:
    """What is broken?"""
    await stage.sees("no endpoints")


async def ask(stage: Stage) -> None:
    """From which Pod?"""
    await start(stage)
    await stage.press("2")
    await stage.sees("deploy/cart")


async def settings(stage: Stage) -> None:
    """What is remembered."""
    await start(stage)
    await stage.press("comma")
    await stage.sees("ask each time")


async def namespace(stage: Stage) -> None:
    """Another one."""
    await start(stage)
    await stage.press("N")
    await stage.sees("kube-system")


async def fix(stage: Stage) -> None:
    """The command to paste."""
    await verdict(stage)
    await stage.press("c")
    await stage.sees("The fix")


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


@dataclass(frozen=True)
class Scene:
    """What is opened, what is done there, and how large it is.

    What `moves` is never the same twice: checks run while it is shown.
    """

    name: str
    make: Callable[[], Screen[None]]
    play: Callable[[Stage], Awaitable[None]]
    size: tuple[int, int]
    moves: bool = False


@dataclass(frozen=True)
class Shown:
    """A scene at its end: as text and as picture."""

    text: str
    drawn: str


SCENES = (
    Scene("start", lambda: StartScreen(StandIn("service-selector-mismatch")), start, (80, 24)),
    Scene("ask", lambda: StartScreen(StandIn("service-selector-mismatch")), ask, (80, 24)),
    Scene("settings", lambda: StartScreen(StandIn("service-selector-mismatch")), settings, (80, 24)),
    Scene("namespace", lambda: StartScreen(StandIn("service-selector-mismatch")), namespace, (80, 24)),
    Scene("consent", asking, consent, (80, 24), moves=True),
    Scene("run", lambda: run_screen(PROBED, pace=3.0), live, (80, 24), moves=True),
    Scene("verdict", lambda: run_screen("service-selector-mismatch"), verdict, (80, 24)),
    Scene("fix", lambda: run_screen("service-selector-mismatch"), fix, (80, 24)),
    Scene("wide", lambda: run_screen("etp-local"), verdict, (140, 36)),
    Scene("connections", lambda: run_screen("etp-local"), connections, (100, 16)),
)


async def played(scene: Scene, *, timeless: bool = False) -> Shown:
    """The screen once the scene was played; `timeless` without how long each check took."""
    with mock.patch.object(rows, "SLOW", float("inf") if timeless else rows.SLOW):
        return await _played(scene)


async def _played(scene: Scene) -> Shown:
    screen = scene.make()
    app = NetdebugApp(lambda: screen)
    async with app.run_test(size=scene.size) as pilot:
        await pilot.pause()
        stage = Stage(app, pilot, screen)
        await scene.play(stage)
        await pilot.pause(0.3)
        shown = Shown(stage.text, app.export_screenshot(title="kubectl netdebug"))
    for each in app.opened:
        each.abandon()
    return shown


def still(text: str) -> str:
    """Without what differs each time: how long it took, what turns."""
    text = re.sub(r" *\d+\.\d(/\d+| of at most \d+)? s\b", " T s", text)
    text = re.sub(r"\d+ ms\b", "T ms", text)
    return re.sub(r"[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]", "⠋", "\n".join(line.rstrip() for line in text.splitlines())).rstrip() + "\n"


def main() -> None:
    """Writes all pictures, and the texts that the tests compare."""
    os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", NETDEBUG_SETTINGS=SETTINGS)
    os.environ.pop("NO_COLOR", None)
    for place in (FOLDER, SNAPSHOTS):
        place.mkdir(parents=True, exist_ok=True)
    for scene in SCENES:
        (FOLDER / f"{scene.name}.svg").write_text(asyncio.run(played(scene)).drawn, encoding="utf-8")
        if scene.moves:
            continue
        text = still(asyncio.run(played(scene, timeless=True)).text)
        (SNAPSHOTS / f"{scene.name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
