"""kube-proxy as a program on a node: the reading `kube-proxy`, of its process, its health and a few of its counters.

Lines begin with what they are: `process PID NAME STATE`, `arg ARGUMENT` (of the process before), `healthz TEXT` and
`mode TEXT` (answers over HTTP, line by line), `metric NAME{LABELS} VALUE`, `lock PID NAME` (who holds xtables.lock).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

NAME = "kube-proxy"
EMBEDDING = ("k3s-server", "k3s-agent", "k3s", "rke2", "hyperkube")
"""Programs that have kube-proxy inside."""
REPLACING = {
    "cilium-agent": "Cilium",
    "kube-router": "kube-router",
    "ovnkube": "OVN-Kubernetes",
    "antrea-agent": "Antrea",
}

_METRIC = re.compile(r'(\w+)(?:\{[^}]*ip_family="(IPv[46])"[^}]*\})? (\S+)$')
_FAILURES = re.compile(r"kubeproxy_sync_proxy_rules_(?:iptables_restore|nftables_sync)_failures_total")
_QUEUED = "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds"
_SYNCED = "kubeproxy_sync_proxy_rules_last_timestamp_seconds"


@dataclass(frozen=True)
class Process:
    """A process of the node; `state` is the kernel's word for it, such as `S (sleeping)`."""

    pid: int
    name: str
    state: str
    arguments: tuple[str, ...] = ()

    @property
    def stopped(self) -> bool:
        """It was stopped by a signal, or by a debugger."""
        return self.state[:1] in ("T", "t")

    def argument(self, name: str) -> str:
        """The value of `--name=value` or `--name value`, '' where it is not given."""
        for place, each in enumerate(self.arguments):
            if each.startswith(f"--{name}="):
                return each.partition("=")[2]
            if each == f"--{name}" and place + 1 < len(self.arguments):
                return self.arguments[place + 1]
        return ""


@dataclass(frozen=True)
class Syncing:
    """What its counters say of one family: times are seconds since 1970, 0 where it never happened."""

    queued: float = 0.0
    synced: float = 0.0
    failures: int = 0

    @property
    def behind(self) -> bool:
        """A change was queued and not written since, and writing failed."""
        return self.failures > 0 and self.queued > self.synced


@dataclass(frozen=True)
class Program:
    """What the reading says."""

    processes: tuple[Process, ...] = ()
    health: int = 0
    """The status of /healthz; 0 where it gave none."""
    mode: str = ""
    """What it says of itself."""
    syncing: Mapping[str, Syncing] = field(default_factory=dict)
    """By family, `IPv4` and `IPv6`."""
    lock: str = ""
    """The process that holds the lock of iptables, `NAME (PID)`."""

    @property
    def process(self) -> Process | None:
        """The process of kube-proxy itself."""
        return next((p for p in self.processes if p.name == NAME), None)

    @property
    def embedded(self) -> bool:
        """It is a part of another program, whose process is there."""
        return any(p.name in EMBEDDING for p in self.processes)

    @property
    def replaced_by(self) -> str:
        """What stands in for it, going by the processes; '' where nothing does."""
        return next((REPLACING[p.name] for p in self.processes if p.name in REPLACING), "")

    @property
    def answers(self) -> bool:
        """It said something over HTTP."""
        return bool(self.health or self.mode)


def read_program(text: str) -> Program:
    """The view of the reading; odd lines are passed over."""
    processes: list[Process] = []
    syncing: dict[str, Syncing] = {}
    health, mode, lock = 0, "", ""
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        words = rest.split(maxsplit=2)
        if kind == "process" and len(words) >= 2 and words[0].isdecimal():
            processes.append(Process(int(words[0]), words[1], words[2] if len(words) > 2 else ""))
        elif kind == "arg" and processes:
            processes[-1] = replace(processes[-1], arguments=(*processes[-1].arguments, rest))
        elif kind == "healthz" and not health and (match := re.match(r"HTTP/\S+ (\d{3})", rest)):
            health = int(match[1])
        elif kind == "mode" and rest.strip() in ("iptables", "nftables", "ipvs"):
            mode = rest.strip()
        elif kind == "lock" and len(words) >= 1:
            lock = f"{words[1]} ({words[0]})" if len(words) > 1 else words[0]
        elif kind == "metric" and (match := _METRIC.match(rest)):
            family = match[2] or "IPv4"
            syncing[family] = _counted(syncing.get(family, Syncing()), match[1], match[3])
    return Program(tuple(processes), health, mode, syncing, lock)


def _counted(so_far: Syncing, name: str, value: str) -> Syncing:
    try:
        number = float(value)
    except ValueError:
        return so_far
    if name == _QUEUED:
        return replace(so_far, queued=number)
    if name == _SYNCED:
        return replace(so_far, synced=number)
    if _FAILURES.fullmatch(name) and number < 1e15:
        return replace(so_far, failures=so_far.failures + int(number))
    return so_far
