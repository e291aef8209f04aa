"""`version`: of this program, and of the cluster where there is one."""

from __future__ import annotations

import argparse

from kubectl_netdebug import __version__
from kubectl_netdebug.cli.arguments import kube_flags
from kubectl_netdebug.cli.exits import Exit
from kubectl_netdebug.cli.output import say, write
from kubectl_netdebug.kube.errors import KubeError


def version(args: argparse.Namespace) -> Exit:
    """Never fails for want of a cluster."""
    write(f"kubectl-netdebug {__version__}\n")
    from kubectl_netdebug.kube.session import Session

    try:
        with Session.open(kube_flags(args)) as session:
            server = session.get("/version", deadline=5.0)
            write(f"Kubernetes {server.get('gitVersion', 'unknown')} (context {session.context or 'in-cluster'})\n")
    except KubeError as problem:
        say(f"cluster: {problem.message}")
    return Exit.HEALTHY
