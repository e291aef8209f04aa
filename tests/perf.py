"""`make perf`: the budgets as ratios within one run, on a cluster that is up (NAME, default netlab).

Times differ from machine to machine and from minute to minute; so each program is run in turn with the one that it is
compared with, and the medians are divided.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults import board
from tests.faults.laboratory import NETLAB, ROOT

ROUNDS = int(os.environ.get("ROUNDS") or 11)
INSIDE = "NETDEBUG_PERF_INSIDE"
PROGRAM = (str(ROOT / "bin" / "kubectl-netdebug"),)
BARE = (sys.executable, "-c", "pass")
GETS = (
    ("kubectl", "get", "service", "web"),
    ("kubectl", "get", "endpointslices", "-l", "kubernetes.io/service-name=web"),
    ("kubectl", "get", "pods", "-l", "app=web", "-o", "wide"),
    ("kubectl", "get", "deployment", "web"),
    ("kubectl", "get", "events"),
)
"""What a person types to see the same by hand."""


@dataclass(frozen=True)
class Comparison:
    """A program, what it is compared with, and the budget: `factor` times the other plus `plus` seconds."""

    what: str
    ours: Sequence[str]
    against: str
    theirs: Sequence[Sequence[str]]
    factor: float
    plus: float
    codes: tuple[int, ...] = (0,)


COMPARISONS = (
    Comparison("--help", (*PROGRAM, "--help"), "python -c pass", (BARE,), 1.5, 0.06),
    Comparison("--version", (*PROGRAM, "--version"), "python -c pass", (BARE,), 1.5, 0.06),
    Comparison(
        "explain CODE", (*PROGRAM, "explain", "service-selector-mismatch"), "python -c pass", (BARE,), 1.5, 0.06
    ),
    Comparison(
        "service web --probe never", (*PROGRAM, "service", "web", "--probe", "never"), "five kubectl gets", GETS, 1.5, 0
    ),
)

SCREENS = (sys.executable, "-m", "tests.tui.speed")
LIVE = (
    ("service", "web"),
    ("path", "deploy/web", "https://example.lab"),
    ("path", "pod/client", "svc/web:80"),
    ("path", "deploy/web", "self"),
    ("dns", "pod/client", "example.lab"),
    ("api", "pod/client"),
)
"""A question of each kind, all healthy in a new cluster."""


def main() -> int:
    """Exit 0 where every budget is kept."""
    if not os.environ.get(INSIDE):
        name = os.environ.get("NAME") or "netlab"
        command = [str(NETLAB), "--name", name, "run", "--", sys.executable, "-m", "tests.perf"]
        return subprocess.run(command, cwd=ROOT, env={**os.environ, INSIDE: "1"}, check=False).returncode
    rows = [compare(each) for each in COMPARISONS]
    rows += [live(words) for words in LIVE]
    rows += app()
    for row in rows:
        kept = "kept" if row["kept"] else "NOT KEPT"
        print(
            f"{row['what']:36} {row['measured']:>9}  {row['against']:28} {row['ratio']:>7}  {row['budget']:24} {kept}"
        )
    board.store_performance(rows)
    return 0 if all(row["kept"] for row in rows) else 1


def compare(each: Comparison) -> dict[str, Any]:
    """Both sides in turn; medians."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(sum(timed(command) for command in each.theirs))
        ours.append(timed(each.ours, each.codes))
    mine, other = statistics.median(ours), statistics.median(theirs)
    return {
        "what": each.what,
        "measured": f"{mine * 1000:.0f} ms",
        "against": f"{each.against}: {other * 1000:.0f} ms",
        "ratio": f"{mine / other:.2f}",
        "budget": f"≤ {each.factor} ×" + (f" + {each.plus * 1000:.0f} ms" if each.plus else ""),
        "kept": mine <= each.factor * other + each.plus,
    }


def live(words: tuple[str, ...]) -> dict[str, Any]:
    """A live verdict with the probe container in place already, where nothing has to time out."""
    command = (*PROGRAM, *words, "--probe", "always")
    timed(command)
    median = statistics.median(timed(command) for _ in range(ROUNDS))
    return {
        "what": f"{' '.join(words)}, live, warm",
        "measured": f"{median * 1000:.0f} ms",
        "against": "–",
        "ratio": "–",
        "budget": "≤ 3 s",
        "kept": median <= 3,
    }


def app() -> list[dict[str, Any]]:
    """The app's first screen once `import textual` is paid, and its keys while fifty probes run."""
    runs = [json.loads(subprocess.run(SCREENS, cwd=ROOT, capture_output=True, check=True).stdout) for _ in range(3)]
    found = {what: statistics.median(run[what] for run in runs) for what in runs[0]}
    budgets = (("first paint", "empty app", 300.0), ("key, busy", "key, idle", 50.0))
    return [
        {
            "what": f"app: {what}",
            "measured": f"{found[what]:.0f} ms",
            "against": f"{other}: {found[other]:.0f} ms",
            "ratio": f"{found[what] / found[other]:.2f}",
            "budget": f"≤ {most:.0f} ms",
            "kept": found[what] <= most,
        }
        for what, other, most in budgets
    ]


def timed(command: Sequence[str], codes: tuple[int, ...] = (0,)) -> float:
    """Wall-clock seconds of one run. A wrong exit code ends everything: a failing program is fast."""
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    seconds = time.monotonic() - began
    if done.returncode not in codes:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
