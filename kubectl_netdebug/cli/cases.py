"""The recordings that come with the program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kubectl_netdebug.engine.recording import Recording

SUFFIX = ".json.gz"


@dataclass(frozen=True)
class Case:
    """One recording, by the name it is asked for with."""

    name: str
    path: Path

    def read(self) -> Recording:
        """Raises BadRecording and OSError."""
        return Recording.from_bytes(self.path.read_bytes())


def folder() -> Path:
    """Inside an installed package, or `tests/cases` of a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "cases"
    return installed if installed.is_dir() else package.parent / "tests" / "cases"


def all_cases() -> list[Case]:
    """Every recording, sorted by name."""
    files = folder().glob(f"*{SUFFIX}")
    return sorted((Case(file.name.removesuffix(SUFFIX), file) for file in files), key=lambda case: case.name)
