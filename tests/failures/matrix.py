"""`make failures`: each recording, disturbed at each of its calls in each way. Writes docs/failures.json.

Environment: RECORDINGS (names, commas between them; default: some of every flow), JOBS (processes, default 4),
SAMPLE (so many of the disturbed runs, chosen by SEED; default all of them).
"""

from __future__ import annotations

import os
import random
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kubectl_netdebug.engine.recording import Recording
from tests.failures import harms, judge
from tests.failures.harms import HARMS, VANISHES, Harm, When
from tests.failures.program import Ran, ask
from tests.failures.recorded import RecordedApi
from tests.faults import counts
from tests.faults.counts import rows

CASES = Path(__file__).resolve().parent.parent / "cases"
CHOSEN = (
    *("service-selector-mismatch", "targetport-wrong", "service-missing-mistyped", "pod-config-error"),
    *("slice-port-name-headless-twin", "np-ingress-default-deny", "etp-local", "pods-twin", "pods-crash"),
    *("np-pod-label", "overlay-port-blocked", "outside-https-twin", "outside-proxy-dead", "node-masquerade-missing"),
    *("lb-source-ranges", "ingress-selector-mismatch", "gateway-twin", "nodeport-firewalled"),
    *("self-hairpin-off", "self-twin", "dns-rbac", "dns-healthy-twin", "dns-pods-down-without-probes"),
    *("api-rbac-403", "webhook-blocked", "api-twin", "node-notready", "cni-config-missing", "flannel-netconf-twin"),
)
"""Of every flow at least a fault that the API tells, one that a probe tells, and a healthy twin."""

CALM = ("--timeout", "10")


@dataclass(frozen=True)
class Disturbance:
    """One run of the matrix, by names, so that it can go to another process. `harm` is a name."""

    recording: str
    at: int
    harm: str
    when: When

    def __str__(self) -> str:
        return f"{self.recording}, call {self.at}, {self.harm}, {self.when}"


@dataclass(frozen=True)
class Verdict:
    """How it came out."""

    disturbance: Disturbance
    call: str
    state: str
    problems: tuple[str, ...]


def main() -> int:
    """Exit 0 when every run held to what it must."""
    began = time.monotonic()
    names = (os.environ.get("RECORDINGS") or "").split(",") if os.environ.get("RECORDINGS") else CHOSEN
    with ProcessPoolExecutor(int(os.environ.get("JOBS") or 4)) as pool:
        wanted = [each for found in pool.map(disturbances, names) for each in found]
        sample, seed = int(os.environ.get("SAMPLE") or 0), int(os.environ.get("SEED") or 1)
        whole = len(wanted)
        if sample:
            wanted = random.Random(seed).sample(wanted, min(sample, whole))
        print(f"{len(names)} recordings, {len(wanted)} of {whole} disturbed runs", flush=True)
        verdicts = []
        for verdict in pool.map(try_it, wanted, chunksize=4):
            verdicts.append(verdict)
            for problem in verdict.problems:
                print(f"FAIL {verdict.disturbance} ({verdict.call}): {problem}", flush=True)
            if len(verdicts) % 200 == 0:
                print(f"{len(verdicts)} runs, {time.monotonic() - began:.0f} s", flush=True)
    wrong = sum(bool(verdict.problems) for verdict in verdicts)
    table = rows((v.disturbance.harm, v.state, bool(v.problems)) for v in verdicts)
    if names is CHOSEN:
        failed = [f"{v.disturbance}: {problem}" for v in verdicts for problem in v.problems]
        seconds = round(time.monotonic() - began)
        about = {"recordings": len(names), "runs": len(verdicts), "of": whole, "seed": seed if sample else None}
        counts.store("failures", {**about, "seconds": seconds, "rows": table, "wrong": failed})
    print(*table, sep="\n")
    print(f"{len(verdicts) - wrong} held, {wrong} did not")
    return 1 if wrong else 0


def disturbances(name: str) -> list[Disturbance]:
    """Every way to disturb a recording's run, at every call that it makes."""
    calls = len(calm(name)[1])
    plain = [(harm.name, when) for harm in HARMS for when in harm.when] + [(VANISHES, When.ONWARD)]
    return [Disturbance(name, at, harm, when) for at in range(calls) for harm, when in plain]


@cache
def calm(name: str) -> tuple[Ran, tuple[Any, ...]]:
    """The undisturbed run through the transport, and its calls; raises where it is not what the recording says."""
    recording = read(name)
    with RecordedApi(recording.facts) as api:
        ran = ask(api, recording, *CALM)
        calls = tuple(dict.fromkeys(api.calls))
    expected = recording.case["expect"]
    first = ran.causes[0][0] if ran.causes else None
    if (ran.state, first) != (expected["state"], expected["code"]):
        raise AssertionError(f"{name}, undisturbed: {ran.state} {ran.causes} {ran.errors}")
    return ran, calls


def try_it(disturbance: Disturbance) -> Verdict:
    """One disturbed run."""
    recording = read(disturbance.recording)
    undisturbed, calls = calm(disturbance.recording)
    call = calls[disturbance.at]
    harm = harm_called(disturbance.harm)
    with RecordedApi(recording.facts) as api:
        harms.disturb(api, harm, call, disturbance.when)
        ran = ask(api, recording, *(harm.flags if harm else CALM))
        answered, gone = api.served > 0, tuple(api.gone)
    found = judge.problems(
        undisturbed,
        ran,
        harm.limit if harm else 10.0,
        answered=answered,
        gone=gone,
        healed=bool(harm and harm.asked_again) and disturbance.when is When.ONCE and call.method == "GET",
    )
    return Verdict(disturbance, f"{call.method} {call.path}", _outcome(undisturbed, ran), tuple(found))


def harm_called(name: str) -> Harm | None:
    """None where objects vanish."""
    return next((harm for harm in HARMS if harm.name == name), None)


@cache
def read(name: str) -> Recording:
    """A recording by its name."""
    return Recording.from_bytes((CASES / f"{name}.json.gz").read_bytes())


def _outcome(undisturbed: Ran, ran: Ran) -> str:
    if not ran.result:
        return f"no verdict, exit {ran.code}"
    if (ran.state, ran.causes) == (undisturbed.state, undisturbed.causes):
        return "same verdict"
    if ran.state == "inconclusive":
        return ran.state
    less = ran.state == undisturbed.state and set(ran.causes) <= set(undisturbed.causes)
    return "same state, less known" if less else "another verdict"


if __name__ == "__main__":
    sys.exit(main())
