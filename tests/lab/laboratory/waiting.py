"""Waiting for a condition, with a deadline and an explanation."""

import time
from collections.abc import Callable
from pathlib import Path

from tests.lab.laboratory.errors import LabError, tail


def wait_for(
    what: str,
    condition: Callable[[], bool],
    seconds: float,
    log: Path | None = None,
    explain: Callable[[], str] | None = None,
    interval: float = 0.1,
) -> None:
    """Returns as soon as `condition` holds. Past the deadline (in seconds) raises LabError naming `what`,
    with the end of `log` or what `explain` says."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"waited {seconds:.0f} s in vain for {what}{_why(log, explain)}")
        time.sleep(interval)


def _why(log: Path | None, explain: Callable[[], str] | None) -> str:
    parts = []
    if explain:
        parts.append(tail(explain(), 40))
    if log and log.exists():
        parts.append(f"the end of {log}:\n{tail(log.read_text(errors='replace'))}")
    return ":\n" + "\n".join(parts) if parts else ""
