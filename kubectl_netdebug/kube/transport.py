"""One HTTP request and its answer, over kept-alive lines, within a deadline and a size.

Built on http.client, not on the kubernetes library's ApiClient or on urllib3. Neither has what is needed here
(wall-clock deadlines over drip-fed answers, repeated impersonation headers, one dialler for REST and exec, errors
in words), and importing the library takes longer than a whole diagnosis may. CPU time of a process that imports
one thing, with `python -c pass` as 1 (medians of 15, interleaved): http.client and ssl 4, urllib3 and ssl 9,
kubernetes' ApiClient 25, this package as a whole 8 to 10. A process that opens a session and makes five calls takes
0.55 to 0.7 times as long as five `kubectl get`. The library serves where it is worth its price: oidc (`oidc`).
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from kubectl_netdebug.kube.dial import Endpoint, dial, proxy_authorization
from kubectl_netdebug.kube.errors import Garbled, KubeError, TimedOut, Unreachable
from kubectl_netdebug.kube.line import Line

_MOST_IDLE = 8
_IDLE_SECONDS = 30.0
_CHUNK = 65_536
_GZIP = 16 + zlib.MAX_WBITS

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Request:
    """`target` is path and query, percent-encoded. `headers` may repeat a name."""

    method: str
    target: str
    headers: Headers = field(default=(), repr=False)
    body: bytes | None = None


@dataclass(frozen=True)
class Reply:
    """`headers` has lower-case names. `cut` says that the body was longer than asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False


@dataclass
class _Connection:
    line: Line
    http: http.client.HTTPConnection
    used: float = field(default=0.0)


