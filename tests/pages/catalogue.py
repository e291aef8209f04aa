"""`docs/catalogue.md`: what became of every known fault."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubectl_netdebug.causes.catalogue import by_code
from kubectl_netdebug.model.finding import Cause
from tests.faults.case import Case, load

ROOT = Path(__file__).resolve().parent.parent.parent
ROWS = ROOT / "tests" / "faults" / "rows.yaml"
REASONS = ROOT / "tests" / "faults" / "not-injected.yaml"
MEASURED = ROOT / "docs" / "benchmark.json"
RECORDINGS = ROOT / "tests" / "cases"

RIGHT = "injected and right"
PARTLY = "injected, not always right"
RECORDED = "recorded"
PENDING = "injected, not measured"
UNTRIED = "not testable here"
NONE = "no cause"
MEANS = {
    RIGHT: "injected into a real cluster, and named with its object in every run that is in the benchmark",
    PARTLY: "injected into a real cluster, and missed or given another object in at least one run",
    RECORDED: "injected, and named in a recording that every test run replays; not in the benchmark yet",
    PENDING: "an injection is written, and neither a result nor a recording of it is here yet",
    UNTRIED: "the cause is written and tried on facts alone; why it cannot be injected is said",
    NONE: "nothing names it; why is said",
}


@dataclass(frozen=True)
class Row:
    """One fault: its state, and the proof or the reason."""

    code: str
    state: str
    why: str


def sections() -> dict[str, list[str]]:
    """Codes of all known faults by section, with those that were added here at the end."""
    known: dict[str, list[str]] = yaml.safe_load(ROWS.read_text(encoding="utf-8"))
    listed = {code for codes in known.values() for code in codes}
    return {**known, "Added here": [code for code in by_code() if code not in listed]}


def rows(codes: Iterable[str]) -> list[Row]:
    """The state of each code, from the repository's data. Raises KeyError where nothing accounts for one."""
    causes, cases = by_code(), load()
    reasons: dict[str, str] = yaml.safe_load(REASONS.read_text(encoding="utf-8"))
    variants = json.loads(MEASURED.read_text(encoding="utf-8"))["variants"]
    return [_row(code, causes, cases, reasons, variants) for code in codes]


def _row(
    code: str,
    causes: Mapping[str, Cause],
    cases: list[Case],
    reasons: Mapping[str, str],
    variants: Mapping[str, Any],
) -> Row:
    if code not in causes:
        return Row(code, NONE, reasons[code].removeprefix("no cause: "))
    faults = [case.id for case in cases if case.kind == "fault" and case.expect.code == code]
    if not faults:
        return Row(code, UNTRIED, reasons[code])
    runs = [(name, board["cases"][f]) for f in faults for name, board in variants.items() if f in board["cases"]]
    if runs:
        right = [name for name, run in runs if run["cause_right"] and run["object_right"] and run["state_right"]]
        where = ", ".join(sorted({name for name, _ in runs}))
        state = RIGHT if len(right) == len(runs) else PARTLY
        return Row(code, state, f"{len(right)} of {len(runs)} runs ({where})")
    recorded = [f for f in faults if (RECORDINGS / f"{f}.json.gz").exists()]
    if recorded:
        return Row(code, RECORDED, ", ".join(f"`{f}`" for f in recorded))
    return Row(code, PENDING, ", ".join(f"`{f}`" for f in faults))


def page() -> str:
    """The page as Markdown."""
    known = sections()
    found_all = {row.code: row for row in rows(code for codes in known.values() for code in codes)}
    everything = {title: [found_all[code] for code in codes] for title, codes in known.items()}
    counts = Counter(row.state for found in everything.values() for row in found)
    lines = [
        "# The whole catalogue",
        "",
        "Every fault of cluster networks that is known to us, and what became of it. Runs are those of",
        "[the benchmark](benchmark.md), reasons those of `tests/faults/not-injected.yaml`.",
        "",
        "| state | faults | means |",
        "|---|---|---|",
        *(f"| {state} | {counts[state]} | {means} |" for state, means in MEANS.items()),
        f"| all | {counts.total()} | |",
    ]
    causes = by_code()
    for title, found in everything.items():
        lines += ["", f"## {title}", "", "| code | state | proof, or why not |", "|---|---|---|"]
        lines += [f"| {_linked(row.code, causes)} | {row.state} | {_cell(row.why)} |" for row in found]
    return "\n".join(lines) + "\n"


def _linked(code: str, causes: Mapping[str, Cause]) -> str:
    return f"[{code}](causes/{code}.md)" if code in causes else f"`{code}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")
