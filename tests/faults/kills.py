"""`make kills`: runs of every kind, ended at random instants, on the cluster that is up.

Every Pod that a run made on a node has to be gone after a signal that can be caught, and dead after its deadline
whatever happened; `cleanup` removes the rest. A container that was added to a Pod ends by itself. A run that catches
its signal says so by its exit code, never by a traceback. Writes its counts to docs/kills.json.

Environment: NAME (the cluster, default netlab), RUNS (default 100), SEED.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from kubectl_netdebug.model.objects.pod import ADDED
from kubectl_netdebug.vantage.probe import LIFETIME
from tests.faults import counts
from tests.faults.laboratory import ROOT, Lab
from tests.lab.laboratory import person
from tests.lab.laboratory.paths import Home

SELECTOR = "app.kubernetes.io/managed-by=kubectl-netdebug,app.kubernetes.io/component=node-probe"
QUESTIONS = (
    "node {node} --allow node",
    "service web --from node/{node} --allow node",
    "path node/{node} pod/client:80 --allow node",
    "service web --probe always",
    "service web --probe never",
    "path pod/client svc/web:80 --probe always",
    "path deploy/web self --probe always",
    "path deploy/web https://example.lab --probe always",
    "path outside svc/web --probe always",
    "dns pod/client --probe always",
    "api pod/client --probe always",
)
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LATEST = 6.0
"""Seconds into a run; most end before that by themselves."""
DEADLINE = 300


def main() -> int:
    """Exit 0 when nothing outlived what it may."""
    lab = Lab(os.environ.get("NAME") or "netlab")
    runs = int(os.environ.get("RUNS") or 100)
    seed = int(os.environ.get("SEED") or random.SystemRandom().randint(1, 10**6))
    dice = random.Random(seed)
    print(f"seed {seed}, {runs} runs", flush=True)
    nodes = lab.nodes()
    with tempfile.TemporaryDirectory() as state:
        counted = Counter(_one(lab, state, dice, nodes) for _ in range(runs))
        left = _pods(lab)
        immortal = [name for name, pod in left.items() if pod["spec"].get("activeDeadlineSeconds", 10**6) > DEADLINE]
        by_signal = {name for name in left if name in _caught}
        waited = _await_deadline(lab)
        alive = [name for name, pod in _pods(lab).items() if pod["status"].get("phase") in ("Running", "Pending")]
        code = _clean_up(lab, state)
        after = _pods(lab)
        added = _containers(lab)
        endless = _await_containers(lab) if added else 0
    found = {
        "runs": runs,
        "seed": seed,
        "ended": dict(sorted(counted.items())),
        "flows": dict(sorted(_asked.items())),
        "tracebacks": len(_tracebacks),
        "exit codes that are not documented": len(_odd_codes),
        "left by kills": len(left),
        "left after a signal that can be caught": len(by_signal),
        "alive after the deadline": len(alive),
        "seconds to the deadline": round(waited),
        "left after cleanup": len(after),
        "probe containers running at the end": added,
        "probe containers running beyond their lifetime": endless,
    }
    print(json.dumps(found, indent=1))
    print(*_odd_codes, *_tracebacks, sep="\n")
    counts.store("kills", found)
    return 1 if immortal or by_signal or alive or after or code or endless or _tracebacks or _odd_codes else 0


_asked: Counter[str] = Counter()
"""Runs by the command that was asked."""
_tracebacks: list[str] = []
_odd_codes: list[str] = []
_CODES = (0, 1, 3, 4, 130)


_caught: set[str] = set()
"""Pods that stood there although their run was told to end by a signal that it can catch."""


def _clean_up(lab: Lab, state: str) -> int:
    command, more = _command(lab, state, "cleanup")
    return subprocess.run(command, capture_output=True, check=False, cwd=ROOT, **more).returncode


def _one(lab: Lab, state: str, dice: random.Random, nodes: list[str]) -> str:
    """One run with one end; says which."""
    before = set(_pods(lab))
    words = dice.choice(QUESTIONS).format(node=dice.choice(nodes))
    number = dice.choice(SIGNALS)
    _asked[words.split()[0]] += 1
    command, more = _command(lab, state, words)
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True, cwd=ROOT, **more
    )
    try:
        _, errors = process.communicate(timeout=dice.uniform(0.05, LATEST))
        _judge(words, "by itself", process.returncode, errors)
        return "by itself"
    except subprocess.TimeoutExpired:
        process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    _judge(words, number.name, process.returncode, errors)
    if number is not signal.SIGKILL:
        time.sleep(1.5)  # the Pod's own grace period
        _caught.update(set(_pods(lab)) - before)
    return number.name


def _judge(words: str, how: str, code: int, errors: bytes) -> None:
    """A signal that came before the program could catch it, or that nobody can catch, ends the process by itself."""
    if b"Traceback" in errors:
        _tracebacks.append(f"{words}, {how}: {errors.decode(errors='replace')[-600:]}")
    if code >= 0 and code not in _CODES:
        _odd_codes.append(f"{words}, {how}: exit {code}: {errors.decode(errors='replace')[-200:]}")


def _containers(lab: Lab) -> int:
    """Probe containers in Pods that still run."""
    found = json.loads(lab.sh("kubectl get pods -A -o json"))
    states = [s for pod in found["items"] for s in pod["status"].get("ephemeralContainerStatuses", [])]
    return sum(s["name"].startswith(ADDED) and "running" in s["state"] for s in states)


def _await_containers(lab: Lab) -> int:
    """How many still run when the lifetime of the youngest is over."""
    end = time.monotonic() + LIFETIME + 60
    while (left := _containers(lab)) and time.monotonic() < end:
        time.sleep(10)
    return left


def _command(lab: Lab, state: str, words: str) -> tuple[list[str], dict[str, Any]]:
    """The program itself, not a shell around it, so that the signal meets it."""
    program = Path(sys.executable)
    line = ["kubectl_netdebug", *words.split()]
    command, variables = person.command(Home.find(), lab.name, [str(program), "-m", *line])
    return command, {"env": {**variables, "XDG_STATE_HOME": state, "PYTHONDONTWRITEBYTECODE": "1"}}


def _pods(lab: Lab) -> dict[str, Any]:
    found = json.loads(lab.sh(f"kubectl get pods -A -l {SELECTOR} -o json"))
    return {pod["metadata"]["name"]: pod for pod in found["items"] if not pod["metadata"].get("deletionTimestamp")}


def _await_deadline(lab: Lab) -> float:
    """Until none of them runs any more, at most some seconds beyond the deadline."""
    began = time.monotonic()
    while time.monotonic() - began < DEADLINE + 40:
        if not any(pod["status"].get("phase") in ("Running", "Pending") for pod in _pods(lab).values()):
            break
        time.sleep(5)
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
