"""Runs one case on a cluster: set up, break, ask, compare, paste the fix, ask again, clean up."""

from __future__ import annotations

import gzip
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from kubectl_netdebug.engine.recording import Recording
from tests.faults import controller
from tests.faults.app import manifests
from tests.faults.case import Case, Expect, Variant, draw, fill
from tests.faults.laboratory import Lab, StepFailed
from tests.lab.laboratory.ingress import gateway_definitions
from tests.lab.laboratory.paths import Home

LEAVING_SECONDS = 10.0
"""How long a Pod that was deleted may take to be gone."""

HEAL_SECONDS = 90.0
"""How long a pasted fix may take to show: a rollout, a probe period, a sync of kube-proxy."""


@dataclass(frozen=True)
class Outcome:
    """How a case came out. `healed` is None where no fix was pasted."""

    id: str
    row: str
    kind: str
    title: str
    variant: str
    ok: bool
    problem: str
    got: str
    state_right: bool = False
    cause_right: bool = False
    object_right: bool = False
    extra: tuple[str, ...] = ()
    seconds: float = 0.0
    api_calls: int = 0
    probes: int = 0
    left: tuple[str, ...] = ()
    healed: bool | None = None
    fix_note: str = ""
    took: float = 0.0


def execute(lab: Lab, case: Case, variant: Variant, seed: int, recordings: Path | None) -> Outcome:
    """Runs a case to its end; whatever fails becomes part of the outcome."""
    began = time.monotonic()
    names = draw(case, seed, lab.nodes())
    blank = Outcome(case.id, case.row, case.kind, case.title, str(variant), False, "", "")
    try:
        _prepare(lab, case, names)
        outcome = _ask_and_compare(lab, case, names, blank, recordings)
    except (StepFailed, KeyError, ValueError) as problem:
        outcome = replace(blank, problem=f"could not be run: {problem}")
    finally:
        _clean_up(lab, case, names)
    return replace(outcome, took=round(time.monotonic() - began, 1))


def _prepare(lab: Lab, case: Case, names: dict[str, str]) -> None:
    lab.sh(f"kubectl create namespace {names['ns']}")
    account = f"kubectl -n {names['ns']} get serviceaccount default -o name"
    lab.wait_for(account, "serviceaccount", 30)
    for step in (*case.setup, *case.inject):
        run_step(lab, step, names)


def run_step(lab: Lab, step: Mapping[str, Any], names: dict[str, str]) -> None:
    """One step of a case; `learn` adds to the names. Raises StepFailed, or ValueError for a step that nobody knows."""
    step = fill(dict(step), names)
    if "learn" in step:
        names[step["learn"]] = _learned(lab, step)
    elif "app" in step:
        _start_app(lab, step["app"] or {}, names)
    elif "controller" in step:
        _start_controller(lab, step["controller"] or {}, names)
    elif "balance" in step:
        lab.sh(controller.balance(step["balance"], names))
    elif "apply" in step:
        objects = [o for o in yaml.safe_load_all(step["apply"]) if o]
        lab.apply(objects, step.get("in", names["ns"]))
    elif "older" in step:
        _wait_for_age(lab, float(step["older"]), names)
    elif "component" in step:
        lab.component(step["component"], step["do"])
    elif "world" in step:
        lab.in_world(step["world"])
    elif "fabric" in step:
        lab.on_fabric(step["fabric"])
    elif "node" in step:
        lab.on_node(step["node"], step["sh"])
    elif "until" in step:
        lab.wait_for(step["sh"], step["until"], float(step.get("within", 120)))
    elif "sh" in step:
        lab.sh(step["sh"])
    else:
        raise ValueError(f"unknown step: {sorted(step)}")


def _learned(lab: Lab, step: Mapping[str, Any]) -> str:
    """What a command printed, without its last line break. Raises StepFailed where that is nothing."""
    output = lab.on_node(step["node"], step["sh"]) if "node" in step else lab.sh(step["sh"])
    if not output.strip():
        raise StepFailed(f"nothing to learn from: {step['sh']}")
    return output.strip()


