"""The main screens stay as they are: each scene of the pictures is played, and compared with what it last showed."""

from __future__ import annotations

import asyncio
import html
import re

import pytest

from tests.tui.pictures import FOLDER, SCENES, SETTINGS, SNAPSHOTS, Scene, played, still

AGAIN = "run make pictures and look at what changed"
WORD = re.compile(r"[A-Za-z]{4,}(?!…)\b")
TEXT = re.compile(r"<text[^>]*>(.*?)</text>", re.DOTALL)


@pytest.mark.parametrize("scene", [scene for scene in SCENES if not scene.moves], ids=lambda scene: scene.name)
def test_a_screen_is_as_it_was(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETDEBUG_SETTINGS", SETTINGS)
    shown = asyncio.run(played(scene, timeless=True)).text

    assert still(shown) == (SNAPSHOTS / f"{scene.name}.txt").read_text(encoding="utf-8"), AGAIN


@pytest.mark.parametrize("scene", [scene for scene in SCENES if not scene.moves], ids=lambda scene: scene.name)
def test_the_pictures_in_the_documentation_show_it(scene: Scene) -> None:
    pictured = html.unescape("".join(TEXT.findall((FOLDER / f"{scene.name}.svg").read_text(encoding="utf-8"))))
    wanted = set(WORD.findall((SNAPSHOTS / f"{scene.name}.txt").read_text(encoding="utf-8")))

    assert len(wanted) > 10
    assert [word for word in wanted if word not in pictured] == [], AGAIN
