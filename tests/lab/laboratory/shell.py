"""Runs a short command and turns its failure into words."""

import subprocess
from collections.abc import Mapping, Sequence

from tests.lab.laboratory.errors import LabError, tail


def output(argv: Sequence[str], stdin: str | None = None, env: Mapping[str, str] | None = None) -> str:
    """The command's standard output. Raises LabError with what it printed when it fails."""
    done = attempt(argv, stdin, env)
    if done.returncode:
        raise LabError(
            f"`{' '.join(argv)[:200]}` failed with status {done.returncode}:\n{tail(done.stdout + done.stderr)}"
        )
    return done.stdout


def attempt(
    argv: Sequence[str], stdin: str | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command's result, whatever it is."""
    return subprocess.run(argv, input=stdin or "", text=True, capture_output=True, env=env)
