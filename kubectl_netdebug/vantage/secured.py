"""TLS and proxies on top of a byte pipe that a Pod lends."""

from __future__ import annotations

import io
import ssl
from typing import Any, Protocol

from kubectl_netdebug.net.text import sanitise

MOST_HEAD = 16 * 1024
"""Bytes of a proxy's answer that are read before it is given up."""


class Pipe(Protocol):
    """A byte pipe: `receive` gives nothing at its end, or when the time is up (then `late` is set)."""

    late: bool

    def send(self, data: bytes) -> None: ...
    def receive(self) -> bytes: ...


class Secured(io.RawIOBase):
    """A TLS client on a pipe, itself a pipe; nothing is verified. `sent` is the first data that came back."""

    def __init__(self, pipe: Pipe, server_name: str, protocols: tuple[str, ...] = ()) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if protocols:
            context.set_alpn_protocols(list(protocols))
        self._pipe = pipe
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.shaking = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name or None)
        self._first = b""
        self._rest = b""

    @property
    def late(self) -> bool:
        """The time was up."""
        return self._pipe.late

    def shake(self) -> dict[str, Any] | None:
        """Does the handshake. None when it is done, else how it failed, as the fact `Tls` has it."""
        while True:
            try:
                self.shaking.do_handshake()
                self._flush()
                return None
            except ssl.SSLWantReadError:
                self._flush()
                if not self._take():
                    return {"outcome": "timed-out" if self.late else "closed"}
            except ssl.SSLError as problem:
                self._flush()
                answered_tls = self._first[:1] in (b"\x15", b"\x16")
                reason = sanitise(problem.reason or str(problem), 200)
                return {"outcome": "alert" if answered_tls else "not-tls", "alert": reason}

    def send(self, data: bytes) -> None:
        """Sends all of it."""
        self.shaking.write(data)
        self._flush()

    def receive(self) -> bytes:
        """The next bytes; empty at the end, however it came."""
        while True:
            try:
                return self.shaking.read(65536)
            except ssl.SSLWantReadError:
                self._flush()
                if not self._take():
                    return b""
            except ssl.SSLError:
                return b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._rest or self.receive()
        count = min(len(data), len(buffer))
        buffer[:count] = data[:count]
        self._rest = data[count:]
        return count

    def _flush(self) -> None:
        waiting = self._outgoing.read()
        if waiting:
            self._pipe.send(waiting)

    def _take(self) -> bool:
        data = self._pipe.receive()
        self._first = self._first or data
        if data:
            self._incoming.write(data)
        return bool(data)


def tunnel(pipe: Pipe, host: str, port: int) -> dict[str, Any] | None:
    """Asks the proxy at the pipe's far end for a way through. None when it is open, else how the proxy refused."""
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    pipe.send(
        f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\nUser-Agent: kubectl-netdebug\r\n\r\n".encode("ascii", "replace")
    )
    head = b""
    while b"\r\n\r\n" not in head and len(head) < MOST_HEAD:
        data = pipe.receive()
        if not data:
            break
        head += data
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
    if not words[0].startswith("HTTP/") or len(words) < 2 or not words[1].isdecimal():
        said = "no answer" if pipe.late else "no HTTP" if head else "closed without an answer"
        return {"outcome": "proxy", "status": 0, "reason": said}
    status = int(words[1][:3])
    if 200 <= status < 300:
        return None
    return {"outcome": "proxy", "status": status, "reason": sanitise(words[2] if len(words) > 2 else "", 100)}
