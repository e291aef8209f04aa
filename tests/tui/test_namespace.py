"""Going to another namespace without leaving the app."""

from __future__ import annotations

from kubectl_netdebug.tui.outlook import Outlook
from kubectl_netdebug.tui.screens.start import StartScreen
from tests.tui.stage import Stage, on_stage
from tests.tui.test_guided import FAULT, StandIn


def test_a_part_of_the_name_is_enough() -> None:
    desk = StandIn(FAULT)

    async def play(stage: Stage) -> None:
        await stage.sees("no endpoints")
        await stage.press("N")
        await stage.sees("kube-system")
        await stage.press(*"two")
        assert "kube-system" not in stage.text
        await stage.press("enter")
        await stage.sees("What is broken?")

    on_stage(lambda: StartScreen(desk), play)

    assert desk.namespace == "shop-two"


def test_where_they_cannot_be_listed_a_whole_name_is_taken() -> None:
    desk = StandIn(FAULT)
    desk.problem = 'namespaces is forbidden: User "dev"'

    async def play(stage: Stage) -> None:
        await stage.press("N")
        await stage.sees("cannot be listed")
        await stage.press("enter")
        await stage.sees("Type a name first")
        await stage.press(*"No", "space", "enter")
        await stage.sees("cannot be the name")
        await stage.press("backspace", "backspace", "backspace", *"payments", "enter")
        await stage.sees("What is broken?")

    on_stage(lambda: StartScreen(desk), play)

    assert desk.namespace == "payments"


def test_esc_stays() -> None:
    desk = StandIn(FAULT)
    here = desk.namespace

    async def play(stage: Stage) -> None:
        await stage.press("N")
        await stage.sees("kube-system")
        await stage.press("down", "escape")
        await stage.sees("What is broken?")

    on_stage(lambda: StartScreen(desk), play)

    assert desk.namespace == here


def test_what_comes_late_of_the_namespace_before_is_not_shown() -> None:
    desk = StandIn(FAULT)

    async def play(stage: Stage) -> None:
        screen = stage.screen
        assert isinstance(screen, StartScreen)
        await stage.sees("no endpoints")
        screen._looked(StartScreen.Looked("elsewhere", "elsewhere", Outlook(problem="of another namespace")))
        await stage.pilot.pause()
        assert "of another namespace" not in stage.text

    on_stage(lambda: StartScreen(desk), play)
