"""Two budgets of the app: the first screen after `import textual` is paid, and keys while fifty probes run.

Run in a fresh process (`python -m tests.tui.speed`); prints one JSON object of milliseconds. Measured by Textual's own
headless driver: everything but the writing of the bytes.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from typing import Any

import textual.app
import textual.screen
import textual.widgets

PROBES = 50
KEYS = 100


async def first_paint() -> dict[str, float]:
    """From nothing of ours imported to the first screen drawn; beside it, an app with an empty screen."""
    from textual.widgets import Footer, Static

    class Empty(textual.app.App[None]):
        def compose(self) -> Any:
            yield Static("empty")
            yield Footer()

    async def painted(app: textual.app.App[Any]) -> float:
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            return time.perf_counter()

    began = time.perf_counter()
    empty = await painted(Empty()) - began
    began = time.perf_counter()
    from kubectl_netdebug.tui.app import NetdebugApp
    from kubectl_netdebug.tui.outlook import Outlook
    from kubectl_netdebug.tui.screens.start import StartScreen

    class Nowhere:
        limit = 60.0
        namespace = place = "nowhere"

        def look_around(self) -> Outlook:
            return Outlook()

    ours = await painted(NetdebugApp(lambda: StartScreen(Nowhere()))) - began  # type: ignore[arg-type]
    return {"empty app": 1000 * empty, "first paint": 1000 * ours}


async def keys() -> dict[str, float]:
    """Each key from its press to the drawn screen: while fifty probes answer one after the other, and afterwards."""
    from kubectl_netdebug.engine.source import Job
    from kubectl_netdebug.model.facts import Answer, FactKey, Price
    from kubectl_netdebug.tui.played import Played
    from kubectl_netdebug.tui.run import ClosableSource
    from tests.tui.stage import recording, run_screen

    class Busy(Played):
        """Every probe is fifty flights that end at different times."""

        def open(self, question: Any, ask: Any) -> ClosableSource:
            return _Busy(super().open(question, ask))

    class _Busy:
        def __init__(self, source: ClosableSource) -> None:
            self._source = source

        def close(self) -> None:
            self._source.close()

        def plan(self, wanted: Iterable[FactKey]) -> list[Job]:
            jobs = []
            for job in self._source.plan(wanted):
                jobs.append(job)
                if job.keys[0].price is Price.POD:
                    jobs += [Job(f"probe {n}", (), _sleeping(n), 45.0) for n in range(PROBES)]
            return jobs

    def _sleeping(number: int) -> Any:
        def fetch() -> Mapping[FactKey, Answer]:
            time.sleep(0.05 + 0.05 * number)
            return {}

        return fetch

    from kubectl_netdebug.tui.app import NetdebugApp

    recorded = recording("loopback-bind")
    screen = run_screen("loopback-bind", backing=Busy(recorded, 3.0))
    app = NetdebugApp(lambda: screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause(0.3)
        busy = await pressed(pilot)
        screen.abandon()
        await pilot.pause(1.0)
        idle = await pressed(pilot)
    return {"key, busy": busy, "key, idle": idle}


async def pressed(pilot: Any) -> float:
    """The 95th percentile."""
    times = []
    for number in range(KEYS):
        began = time.perf_counter()
        await pilot.press("down" if number % 7 else "up")
        times.append(1000 * (time.perf_counter() - began))
        await asyncio.sleep(0.01)
    return sorted(times)[int(KEYS * 0.95)]


def main() -> None:
    """Prints what was measured."""
    os.environ["NETDEBUG_SETTINGS"] = os.path.join(tempfile.gettempdir(), "netdebug-no-settings")
    found = asyncio.run(first_paint()) | asyncio.run(keys())
    print(json.dumps({what: round(value, 1) for what, value in found.items()}))


if __name__ == "__main__":
    main()
