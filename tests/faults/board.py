"""The scoreboard: results as data in `docs/benchmark.json`, for people in `docs/benchmark.md`."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from kubectl_netdebug import __version__
from kubectl_netdebug.causes.catalogue import by_code
from tests.faults.case import VARIANTS, Variant, load
from tests.faults.execute import Outcome
from tests.faults.laboratory import ROOT
from tests.faults.matrices import matrices

DATA = ROOT / "docs" / "benchmark.json"
PAGE = ROOT / "docs" / "benchmark.md"
COLUMNS = (
    *("cluster", "date", "cases", "right", "wrong", "faults named", "false alarms", "extra accusations"),
    *("fixes healed", "left behind"),
)
NOT_INJECTED = Path(__file__).parent / "not-injected.yaml"


def store(variant: Variant, outcome: Outcome, seed: int) -> None:
    """Puts one result into the data, with its date; `draw` then takes seconds, so it is for the end of a run."""
    with _changed() as data:
        cases = _board(data, variant)["cases"]
        cases[outcome.id] = {**asdict(outcome), "date": _today(), "seed": seed}


def store_run(variant: Variant, kubernetes: str, ran: int, seconds: int) -> None:
    """Says of the run that just ended when it was, against what, and how long it took."""
    versions = {"kubectl-netdebug": __version__, "kubernetes": kubernetes}
    with _changed() as data:
        _board(data, variant).update({"versions": versions, "seconds": seconds, "ran": ran})
    draw()


def right_on(variant: Variant) -> frozenset[str]:
    """Ids of the cases whose last result on this kind of cluster is right, healing included."""
    cases = _load().get("variants", {}).get(str(variant), {}).get("cases", {})
    return frozenset(name for name, case in cases.items() if case["ok"] and case["healed"] is not False)


def _board(data: dict[str, Any], variant: Variant) -> dict[str, Any]:
    board: dict[str, Any] = data.setdefault("variants", {}).setdefault(str(variant), {"cases": {}})
    board["date"] = _today()
    return board


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


@contextlib.contextmanager
def _changed() -> Iterator[dict[str, Any]]:
    """The data, to be changed; written at the end. Benches on several clusters may store at the same instant."""
    with DATA.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        data = _load()
        yield data
        DATA.write_text(json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def _forget(data: dict[str, Any]) -> None:
    """Drops results of cases that are no longer there."""
    known = {case.id for case in load()}
    for board in data.get("variants", {}).values():
        board["cases"] = {name: case for name, case in board["cases"].items() if name in known}


def draw() -> None:
    """Writes the page from the data, and the pages of the causes, which say how each was tested."""
    with _changed() as data:
        _forget(data)
    PAGE.write_text(page(data))
    from tests import docs  # only now: it reads what was measured

    docs.write()


def _load() -> dict[str, Any]:
    text = DATA.read_text() if DATA.exists() else ""
    return dict(json.loads(text)) if text else {}


def store_performance(rows: list[dict[str, Any]]) -> None:
    """Replaces the measured budgets."""
    with _changed() as data:
        data["performance"] = {"date": _today(), "rows": rows}
    draw()


def page(data: Mapping[str, Any]) -> str:
    """The page for people."""
    lines = [
        "# Measured accuracy and speed",
        "",
        "Made by `make bench` and `make perf`; every figure is from a run against a real cluster of the laboratory",
        "(`docs/laboratory.md`). Right means: the verdict, the first cause named and its object are the injected ones,",
        "and nothing else is accused. *Healed* means: the first fix was pasted as printed, and then all was healthy.",
        "A case that was run again stands with its last result; each keeps its date and seed in `benchmark.json`.",
        "",
        "## In one table",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    boards = data.get("variants", {})
    for variant in map(str, VARIANTS):
        if variant in boards:
            lines.append(_total(variant, boards[variant]))
        else:
            lines.append(f"| {variant} | not run |" + " |" * (len(COLUMNS) - 2))
    lines += ["", *_performance(data), *matrices(), *_cases(boards), *_missing(boards)]
    return "\n".join(lines) + "\n"


def _total(variant: str, board: Mapping[str, Any]) -> str:
    cases = list(board["cases"].values())
    faults = [c for c in cases if c["kind"] == "fault"]
    quiet = [c for c in cases if c["kind"] != "fault"]
    pasted = [c for c in faults if c["healed"] is not None]
    named = sum(1 for c in faults if c["cause_right"] and c["object_right"])
    alarms = sum(1 for c in quiet if not (c["cause_right"] and c["state_right"]))
    return (
        f"| {variant} | {board['date']} | {len(cases)} | {sum(c['ok'] for c in cases)} | "
        f"{sum(not c['ok'] for c in cases)} | {named} of {len(faults)} | {alarms} of {len(quiet)} | "
        f"{sum(len(c['extra']) for c in cases)} | {sum(c['healed'] for c in pasted)} of {len(pasted)} | "
        f"{sum(len(c['left']) for c in cases)} |"
    )


def _performance(data: Mapping[str, Any]) -> list[str]:
    measured = data.get("performance")
    if not measured:
        return ["## Speed", "", "Not measured yet: `make perf`.", ""]
    lines = [
        f"## Speed ({measured['date']})",
        "",
        "| what | measured | against | ratio | budget | kept |",
        "|---|---|---|---|---|---|",
    ]
    for row in measured["rows"]:
        kept = "yes" if row["kept"] else "**no**"
        lines.append(
            f"| {row['what']} | {row['measured']} | {row['against']} | {row['ratio']} | {row['budget']} | {kept} |"
        )
    return [*lines, ""]


def _cases(boards: Mapping[str, Any]) -> list[str]:
    lines = []
    for variant, board in boards.items():
        versions = ", ".join(f"{k} {v}" for k, v in sorted(board.get("versions", {}).items()))
        lines += [f"## {variant} ({board['date']}, {versions})", ""]
        lines += ["| case | kind | right | got | seconds | reads | probes | fix |", "|---|---|---|---|---|---|---|---|"]
        for case in sorted(board["cases"].values(), key=lambda c: (c["row"], c["kind"] != "fault", c["id"])):
            lines.append(_row(case))
        lines.append("")
    return lines


def _row(case: Mapping[str, Any]) -> str:
    right = "yes" if case["ok"] else f"**no**: {case['problem']}"
    fix = {True: "healed", False: "**not healed**", None: case["fix_note"] or "–"}[case["healed"]]
    cells = [
        case["id"],
        case["kind"],
        right,
        case["got"],
        f"{case['seconds']:.1f}",
        case["api_calls"],
        case["probes"],
        fix,
    ]
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _missing(boards: Mapping[str, Any]) -> list[str]:
    """What was not run, with the reason."""
    injected = Counter(c["row"] for board in boards.values() for c in board["cases"].values() if c["kind"] == "fault")
    reasons = yaml.safe_load(NOT_INJECTED.read_text()) if NOT_INJECTED.exists() else {}
    lines = ["## Not run", ""]
    lines += [f"- `{code}`: {reason}" for code, reason in sorted((reasons or {}).items())]
    unknown = [code for code in by_code() if code not in injected and code not in (reasons or {})]
    lines += [f"- `{code}`: no injected fault was run yet" for code in unknown]
    for variant in VARIANTS:
        run = boards.get(str(variant), {"cases": {}})["cases"]
        left = [case.id for case in load() if case.runs_on(variant) and case.id not in run]
        if left:
            lines.append(f"- cluster {variant}: {len(left)} of {len(left) + len(run)} cases not run")
    return (
        lines
        if len(lines) > 2
        else [*lines, "Nothing: every row of the catalogue was injected on every kind of cluster."]
    )
