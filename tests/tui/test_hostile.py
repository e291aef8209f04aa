"""Names and messages that would steer a terminal, in every field at once: every screen shows them as text."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable
from typing import Any

import pytest
from rich.cells import cell_len
from textual.widgets import Input

from kubectl_netdebug.engine.recording import Recording
from kubectl_netdebug.net.text import HOSTILE
from kubectl_netdebug.tui.outlook import Entry, Outlook, Trouble
from kubectl_netdebug.tui.played import Played
from kubectl_netdebug.tui.run import Backing
from kubectl_netdebug.tui.screens.run import RunScreen
from kubectl_netdebug.tui.screens.start import StartScreen
from tests.tui.stage import Stage, on_stage, recording
from tests.tui.test_guided import StandIn

POISON = "[/bold][@click=app.quit]\x1b]0;owned\x07\x1b[2J\x9b31m\u202e漢字\u200d👩‍🚀"
LONG = "x" * 10_000
NAMES = re.compile(r"[a-z][-a-z0-9]{3,}")
SIZE = (80, 24)


def poisoned(name: str, poison: str = POISON) -> Recording:
    """The recording with something behind every name and in every message."""
    data = json.loads(gzip.decompress(recording(name).to_bytes()))
    named = set(_names(data["facts"]))
    return Recording.from_bytes(gzip.compress(json.dumps(_spoilt(data, named, poison)).encode()))


def _names(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        metadata = value.get("metadata")
        if isinstance(metadata, dict):
            yield from (str(metadata[key]) for key in ("name", "namespace") if NAMES.fullmatch(str(metadata.get(key))))
        for inner in value.values():
            yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)


def _spoilt(value: Any, named: set[str], poison: str, key: str = "") -> Any:
    if isinstance(value, dict):
        return {inner: _spoilt(content, named, poison, inner) for inner, content in value.items()}
    if isinstance(value, list):
        return [_spoilt(inner, named, poison, key) for inner in value]
    told = key in ("message", "reason", "detail", "says", "log")
    return value + poison if isinstance(value, str) and (value in named or told) else value


def is_harmless(stage: Stage) -> None:
    """What stands on the screen now."""
    text = stage.text
    assert not HOSTILE.search(text.replace("\n", " "))
    assert all(cell_len(line) <= SIZE[0] for line in text.split("\n")), text


@pytest.mark.parametrize("poison", [POISON, LONG], ids=["steering", "endless"])
@pytest.mark.parametrize("name", ["service-selector-mismatch", "pods-crash", "etp-local"])
def test_every_page_of_a_run(name: str, poison: str) -> None:
    spoilt = poisoned(name, poison)

    async def play(stage: Stage) -> None:
        await stage.over()
        is_harmless(stage)
        assert poison[:5] in stage.text
        for key in "exvtc?daw":
            await stage.press("question_mark" if key == "?" else key)
            is_harmless(stage)
            if key not in "ea":
                await stage.press("escape")
        await stage.press("r")
        await stage.over()
        is_harmless(stage)

    on_stage(lambda: RunScreen(spoilt.question, Played(spoilt, 0), place=f"prod{poison}"), play, SIZE)


class Hostile(StandIn):
    """A namespace where everything is named by somebody who means harm."""

    def __init__(self, poison: str) -> None:
        super().__init__("service-selector-mismatch")
        self.poison = poison
        self.place = f"prod{poison}"

    def look_around(self) -> Outlook:
        bad = f"web{self.poison}"
        entries = (Entry(bad, self.poison),)
        return Outlook(
            services=entries,
            workloads=(Entry(f"pod/{bad}", self.poison),),
            nodes=entries,
            ports={bad: ("80", self.poison)},
            troubles=(Trouble(bad, self.poison, bad=True),),
        )

    def namespaces(self) -> tuple[str, ...]:
        return (f"shop{self.poison}",)

    def backing(self) -> Backing:
        return Played(poisoned("service-selector-mismatch", self.poison), 0)


@pytest.mark.parametrize("poison", [POISON, LONG], ids=["steering", "endless"])
def test_every_list_and_question(poison: str) -> None:
    async def play(stage: Stage) -> None:
        await stage.sees("web")
        is_harmless(stage)
        assert poison[:5] in stage.text
        for keys in (("N",), ("comma",), ("2",), ("3",), ("5",), ("7",)):
            await stage.press(*keys)
            is_harmless(stage)
            await stage.press("escape")
        await stage.press("8")
        stage.app.screen.query_one("#answer", Input).value = f"dial tcp: connection refused {poison}"
        await stage.press("enter")
        is_harmless(stage)

    on_stage(lambda: StartScreen(Hostile(poison)), play, SIZE)


def test_a_cluster_that_refuses_in_hostile_words() -> None:
    desk = Hostile(POISON)

    def refuse() -> Outlook:
        raise OSError(POISON)

    desk.look_around = refuse  # type: ignore[method-assign]

    async def play(stage: Stage) -> None:
        await stage.sees("bold")
        is_harmless(stage)

    on_stage(lambda: StartScreen(desk), play, SIZE)
