"""A person with a fault before them reaches its cause and its fix by a few keys, at the real program's first screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubectl_netdebug.cli.replay import diagnose_recording
from tests.tui.stage import recording
from tests.tui.walks import CASES, FOLDER, MOST_KEYS, outline, walk_recorded

AGAIN = "run python -m tests.tui.walks and look at what changed"


def test_the_walks_are_of_all_branches_and_the_node() -> None:
    flows = {recording(name).question.flow.value for name in CASES}

    assert len(CASES) >= 12
    assert flows == {"service", "pod-to-pod", "pod-to-outside", "outside-to-pod", "pod-to-itself", "dns", "api", "node"}


@pytest.mark.parametrize("name", CASES)
def test_from_the_first_screen_to_cause_and_fix(name: str, tmp_path: Path) -> None:
    walked = walk_recorded(name, tmp_path)
    (cause, *_) = diagnose_recording(recording(name)).causes

    assert walked.presses <= MOST_KEYS
    assert f"{cause.code} · {cause.confidence}" in walked.transcript
    assert "The fix" in walked.transcript
    assert outline(walked.transcript) == outline((FOLDER / f"{name}.txt").read_text(encoding="utf-8")), AGAIN
