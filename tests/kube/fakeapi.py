"""A fake API server on a local port: recorded objects, every way to misbehave, and exec over websocket.

    with FakeApi() as api:
        api.add({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "default", "name": "web"}})
        api.on("/api/v1/nodes", status(403, "no"))
        session = Session.open(KubeFlags(server=api.url))

What `on` registers goes before objects; several behaviours for one path are used up in order, the last one stays.
"""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import ssl
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.kube.certificates import Authority
from tests.kube.fakeexec import ExecHandler, serve_exec

_PLURALS = {
    "Endpoints": "endpoints",
    "EndpointSlice": "endpointslices",
    "Ingress": "ingresses",
    "IngressClass": "ingressclasses",
    "NetworkPolicy": "networkpolicies",
    "GatewayClass": "gatewayclasses",
    "StorageClass": "storageclasses",
}
_STATUS_REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict"}
_STATUS_REASONS |= {410: "Expired", 422: "Invalid", 429: "TooManyRequests", 500: "InternalError"}


@dataclass(frozen=True)
class Asked:
    """One request as it came in. `headers` keeps repeats, names in lower case."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def headers_called(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def first(self, key: str, default: str = "") -> str:
        return dict(reversed(self.query)).get(key, default)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Wire:
    """The connection under a behaviour. `released` is set when the fake server stops."""

    connection: socket.socket
    released: threading.Event
    stream: Any = field(default=None, repr=False)
    """The connection's reading end."""

    def write(self, data: bytes) -> None:
        self.connection.sendall(data)

    def answer(self, code: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.write(f"HTTP/1.1 {code} X\r\n{head}\r\n".encode() + body)


Behaviour = Callable[[Asked, Wire], bool | None]
"""Answers a request; returns False when the connection must not be used again."""


def answer(body: Any, code: int = 200, headers: Mapping[str, str] | None = None) -> Behaviour:
    """JSON (or, from bytes, anything)."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def behave(asked: Asked, wire: Wire) -> None:
        wire.answer(code, content, headers)

    return behave


def status(code: int, message: str = "", headers: Mapping[str, str] | None = None) -> Behaviour:
    """A Kubernetes Status of that code."""
    return answer(status_body(code, message), code, headers)


def status_body(code: int, message: str = "", **more: Any) -> dict[str, Any]:
    reason = _STATUS_REASONS.get(code, "Unknown")
    fields = {"status": "Failure", "message": message or reason, "reason": reason, "code": code, **more}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, **fields}


def hang(asked: Asked, wire: Wire) -> bool:
    """Never answers."""
    wire.released.wait()
    return False


def drop(asked: Asked, wire: Wire) -> bool:
    """Closes the connection without a word."""
    return False


def garbage(asked: Asked, wire: Wire) -> bool:
    """Answers, but not in HTTP."""
    wire.write(b"\x15\x03\x01 SSH-2.0-OpenSSH_9.9\r\n" * 3)
    return False


def cut(asked: Asked, wire: Wire) -> bool:
    """Promises a longer body than it sends."""
    wire.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"kind": "Po')
    return False


def cut_chunk(asked: Asked, wire: Wire) -> bool:
    """Ends within a chunk."""
    wire.write(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\n{"kind": "Po')
    return False


def drip(asked: Asked, wire: Wire) -> bool:
    """A byte each 10 ms, for ever: no wait between two bytes is long."""
    wire.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not wire.released.wait(0.01):
        wire.write(b" ")
    return False


def drip_head(asked: Asked, wire: Wire) -> bool:
    """The same before the body begins."""
    wire.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not wire.released.wait(0.01):
        wire.write(b"x")
    return False


def huge(size: int) -> Behaviour:
    """A JSON string of `size` bytes."""
    return answer(b'{"a":"' + b"x" * size + b'"}')


class FakeApi:
    """The server. Thread-safe where tests need it; `asked` is every request so far."""

    def __init__(
        self,
        *,
        tls: bool = False,
        hosts: tuple[str, ...] = ("127.0.0.1", "localhost"),
        expired: bool = False,
        client_authority: bytes | None = None,
    ) -> None:
        self.asked: list[Asked] = []
        self.exec: ExecHandler | None = None
        self.exec_protocols: tuple[str, ...] = ("v5.channel.k8s.io", "v4.channel.k8s.io")
        self.may: Callable[[dict[str, Any]], bool] = lambda attributes: True
        self.require: Callable[[Asked], bool] = lambda asked: True
        self.authority = Authority()
        self._behaviours: dict[str, list[Behaviour]] = {}
        self._collections: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._context = self._tls(hosts, expired, client_authority) if tls else None
        self._server = _Server(("127.0.0.1", 0), self._connection_handler())
        self.port: int = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        # A short poll interval makes stopping quick.
        serve = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        serve.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def add(self, *objects: dict[str, Any], plural: str | None = None) -> None:
        """Serves objects, alone and in the lists they belong to."""
        for item in objects:
            self._collections[_collection(item, plural)].append(item)

    def serve(self, collection: str, item: dict[str, Any]) -> None:
        """Serves an object of a list that is named by its path: items of lists do not say what they are."""
        self._collections[collection].append(item)

    def on(self, path: str, *behaviours: Behaviour) -> None:
        self._behaviours[path] = list(behaviours)

    def paths(self) -> list[str]:
        with self._lock:
            return [asked.path for asked in self.asked]

    def kubeconfig(self, directory: Path, user: dict[str, Any] | None = None, **cluster: Any) -> Path:
        """Writes a kubeconfig (JSON is YAML) with one context, `fake`, and gives its path."""
        if self._context is not None and "certificate-authority" not in cluster:
            authority = directory / "ca.crt"
            authority.write_bytes(self.authority.pem)
            cluster["certificate-authority"] = str(authority)
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "me"}}],
            "clusters": [{"name": "fake", "cluster": {"server": self.url, **cluster}}],
            "users": [{"name": "me", "user": user or {"token": "secret-token"}}],
        }
        path = directory / "kubeconfig"
        path.write_text(json.dumps(content))
        return path

    def _tls(self, hosts: tuple[str, ...], expired: bool, client_authority: bytes | None) -> ssl.SSLContext:
        pair = self.authority.issue("fake-api", hosts, expired=expired)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:
            file.write(pair.certificate + pair.key)
            file.flush()
            context.load_cert_chain(file.name)
        if client_authority is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=client_authority.decode())
        return context

    def _connection_handler(self) -> type[socketserver.BaseRequestHandler]:
        api = self

        class Connection(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                # A client that goes away is what many tests are about.
                with contextlib.suppress(OSError, ValueError):
                    api._converse(self.request)

        return Connection

    def _converse(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True)
        wire = Wire(connection, self._released, connection.makefile("rb"))
        try:
            while (asked := _request(wire.stream)) is not None:
                with self._lock:
                    self.asked.append(asked)
                if self._behaviour(asked)(asked, wire) is False:
                    return
        except _NoHttp:
            wire.answer(400, b"400 Bad Request")
        finally:
            wire.stream.close()
            connection.close()

    def _behaviour(self, asked: Asked) -> Behaviour:
        with self._lock:
            chosen = self._behaviours.get(asked.path)
            if chosen:
                return chosen.pop(0) if len(chosen) > 1 else chosen[0]
        if not self.require(asked):
            return status(401, "Unauthorized")
        if asked.header("upgrade") == "websocket" and self.exec is not None:
            return self._exec
        if asked.path.endswith("/selfsubjectaccessreviews"):
            allowed = self.may(asked.json["spec"]["resourceAttributes"])
            return answer({**asked.json, "status": {"allowed": allowed}}, 201)
        return self._object(asked)

    def _exec(self, asked: Asked, wire: Wire) -> bool:
        assert self.exec is not None
        serve_exec(asked, wire, self.exec, self.exec_protocols)
        return False

    def _object(self, asked: Asked) -> Behaviour:
        if asked.path in self._collections or asked.path in self._everywhere():
            return answer(self._listed(asked))
        collection, _, name = asked.path.rpartition("/")
        for item in self._collections.get(collection, []):
            if item["metadata"]["name"] == name:
                return answer(item)
        return status(404, f'the server could not find the requested resource "{asked.path}"')

    def _everywhere(self) -> set[str]:
        return {_without_namespace(path) for path in self._collections}

    def _listed(self, asked: Asked) -> dict[str, Any]:
        """A page of a list, with the selectors and the paging of the real thing."""
        items = [
            item
            for path, collection in self._collections.items()
            if asked.path in (path, _without_namespace(path))
            for item in collection
            if _selected(item, asked)
        ]
        start = int(asked.first("continue", "0"))
        end = start + int(asked.first("limit", "0") or 0) if asked.first("limit") else len(items)
        metadata = {"resourceVersion": "1"}
        if end < len(items):
            metadata |= {"continue": str(end), "remainingItemCount": str(len(items) - end)}
        return {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items[start:end]}


class _NoHttp(Exception):
    """What came is no HTTP request: a TLS greeting, say."""


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64


def _request(stream: Any) -> Asked | None:
    first = stream.readline(65_536).decode("latin-1").split()
    if not first:
        return None
    if len(first) != 3 or not first[2].startswith("HTTP/"):
        raise _NoHttp
    headers = []
    while (line := stream.readline(65_536)) not in (b"\r\n", b""):
        name, _, value = line.decode("utf-8").partition(":")
        headers.append((name.strip().lower(), value.strip()))
    length = int(dict(headers).get("content-length", "0"))
    url = urlsplit(first[1])
    query = tuple(parse_qsl(url.query, keep_blank_values=True))
    return Asked(first[0], unquote(url.path), query, tuple(headers), stream.read(length))


def _collection(item: dict[str, Any], plural: str | None) -> str:
    version, kind = item["apiVersion"], item["kind"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = item["metadata"].get("namespace")
    name = plural or _PLURALS.get(kind, f"{kind.lower()}s")
    return f"{root}/namespaces/{namespace}/{name}" if namespace else f"{root}/{name}"


def _without_namespace(path: str) -> str:
    before, found, after = path.partition("/namespaces/")
    return f"{before}/{after.partition('/')[2]}" if found and "/" in after else path


def _selected(item: dict[str, Any], asked: Asked) -> bool:
    labels = item["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in _terms(asked.first("labelSelector"))) and all(
        str(_field(item, key)) == value for key, value in _terms(asked.first("fieldSelector"))
    )


def _terms(selector: str) -> Iterable[tuple[str, str]]:
    for term in filter(None, selector.split(",")):
        key, _, value = term.partition("=")
        yield key.strip(), value.lstrip("=").strip()


def _field(item: Any, path: str) -> Any:
    for part in path.split("."):
        item = item.get(part) if isinstance(item, dict) else None
    return item
