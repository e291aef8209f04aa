"""A fake API server that answers out of a recording, and is disturbed at a call of one's choice.

What the recording does not hold is answered 403: "no such object" would be a lie about the cluster.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from kubectl_netdebug.model.facts import AccessReview, Answer, FactKey, Known, Log, Object, Objects, Unknown, Why
from kubectl_netdebug.vantage import resources
from tests.kube.fakeapi import Asked, Behaviour, FakeApi, Wire, answer, status, status_body

READS = (Object, Objects, Log, AccessReview)
"""Kinds of facts that are had by a request; this program's own address is none."""

_PAGE = 500
_PAGING = ("limit", "continue")


class Call(NamedTuple):
    """One request, whenever it is made: the same question has the same call in every run."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    body: str

    @classmethod
    def of(cls, asked: Asked) -> Call:
        """What was asked, without what differs between runs."""
        return cls(asked.method, asked.path, tuple(sorted(asked.query)), asked.body.decode("utf-8", "replace"))


Harm = Callable[[Call], Behaviour | None]
"""Says what happens to a call in place of its answer; None lets it pass."""


class RecordedApi(FakeApi):
    """Serves the API facts of a run. `calls` are the requests in the order in which they came."""

    def __init__(self, facts: Mapping[FactKey, Answer]) -> None:
        super().__init__()
        self.harm: Harm = lambda call: None
        self.vanishing: Call | None = None
        """Once this call was answered, nothing that stood in its answer exists any more."""
        self.gone: set[str] = set()
        """Names of what the server said, or would say, does not exist, beside what the recording says."""
        self.served = 0
        """How many calls were answered as recorded."""
        self._objects: dict[str, Answer] = {}
        self._lists: dict[tuple[str, str, str], list[tuple[int, Answer]]] = {}
        self._logs: dict[tuple[str, str, str, str], Answer] = {}
        self._reviews: list[tuple[AccessReview, Answer]] = []
        self._gone: set[str] = set()
        for key, known in facts.items():
            self._index(key, known)

    @property
    def calls(self) -> tuple[Call, ...]:
        with self._lock:
            return tuple(Call.of(asked) for asked in self.asked)

    def _index(self, key: FactKey, known: Answer) -> None:
        match key:
            case Object():
                self._objects[resources.path(key.resource, key.namespace, key.name)] = known
            case Objects():
                where = (resources.path(key.resource, key.namespace), key.labels, key.fields)
                self._lists.setdefault(where, []).append((key.most, known))
            case Log():
                path = resources.path("pods", key.namespace, key.pod, "log")
                self._logs[path, key.container, str(key.previous).lower(), str(key.lines)] = known
            case AccessReview():
                self._reviews.append((key, known))

    def _behaviour(self, asked: Asked) -> Behaviour:
        harm = self.harm(Call.of(asked))
        if harm is not None:
            return harm
        with self._lock:
            self.served += 1
        return super()._behaviour(asked)

    def _object(self, asked: Asked) -> Behaviour:
        behaviour = self._out_of_recording(asked)
        if self.vanishing is None or Call.of(asked) != self.vanishing:
            return behaviour

        def vanish(asked: Asked, wire: Wire) -> bool | None:
            done = behaviour(asked, wire)
            self._gone |= set(_uids(self._content(asked)))
            self.gone |= set(_names(self._content(asked)))
            return done

        return vanish

    def _content(self, asked: Asked) -> Any:
        known = self._list(asked) or self._objects.get(asked.path)
        return known.value if isinstance(known, Known) else None

    def _out_of_recording(self, asked: Asked) -> Behaviour:
        if asked.path.endswith("subjectaccessreviews"):
            return self._review(asked)
        log = self._log(asked)
        if log is not None:
            return _as_text(log, asked)
        listed = self._list(asked)
        if listed is not None:
            return self._as_list(listed, asked)
        known = self._objects.get(asked.path)
        if known is None:
            return super()._object(asked) if asked.path in self._collections else _not_recorded(asked)
        if not isinstance(known, Known):
            return _unknown(known, asked)
        if known.value is None or not self._is_there(known.value):
            return not_found(asked)
        return answer(known.value)

    def _list(self, asked: Asked) -> Answer | None:
        found = self._lists.get((asked.path, asked.first("labelSelector"), asked.first("fieldSelector")))
        if not found:
            return None
        limit = int(asked.first("limit") or 0)
        return next((known for most, known in found if min(most, _PAGE) == limit), found[0][1])

    def _as_list(self, known: Answer, asked: Asked) -> Behaviour:
        if not isinstance(known, Known):
            return _unknown(known, asked)
        items = [item for item in known.value["items"] if self._is_there(item)]
        metadata: dict[str, Any] = {"resourceVersion": "1"}
        if not known.value["complete"]:
            metadata["continue"] = "more"
        return answer({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items})

    def _log(self, asked: Asked) -> Answer | None:
        words = (asked.first("container"), asked.first("previous", "false"), asked.first("tailLines"))
        return self._logs.get((asked.path, *words))

    def _review(self, asked: Asked) -> Behaviour:
        spec = asked.json.get("spec", {})
        for key, known in self._reviews:
            if _is_about(key, spec):
                if not isinstance(known, Known):
                    return _unknown(known, asked)
                return answer({**asked.json, "status": known.value}, 201)
        return _not_recorded(asked)

    def _is_there(self, item: Any) -> bool:
        return not set(_uids(item)) & self._gone


def not_found(asked: Asked, wire: Wire | None = None) -> Behaviour:
    """404 as the API server says it: of an object by its name, of a list as of something that it does not serve."""
    plural, _, name = asked.path.rpartition("/")
    kind = plural.rpartition("/")[2]
    body = status_body(404, f'{kind} "{name}" not found', details={"name": name, "kind": kind})
    return answer(body, 404)


def _is_about(key: AccessReview, spec: Mapping[str, Any]) -> bool:
    attributes = spec.get("resourceAttributes", {})
    fields = ("verb", "group", "resource", "subresource", "namespace", "name")
    same = all(attributes.get(field, "") == getattr(key, field) for field in fields)
    return same and (spec.get("user"), tuple(spec.get("groups", ()))) == (key.user, key.groups)


def _uids(value: Any) -> Iterable[str]:
    """Of an object, or of every item of a list."""
    items = value.get("items", [value]) if isinstance(value, dict) else []
    for item in items:
        uid = item.get("metadata", {}).get("uid") if isinstance(item, dict) else None
        if uid:
            yield uid


def _names(value: Any) -> Iterable[str]:
    items = value.get("items", [value]) if isinstance(value, dict) else []
    return [str(item["metadata"]["name"]) for item in items if isinstance(item, dict) and "metadata" in item]


def _as_text(known: Answer, asked: Asked) -> Behaviour:
    if not isinstance(known, Known):
        return _unknown(known, asked)
    return not_found(asked) if known.value is None else answer(known.value.encode(), headers={"X-Kind": "log"})


def _not_recorded(asked: Asked) -> Behaviour:
    return status(403, f"the recording does not hold {asked.path}")


def _unknown(lost: Answer, asked: Asked) -> Behaviour:
    """A read that failed when the recording was made fails again in the same way, as far as a server can do that."""
    assert isinstance(lost, Unknown)
    if lost.why is Why.FORBIDDEN:
        return status(403, f"forbidden as recorded: {asked.path}")
    return status(500, lost.says)


def body_of(call: Call) -> Any:
    """The JSON that a call carried."""
    return json.loads(call.body) if call.body else None
