"""What this machine's runs made in clusters and may not have removed yet: a file for each, so a kill loses nothing.

An entry is written before the object is asked for and removed after its deletion, so `cleanup` finds at most too much.
Entries stand in `$XDG_STATE_HOME/kubectl-netdebug/ledger` (`~/.local/state/…`), on Windows under `%LOCALAPPDATA%`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One Pod that a run asked for. `server` and `context` say in which cluster; `process` is the run's own id here."""

    server: str
    context: str
    namespace: str
    pod: str
    node: str
    expires: str
    """RFC 3339; after it the Pod has ended by itself."""
    process: int = field(default_factory=os.getpid)

    @property
    def still_runs(self) -> bool:
        """Whether the run that made it is still under way on this machine."""
        if self.process == os.getpid() or self.process <= 0:
            return False
        if sys.platform == "win32":  # a signal 0 would end the process there
            return False
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


class Ledger:
    """The folder of entries. Trouble with the disk never stops a run: deadlines outlive the machine anyway."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or default_folder()

    def add(self, entry: Entry) -> None:
        """Remembers an object that is about to be made."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path(entry).write_text(json.dumps(asdict(entry)))

    def remove(self, entry: Entry) -> None:
        """Forgets one that is gone."""
        with contextlib.suppress(OSError):
            self._path(entry).unlink(missing_ok=True)

    def entries(self) -> tuple[Entry, ...]:
        """All that stand there; files that are no entries are passed over."""
        found = []
        with contextlib.suppress(OSError):
            for path in sorted(self._folder.glob("*.json")):
                with contextlib.suppress(OSError, ValueError, TypeError):
                    found.append(Entry(**json.loads(path.read_text())))
        return tuple(found)

    def _path(self, entry: Entry) -> Path:
        safe = "".join(c if c.isalnum() or c in "-." else "_" for c in f"{entry.namespace}.{entry.pod}")
        return self._folder / f"{safe}.json"


def default_folder() -> Path:
    """The platform's place for such state."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "kubectl-netdebug" / "ledger"
