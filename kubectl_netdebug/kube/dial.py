"""Opens a line to the API server: name, TCP, proxy, TLS, each failure said in words.

REST and exec both come through here, so both treat proxies, client certificates and server names alike.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import http.client
import ipaddress
import queue
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.kube.errors import ConfigProblem, Unreachable, UnreachableCause
from kubectl_netdebug.kube.line import Line
from kubectl_netdebug.kube.proxies import Proxy
from kubectl_netdebug.kube.tls import explain

CONNECT_SECONDS = 3.0
_NO_ROUTE = frozenset({"EHOSTUNREACH", "ENETUNREACH", "EADDRNOTAVAIL", "ENETDOWN", "EHOSTDOWN"})


@dataclass(frozen=True)
class Endpoint:
    """Where the API server is. `shown` names it in messages: URL and context."""

    host: str
    port: int
    secure: bool
    server_name: str
    shown: str
    proxy: Proxy | None = None

    @property
    def forwarded(self) -> bool:
        """Whether an HTTP proxy forwards our requests (it tunnels them when there is TLS)."""
        return self.proxy is not None and self.proxy.kind == "http" and not self.secure


def dial(endpoint: Endpoint, context: ssl.SSLContext | None, until: float) -> Line:
    """A line ready for HTTP. `until` bounds it on `time.monotonic()`, as do CONNECT_SECONDS.

    Raises Unreachable.
    """
    until = min(until, time.monotonic() + CONNECT_SECONDS)
    proxy = endpoint.proxy
    host, port = (endpoint.host, endpoint.port) if proxy is None else (proxy.host, proxy.port)
    line = Line(_connected(endpoint, host, port, until), until)
    try:
        if proxy is not None and not endpoint.forwarded:
            _through_proxy(line, endpoint, proxy)
        if context is not None:
            _secured(line, endpoint, context)
    except BaseException:
        line.close()
        raise
    return line


def _connected(endpoint: Endpoint, host: str, port: int, until: float) -> socket.socket:
    addresses = _addresses(endpoint, host, port, until)
    failure: OSError = TimeoutError()
    for index, (family, address) in enumerate(addresses):
        # An address that swallows packets must leave time for the ones after it.
        share = (until - time.monotonic()) / (len(addresses) - index)
        try:
            return _connected_to(family, address, max(share, 0.001))
        except OSError as problem:
            failure = problem
    raise _not_connected(endpoint, failure) from None


def _connected_to(family: int, address: Any, seconds: float) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        connection.connect(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except OSError:
        connection.close()
        raise
    return connection


def _not_connected(endpoint: Endpoint, problem: OSError) -> Unreachable:
    who = _who(endpoint)
    cause: UnreachableCause
    if isinstance(problem, ConnectionRefusedError):
        cause, words = "refused", f"{who} refuses connections: is it running, is the VPN up?"
    elif isinstance(problem, TimeoutError):
        cause = "connect-timeout"
        words = f"{who} does not answer at all: is the VPN up, does a firewall drop the packets?"
    elif _name_of(problem) in _NO_ROUTE:
        cause, words = "no-route", f"{who} cannot be reached from this machine (no route): is the VPN up?"
    else:
        cause, words = "reset", f"{who} cannot be connected to: {problem.strerror or problem}."
    return Unreachable("proxy" if endpoint.proxy else cause, words)


def _who(endpoint: Endpoint) -> str:
    if endpoint.proxy is None:
        return f"The API server {endpoint.shown}"
    return f"The proxy {endpoint.proxy.shown} on the way to the API server {endpoint.shown}"


def _name_of(problem: OSError) -> str:
    return errno.errorcode.get(problem.errno or 0, "")


def _addresses(endpoint: Endpoint, host: str, port: int, until: float) -> list[tuple[int, Any]]:
    """What the name resolves to; family and socket address of each."""
    with contextlib.suppress(ValueError, OSError):
        ipaddress.ip_address(host)
        return [_family_and_address(found) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    # The system's resolver cannot be given a time limit, only be left alone.
    answers: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as problem:
            answers.put(problem)

    threading.Thread(target=ask, daemon=True, name="resolve").start()
    try:
        answer = answers.get(timeout=max(until - time.monotonic(), 0.001))
    except queue.Empty:
        answer = TimeoutError("no answer from the name server")
    if isinstance(answer, list) and answer:
        return [_family_and_address(found) for found in answer]
    reason = getattr(answer, "strerror", None) or str(answer)
    raise Unreachable(
        "proxy" if endpoint.proxy else "dns",
        f"{_who(endpoint)} cannot be found: the name {host} does not resolve here ({reason}). Is the VPN up?",
    )


def _family_and_address(found: Any) -> tuple[int, Any]:
    return found[0], found[4]


def _secured(line: Line, endpoint: Endpoint, context: ssl.SSLContext) -> None:
    try:
        line.secure(context, endpoint.server_name)
    except ssl.SSLError as problem:
        meaning = explain(problem, endpoint.server_name)
        raise Unreachable("tls", f"No TLS with the API server {endpoint.shown}: {meaning}.") from None
    except TimeoutError:
        raise Unreachable(
            "tls", f"The API server {endpoint.shown} accepts connections but does not answer the TLS handshake."
        ) from None
    except OSError as problem:
        raise Unreachable(
            "reset",
            f"The API server {endpoint.shown} ended the connection during the TLS handshake "
            f"({problem.strerror or problem}): a firewall or load balancer on the way may do so.",
        ) from None
    except ValueError as problem:
        raise ConfigProblem(f"{endpoint.server_name!r} cannot be the name of a TLS server: {problem}.") from None


def _through_proxy(line: Line, endpoint: Endpoint, proxy: Proxy) -> None:
    try:
        if proxy.kind == "http":
            _tunnel(line, endpoint, proxy)
        else:
            _socks(line, endpoint, proxy)
    except (OSError, http.client.HTTPException, ValueError) as problem:
        reason = "no answer" if isinstance(problem, TimeoutError) else str(problem) or type(problem).__name__
        raise Unreachable("proxy", f"{_who(endpoint)} does not connect to it: {reason}.") from None


def _tunnel(line: Line, endpoint: Endpoint, proxy: Proxy) -> None:
    """HTTP CONNECT (RFC 9110, 9.3.6)."""
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    lines = [f"CONNECT {host}:{endpoint.port} HTTP/1.1", f"Host: {host}:{endpoint.port}"]
    authorization = proxy_authorization(proxy)
    if authorization is not None:
        lines.append(f"Proxy-Authorization: {authorization}")
    line.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
    answer = http.client.HTTPResponse(line, method="CONNECT")  # type: ignore[arg-type]
    answer.begin()
    if answer.status != 200:
        raise ValueError(f"it answered {answer.status} {answer.reason}")


def proxy_authorization(proxy: Proxy) -> str | None:
    """The value of Proxy-Authorization, None without credentials."""
    if proxy.username is None:
        return None
    pair = f"{proxy.username}:{proxy.password or ''}".encode()
    return f"Basic {base64.b64encode(pair).decode('ascii')}"


def _socks(line: Line, endpoint: Endpoint, proxy: Proxy) -> None:
    """SOCKS 5 (RFC 1928, 1929). The proxy resolves the name, as with Go programs."""
    user, password = (proxy.username or "").encode()[:255], (proxy.password or "").encode()[:255]
    line.sendall(b"\x05\x02\x00\x02" if user else b"\x05\x01\x00")
    version, method = _exactly(line, 2)
    if version != 5 or method not in (0, 2):
        raise ValueError("it is no SOCKS 5 proxy, or wants another way to log in")
    if method == 2:
        line.sendall(bytes([1, len(user)]) + user + bytes([len(password)]) + password)
        if _exactly(line, 2)[1] != 0:
            raise ValueError("it refuses the user name or password")
    name = endpoint.host.encode("ascii")[:255]
    line.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + struct.pack("!H", endpoint.port))
    _, outcome, _, kind = _exactly(line, 4)
    if outcome != 0:
        raise ValueError(f"it answered with SOCKS error {outcome}")
    _exactly(line, {1: 4, 4: 16}.get(kind) or _exactly(line, 1)[0])
    _exactly(line, 2)


def _exactly(line: Line, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = line.recv(count - len(data))
        if not more:
            raise ValueError("it closed the connection")
        data += more
    return data
