"""The API server as the rest of the program sees it: plain JSON in, plain JSON out, errors of one family.

Every object that comes in is sanitised and stripped of secrets (`rim`). Every call has a wall-clock limit.
A session may be used by many threads at once.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.kube.access import Access
from kubectl_netdebug.kube.channel import Channel, Query
from kubectl_netdebug.kube.errors import Expired, Garbled
from kubectl_netdebug.kube.execution import BytePipe, ExecResult, ExecTarget, open_pipe, run
from kubectl_netdebug.kube.flags import KubeFlags
from kubectl_netdebug.kube.resolve import access_from
from kubectl_netdebug.kube.review import Reviews
from kubectl_netdebug.kube.rim import admit
from kubectl_netdebug.kube.status import failure, retry_after
from kubectl_netdebug.kube.transcript import Call
from kubectl_netdebug.kube.transport import Headers, Reply
from kubectl_netdebug.net.text import sanitise

JsonObject = dict[str, Any]

DEFAULT_SECONDS = 10.0
MOST_BYTES = 64 * 1024 * 1024
MOST_LOG_BYTES = 1024 * 1024
_LIST_FACTOR = 6
_MOST_RETRIES = 2
_WORTH_RETRYING = frozenset({429, 502, 503, 504})
_NO_LIMIT = 86_400.0
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


@dataclass(frozen=True)
class ListResult:
    """`complete` is False when the server has more items than were asked for."""

    items: tuple[JsonObject, ...]
    complete: bool
    resource_version: str


Reduce = Callable[[list[JsonObject]], list[JsonObject]]
"""What leaves less of the objects of a page, so that a large list never stands in memory as a whole."""


class Session:
    """One identity at one API server.

    `deadline` is always the number of seconds a call may take, name resolution and retries included, a login not;
    None means `--request-timeout`, else 10. All methods raise subclasses of KubeError and nothing else.
    """

    def __init__(self, access: Access, *, request_timeout: float | None = None, interactive: bool = False) -> None:
        self.context = access.context
        self.cluster = access.cluster
        self.user = access.user
        self.server = access.server
        self.namespace = access.namespace
        self.warnings = _warnings(access)
        self._request_timeout = request_timeout
        self._channel = Channel(access, interactive=interactive)
        self._reviews = Reviews(self.send)
        self._closed = threading.Event()

    @classmethod
    def open(cls, flags: KubeFlags, *, interactive: bool = False) -> Session:
        """Reads flags and kubeconfig; speaks to nobody yet. Raises ConfigProblem.

        `interactive` lets a credential plugin ask the person at the terminal, at the first login only: a renewal
        in the middle of a run must not write over a screen.
        """
        return cls(access_from(flags), request_timeout=flags.request_timeout, interactive=interactive)

    def log_in(self) -> None:
        """Gets the credential now instead of at the first call: before a screen is drawn, say.

        Raises CredentialProblem, ConfigProblem.
        """
        self._channel.log_in()

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every request so far."""
        return self._channel.transcript.calls

    def get(
        self, path: str, query: Query = (), *, deadline: float | None = None, most_bytes: int = MOST_BYTES
    ) -> JsonObject:
        """The object at an API path such as `/api/v1/namespaces/default/pods/web`, not percent-encoded."""
        return self._get(path, query, "application/json", self._until(deadline), most_bytes)

    def get_text(
        self, path: str, query: Query = (), *, deadline: float | None = None, most_bytes: int = MOST_LOG_BYTES
    ) -> str:
        """Text such as a container's log, sanitised; what lies beyond `most_bytes` is left out."""
        until = self._until(deadline)
        reply = self._patiently(path, query, (("Accept", "*/*"),), until, most_bytes, cut=True)
        return sanitise(reply.body.decode("utf-8", "replace"), most_bytes)

    def list(
        self,
        path: str,
        query: Query = (),
        *,
        limit: int = 500,
        most: int | None = None,
        deadline: float | None = None,
        metadata_only: bool = False,
        reduce: Reduce | None = None,
    ) -> ListResult:
        """All items of a list, page by page of `limit`; stops after `most` items.

        Starts again once when the server has forgotten where we were (410). `deadline` counts for the whole list;
        by default that is six times the limit for a call. With `metadata_only`, items have metadata alone, which
        is a fraction of the size. `reduce` is given each page's items as they come and returns what to keep of them.
        """
        until = self._until(deadline, factor=_LIST_FACTOR)
        accept = _METADATA_ONLY if metadata_only else "application/json"
        try:
            return self._all_pages(path, query, limit, most, until, accept, reduce)
        except Expired:
            return self._all_pages(path, query, limit, most, until, accept, reduce)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Query = (),
        content_type: str = "application/json",
        deadline: float | None = None,
    ) -> JsonObject:
        """POST, PUT, PATCH or DELETE with a JSON body; never retried. Gives the object in the answer."""
        headers = [("Accept", "application/json")]
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers.append(("Content-Type", content_type))
        until = self._until(deadline)
        reply = self._channel.exchange(method, path, query, headers=headers, body=content, until=until, most=MOST_BYTES)
        return _object(method, path, _succeeded(method, path, reply))

    def exec(
        self,
        namespace: str,
        pod: str,
        container: str | None,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        seconds: float = DEFAULT_SECONDS,
        most_bytes: int = 4 * 1024 * 1024,
    ) -> ExecResult:
        """Runs a command in a container and waits for its end, at most `seconds`. See ExecResult for how it can end.

        Raises for what prevents asking at all: Unreachable, CredentialProblem, NotFound.
        """
        target = ExecTarget(namespace, pod, container, tuple(argv))
        return run(self._channel, target, stdin=stdin, seconds=seconds, most_bytes=most_bytes)

    def open_pipe(
        self, namespace: str, pod: str, container: str | None, argv: Sequence[str], *, seconds: float = DEFAULT_SECONDS
    ) -> BytePipe:
        """Starts a command in a container and gives its standard input and output. `seconds` bounds the opening.

        Raises Forbidden, NotFound, Rejected, ServerFault and what `get` raises.
        """
        target = ExecTarget(namespace, pod, container, tuple(argv))
        return open_pipe(self._channel, target, seconds=seconds)

    def may(
        self,
        verb: str,
        resource: str,
        *,
        group: str = "",
        subresource: str = "",
        namespace: str | None = None,
        name: str | None = None,
    ) -> bool:
        """Whether this identity has a right, asked once per question. None as namespace means all namespaces."""
        return self._reviews.may(verb, resource, group, subresource, namespace, name)

    def close(self) -> None:
        """Ends waiting retries and idle connections. Calls and pipes under way end by their own deadlines."""
        self._closed.set()
        self._channel.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def _until(self, deadline: float | None, *, factor: int = 1) -> float:
        self._channel.log_in()
        asked = self._request_timeout
        seconds = asked if asked is not None else DEFAULT_SECONDS
        seconds = (seconds or _NO_LIMIT) * factor
        if deadline is not None:
            seconds = min(deadline, seconds) if asked else deadline
        return time.monotonic() + seconds

    def _get(self, path: str, query: Query, accept: str, until: float, most_bytes: int) -> JsonObject:
        reply = self._patiently(path, query, (("Accept", accept),), until, most_bytes)
        return _object("GET", path, reply)

    def _patiently(
        self, path: str, query: Query, headers: Headers, until: float, most: int, *, cut: bool = False
    ) -> Reply:
        """A GET, asked again when the server says that it cannot answer just now and there is time."""
        for attempt in range(_MOST_RETRIES + 1):
            reply = self._channel.exchange(
                "GET", path, query, headers=[*headers, *self._channel.encodings], until=until, most=most, cut=cut
            )
            if reply.status not in _WORTH_RETRYING or attempt == _MOST_RETRIES:
                break
            asked = retry_after(reply.headers)
            pause = 0.1 * 2**attempt if asked is None else asked
            if time.monotonic() + pause >= until or self._closed.wait(pause):
                break
        return _succeeded("GET", path, reply)

    def _all_pages(
        self,
        path: str,
        query: Query,
        limit: int,
        most: int | None,
        until: float,
        accept: str,
        reduce: Reduce | None,
    ) -> ListResult:
        base = list(query.items()) if isinstance(query, dict) else list(query)
        items: list[JsonObject] = []
        position = ""
        while True:
            wanted = limit if most is None else max(min(limit, most - len(items)), 1)
            page_query = [*base, ("limit", str(wanted))] + ([("continue", position)] if position else [])
            page = _page(path, self._get(path, page_query, accept, until, MOST_BYTES))
            items.extend(reduce(page.items) if reduce else page.items)
            if not page.position or (most is not None and len(items) >= most):
                kept = items if most is None else items[:most]
                return ListResult(tuple(kept), not page.position and len(kept) == len(items), page.version)
            if page.position == position:
                raise Garbled(f"The list {path} does not end: the server repeats one page.")
            position = page.position


