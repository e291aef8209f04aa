"""Whole lists of a live cluster, reduced page by page to what causes look at, and single facts, side by side."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from kubectl_netdebug.kube import errors
from kubectl_netdebug.kube.session import JsonObject, Session
from kubectl_netdebug.model.facts import Answer, FactKey, Known, Unknown, Why
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.slices import MANAGED_BY_LABEL, SERVICE_LABEL
from kubectl_netdebug.vantage import api, resources

T = TypeVar("T")

PAGE = 500
"""Objects asked for at once: what `kubectl get` asks for, and what a page costs in memory."""

SIDE_BY_SIDE = 6
"""Requests under way at once: few enough for the share that API priority and fairness leaves a single user."""

_DROPPED_METADATA = ("uid", "resourceVersion", "generation", "generateName", "selfLink", "finalizers")


class BulkReader:
    """Reads for a scan until `seconds` have passed; what is asked for later is unknown. For one thread.

    `on_read` is told how many objects of a resource have come so far, from the threads that read.
    """

    def __init__(
        self, session: Session, seconds: float, on_read: Callable[[str, int], None] = lambda resource, number: None
    ) -> None:
        self._session = session
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._on_read = on_read

    def whole(self, places: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Answer]:
        """The whole list of each (resource, namespace)."""
        return dict(zip(places, side_by_side(self._list, places), strict=True))

    def facts(self, keys: Iterable[FactKey]) -> Mapping[FactKey, Answer]:
        """Single reads."""
        wanted = list(keys)
        return dict(zip(wanted, side_by_side(self._fact, wanted), strict=True))

    def _list(self, place: tuple[str, str]) -> Answer:
        resource, namespace = place
        left = self._end - time.monotonic()
        if left <= 0:
            return self._too_late()
        seen = 0

        def reduce(page: list[JsonObject]) -> list[JsonObject]:
            nonlocal seen
            seen += len(page)
            self._on_read(resource, seen)
            return reduced(resource, page)

        try:
            found = self._session.list(resources.path(resource, namespace), limit=PAGE, deadline=left, reduce=reduce)
        except errors.NotFound:
            return Known([])  # not served here: as empty as can be
        except errors.KubeError as problem:
            return api.unknown_from(problem)
        return Known(list(found.items))

    def _fact(self, key: FactKey) -> Answer:
        return api.fetch(self._session, key) if time.monotonic() < self._end else self._too_late()

    def _too_late(self) -> Unknown:
        return Unknown(Why.TIMEOUT, f"the time limit of {self._seconds:.0f} s was reached", "--timeout")


def side_by_side(work: Callable[[T], Answer], items: Sequence[T]) -> list[Answer]:
    """The answers in the order of the items. After an interruption nobody waits for what the threads still do."""
    answers: dict[int, Answer] = {}
    left = iter(enumerate(items))
    taking = threading.Lock()
    done: queue.SimpleQueue[tuple[int, Answer]] = queue.SimpleQueue()

    def serve() -> None:
        while True:
            with taking:
                number, item = next(left, (-1, None))
            if item is None:
                return
            try:
                answer = work(item)
            except Exception as defect:  # work turns its failures into answers; this is its own defect
                answer = Unknown(Why.ERROR, f"{type(defect).__name__}: {defect}")
            done.put((number, answer))

    for number in range(min(SIDE_BY_SIDE, len(items))):
        threading.Thread(target=serve, name=f"scan {number}", daemon=True).start()
    while len(answers) < len(items):
        number, answer = done.get()
        answers[number] = answer
    return [answers[number] for number in range(len(items))]


# --- what is kept of an object ----------------------------------------------------------------------------------------


def reduced(resource: str, items: list[JsonObject]) -> list[JsonObject]:
    """The items without what no cause looks at: a list of 40,000 endpoints would not fit into memory as it comes."""
    if resource.startswith("endpointslices."):
        shared: dict[Any, Any] = {}
        return [_slice(item, shared) for item in items]
    for item in items:
        _lighten(item)
        if resource == "nodes":
            for field in ("images", "volumesAttached", "volumesInUse", "allocatable", "runtimeHandlers"):
                tree_of(item, "status").pop(field, None)
    return items


def tree_of(item: JsonObject, field: str) -> dict[str, Any]:
    """The object at a field, to be changed in place; a new one where there is none."""
    found = item.get(field)
    return found if isinstance(found, dict) else {}


def _lighten(item: JsonObject) -> None:
    metadata = tree_of(item, "metadata")
    for field in _DROPPED_METADATA:
        metadata.pop(field, None)


def _slice(item: JsonObject, shared: dict[Any, Any]) -> JsonObject:
    """What `model.objects.slices` reads. Equal parts of a page become one object."""
    metadata = tree_of(item, "metadata")
    labels = tree.labels(metadata, "labels")
    endpoints = item.get("endpoints")
    return {
        "metadata": {
            "name": metadata.get("name"),
            "namespace": _one(metadata.get("namespace"), shared),
            "labels": {key: labels[key] for key in (SERVICE_LABEL, MANAGED_BY_LABEL) if key in labels},
        },
        "addressType": _one(item.get("addressType"), shared),
        "ports": item.get("ports"),
        "endpoints": [_endpoint(e, shared) for e in endpoints if isinstance(e, dict)]
        if isinstance(endpoints, list)
        else [],
    }


def _endpoint(raw: JsonObject, shared: dict[Any, Any]) -> JsonObject:
    kept: JsonObject = {"addresses": raw.get("addresses")}
    conditions = raw.get("conditions")
    if isinstance(conditions, dict):
        state = tuple(sorted((k, v) for k, v in conditions.items() if isinstance(v, bool)))
        kept["conditions"] = shared.setdefault(state, conditions)
    if isinstance(node := raw.get("nodeName"), str):
        kept["nodeName"] = sys.intern(node)
    target = raw.get("targetRef")
    if isinstance(target, dict):
        kept["targetRef"] = {"kind": _one(target.get("kind"), shared), "name": target.get("name")}
    if raw.get("hints"):
        kept["hints"] = raw["hints"]
    return kept


def _one(value: Any, shared: dict[Any, Any]) -> Any:
    return shared.setdefault(value, value) if isinstance(value, str) else value