class Transport:
    """Speaks to one endpoint with one client certificate. Thread-safe."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext | None) -> None:
        self._endpoint = endpoint
        self._context = context
        self._idle: list[_Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    def exchange(self, request: Request, until: float, most: int, *, cut: bool = False) -> Reply:
        """Sends a request and reads the whole answer by `until` (on `time.monotonic()`).

        A body of more than `most` bytes, unpacked, is cut there when `cut`, else it is Garbled. Raises Unreachable,
        TimedOut, Garbled.
        """
        connection = self._kept()
        if connection is not None:
            try:
                return self._exchange(connection, request, until, most, cut)
            except _Stale:
                pass  # the server had closed the idle connection; nothing of the request was taken
        try:
            return self._exchange(self._fresh(until), request, until, most, cut)
        except _Stale as stale:
            raise Unreachable(
                "reset", f"The API server {self._endpoint.shown} closed the connection without an answer ({stale})."
            ) from None

    def upgrade(self, request: Request, until: float, most: int) -> tuple[Reply, Line, Callable[[int], bytes]]:
        """Asks to change protocol. On status 101, the line now speaks it; read from it with the function given,
        which also has what the server sent right behind its answer. On another status the line is closed.
        """
        connection = self._fresh(until)
        try:
            response = self._send(connection, request)
            if response.status == 101:
                # A response that nobody holds closes its stream, so the function must hold it.
                def read(count: int) -> bytes:
                    return response.fp.read1(count)

                return _reply(response, b""), connection.line, read
            return self._read(connection, response, request, most, cut=True), connection.line, connection.line.recv
        except _Stale as stale:
            raise Unreachable(
                "reset", f"The API server {self._endpoint.shown} closed the connection without an answer ({stale})."
            ) from None
        except BaseException:
            connection.line.close()
            raise

    def close(self) -> None:
        """Closes idle connections; later requests still work but keep nothing."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.line.close()

    def _kept(self) -> _Connection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if time.monotonic() - connection.used < _IDLE_SECONDS and connection.line.quiet():
                return connection
            connection.line.close()

    def _keep(self, connection: _Connection) -> None:
        connection.used = time.monotonic()
        with self._lock:
            if not self._closed and len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
                return
        connection.line.close()

    def _fresh(self, until: float) -> _Connection:
        line = dial(self._endpoint, self._context, until)
        connection = _Wire(self._endpoint.host, self._endpoint.port)
        connection.auto_open = 0
        connection.sock = line
        return _Connection(line, connection)

    def _exchange(self, connection: _Connection, request: Request, until: float, most: int, cut: bool) -> Reply:
        connection.line.read_until = connection.line.write_until = until
        try:
            response = self._send(connection, request)
            reply = self._read(connection, response, request, most, cut)
        except BaseException:
            connection.line.close()
            raise
        if reply.cut or response.will_close:
            connection.line.close()
        else:
            response.close()  # http.client takes the next request only then
            self._keep(connection)
        return reply

    def _send(self, connection: _Connection, request: Request) -> http.client.HTTPResponse:
        wire = connection.http
        try:
            wire.putrequest(request.method, self._on_the_wire(request.target), skip_accept_encoding=True)
            for name, value in self._with_proxy(request.headers):
                wire.putheader(name, value.encode())
            if request.body is not None:
                wire.putheader("Content-Length", str(len(request.body)))
            wire.endheaders(request.body)
            return wire.getresponse()
        except TimeoutError:
            raise self._too_late() from None
        except (http.client.RemoteDisconnected, ConnectionError, BrokenPipeError, ssl.SSLEOFError) as problem:
            raise _Stale(getattr(problem, "strerror", None) or "end of stream") from None
        except (http.client.HTTPException, OSError, ValueError) as problem:
            raise self._no_http(problem) from None

    def _on_the_wire(self, target: str) -> str:
        if not self._endpoint.forwarded:
            return target
        host = f"[{self._endpoint.host}]" if ":" in self._endpoint.host else self._endpoint.host
        return f"http://{host}:{self._endpoint.port}{target}"

    def _with_proxy(self, headers: Headers) -> Headers:
        proxy = self._endpoint.proxy
        authorization = proxy_authorization(proxy) if proxy is not None and self._endpoint.forwarded else None
        return headers if authorization is None else [*headers, ("Proxy-Authorization", authorization)]

    def _read(
        self,
        connection: _Connection,
        response: http.client.HTTPResponse,
        request: Request,
        most: int,
        cut: bool,
    ) -> Reply:
        try:
            body = _body(response, most)
        except TimeoutError:
            raise self._too_late(connection.line.received) from None
        except (http.client.HTTPException, OSError, ValueError, zlib.error) as problem:
            reason = str(problem) or type(problem).__name__
            raise Garbled(
                f"The answer to {request.method} {request.target[:200]} ended in the middle ({reason})."
            ) from None
        if len(body) > most and not cut:
            raise Garbled(f"The answer to {request.method} {request.target[:200]} is larger than {most:,} bytes.")
        return _reply(response, body[:most], cut=len(body) > most)

    def _too_late(self, received: int = 0) -> KubeError:
        state = f"had sent only part of its answer ({received:,} bytes)" if received else "did not answer"
        return TimedOut(f"The API server {self._endpoint.shown} {state} when the time for the call was up.")

    def _no_http(self, problem: Exception) -> KubeError:
        if isinstance(problem, ssl.SSLError):
            reason = (problem.reason or str(problem)).replace("_", " ").lower()
            return Unreachable("tls", f"The API server {self._endpoint.shown} ended TLS: {reason}.")
        if isinstance(problem, OSError):
            return Unreachable(
                "reset",
                f"The connection to the API server {self._endpoint.shown} broke: {problem.strerror or problem}.",
            )
        return Garbled(f"What answers at {self._endpoint.shown} does not speak HTTP ({type(problem).__name__}).")


class _Wire(http.client.HTTPConnection):
    """HTTP over a line that somebody else closes."""

    def close(self) -> None:
        # http.client closes early, relying on the response to hold the socket open; a line has one owner.
        pass


class _Stale(Exception):
    """The connection ended before any of the answer came."""


def _reply(response: http.client.HTTPResponse, body: bytes, *, cut: bool = False) -> Reply:
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, body, cut)


def _body(response: http.client.HTTPResponse, most: int) -> bytes:
    """The body, unpacked, at least `most` + 1 bytes of it when it is longer than `most`."""
    packed = response.getheader("Content-Encoding", "").lower() == "gzip"
    unpack = zlib.decompressobj(_GZIP) if packed else None
    parts: list[bytes] = []
    size = 0
    while size <= most:
        chunk = response.read1(_CHUNK)
        if not chunk:
            # http.client takes the end of the stream for the end of the body.
            if response.length:
                raise ValueError(f"{response.length:,} bytes are missing")
            if unpack is not None and not unpack.eof and size:
                raise ValueError("the compressed stream is cut")
            break
        if unpack is not None:
            chunk = unpack.decompress(chunk, most + 1 - size)
        parts.append(chunk)
        size += len(chunk)
    return b"".join(parts)
