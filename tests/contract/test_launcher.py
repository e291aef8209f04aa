"""The launcher of a checkout, with a Python that only pretends to install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.repository import ROOT

# Plays `python3`, and the python of the environments that it makes. What it was asked for goes to $LOG.
STUB = """#!/bin/sh
echo "$*" | head -1 >>"$LOG"
case "$1 $2" in
  "-c "*) exit 0 ;;
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip") exit "${PIP_EXIT:-0}" ;;
  "-P -c") shift 4; echo "ran: $*; PYTHONPATH=${PYTHONPATH-unset}" ;;
esac
"""


class Checkout:
    """A copy of what the launcher needs, in a folder with a space in its name."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "with space"
        self.log = folder / "log"
        self.log.touch()
        self.log.chmod(0o666)
        shutil.copytree(ROOT / "bin", self.root / "bin")
        shutil.copy(ROOT / "pyproject.toml", self.root)
        self.python = folder / "python3"
        self.python.write_text(STUB)
        self.python.chmod(0o755)
        self.venv = self.root / ".venv"

    def run(
        self, *words: str, program: Path | None = None, cwd: Path | None = None, user: int | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        variables = {"PATH": os.environ["PATH"], "PYTHON": str(self.python), "LOG": str(self.log), **env}
        return subprocess.run(
            [str(program or self.root / "bin" / "kubectl-netdebug"), *words],
            env={name: value for name, value in variables.items() if value},
            cwd=cwd or self.root,
            user=user,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def installs(self) -> int:
        return self.log.read_text().count("-m pip install")


@pytest.fixture
def checkout() -> Iterator[Checkout]:
    # Not pytest's own folder: others than its owner have to get in.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Checkout(Path(folder))


def test_the_first_start_installs_and_the_second_asks_for_nothing(checkout: Checkout) -> None:
    first, second = checkout.run("service", "a b"), checkout.run("service", "a b")

    assert first.stdout == second.stdout == "ran: service a b; PYTHONPATH=unset\n"
    assert "setting up" in first.stderr
    assert second.stderr == ""
    assert checkout.installs() == 1


def test_other_requirements_are_installed_into_what_is_there(checkout: Checkout) -> None:
    checkout.run()
    (checkout.venv / "kept").touch()
    with (checkout.root / "pyproject.toml").open("a") as project:
        project.write("# changed\n")
    checkout.run()

    assert checkout.installs() == 2
    assert (checkout.venv / "kept").exists()


def test_an_interrupted_start_is_begun_anew(checkout: Checkout) -> None:
    (checkout.venv / "bin").mkdir(parents=True)
    shutil.copy(checkout.python, checkout.venv / "bin" / "python")
    (checkout.venv / "half").touch()
    ran = checkout.run("x")

    assert ran.stdout.startswith("ran: x;")
    assert not (checkout.venv / "half").exists()


def test_without_an_index_nothing_half_made_stays(checkout: Checkout) -> None:
    ran = checkout.run("x", PIP_EXIT="1")

    assert (ran.returncode, ran.stdout) == (3, "")
    assert "package index" in ran.stderr
    assert not checkout.venv.exists()


def test_without_python_it_says_which_is_needed(checkout: Checkout) -> None:
    tools = checkout.root / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "readlink", "cmp", "cat"):
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    ran = checkout.run("x", PATH=str(tools), PYTHON="")

    assert ran.returncode == 3
    assert ran.stderr.startswith("netdebug: Python 3.11 or newer is needed")
    assert len(ran.stderr.splitlines()) == 1


def test_a_named_python_that_does_not_do_is_named(checkout: Checkout) -> None:
    ran = checkout.run("x", PYTHON="/bin/false")

    assert ran.returncode == 3
    assert "PYTHON=/bin/false" in ran.stderr


def test_a_folder_of_somebody_else_is_named(checkout: Checkout) -> None:
    checkout.root.chmod(0o555)
    ran = checkout.run("x", user=65534 if os.geteuid() == 0 else None)

    assert (ran.returncode, ran.stdout) == (3, "")
    assert "cannot be written to" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_it_finds_itself_through_links_and_path(checkout: Checkout, tmp_path: Path) -> None:
    checkout.run()
    (tmp_path / "kubectl-netdebug").symlink_to(checkout.root / "bin" / "kubectl-netdebug")
    (tmp_path / "again").symlink_to("kubectl-netdebug")
    path = f"{tmp_path}:{os.environ['PATH']}"
    shell = shutil.which("sh")
    assert shell

    assert checkout.run("x", program=tmp_path / "again", cwd=Path("/")).stdout.startswith("ran: x;")
    assert checkout.run("-c", "kubectl-netdebug x", program=Path(shell), cwd=Path("/"), PATH=path).stdout.startswith(
        "ran: x;"
    )


def test_the_folder_where_somebody_stands_is_no_source_of_code(checkout: Checkout, tmp_path: Path) -> None:
    """With the real interpreter: a json.py lies about, as in many a project."""
    (checkout.venv / "bin").mkdir(parents=True)
    (checkout.venv / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (checkout.venv / "bin" / "python").chmod(0o755)
    shutil.copy(checkout.root / "pyproject.toml", checkout.venv / ".installed-run")
    (checkout.root / "kubectl_netdebug").symlink_to(ROOT / "kubectl_netdebug")
    for name in ("json", "argparse", "difflib"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('this must not run')\n")
    ran = checkout.run("explain", "--list", cwd=tmp_path)

    assert ran.returncode == 0, ran.stderr
    assert "service-selector-mismatch" in ran.stdout