@dataclass(frozen=True)
class _Page:
    items: list[JsonObject]
    position: str
    version: str


def _page(path: str, content: JsonObject) -> _Page:
    # A Go server writes null for a list without items.
    items = [] if content.get("items") is None else content["items"]
    metadata = {} if content.get("metadata") is None else content["metadata"]
    if "items" not in content or not isinstance(items, list) or not isinstance(metadata, dict):
        raise Garbled(f"The answer to GET {path} is no list.")
    if not all(isinstance(item, dict) for item in items):
        raise Garbled(f"The list {path} has items that are no objects.")
    return _Page(items, str(metadata.get("continue") or ""), str(metadata.get("resourceVersion") or ""))


def _succeeded(method: str, path: str, reply: Reply) -> Reply:
    if 200 <= reply.status < 300:
        return reply
    raise failure(method, path, reply.status, reply.headers, reply.body)


def _object(method: str, path: str, reply: Reply) -> JsonObject:
    content = admit(reply.body.decode("utf-8", "replace"))
    if not isinstance(content, dict):
        raise Garbled(f"The answer to {method} {path} is JSON but no object.")
    return content


def _warnings(access: Access) -> tuple[str, ...]:
    found = []
    if access.insecure and access.server.startswith("https:"):
        found.append("TLS verification is off: whoever sits on the way can read and change everything.")
    if access.server.startswith("http:") and (access.identity.token or access.identity.token_file):
        found.append("The token goes over plain HTTP: whoever sits on the way can take it.")
    return tuple(found)
