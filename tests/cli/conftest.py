from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli import world
from tests.contract.repository import ROOT
from tests.kube.fakeapi import FakeApi

LIMIT = 30


class Program:
    """The real program in a process of its own, with nothing of this machine's settings."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}

    def aim(self, api: FakeApi, **more: Any) -> None:
        """Makes the fake server the cluster of the current context."""
        self.env["KUBECONFIG"] = str(api.kubeconfig(self.home, **more))

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "kubectl_netdebug", *words]

    def run(
        self, *words: str, stdout: int = subprocess.PIPE, typed: str = "", **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs to the end, with `typed` coming through a pipe; a traceback is a failure whatever was asked."""
        ran = subprocess.run(
            self.argv(*words),
            env=self.env | env,
            cwd=self.home,
            input=typed,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            timeout=LIMIT,
        )
        assert "Traceback" not in ran.stderr, ran.stderr
        assert "Exception ignored" not in ran.stderr, ran.stderr
        return ran


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


@pytest.fixture
def api(program: Program) -> Iterator[FakeApi]:
    """A server with nothing in it, and the program aimed at it."""
    with FakeApi() as server:
        program.aim(server)
        yield server


@pytest.fixture
def healthy(api: FakeApi) -> FakeApi:
    """The same with a healthy Service `web`."""
    api.add(*world.healthy())
    return api
