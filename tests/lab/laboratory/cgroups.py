"""The control groups of a cluster's containers: one directory for each cluster in every hierarchy of the host.

The host's hierarchies stay as they are mounted; only directories below `netlab-NAME` are ever touched."""

import contextlib
import os
from pathlib import Path

from laboratory.waiting import wait_for


def parent(cluster: str, node: str) -> str:
    """The cgroup that holds the Pods of one node, as kubelet's `cgroupRoot`."""
    return f"/netlab-{cluster}/{node}"


def remove(cluster: str) -> None:
    """Removes the cluster's directories. Raises LabError when a process still sits in one of them."""

    def empty() -> bool:
        left = [_remove_tree(root / f"netlab-{cluster}") for root in _hierarchies()]
        return not any(left)

    wait_for(f"the control groups of {cluster} to be empty", empty, 20)


def _remove_tree(top: Path) -> bool:
    """Removes what can be removed; true when something is left."""
    for directory, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(directory)
    return top.exists()


def _hierarchies() -> list[Path]:
    """Where the host mounts its hierarchies, of version 1 or 2."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return [Path(mount[1]) for mount in mounts if mount[2] in ("cgroup", "cgroup2")]
