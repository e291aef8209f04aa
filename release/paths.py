"""Where things are, and what they are called."""

from __future__ import annotations

import platform
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "release"
DIST = ROOT / "dist"
PROGRAM = "kubectl-netdebug"

_SYSTEMS = {"linux": "linux", "darwin": "darwin", "win32": "windows"}
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def version() -> str:
    """The version of the program, without importing it."""
    text = (ROOT / "kubectl_netdebug" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"', text, re.M)
    if not found:
        raise SystemExit("release: kubectl_netdebug/__init__.py names no version.")
    return found[1]


def this_platform() -> str:
    """`linux_amd64` and the like, in the words of Go, which krew's selectors use."""
    system, machine = _SYSTEMS.get(sys.platform), _MACHINES.get(platform.machine().lower())
    if not system or not machine:
        raise SystemExit(f"release: {sys.platform} on {platform.machine()} is no platform that is released for.")
    return f"{system}_{machine}"


def archive_name(release: str, target: str) -> str:
    """The file name of an archive: a zip for Windows, a tar elsewhere."""
    return f"{PROGRAM}_v{release}_{target}.{'zip' if target.startswith('windows') else 'tar.gz'}"
