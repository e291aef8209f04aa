"""A stage for pilot tests: the app on a recording, and what its screen says as text."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from textual.pilot import Pilot
from textual.screen import Screen

from kubectl_netdebug.cli.cases import all_cases
from kubectl_netdebug.engine.recording import Recording
from kubectl_netdebug.tui.app import NetdebugApp
from kubectl_netdebug.tui.played import Played
from kubectl_netdebug.tui.run import Backing
from kubectl_netdebug.tui.screens.run import RunScreen

PATIENCE = 30.0


def recording(name: str) -> Recording:
    """A recorded case of tests/cases."""
    return next(case for case in all_cases() if case.name == name).read()


def text_of(app: NetdebugApp) -> str:
    """What stands on the screen, a line each, without colours."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


async def until(pilot: Pilot[Any], fine: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Waits until something is so."""
    end = time.monotonic() + patience
    while not fine():
        assert time.monotonic() < end, f"never came about; the screen:\n{text_of(pilot.app)}"  # type: ignore[arg-type]
        await pilot.pause(0.02)
    await pilot.pause()


async def sees(pilot: Pilot[Any], words: str) -> None:
    """Waits until the screen says something."""
    await until(pilot, lambda: words in text_of(pilot.app))  # type: ignore[arg-type]


class Stage:
    """What a test is given: the app, the pilot, the run screen."""

    def __init__(self, app: NetdebugApp, pilot: Pilot[Any], screen: Screen[Any]) -> None:
        self.app, self.pilot, self.screen = app, pilot, screen

    @property
    def text(self) -> str:
        """The screen as text."""
        return text_of(self.app)

    async def press(self, *keys: str) -> None:
        """Presses keys one by one."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def sees(self, words: str) -> None:
        """Waits for words."""
        await sees(self.pilot, words)

    def top(self) -> Screen[Any]:
        """The screen that is shown now."""
        return self.app.screen

    async def over(self) -> None:
        """Waits for the end of the run."""
        assert isinstance(self.screen, RunScreen)
        screen = self.screen
        await until(self.pilot, lambda: screen.run.snapshot().is_over)
        await self.pilot.pause()
        await self.pilot.pause()


def on_stage(
    make: Callable[[], Screen[None]], play: Callable[[Stage], Awaitable[None]], size: tuple[int, int] = (80, 24)
) -> NetdebugApp:
    """Opens the app on a screen and plays a scene."""

    async def scene() -> NetdebugApp:
        screen = make()
        app = NetdebugApp(lambda: screen)
        async with app.run_test(size=size, notifications=True) as pilot:
            await pilot.pause()
            await play(Stage(app, pilot, screen))
        for each in app.opened:
            each.abandon()
        return app

    played: NetdebugApp = run(scene())
    return played


def run(scene: Coroutine[Any, Any, Any]) -> Any:
    """Runs a coroutine on a loop of its own."""
    return asyncio.run(scene)


def run_screen(name: str, pace: float = 0.0, backing: Backing | None = None) -> RunScreen:
    """The run screen on a recorded case."""
    recorded = recording(name)
    return RunScreen(recorded.question, backing or Played(recorded, pace))
