"""Counts of the matrices, one file each under docs; the scoreboard draws them."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from tests.contract.repository import ROOT


def store(name: str, found: Mapping[str, Any]) -> None:
    """Writes docs/NAME.json and draws the page anew."""
    from tests.faults import board

    data = {"date": datetime.now(UTC).date().isoformat(), **found}
    (ROOT / "docs" / f"{name}.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    board.draw()


def load(name: str) -> dict[str, Any]:
    """What was stored last; empty when nothing was."""
    path = ROOT / "docs" / f"{name}.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def rows(outcomes: Iterable[tuple[str, str, bool]]) -> list[dict[str, Any]]:
    """Rows of a table out of (what, how it came out, whether that is wrong) of every run."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for what, outcome, wrong in outcomes:
        counted[what].update(["runs", outcome, "wrong" if wrong else "held"])
    return [{"what": what, "wrong": 0, **row} for what, row in counted.items()]
