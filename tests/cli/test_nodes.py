"""Looking at nodes: consent, what is made and removed, what a refusal says, what a kill leaves and cleanup takes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from kubectl_netdebug.vantage.node_script import MISSING
from tests.cli import world
from tests.cli.conftest import Program
from tests.kube.fakeapi import Asked, FakeApi, Wire, answer, status
from tests.kube.fakeexec import ExecStream

SYSTEM = "/api/v1/namespaces/kube-system/pods"
DEFAULT = "/api/v1/namespaces/default/pods"
NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "one"},
    "spec": {"podCIDR": "10.1.0.0/24"},
    "status": {
        "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}],
        "conditions": [{"type": "Ready", "status": "True"}],
        "images": [],
    },
}


class Kubelet:
    """Takes Pods in one namespace and remembers what is there; readings find nothing, as on a node without anything."""

    def __init__(self, api: FakeApi, collection: str = SYSTEM) -> None:
        self.api = api
        self.collection = collection
        self.there: dict[str, dict[str, Any]] = {}
        self.made = 0
        api.on(collection, self._collect)
        api.exec = self.run

    def _collect(self, asked: Asked, wire: Wire) -> bool | None:
        if asked.method == "GET":
            return answer({"kind": "PodList", "items": list(self.there.values())})(asked, wire)
        pod = asked.json
        if not asked.first("dryRun"):
            namespace = self.collection.split("/")[4]
            pod["metadata"]["namespace"] = namespace
            running = {
                "name": "netdebug-node",
                "ready": True,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
            }
            pod["status"] = {"phase": "Running", "podIP": "192.0.2.1", "containerStatuses": [running]}
            name = pod["metadata"]["name"]
            self.there[name] = pod
            self.made += 1
            self.api.on(f"{self.collection}/{name}", self._one)
        return answer(pod, 201)(asked, wire)

    def _one(self, asked: Asked, wire: Wire) -> bool | None:
        name = asked.path.rpartition("/")[2]
        if name not in self.there:
            return status(404, "gone")(asked, wire)
        pod = self.there[name]
        if asked.method == "DELETE":
            del self.there[name]
        return answer(pod)(asked, wire)

    @staticmethod
    def run(stream: ExecStream) -> None:
        script = stream.argv[-1]
        nonce = re.search(r"^nonce='?([0-9a-f]+)'?$", script, re.M)
        assert nonce
        for index in range(script.count("\nsection ")):
            stream.stdout(f"\n{nonce[1]} > {index}\n\n{nonce[1]} < {index} {MISSING}\n".encode())
        stream.exit(0)


@pytest.fixture
def api(api: FakeApi) -> FakeApi:
    api.add(world.namespace(), NODE)
    api.on("/api/v1/pods", answer({"kind": "PodList", "items": []}))
    return api


def ledger(program: Program) -> list[Path]:
    return sorted((program.home / ".local/state/kubectl-netdebug/ledger").glob("*.json"))


def test_a_pod_is_made_read_from_and_removed(program: Program, api: FakeApi) -> None:
    kubelet = Kubelet(api)
    ran = program.run("node", "one", "--allow", "node", "-o", "wide")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "nothing wrong was found" in ran.stdout
    assert ": removed" in ran.stdout
    assert kubelet.made == 1
    assert not kubelet.there
    assert not ledger(program)


def test_what_is_made_is_bounded(program: Program, api: FakeApi) -> None:
    Kubelet(api)
    program.run("node", "one", "--allow", "node")
    made = next(asked.json for asked in api.asked if asked.method == "POST" and asked.path == SYSTEM)

    assert made["spec"]["activeDeadlineSeconds"] <= 600
    assert made["spec"]["restartPolicy"] == "Never"
    assert made["spec"]["automountServiceAccountToken"] is False
    assert made["spec"]["nodeName"] == "one"
    assert not made["spec"].get("volumes")


@pytest.mark.parametrize("flags", [[], ["--probe", "always"], ["--read-only"], ["--probe", "never", "--allow", "node"]])
def test_without_consent_nothing_is_made(program: Program, api: FakeApi, flags: list[str]) -> None:
    kubelet = Kubelet(api)
    ran = program.run("node", "one", *flags)

    assert kubelet.made == 0
    assert not any(asked.method == "POST" for asked in api.asked)
    assert "--allow node" in ran.stdout


def test_pod_security_of_one_namespace_leaves_the_other(program: Program, api: FakeApi) -> None:
    api.on(SYSTEM, status(403, 'pods "x" is forbidden: violates PodSecurity "baseline:latest": host namespaces'))
    kubelet = Kubelet(api, DEFAULT)
    ran = program.run("node", "one", "--allow", "node")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert kubelet.made == 1
    assert not kubelet.there


def test_a_refusal_names_the_right(program: Program, api: FakeApi) -> None:
    for path in (SYSTEM, DEFAULT):
        api.on(path, status(403, 'pods is forbidden: User "dev" cannot create resource "pods"'))
    ran = program.run("node", "one", "--allow", "node")

    assert ran.returncode == 4, ran.stdout + ran.stderr
    assert "netdebug-node" in ran.stdout
    assert "access --role" in ran.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_removes_what_was_made(program: Program, api: FakeApi, number: signal.Signals) -> None:
    kubelet = Kubelet(api)
    process = _hanging(program, api, kubelet)
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)

    assert process.returncode == 130, errors
    assert "Interrupted" in errors
    assert not kubelet.there
    assert not ledger(program)


def test_cleanup_takes_what_a_kill_left(program: Program, api: FakeApi) -> None:
    kubelet = Kubelet(api)
    process = _hanging(program, api, kubelet)
    process.kill()
    process.communicate(timeout=20)
    api.on(
        "/api/v1/pods",
        lambda asked, wire: answer({"kind": "PodList", "items": list(kubelet.there.values())})(asked, wire),
    )
    (entry,) = ledger(program)

    assert json.loads(entry.read_text())["node"] == "one"
    assert len(kubelet.there) == 1
    ran = program.run("cleanup")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("Removed pod kube-system/netdebug-node-")
    assert not kubelet.there
    assert not ledger(program)
    assert program.run("cleanup").stdout == "Nothing was left behind.\n"


def test_cleanup_leaves_what_somebody_else_is_using(program: Program, api: FakeApi) -> None:
    kubelet = Kubelet(api)
    theirs = world.pod("netdebug-node-theirs")
    theirs["metadata"] |= {
        "namespace": "kube-system",
        "annotations": {"kubectl-netdebug/expires": "2999-01-01T00:00:00Z"},
    }
    late = world.pod("netdebug-node-late")
    late["metadata"] |= {
        "namespace": "kube-system",
        "annotations": {"kubectl-netdebug/expires": "2020-01-01T00:00:00Z"},
    }
    for pod in (theirs, late):
        kubelet.there[pod["metadata"]["name"]] = pod
        api.on(f"{SYSTEM}/{pod['metadata']['name']}", kubelet._one)
    api.on("/api/v1/pods", answer({"kind": "PodList", "items": [theirs, late]}))
    ran = program.run("cleanup")

    assert "netdebug-node-late" in ran.stdout
    assert "--force" in ran.stderr
    assert list(kubelet.there) == ["netdebug-node-theirs"]


def _hanging(program: Program, api: FakeApi, kubelet: Kubelet) -> subprocess.Popen[str]:
    """The program in the middle of a reading that does not end."""

    def hang(stream: ExecStream) -> None:
        stream.released.wait(20)

    api.exec = hang
    process = subprocess.Popen(
        program.argv("node", "one", "--allow", "node"),
        env=program.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 20
    while not kubelet.there or not any(path.endswith("/exec") for path in api.paths()):
        assert time.monotonic() < end, "the program never came to its reading"
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return process
