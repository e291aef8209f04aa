"""Freezes the program into a folder that needs no Python."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from release.environment import frozen, run
from release.paths import BUILD, PROGRAM, ROOT


@dataclass(frozen=True)
class Frozen:
    """A frozen program: its folder, and what went into it."""

    folder: Path
    modules: tuple[str, ...]
    """Names of top-level modules, those of the standard library among them."""
    native: tuple[Path, ...]
    """Where libraries and extension modules were taken from."""


def freeze() -> Frozen:
    """Runs PyInstaller. Leaves with a message where it fails."""
    python = frozen()
    out, work = BUILD / "out", BUILD / "work"
    shutil.rmtree(out, ignore_errors=True)
    spec = ROOT / "release" / "netdebug.spec"
    words: list[str | Path] = ["--noconfirm", "--log-level", "WARN", "--distpath", out, "--workpath", work]
    run([python, "-m", "PyInstaller", *words, spec], PYTHONHASHSEED="0")
    contents = json.loads((work / spec.stem / "contents.json").read_text(encoding="utf-8"))
    return Frozen(
        folder=out / PROGRAM,
        modules=tuple(contents["modules"]),
        native=tuple(Path(source) for _, source in contents["native"]),
    )
