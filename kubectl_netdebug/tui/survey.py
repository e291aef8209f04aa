"""Looks at a namespace by cheap lists, side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from threading import Thread
from typing import Any

from kubectl_netdebug.cli.inventory import MOST, SECONDS, workloads_of
from kubectl_netdebug.kube.errors import KubeError
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Pod, read_pod
from kubectl_netdebug.model.objects.service import Service, read_service
from kubectl_netdebug.model.objects.slices import EndpointSlice, read_slice
from kubectl_netdebug.tui.outlook import Entry, Outlook, Trouble
from kubectl_netdebug.vantage import resources


def look_around(session: Session, namespace: str) -> Outlook:
    """Reads side by side; blocks for seconds at most. Never raises KubeError."""
    lists = ("services", "endpointslices.discovery.k8s.io", "pods")
    reads = [_later(partial(_list, session, what, namespace)) for what in lists]
    nodes = _later(partial(_list, session, "nodes", "", metadata_only=True))
    found: list[list[Mapping[str, Any]]] = []
    problem, complete = "", True
    for read in reads:
        try:
            items, whole = read.result()
            complete = complete and whole
        except KubeError as failure:
            items, problem = [], problem or str(failure)
        found.append(items)
    services = [s for s in map(read_service, found[0]) if s]
    pods = list(map(read_pod, found[2]))
    try:
        named = [tree.text(node, "metadata", "name") for node in nodes.result()[0]]
    except KubeError:
        named = []
    return Outlook(
        services=tuple(Entry(s.name, s.describe()) for s in sorted(services, key=lambda s: s.name)),
        workloads=tuple(Entry(choice.word, choice.shown.partition("  ")[2]) for choice in workloads_of(pods)),
        nodes=tuple(Entry(name) for name in sorted(named)),
        ports={s.name: tuple(str(p.port) for p in s.ports) for s in services},
        troubles=tuple(troubles(services, map(read_slice, found[1]), pods)) if not problem else (),
        complete=complete,
        problem=problem,
    )


def namespaces(session: Session) -> tuple[str, ...]:
    """By name. Raises KubeError, where listing them is forbidden for example."""
    items, _ = _list(session, "namespaces", "", metadata_only=True)
    return tuple(sorted(tree.text(item, "metadata", "name") for item in items))


def troubles(services: Iterable[Service], slices: Iterable[EndpointSlice], pods: Iterable[Pod]) -> list[Trouble]:
    """Services without ready endpoints first, then those with some that are not ready."""
    by_service: dict[str, list[EndpointSlice]] = defaultdict(list)
    for each in slices:
        by_service[each.service].append(each)
    waiting = _reasons(pods)
    found = []
    for service in sorted(services, key=lambda s: s.name):
        if service.is_alias:
            continue
        ends = {e.target_name or e.address: e for s in by_service[service.name] for e in s.endpoints}
        ready = sum(1 for e in ends.values() if e.ready)
        if ends and ready == len(ends):
            continue
        if not ends and not service.selector:
            continue
        reasons = sorted({waiting[e.target_name] for e in ends.values() if e.target_name in waiting and not e.ready})
        says = f"{ready} of {len(ends)} endpoints ready" if ends else "no endpoints"
        found.append(Trouble(service.name, " · ".join((says, *reasons)), bad=not ready))
    return sorted(found, key=lambda t: (not t.bad, t.service))


def _reasons(pods: Iterable[Pod]) -> dict[str, str]:
    """Why a Pod is not ready, where a container says it in a word."""
    found = {}
    for pod in pods:
        said = next((c.reason for c in pod.containers if c.reason and not c.ready), "")
        if said:
            found[pod.name] = said
    return found


def _list(
    session: Session, what: str, namespace: str, *, metadata_only: bool = False
) -> tuple[list[Mapping[str, Any]], bool]:
    listed = session.list(resources.path(what, namespace), most=MOST, deadline=SECONDS, metadata_only=metadata_only)
    return list(listed.items), listed.complete


def _later(work: Callable[[], Any]) -> Future[Any]:
    """On a daemon thread: nobody waits for it on the way out."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as problem:
            future.set_exception(problem)

    Thread(target=run, daemon=True).start()
    return future
