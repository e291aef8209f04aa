"""Commands on a cluster of the laboratory."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.case import Variant
from tests.lab.laboratory import person
from tests.lab.laboratory.errors import LabError
from tests.lab.laboratory.paths import Home
from tests.lab.laboratory.spec import CNIS, PROXIES

ROOT = Path(__file__).resolve().parent.parent.parent
NETLAB = ROOT / "tests" / "lab" / "netlab"


class StepFailed(Exception):
    """A command of the set-up failed or a condition did not come true."""


@dataclass(frozen=True)
class Lab:
    """One cluster, by its name."""

    name: str

    def sh(self, command: str, *, check: bool = True, seconds: float = 240, stdin: str | None = None) -> str:
        """A shell line as the person: their namespace, their kubeconfig, kubectl on the PATH. Gives standard output."""
        return _output(self._as_person(command, seconds, stdin), command, check)

    def on_node(self, node: str, command: str, *, check: bool = True) -> str:
        """A shell line on a node."""
        return self._run(["node", node, "--", "sh", "-c", command], check=check)

    def in_world(self, command: str) -> str:
        """A shell line outside the cluster."""
        return self._run(["world", "--", "sh", "-c", command])

    def on_fabric(self, command: str) -> str:
        """A shell line on the wire between the machines."""
        return self._run(["fabric", "--", "sh", "-c", command])

    def component(self, component: str, action: str) -> str:
        """`stop`, `cont`, `kill` or `restart` of a part of the cluster, such as `kcm` or `proxy-node-1`."""
        return self._run(["component", component, action])

    def ingress(self) -> None:
        """Brings the image of an ingress controller to the nodes; the first time it is built, which takes long."""
        self._run(["ingress"], seconds=3600)

    def apply(self, objects: list[dict[str, Any]], namespace: str) -> None:
        """Applies manifests."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self.sh(f"kubectl -n {shlex.quote(namespace)} apply -f -", stdin=text)

    def wait_for(self, command: str, pattern: str, within: float) -> None:
        """Runs a shell line until its output matches. Raises StepFailed with the last output."""
        end = time.monotonic() + within
        pause = 0.2
        while True:
            output = self.sh(command, check=False)
            if re.search(pattern, output, re.S):
                return
            if time.monotonic() > end:
                raise StepFailed(f"not within {within:.0f} s: {command} ~ {pattern}; last: {output.strip()[-300:]}")
            time.sleep(pause)
            pause = min(pause * 1.5, 1.5)

    def netdebug(self, words: str, *, env: str = "", seconds: float = 120) -> tuple[int, str, str]:
        """Runs the plugin through kubectl as the person would. Gives exit code, standard output and standard error.

        `env` is put before the command: `KUBECONFIG= HOME=/nonexistent`.
        """
        done = self._as_person(f"exec env {env} kubectl netdebug {words}", seconds, None)
        return done.returncode, done.stdout, done.stderr

    def nodes(self) -> list[str]:
        """The names of the nodes."""
        return self.sh("kubectl get nodes -o name").replace("node/", "").split()

    def variant(self) -> Variant:
        """What kind of cluster is up, as the laboratory reports it."""
        status = self._run(["status"], check=False)
        cni = re.search(rf"cni\W+({'|'.join(CNIS)})", status)
        proxy = re.search(rf"proxy\W+({'|'.join(PROXIES)})", status)
        if not cni or not proxy:
            raise StepFailed(f"no cluster named {self.name} is up: tests/lab/netlab up --name {self.name}")
        return Variant(cni[1], proxy[1], "dual" if "dual stack" in status else "single")

    def version(self) -> str:
        """The version of the API server."""
        return str(json.loads(self.sh("kubectl get --raw /version"))["gitVersion"])

    def _run(self, words: list[str], *, check: bool = True, seconds: float = 240) -> str:
        """One of the laboratory's own commands."""
        command = [sys.executable, str(NETLAB), "--name", self.name, *words]
        return _output(_process(command, seconds, None, dict(os.environ)), shlex.join(words), check)

    def _as_person(self, line: str, seconds: float, stdin: str | None) -> subprocess.CompletedProcess[str]:
        """What `netlab run -- sh -c LINE` does, without starting netlab each time: cases run hundreds of lines."""
        try:
            command, variables = person.command(Home.find(), self.name, ["sh", "-c", line])
        except LabError as problem:
            raise StepFailed(str(problem)) from problem
        return _process(command, seconds, stdin, variables)


def _process(
    command: list[str], seconds: float, stdin: str | None, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            input=stdin if stdin is not None else "",
            timeout=seconds,
            cwd=ROOT,
            env={**variables, "PYTHONDONTWRITEBYTECODE": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired as problem:
        raise StepFailed(f"{shlex.join(command)}: no end after {seconds:.0f} s") from problem


def _output(done: subprocess.CompletedProcess[str], what: str, check: bool) -> str:
    if check and done.returncode:
        raise StepFailed(f"{what}: exit {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout
