"""`make bench`: runs the cases on the cluster that is up, or on each kind of cluster with MATRIX=1.

Environment: CASES (globs over ids, separated by spaces), CASES_FROM (folder of cases outside the repository; nothing is
written then), SEED, NAME (the cluster, default netlab), MATRIX=1, JOBS (cases side by side, default 3), MISSING=1 (only
cases that have no right result yet on the kind of cluster). Every result is stored as soon as it is there.
"""

from __future__ import annotations

import fnmatch
import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.faults import board
from tests.faults.case import FOLDER, VARIANTS, Case, Variant, load
from tests.faults.execute import Outcome, execute
from tests.faults.laboratory import NETLAB, ROOT, Lab, StepFailed

RECORDINGS = ROOT / "tests" / "cases"


@dataclass(frozen=True)
class Plan:
    """What to run."""

    cases: list[Case]
    seed: int
    own: bool
    """The repository's own cases, all or some: results and recordings are kept."""
    jobs: int
    missing: bool = False
    """Only what has no right result yet."""


def main() -> int:
    """Exit 0 when every case came out right."""
    folder = Path(os.environ.get("CASES_FROM") or FOLDER)
    wanted = (os.environ.get("CASES") or "*").split()
    seed = int(os.environ.get("SEED") or random.SystemRandom().randint(1, 10**6))
    cases = [case for case in load(folder) if any(fnmatch.fnmatch(case.id, glob) for glob in wanted)]
    if not cases:
        print(f"no case in {folder} matches {' '.join(wanted)!r}", file=sys.stderr)
        return 2
    plan = Plan(cases, seed, folder == FOLDER, int(os.environ.get("JOBS") or 3), bool(os.environ.get("MISSING")))
    print(f"seed {seed}, {len(cases)} cases", flush=True)
    try:
        outcomes = _matrix(plan) if os.environ.get("MATRIX") else run_on(Lab(os.environ.get("NAME") or "netlab"), plan)
    except StepFailed as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 2
    wrong = [outcome for outcome in outcomes if not outcome.ok]
    print(f"{len(outcomes) - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


def _matrix(plan: Plan) -> list[Outcome]:
    outcomes = []
    for variant in VARIANTS:
        lab = Lab(f"bench-{variant}")
        command = [str(NETLAB), "--name", lab.name, "up", "--cni", variant.cni, "--proxy", variant.proxy]
        command += ["--dual-stack"] if variant.stack == "dual" else []
        subprocess.run(command, check=True, cwd=ROOT)
        try:
            outcomes += run_on(lab, plan)
        finally:
            subprocess.run([str(NETLAB), "--name", lab.name, "down"], check=False, cwd=ROOT)
    return outcomes


def run_on(lab: Lab, plan: Plan) -> list[Outcome]:
    """Runs the plan on one cluster and stores the results."""
    variant = lab.variant()
    began = time.monotonic()
    fitting = [case for case in plan.cases if case.runs_on(variant)]
    if plan.missing:
        right = board.right_on(variant)
        fitting = [case for case in fitting if case.id not in right]
    print(f"{variant}: {len(fitting)} of {len(plan.cases)} cases", flush=True)
    outcomes = _run_all(lab, variant, fitting, plan)
    seconds = round(time.monotonic() - began)
    print(f"{variant}: {seconds} s", flush=True)
    if plan.own:
        board.store_run(variant, lab.version(), len(outcomes), seconds)
    return outcomes


def _run_all(lab: Lab, variant: Variant, cases: list[Case], plan: Plan) -> list[Outcome]:
    """Cases that keep to their namespace side by side, then the others one by one."""
    printing = threading.Lock()

    def run(case: Case) -> Outcome:
        outcome = execute(lab, case, variant, plan.seed, _recordings_for(case, variant, plan))
        with printing:
            print(line(outcome), flush=True)
            if plan.own:
                board.store(variant, outcome, plan.seed)
        return outcome

    alone = [case for case in cases if case.touches != "namespace"]
    with ThreadPoolExecutor(plan.jobs) as pool:
        together = list(pool.map(run, [case for case in cases if case.touches == "namespace"]))
    return [*together, *(run(case) for case in alone)]


def _recordings_for(case: Case, variant: Variant, plan: Plan) -> Path | None:
    """A recording is kept from the first kind of cluster that can carry the case, so there is one of each."""
    first = next((v for v in VARIANTS if case.runs_on(v)), None)
    return RECORDINGS if plan.own and first == variant else None


def line(outcome: Outcome) -> str:
    """One case in one line."""
    mark = "ok  " if outcome.ok else "FAIL"
    healed = {True: "healed", False: "NOT HEALED", None: "-"}[outcome.healed]
    cost = f"{outcome.seconds:4.1f} s {outcome.api_calls:3d} reads {outcome.probes:3d} probes"
    problem = f"  ← {outcome.problem}" if outcome.problem else ""
    return f"{mark} {outcome.kind:10} {outcome.id:44} {cost}  {healed:10} {outcome.got}{problem}"


if __name__ == "__main__":
    sys.exit(main())
