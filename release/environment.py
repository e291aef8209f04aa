"""Virtual environments for building, each made once for each list of requirements."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from release.paths import BUILD, ROOT

CONSTRAINTS = ROOT / "release" / "constraints.txt"
FREEZER = ("pyinstaller>=6.22.2,<7",)
TOOLS = ("build>=1.2", "cyclonedx-bom>=7,<8")


def frozen() -> Path:
    """The Python of an environment with exactly what the program needs, and PyInstaller."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return _environment("frozen", [*project["dependencies"], *FREEZER])


def tools() -> Path:
    """The Python of an environment with tools that must not get into the archive."""
    return _environment("tools", list(TOOLS))


def run(words: Sequence[str | Path], **variables: str) -> None:
    """Runs a step of the build in the repository; leaves with its words where it fails."""
    done = subprocess.run([str(word) for word in words], cwd=ROOT, env={**os.environ, **variables})
    if done.returncode:
        raise SystemExit(f"release: {' '.join(map(str, words[:4]))} … ended with {done.returncode}.")


def _environment(name: str, requirements: list[str]) -> Path:
    folder = BUILD / name
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    mark = folder / "installed.txt"
    wanted = "\n".join([sys.version, *requirements, CONSTRAINTS.read_text(encoding="utf-8")])
    if mark.exists() and mark.read_text(encoding="utf-8") == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    run([sys.executable, "-m", "venv", folder])
    run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", CONSTRAINTS, *requirements])
    mark.write_text(wanted, encoding="utf-8")
    return python
