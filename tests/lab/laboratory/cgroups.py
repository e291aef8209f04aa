"""The control groups of a cluster's Pods: one directory for each cluster in every hierarchy of the host.

The host's hierarchies stay as they are mounted; only directories below `netlab-NAME` are ever touched. Each kubelet
manages the directory of its node as if it were the whole, so nodes and clusters cannot meet."""

import contextlib
import os
from pathlib import Path

from tests.lab.laboratory.waiting import wait_for


def root(cluster: str, node: str) -> str:
    """What kubelet calls `cgroupRoot`."""
    return f"/netlab-{cluster}/{node}"


def make(cluster: str, node: str) -> None:
    """Makes the node's directory in every hierarchy; kubelet wants to find it."""
    for hierarchy in _hierarchies():
        directory = hierarchy
        for part in (f"netlab-{cluster}", node):
            above, directory = directory, directory / part
            directory.mkdir(exist_ok=True)
            _inherit(above, directory)


def remove(cluster: str) -> None:
    """Removes the cluster's directories. Raises LabError when a process still sits in one of them."""

    def empty() -> bool:
        left = [_remove_tree(hierarchy / f"netlab-{cluster}") for hierarchy in _hierarchies()]
        return not any(left)

    wait_for(f"the control groups of {cluster} to be empty", empty, 20)


def _inherit(above: Path, directory: Path) -> None:
    """In version 1 a new directory allows no processors at all until told otherwise."""
    for file in ("cpuset.cpus", "cpuset.mems"):
        if (above / "cgroup.clone_children").exists() and (directory / file).exists():
            (directory / file).write_text((above / file).read_text())


def _remove_tree(top: Path) -> bool:
    """Removes what can be removed; true when something is left."""
    for directory, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(directory)
    return top.exists()


def _hierarchies() -> list[Path]:
    """Where the host mounts its hierarchies, of version 1 or 2."""
    mounted = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return [Path(point) for _, point, kind, *_ in mounted if kind.startswith("cgroup")]
