"""The page of settings: each line changed by enter, written at once, and effective without a new start."""

from __future__ import annotations

import argparse
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from kubectl_netdebug.tui import settings
from kubectl_netdebug.tui.place import Cluster, Permissions
from kubectl_netdebug.tui.screens.start import StartScreen
from kubectl_netdebug.tui.settings import Remembered
from tests.tui.stage import Stage, on_stage
from tests.tui.test_guided import FAULT, StandIn


def played(play: Callable[[Stage], Awaitable[None]]) -> None:
    on_stage(lambda: StartScreen(StandIn(FAULT)), play)


def test_consent_and_images_are_changed_and_written(own_settings: Path) -> None:
    async def play(stage: Stage) -> None:
        await stage.press("comma")
        await stage.sees("ask each time")
        await stage.press("down", "enter")
        await stage.sees("yes, without asking")
        await stage.press("down", "enter")
        await stage.sees("registry/name:tag")
        await stage.press(*"lab/probe:1", "enter")
        await stage.sees("lab/probe:1")
        await stage.press("escape")
        await stage.sees("What is broken?")

    played(play)

    written = json.loads(own_settings.read_text(encoding="utf-8"))
    assert (written["consent_pods"], written["image"], written["node_image"]) == ("yes", "lab/probe:1", "")


def test_what_cannot_be_an_image_is_refused(own_settings: Path) -> None:
    async def play(stage: Stage) -> None:
        await stage.press("comma", "down", "down", "enter")
        await stage.press(*"two", "space", *"words", "enter")
        await stage.sees("cannot be an image")
        await stage.press("escape", "escape")
        await stage.sees("What is broken?")

    played(play)

    assert not own_settings.exists()


def test_the_theme_is_chosen_from_there(own_settings: Path) -> None:
    async def play(stage: Stage) -> None:
        await stage.press("comma", "enter")
        await stage.sees("Which theme?")
        await stage.press(*"textual-light", "enter")
        await stage.sees("textual-light")

    played(play)

    assert settings.load(own_settings).theme == "textual-light"


def test_a_folder_that_cannot_be_written_is_told(own_settings: Path) -> None:
    own_settings.mkdir()

    async def play(stage: Stage) -> None:
        await stage.press("comma", "down", "enter")
        await stage.sees("cannot be written")
        assert "yes, without asking" in stage.text

    played(play)


def test_a_change_holds_from_the_next_run_on(own_settings: Path) -> None:
    remembered = Remembered()
    cluster = Cluster(argparse.Namespace(), remembered)
    assert cluster.permissions == Permissions()

    remembered.change(consent_pods="yes")
    assert cluster.permissions == Permissions(pods=True)

    remembered.change(consent_pods="no")
    assert cluster.permissions == Permissions(forbidden="your settings")
