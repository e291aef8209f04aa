"""`make lab-test`: a short set on a real cluster of its own, which is taken down afterwards.

Environment: KEEP=1 leaves the cluster (named lab-test) up, JOBS as in bench.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.bench import Plan, run_on
from tests.faults.case import load
from tests.faults.laboratory import NETLAB, ROOT, Lab, StepFailed
from tests.faults.ladder import every_kind_of_pod_is_asked, fewer_rights_a_lower_rung

NAME = "lab-test"


def main() -> int:
    """Exit 0 when every check passed; the last line counts them."""
    began = time.monotonic()
    build = ["build", "--install"] if os.geteuid() == 0 else ["build"]
    for words in (build, ["down"], ["up"]):
        done = subprocess.run([str(NETLAB), "--name", NAME, *words], cwd=ROOT, check=False)
        if done.returncode and words != ["down"]:
            return done.returncode
    try:
        passed, failed = _all(Lab(NAME))
    finally:
        if not os.environ.get("KEEP"):
            subprocess.run([str(NETLAB), "--name", NAME, "down"], cwd=ROOT, check=False)
    print(f"laboratory: {time.monotonic() - began:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def _all(lab: Lab) -> tuple[int, int]:
    outcomes = [_checked(check, lab) for check in CHECKS]
    cases = [case for case in load() if case.smoke]
    plan = Plan(cases, random.SystemRandom().randint(1, 10**6), own=False, jobs=int(os.environ.get("JOBS") or 3))
    print(f"seed {plan.seed}", flush=True)
    outcomes += [outcome.ok for outcome in run_on(lab, plan)]
    return outcomes.count(True), outcomes.count(False)


def _checked(check: Callable[[Lab], None], lab: Lab) -> bool:
    try:
        check(lab)
    except (AssertionError, StepFailed) as problem:
        print(f"FAIL {check.__name__}: {problem}", flush=True)
        return False
    print(f"ok   {check.__name__}", flush=True)
    return True


def _expect(lab: Lab, words: str, code: int, *said: str, env: str = "") -> None:
    got, output, errors = lab.netdebug(words, env=env)
    assert got == code, f"{words}: exit {got}, not {code}: {output}{errors}"
    for text in said:
        assert text in output + errors, f"{words}: {text!r} is not in: {output}{errors}"
    assert "Traceback" not in errors, errors


def found_by_kubectl_and_healthy(lab: Lab) -> None:
    """The plugin answers about the Service that every cluster has, with and without probing."""
    _expect(lab, "service web", 0, "web")
    _expect(lab, "service web --probe always", 0, "answers from pod/")


def a_typo_gives_the_closest_names(lab: Lab) -> None:
    """A Service that is not there."""
    _expect(lab, "service wbe", 1, "service-missing", "web")


def no_kubeconfig_is_one_sentence(lab: Lab) -> None:
    """Neither file nor service account."""
    _expect(lab, "service web", 3, "kubeconfig", env="KUBECONFIG= HOME=/nonexistent")


def a_dead_server_is_one_sentence(lab: Lab) -> None:
    """Nothing listens there."""
    _expect(lab, "service web --server https://127.0.0.1:9", 3, "127.0.0.1:9")


def an_expired_token_is_one_sentence(lab: Lab) -> None:
    """The API server says 401."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config"
        lab.sh(
            f"kubectl config view --raw --minify > {config} && "
            f"kubectl --kubeconfig {config} config set-credentials late --token=expired && "
            f"kubectl --kubeconfig {config} config set-context --current --user=late"
        )
        _expect(lab, f"service web --kubeconfig {config}", 3)


def nothing_is_left_behind(lab: Lab) -> None:
    """Probing adds a container that ends by itself, and no object."""
    labelled = lab.sh("kubectl get all,configmaps,secrets -A -l app.kubernetes.io/managed-by=kubectl-netdebug -o name")
    assert not labelled.strip(), labelled


CHECKS = (
    every_kind_of_pod_is_asked,
    fewer_rights_a_lower_rung,
    found_by_kubectl_and_healthy,
    a_typo_gives_the_closest_names,
    no_kubeconfig_is_one_sentence,
    a_dead_server_is_one_sentence,
    an_expired_token_is_one_sentence,
    nothing_is_left_behind,
)


if __name__ == "__main__":
    sys.exit(main())
