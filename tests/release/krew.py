"""A real krew, built from its Go module, with a home of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from release.paths import BUILD

VERSION = "v0.4.4"
# Built as a dependency: `go install` of the module would ask the proxy for more than the version.
MODULE = f"module krewtest\n\ngo 1.21\n\nrequire sigs.k8s.io/krew {VERSION}\n"
TOOLS = '//go:build tools\n\npackage tools\n\nimport _ "sigs.k8s.io/krew/cmd/krew"\n'
LAB = Path(os.environ.get("NETLAB", Path.home() / ".cache" / "netlab")) / "bin"


def kubectl() -> Path | None:
    """A real kubectl: that of the laboratory, or the one on PATH."""
    own = LAB / "kubectl"
    found = str(own) if own.exists() else shutil.which("kubectl")
    return Path(found) if found else None


def built() -> Path:
    """krew's program, built once. Raises RuntimeError with the reason where it cannot be had."""
    program = BUILD / "krew" / VERSION / "kubectl-krew"
    if program.exists():
        return program
    if not shutil.which("go"):
        raise RuntimeError("building krew needs Go")
    source = program.parent / "src"
    source.mkdir(parents=True, exist_ok=True)
    (source / "go.mod").write_text(MODULE)
    (source / "tools.go").write_text(TOOLS)
    own = {"GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
    done = subprocess.run(
        ["go", "build", "-o", str(program), "sigs.k8s.io/krew/cmd/krew"],
        cwd=source, env={**os.environ, **own}, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"krew could not be built: {done.stderr.strip()[-300:]}")
    return program


class Home:
    """A person with kubectl and krew, and nothing else on PATH: no Python in particular."""

    def __init__(self, folder: Path, kubectl_at: Path, krew_at: Path) -> None:
        self.folder = folder
        tools = folder / "tools"
        tools.mkdir(parents=True)
        (tools / "kubectl").symlink_to(kubectl_at)
        (tools / "kubectl-krew").symlink_to(krew_at)
        for name in ("git", "sh"):  # krew keeps its indexes with git
            found = shutil.which(name)
            if found:
                (tools / name).symlink_to(found)
        self.root = folder / "krew"
        self.environment = {
            "HOME": str(folder),
            "KREW_ROOT": str(self.root),
            "KREW_NO_UPGRADE_CHECK": "1",
            "PATH": f"{tools}:{self.root / 'bin'}",
            "LANG": "C.UTF-8",
        }

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """kubectl with these words."""
        return subprocess.run(
            [str(self.folder / "tools" / "kubectl"), *words],
            env={**self.environment, **variables}, cwd=self.folder, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
