"""The repository as files."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def tracked() -> list[Path]:
    """The files that git knows, or would add; in an unpacked archive everything outside hidden folders."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        hidden = [path for path in ROOT.rglob("*") if path.is_file()]
        return [p for p in hidden if not any(part.startswith(".") for part in p.relative_to(ROOT).parts[:-1])]
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]
