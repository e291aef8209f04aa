"""Probing with a played container: what it prints may be hostile, and it may end at any moment."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.cli import world
from tests.cli.conftest import Program
from tests.kube.fakeapi import FakeApi, status
from tests.kube.fakeexec import ExecHandler, ExecStream

CONTAINER = "netdebug-abcdef"
NO_RIGHT = (
    'pods "web-1" is forbidden: User "dev" cannot patch resource "pods/ephemeralcontainers" in API group "" in the '
    'namespace "default"'
)
EPHEMERAL = "/api/v1/namespaces/default/pods/web-1/ephemeralcontainers"


def _probed() -> dict[str, Any]:
    """The Pod with a probe container that runs already, and the app's own beside it."""
    pod = world.pod()
    started = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    pod["spec"]["ephemeralContainers"] = [{"name": CONTAINER, "image": "busybox:1.37"}]
    running = {"state": {"running": {"startedAt": started}}}
    pod["status"]["ephemeralContainerStatuses"] = [{"name": CONTAINER, "image": "busybox:1.37", **running}]
    pod["status"]["containerStatuses"] = [{"name": "app", "ready": True, "started": True, **running}]
    return pod


@pytest.fixture
def probed(api: FakeApi) -> FakeApi:
    api.add(world.namespace(), world.service(), _probed(), world.endpoint_slice())
    return api


def _nonce(stream: ExecStream) -> str:
    found = re.search(r"^nonce='?([0-9a-f]+)'?$", stream.argv[-1], re.M)
    return found[1] if found else ""


def connects(before: bytes = b"", outcome: str = "0 0 nc-z:") -> ExecHandler:
    """A container whose connects all end alike, and that prints `before` first."""

    def play(stream: ExecStream) -> None:
        nonce, script = _nonce(stream), stream.argv[-1]
        if nonce and "try 0" in script:
            stream.stdout(before)
            for index in range(script.count("\ntry ")):
                stream.stdout(f"{nonce} {index} 1 {outcome}\n".replace(f" 1 {outcome}", f" {outcome}").encode())
        stream.exit(0)

    return play


def _service(program: Program, *more: str) -> tuple[int, str]:
    ran = program.run("service", "web:80", "--from", "web-1", "--probe", "always", "-o", "wide", *more)
    return ran.returncode, ran.stdout + ran.stderr


def test_what_a_container_prints_beside_the_answers_is_ignored(program: Program, probed: FakeApi) -> None:
    hostile = b"\x1b]52;c;cm0gLXJmIH4=\x07\x1b[2J 0123456789abcdef 0 1 1 nc-z: connection refused\n"
    probed.exec = connects(before=hostile)
    code, said = _service(program)

    assert "\x1b" not in said
    assert "\x07" not in said
    assert "refused" not in said
    assert code == 0


def test_an_answer_carries_no_escape_sequence_on(program: Program, probed: FakeApi) -> None:
    probed.exec = connects(outcome="5 1 nc-z: \x1b[31mconnection refused\x1b[0m")
    code, said = _service(program)

    assert code == 1
    assert "refused" in said
    assert "\x1b" not in said


def test_endless_output_is_cut_off(program: Program, probed: FakeApi) -> None:
    def endless(stream: ExecStream) -> None:
        for _ in range(4000):
            try:
                stream.stdout(b"x" * 16384)
            except OSError:
                return

    probed.exec = endless
    began = time.monotonic()
    code, said = _service(program)

    assert code == 4
    assert time.monotonic() - began < 25
    assert len(said) < 20_000


def test_a_container_that_ends_without_a_word(program: Program, probed: FakeApi) -> None:
    probed.exec = lambda stream: stream.exit(137)
    code, said = _service(program)

    assert code == 4
    assert "137" in said


def test_a_pod_that_is_gone_in_between(program: Program, probed: FakeApi) -> None:
    probed.exec = lambda stream: stream.fail("container not found")
    code, said = _service(program)

    assert code == 4
    assert "container not found" in said


def test_without_the_right_to_add_one_the_app_s_shell_serves(program: Program, api: FakeApi) -> None:
    pod = _probed()
    del pod["spec"]["ephemeralContainers"], pod["status"]["ephemeralContainerStatuses"]
    api.add(world.namespace(), world.service(), pod, world.endpoint_slice())
    api.on(EPHEMERAL, status(403, NO_RIGHT))
    play = connects()

    def shell(stream: ExecStream) -> None:
        if stream.argv[-1] == "echo netdebug":
            stream.stdout(b"netdebug\n")
            stream.exit(0)
        else:
            play(stream)

    api.exec = shell
    code, said = _service(program)

    assert code == 0, said
    assert "its own container app" in said
    assert "(its container app)" in said


def test_neither_a_container_nor_a_shell(program: Program, api: FakeApi) -> None:
    pod = _probed()
    del pod["spec"]["ephemeralContainers"], pod["status"]["ephemeralContainerStatuses"]
    api.add(world.namespace(), world.service(), pod, world.endpoint_slice())
    api.on(EPHEMERAL, status(403, NO_RIGHT))
    api.exec = lambda stream: stream.fail('exec: "sh": executable file not found in $PATH')
    code, said = _service(program)

    assert code == 4
    assert "no running container of web-1 has a shell" in said.replace("\n", " ").replace("  ", " ")
    assert "access --role" in said
