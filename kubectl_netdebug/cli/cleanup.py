"""`cleanup`: removes Pods that runs left on nodes, by the ledger of this machine and by their label in the cluster."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime

from kubectl_netdebug.cli.arguments import kube_flags
from kubectl_netdebug.cli.exits import Exit
from kubectl_netdebug.cli.output import say, write
from kubectl_netdebug.kube import errors
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import read_pod
from kubectl_netdebug.vantage import resources
from kubectl_netdebug.vantage.ledger import Entry, Ledger
from kubectl_netdebug.vantage.node_pod import EXPIRES, FIRST_NAMESPACE, SELECTOR, delete


@dataclass(frozen=True)
class _Left:
    namespace: str
    pod: str
    over: bool
    """It has ended, or its time is up."""


def cleanup(args: argparse.Namespace) -> Exit:
    """Exit 0 when nothing of ours is left, 4 where something could not be removed or looked at. Raises KubeError."""
    ledger = Ledger()
    with Session.open(kube_flags(args)) as session:
        entries = ledger.entries()
        here = [entry for entry in entries if entry.server == session.server]
        busy = {(entry.namespace, entry.pod) for entry in here if entry.still_runs}
        found, complete = _in_cluster(session, getattr(args, "namespace", None) or session.namespace or "default")
        mine = {(entry.namespace, entry.pod) for entry in here}
        failed = 0
        removed: set[tuple[str, str]] = set()
        for left in found:
            place = (left.namespace, left.pod)
            if place in busy and not args.force:
                say(f"Left alone: pod {left.namespace}/{left.pod}, of a run that is still going on this machine.")
            elif not (left.over or place in mine or args.force):
                say(f"Left alone: pod {left.namespace}/{left.pod}, of somebody's run. --force removes it too.")
            elif delete(session, *place):
                removed.add(place)
                write(f"Removed pod {left.namespace}/{left.pod}.\n")
            else:
                failed += 1
                say(f"Could not remove pod {left.namespace}/{left.pod}.")
        failed += _settle(session, ledger, here, removed, busy)
        _tell_of_others(entries, session.server)
        if not removed and not failed:
            write("Nothing was left behind.\n" if complete else "Nothing was left behind where you may look.\n")
        return Exit.INCONCLUSIVE if failed else Exit.HEALTHY


def _in_cluster(session: Session, namespace: str) -> tuple[list[_Left], bool]:
    """Our Pods in the whole cluster, else in the namespaces where they are made; and whether that was all of it."""
    query = {"labelSelector": SELECTOR}
    try:
        return [_left(item) for item in session.list(resources.path("pods"), query).items], True
    except errors.Forbidden:
        pass
    found: list[_Left] = []
    for place in dict.fromkeys((FIRST_NAMESPACE, namespace)):
        try:
            found += [_left(item) for item in session.list(resources.path("pods", place), query).items]
        except errors.Forbidden:
            continue
    return found, False


def _left(raw: object) -> _Left:
    pod = read_pod(raw)
    expires = tree.when(raw, "metadata", "annotations", EXPIRES)
    return _Left(pod.namespace, pod.name, pod.finished or (expires is not None and expires < datetime.now(UTC)))


def _settle(
    session: Session, ledger: Ledger, here: list[Entry], removed: set[tuple[str, str]], busy: set[tuple[str, str]]
) -> int:
    """Removes what stands in the ledger alone (a cluster may not be looked through), and forgets what is gone."""
    failed = 0
    for entry in here:
        place = (entry.namespace, entry.pod)
        if place in busy and place not in removed:
            continue
        if place in removed or delete(session, *place):
            ledger.remove(entry)
        else:
            failed += 1
            say(f"Could not remove pod {entry.namespace}/{entry.pod}.")
    return failed


def _tell_of_others(entries: tuple[Entry, ...], server: str) -> None:
    contexts = sorted({entry.context or entry.server for entry in entries if entry.server != server})
    if contexts:
        say(f"Runs in other clusters left something too: kubectl netdebug cleanup --context {contexts[0]}")
