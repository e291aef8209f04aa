"""The run screen, by its keys, on recordings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubectl_netdebug.cli.cases import all_cases
from kubectl_netdebug.engine.recording import Recording
from kubectl_netdebug.tui.screens.cases import CasesScreen
from kubectl_netdebug.tui.screens.run import RunScreen
from tests.tui.stage import Stage, on_stage, recording, run_screen

FAULT = "service-selector-mismatch"


@pytest.mark.parametrize("size", [(80, 24), (140, 40), (60, 16)], ids=str)
def test_the_verdict_the_broken_link_and_the_fix_are_on_one_screen(size: tuple[int, int]) -> None:
    async def play(stage: Stage) -> None:
        await stage.over()
        await stage.sees("✗ Selector app=")
        text = stage.text
        assert "✗ faulty" in text
        assert "╳" in text
        assert "✗ endpoints" in text
        if size[1] >= 24:
            assert "select those Pods  (reversible)" in text
            assert "set selector service" in text

    on_stage(lambda: run_screen(FAULT), play, size)


def test_checks_fill_in_live() -> None:
    async def play(stage: Stage) -> None:
        await stage.sees("running ")
        await stage.sees("waits for: ")
        await stage.sees("✓ Service")
        await stage.press("ctrl+c")
        await stage.over()
        await stage.sees("stopped by you")

    on_stage(lambda: run_screen("loopback-bind", pace=3.0), play)


def test_copying_shows_the_whole_command_on_a_line_of_its_own() -> None:
    async def play(stage: Stage) -> None:
        await stage.over()
        await stage.press("c")
        await stage.sees("The fix")
        assert any(line.strip().startswith("kubectl --context") for line in stage.text.splitlines())
        assert "sent to the terminal's clipboard" in stage.text
        assert stage.app.clipboard.startswith("kubectl --context")
        await stage.press("escape")
        await stage.sees("✗ faulty")

    on_stage(lambda: run_screen(FAULT), play)


def test_evidence_explanation_transcript_connections_and_help() -> None:
    async def play(stage: Stage) -> None:
        await stage.over()
        await stage.press("e")
        await stage.sees("Proof")
        await stage.press("e")
        for key, words in (
            ("x", "app-loopback-bind"),
            ("t", "took"),
            ("v", "refused"),
            ("question_mark", "other pane"),
        ):
            await stage.press(key)
            await stage.sees(words)
            assert stage.app.screen is not stage.screen
            await stage.press("escape")
            assert stage.app.screen is stage.screen

    on_stage(lambda: run_screen("loopback-bind"), play, (100, 60))


def test_problems_folding_and_running_again() -> None:
    async def play(stage: Stage) -> None:
        await stage.over()
        await stage.sees("a shows them")
        await stage.press("a")
        await stage.sees("not reached")
        await stage.press("a", "n", "n", "N")
        await stage.press("r")
        await stage.over()
        await stage.sees("before")
        await stage.sees("every check came out as before")
        await stage.press("d")
        await stage.sees("Before and after")

    on_stage(lambda: run_screen("loopback-bind"), play, (100, 40))


@pytest.mark.parametrize(("form", "ending"), [("1", "md"), ("2", "json"), ("3", "netdebug.gz")])
def test_reports(form: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def play(stage: Stage) -> None:
        await stage.over()
        await stage.press("w")
        await stage.sees("Write a report")
        await stage.press(form, "enter")
        await stage.sees("Written")

    on_stage(lambda: run_screen(FAULT), play)
    (written,) = tmp_path.glob(f"*.{ending}")
    content = written.read_bytes()
    if ending == "json":
        assert json.loads(content)["verdict"]["state"] == "faulty"
    elif ending == "md":
        assert content.decode().startswith("# ✗ ")
    else:
        assert Recording.from_bytes(content).question == recording(FAULT).question


def test_the_list_of_recordings_is_narrowed_and_played() -> None:
    async def play(stage: Stage) -> None:
        await stage.press(*"loopback")
        await stage.sees("loopback-bind")
        assert "api-cert" not in stage.text
        await stage.press("enter")
        await stage.sees("svc/")
        assert isinstance(stage.app.screen, RunScreen)
        await stage.press("escape")
        await stage.sees("recorded clusters")

    on_stage(lambda: CasesScreen(all_cases(), 0), play)


def test_a_mouse_is_enough() -> None:
    async def play(stage: Stage) -> None:
        await stage.over()
        await stage.pilot.click("#hops", offset=(4, 0))
        await stage.sees("get services")

    on_stage(lambda: run_screen("loopback-bind"), play)
