"""The part of the scoreboard's page about failures, rights, kills and large clusters, out of the counts under docs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tests.faults import counts

Section = Callable[[Mapping[str, Any]], list[str]]


def matrices() -> list[str]:
    """The lines of the page; a matrix that was never run says how to run it."""
    lines: list[str] = []
    for name, (title, command, section) in _SECTIONS.items():
        found = counts.load(name)
        lines += [f"## {title}" + (f" ({found['date']})" if found else ""), ""]
        lines += section(found) if found else [f"Not run yet: `{command}`."]
        lines.append("")
    return lines


def _failures(found: Mapping[str, Any]) -> list[str]:
    chosen = f", chosen by seed {found['seed']}" if found.get("seed") is not None else ""
    return [
        "The whole program in front of an API server that plays recordings and fails, at every call in turn. Held",
        "means: it ended within its limit with a documented exit code, accused nothing that the undisturbed run does",
        f"not, unless the server said so, and said what is missing ({found['recordings']} recordings,",
        f"{found['runs']} of {found['of']} disturbed runs{chosen}, {found['seconds']} s; `make failures`).",
        "",
        *_table(("what", "runs", "held", "wrong", "same verdict", "inconclusive"), found["rows"]),
        *(["", "Did not hold:", "", *(f"- {line}" for line in found["wrong"])] if found.get("wrong") else []),
    ]


def _permissions(found: Mapping[str, Any]) -> list[str]:
    return [
        "Every question of the first column with each right of the printed Roles taken away, one at a time, on a",
        f"real API server ({found['rights']} rights, {found['seconds']} s; `make permissions`). Held means: no cause",
        "that the whole Roles do not lead to, never healthy where it is not, and the missing right named where the",
        "answer is open.",
        "",
        *_table(("what", "runs", "held", "wrong", "same verdict", "inconclusive"), found["rows"]),
        *(["", "Did not hold:", "", *(f"- {line}" for line in found["wrong"])] if found.get("wrong") else []),
    ]


def _kills(found: Mapping[str, Any]) -> list[str]:
    ended = ", ".join(f"{name} {count}" for name, count in found["ended"].items())
    told = [key for key in found if key not in ("date", "runs", "seed", "ended", "flows")]
    flows = ", ".join(f"{name} {count}" for name, count in found.get("flows", {}).items())
    which = "of every kind" if flows else "that look at nodes"
    return [
        f"Runs {which}, ended at random instants (seed {found['seed']}; `make kills`).",
        "",
        "| what | count |",
        "|---|---|",
        f"| runs, by how they ended | {found['runs']} ({ended}) |",
        *([f"| runs, by question | {flows} |"] if flows else []),
        *(f"| {name} | {found[name]} |" for name in told),
    ]


def _large(found: Mapping[str, Any]) -> list[str]:
    sizes = ", ".join(f"{count:,} {what}" for what, count in found["size"].items())
    return [
        f"The same question in a small cluster and in one with {sizes}, on a real API server without kubelets",
        "(`make perf-large`).",
        "",
        *_table(("what", "small", "large", "ratio", "memory", "budget", "kept"), found["rows"]),
    ]


def _table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> list[str]:
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return lines + ["| " + " | ".join(str(row.get(column, 0)) for column in columns) + " |" for row in rows]


_SECTIONS: Mapping[str, tuple[str, str, Section]] = {
    "failures": ("An API server that fails", "make failures", _failures),
    "permissions": ("Rights taken away", "make permissions", _permissions),
    "kills": ("Killed runs", "make kills", _kills),
    "perf-large": ("Large clusters", "make perf-large", _large),
}