def _start_controller(lab: Lab, options: Mapping[str, Any], names: Mapping[str, str]) -> None:
    lab.ingress()
    if options.get("gateway"):
        lab.sh(f"kubectl apply --server-side -f {gateway_definitions()} >/dev/null")
    lab.apply(controller.manifests(options, names), names["ns"])
    lab.sh(controller.balance("traefik", names))
    lab.sh(f"kubectl -n {names['ns']} rollout status deploy/traefik --timeout=120s")


def _wait_for_age(lab: Lab, seconds: float, names: Mapping[str, str]) -> None:
    """Until every Pod of the workload is older: younger ones are merely starting."""
    youngest = "-o jsonpath='{range .items[*]}{.metadata.creationTimestamp}{\"\\n\"}{end}' | sort | tail -n 1"
    age = f"created=$(kubectl -n {names['ns']} get pods -l app={names['label']} {youngest}); "
    age += f'test $(( $(date +%s) - $(date -d "$created" +%s) )) -gt {seconds:.0f} && echo older'
    lab.wait_for(age, "older", seconds + 60)


def _start_app(lab: Lab, overrides: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Applies the workload; unless `ready: false`, waits until the Service answers the client through its address."""
    ns = names["ns"]
    lab.apply(manifests(overrides, names), ns)
    if overrides.get("client", True) is not False:
        lab.sh(f"kubectl -n {ns} wait --for=condition=Ready pod/{names['client']} --timeout=120s")
    if overrides.get("ready", True) is False:
        return
    if overrides.get("deployment", True) is not False:
        lab.sh(f"kubectl -n {ns} rollout status deploy/{names['app']} --timeout=180s")
    plain = overrides.get("service", True) is not False and overrides.get("client", True) is not False
    if plain and overrides.get("answers", True):
        address = lab.sh(f"kubectl -n {ns} get svc {names['svc']} -o jsonpath={{.spec.clusterIP}}")
        if address and address != "None":
            connect = f"nc -w 1 {address} {names['port']} -e /bin/true </dev/null && echo answers"
            lab.wait_for(f"kubectl -n {ns} exec {names['client']} -- sh -c '{connect}'", "answers", 60)


def _ask_and_compare(
    lab: Lab, case: Case, names: Mapping[str, str], blank: Outcome, recordings: Path | None
) -> Outcome:
    before = _pods(lab, names)
    expect = _filled(case.expect, names)
    with tempfile.TemporaryDirectory(prefix="netdebug-case-") as folder:
        file = Path(folder) / "recording"
        result, problem = _ask(lab, case, names, f"--record {file}")
        if result is None:
            return replace(blank, problem=problem)
        outcome = compare(blank, expect, result)
        left = _left(lab, names, before)
        outcome = replace(outcome, left=left, ok=outcome.ok and not left)
        if outcome.ok and recordings is not None:
            _keep(file, case, expect, recordings)
    if case.kind == "fault" and outcome.ok:
        outcome = _heal(lab, case, names, result, outcome)
    return outcome


def _left(lab: Lab, names: Mapping[str, str], before: set[str]) -> tuple[str, ...]:
    """What the run left behind. Pods on nodes are deleted with a grace of a second, which is given to them."""
    end = time.monotonic() + LEAVING_SECONDS
    while (left := _pods(lab, names) - before) and time.monotonic() < end:
        time.sleep(0.5)
    return tuple(sorted(left))


def _ask(lab: Lab, case: Case, names: Mapping[str, str], more: str) -> tuple[dict[str, Any] | None, str]:
    question = fill(case.question, names)
    allow = f"--allow {case.allow}" if case.allow else ""
    code, output, errors = lab.netdebug(f"{question} --probe {case.probe} {allow} -o json {more}")
    try:
        result = json.loads(output)
    except ValueError:
        return None, f"no result, exit {code}: {errors.strip()[-300:]}"
    wanted = {"healthy": 0, "faulty": 1, "partial": 1, "inconclusive": 4}[result["verdict"]["state"]]
    if code != wanted:
        return None, f"exit code {code} with verdict {result['verdict']['state']}"
    return result, ""


def compare(blank: Outcome, expect: Expect, result: Mapping[str, Any]) -> Outcome:
    """Compares a result (as JSON) with what is expected."""
    verdict, causes, run = result["verdict"], result["causes"], result["run"]
    first = causes[0] if causes else None
    place = f"{first['object']['kind']}/{first['object']['name']}" if first else None
    state_right = verdict["state"] == expect.state
    cause_right = (first["code"] if first else None) == expect.code
    object_right = expect.object is None or place == expect.object
    extra = tuple(c["code"] for c in causes[1:] if c["code"] not in expect.also)
    if expect.code is None:
        extra = tuple(c["code"] for c in causes)
    got = f"{verdict['state']}: {first['code'] + ' at ' + str(place) if first else verdict['headline']}"
    problems = [
        said
        for right, said in (
            (state_right, f"state is not {expect.state}"),
            (cause_right, f"cause is not {expect.code}"),
            (object_right, f"object is not {expect.object}"),
            (not extra, f"extra accusations {', '.join(extra)}"),
        )
        if not right
    ]
    return replace(
        blank,
        ok=not problems,
        problem="; ".join(problems),
        got=got,
        state_right=state_right,
        cause_right=cause_right,
        object_right=object_right,
        extra=extra,
        seconds=run["seconds"],
        api_calls=run["apiCalls"],
        probes=run["probes"],
    )


def _heal(lab: Lab, case: Case, names: Mapping[str, str], result: Mapping[str, Any], outcome: Outcome) -> Outcome:
    """Pastes the first fix that can be pasted, and asks again until the answer is healthy."""
    if case.fix != "paste":
        return replace(outcome, fix_note=case.fix)
    fixes = [f for f in result["causes"][0]["fixes"] if not f["notPasteable"] and f["risk"] != "read-only"]
    if not fixes:
        return replace(outcome, ok=False, healed=False, problem="there is no fix to paste")
    try:
        lab.sh(fixes[0]["command"])
    except StepFailed as problem:
        return replace(outcome, ok=False, healed=False, problem=f"the fix failed: {problem}")
    end = time.monotonic() + HEAL_SECONDS
    while True:
        again, problem_text = _ask(lab, case, names, "")
        state = again["verdict"]["state"] if again else problem_text
        if state == "healthy":
            return replace(outcome, healed=True)
        if time.monotonic() > end:
            headline = again["verdict"]["headline"] if again else ""
            return replace(outcome, ok=False, healed=False, problem=f"not healed: {state}: {headline}")
        time.sleep(1.0)


def _keep(file: Path, case: Case, expect: Expect, recordings: Path) -> None:
    """Stores the recording with what it is and what it must lead to."""
    recording = Recording.from_bytes(_without_paths(file.read_bytes()))
    about: dict[str, Any] = {
        "id": case.id,
        "row": case.row,
        "kind": case.kind,
        "title": case.title,
        "expect": asdict(expect) | {"also": list(expect.also)},
    }
    recordings.mkdir(parents=True, exist_ok=True)
    (recordings / f"{case.id}.json.gz").write_bytes(replace(recording, case=about).to_bytes())


def _without_paths(data: bytes) -> bytes:
    """A recording without the laboratory's own folder, which stands in command lines of the cluster's programs."""
    content = gzip.decompress(data).replace(str(Home.find().root).encode(), b"/opt/netlab")
    return gzip.compress(content, mtime=0)


def _filled(expect: Expect, names: Mapping[str, str]) -> Expect:
    return Expect(expect.state, expect.code, fill(expect.object, names), expect.also)


def _pods(lab: Lab, names: Mapping[str, str]) -> set[str]:
    """Pods that carry this program's label anywhere, and all objects of the case's namespace that a run could add."""
    ours = lab.sh("kubectl get pods -A -l app.kubernetes.io/managed-by=kubectl-netdebug -o name").split()
    here = lab.sh(f"kubectl -n {names['ns']} get configmaps,secrets,networkpolicies,jobs -o name").split()
    return {*ours, *here}


def _clean_up(lab: Lab, case: Case, names: dict[str, str]) -> None:
    for step in case.repair:
        try:
            run_step(lab, step, names)
        except (StepFailed, KeyError, ValueError) as problem:
            print(f"{case.id}: the repair failed: {problem}", flush=True)
    if any("controller" in step or "balance" in step for step in (*case.setup, *case.inject)):
        lab.sh(controller.clean_up(names), check=False)
    namespaces = f"{names['ns']} {names['ns2']}"
    lab.sh(f"kubectl delete namespace {namespaces} --wait=false --ignore-not-found", check=False)
