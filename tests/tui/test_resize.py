"""Sizes of the terminal that come faster than they can be drawn."""

from __future__ import annotations

import asyncio

import pytest
from textual.events import Resize
from textual.geometry import Size

from kubectl_netdebug.cli.cases import all_cases
from kubectl_netdebug.tui.screens.cases import CasesScreen
from tests.tui.stage import Stage, on_stage, run_screen

FAULT = "service-selector-mismatch"
NOW, EARLIER = Size(80, 24), Size(124, 38)


async def layouts_after_two_sizes_at_once(stage: Stage) -> int:
    """How often the screen in front is laid out after an outdated size and the one of now came together."""
    counted: list[object] = []
    screen = stage.app.screen
    screen.screen_layout_refresh_signal.subscribe(stage.app, counted.append, immediate=True)
    for size in (EARLIER, NOW, EARLIER):
        screen.post_message(Resize(size, size))
        for _ in range(3):  # something else to do lies between two sizes: else the later one replaces the other
            screen.call_later(lambda: None)
    await asyncio.sleep(1.0)
    assert screen.size == NOW
    return len(counted)


@pytest.mark.parametrize("keys", [(), ("c",), ("question_mark",), ("w",), ("colon",)], ids=str)
def test_an_outdated_size_does_not_come_back_for_ever(keys: tuple[str, ...]) -> None:
    async def play(stage: Stage) -> None:
        await stage.over()
        await stage.press(*keys)
        await stage.pilot.pause(0.3)
        assert await layouts_after_two_sizes_at_once(stage) < 20

    on_stage(lambda: run_screen(FAULT), play)


def test_nor_in_the_list_of_recordings() -> None:
    async def play(stage: Stage) -> None:
        await stage.sees("recorded clusters")
        assert await layouts_after_two_sizes_at_once(stage) < 20

    on_stage(lambda: CasesScreen(all_cases()[:5], 0), play)
