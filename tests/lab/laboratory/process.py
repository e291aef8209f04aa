"""Processes, told apart for certain: a pid alone may have been given to another process since."""

import contextlib
import os
import signal
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.lab.laboratory.waiting import wait_for

MARK = "NETLAB_CLUSTER"
"""Environment variable that each process a cluster starts carries; its value is the cluster's directory."""


@dataclass(frozen=True)
class Process:
    """A process by its pid, its start (clock ticks since boot) and the boot it belongs to."""

    pid: int
    start: int
    boot: str

    @staticmethod
    def of(pid: int) -> "Process":
        return Process(pid, _stat(pid)[1], _boot())

    @property
    def state(self) -> str:
        """`running`, `stopped` (by a signal) or `dead`."""
        try:
            letter, start = _stat(self.pid)
        except (FileNotFoundError, ProcessLookupError):
            return "dead"
        if start != self.start or _boot() != self.boot or letter in "ZX":
            return "dead"
        return "stopped" if letter in "Tt" else "running"

    @property
    def alive(self) -> bool:
        return self.state != "dead"

    def signal(self, number: signal.Signals) -> None:
        """Sends the signal if the process is still the one that was recorded."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self, what: str) -> None:
        """Ends the process and returns when it has gone."""
        self.signal(signal.SIGKILL)
        wait_for(f"{what} (pid {self.pid}) to end", lambda: not self.alive, 20, interval=0.01)


def marked(value: str) -> list[Process]:
    """All processes whose environment carries MARK with this value, except our own."""
    wanted = f"{MARK}={value}".encode()
    found = []
    for pid in pids():
        with contextlib.suppress(OSError):
            if pid != os.getpid() and wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(Process.of(pid))
    return found


def pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def memory(roots: set[int]) -> int:
    """Bytes of memory of these processes and all their descendants, shared pages counted in proportion."""
    children: dict[int, list[int]] = {}
    for pid in pids():
        with contextlib.suppress(OSError):
            children.setdefault(int(_fields(pid)[1]), []).append(pid)
    total, seen, todo = 0, set[int](), set(roots)
    while todo:
        pid = todo.pop()
        seen.add(pid)
        todo |= set(children.get(pid, [])) - seen
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Pss:"))
    return total


def _stat(pid: int) -> tuple[str, int]:
    fields = _fields(pid)
    return fields[0], int(fields[19])


def _fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on (proc(5)); the second may itself hold spaces and brackets."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
