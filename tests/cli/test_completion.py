from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli import world
from tests.cli.conftest import Program
from tests.contract.repository import ROOT
from tests.kube.fakeapi import FakeApi, hang

SHELLS = ("bash", "zsh", "fish", "powershell")


def offered(program: Program, *words: str) -> list[str]:
    ran = program.run("__complete", *words)
    assert ran.returncode == 0
    assert ran.stderr == ""
    *lines, directive = ran.stdout.splitlines()
    assert directive in (":0", ":4")
    return [line.partition("\t")[0] for line in lines]


def test_commands_flags_and_values(program: Program) -> None:
    assert "scan" in offered(program, "")
    assert offered(program, "sc") == ["scan"]
    assert offered(program, "scan", "--write") == ["--write-baseline"]
    assert offered(program, "service", "--write") == []
    assert offered(program, "scan", "-o", "s") == ["sarif"]
    assert offered(program, "scan", "--output=s") == ["--output=sarif"]
    assert offered(program, "-n", "shop", "serv") == ["service"]
    assert offered(program, "completion", "") == list(SHELLS)
    assert "service-selector-mismatch" in offered(program, "explain", "service-")
    assert "service-selector-mismatch" in offered(program, "demo", "service-s")
    assert "--token" not in offered(program, "service", "--")


def test_files_are_left_to_the_shell(program: Program) -> None:
    assert program.run("__complete", "replay", "").stdout == ":0\n"
    assert program.run("__complete", "scan", "--baseline", "").stdout == ":0\n"
    assert program.run("__complete", "service", "").stdout == ":4\n"


def test_names_of_the_cluster(program: Program, healthy: FakeApi) -> None:
    healthy.add(world.namespace("shop"))

    assert offered(program, "service", "") == ["web"]
    assert offered(program, "service", "w") == ["web"]
    assert offered(program, "service", "web", "-n", "sh") == ["shop"]
    assert "pod/web-1" in offered(program, "path", "")
    assert offered(program, "path", "pod/web-1", "svc/") == ["svc/web"]
    assert offered(program, "--context", "") == ["fake"]


def test_names_that_mean_something_to_a_shell_are_left_out(program: Program, api: FakeApi) -> None:
    api.add(world.service("$(reboot)"), world.service("`id`"), world.service("a b"), world.service("good"))

    assert offered(program, "service", "") == ["good"]


def test_without_an_answer_there_is_nothing_to_offer_and_nobody_waits(program: Program, api: FakeApi) -> None:
    api.on(world.SERVICES, hang)
    began = time.monotonic()

    assert offered(program, "service", "") == []
    assert time.monotonic() - began < 20  # two seconds, and what a busy machine takes to start

    program.env["KUBECONFIG"] = "/no/such/file"
    assert offered(program, "service", "") == []


def test_what_is_known_without_a_cluster_loads_no_client() -> None:
    code = (
        "import sys\nfrom kubectl_netdebug.cli.main import main\nmain(['__complete', 'explain', ''])\n"
        "print(sorted(m for m in ('kubernetes', 'textual', 'yaml', 'ssl') if m in sys.modules), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert ran.stderr.strip() == "[]"


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_a_script(program: Program, shell: str) -> None:
    assert "kubectl-netdebug __complete" in program.run("completion", shell).stdout


def test_another_shell_is_a_usage_error(program: Program) -> None:
    assert program.run("completion", "tcsh").returncode == 2


@pytest.fixture
def path_with_program(program: Program) -> Path:
    """A folder for the PATH with `kubectl-netdebug` in it."""
    folder = program.home / "bin"
    folder.mkdir()
    file = folder / "kubectl-netdebug"
    file.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m kubectl_netdebug "$@"\n')
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("kubectl-netdebug sc", ["scan"]),
        ("kubectl-netdebug scan -o ", ["text", "wide", "json", "yaml", "markdown", "junit", "sarif"]),
        ("kubectl-netdebug scan --output=s", ["sarif"]),
        ("kubectl-netdebug service ", ["web"]),
        ("kubectl-netdebug nothing ", []),
    ],
)
def test_bash_completes_with_the_script(
    program: Program, healthy: FakeApi, path_with_program: Path, line: str, replies: list[str]
) -> None:
    test = """
source <(kubectl-netdebug completion bash) || exit 1
COMP_LINE=$1; COMP_POINT=${#1}
_kubectl_netdebug
printf '%s\\n' "${COMPREPLY[@]}"
"""
    env = program.env | {"PATH": f"{path_with_program}{os.pathsep}{program.env['PATH']}"}
    ran = subprocess.run(
        ["bash", "--norc", "-c", test, "bash", line], env=env, capture_output=True, text=True, timeout=60
    )

    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert ran.stdout.split() == replies


def test_kubectls_own_way_in_answers_the_same() -> None:
    """The executable that kubectl runs; it must not install anything, so it needs the environment that is there."""
    if not (ROOT / ".venv" / "bin" / "python").exists():
        pytest.skip("this checkout has no environment of its own")
    ran = subprocess.run([ROOT / "bin" / "kubectl_complete-netdebug", "sc"], capture_output=True, text=True, timeout=60)

    assert ran.stdout.splitlines()[-2:] == [
        "scan\tconfiguration faults of a namespace or of the whole cluster; tries nothing",
        ":4",
    ]
