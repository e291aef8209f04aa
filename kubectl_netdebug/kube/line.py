"""A byte stream to a server whose every wait ends at a wall-clock deadline.

Socket timeouts count from the last byte, so a server that sends a byte a second never runs into one. A
`Line` has a point in time instead, one for reading and one for writing. It is also safe to read in one thread
and write in another: a TLS connection must not be used by two threads at once, therefore the socket never
blocks inside a call, and waiting happens outside the lock.
"""

from __future__ import annotations

import contextlib
import io
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import TypeVar

_Outcome = TypeVar("_Outcome")
_CHUNK = 65_536
_LONGEST_WAIT = 3600.0


class Line:
    """`read_until` and `write_until` are points on `time.monotonic()`; past them, TimeoutError is raised.

    The interface is what http.client and websocket-client expect from a socket.
    """

    def __init__(self, connection: socket.socket, until: float) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._lock = threading.Lock()
        self.read_until = until
        self.write_until = until
        self.received = 0
        """Bytes read so far, as they came off the connection."""

    def secure(self, context: ssl.SSLContext, server_name: str) -> None:
        """Speaks TLS from here on. Raises ssl.SSLError, OSError or TimeoutError."""
        secured = context.wrap_socket(self._socket, server_hostname=server_name, do_handshake_on_connect=False)
        self._socket = secured
        self._patiently(secured.do_handshake, writing=False)

    def recv(self, most: int) -> bytes:
        """At most `most` bytes; empty at the end of the stream."""
        try:
            data = self._patiently(lambda: self._socket.recv(most), writing=False)
        except ssl.SSLZeroReturnError:
            return b""
        self.received += len(data)
        return data

    def send(self, data: bytes) -> int:
        """Writes some of `data`, returns how much."""
        return self._patiently(lambda: self._socket.send(data), writing=True)

    def sendall(self, data: bytes) -> None:
        rest = memoryview(bytes(data))
        while rest:
            rest = rest[self.send(bytes(rest[:_CHUNK])) :]

    def makefile(self, mode: str = "rb", buffering: int = -1) -> io.BufferedReader:
        return io.BufferedReader(_Reading(self), _CHUNK)

    def gettimeout(self) -> float:
        return max(self.read_until - time.monotonic(), 0.001)

    def fileno(self) -> int:
        return self._socket.fileno()

    def quiet(self) -> bool:
        """Whether nothing waits to be read: on an idle kept-alive connection, anything that waits is its end."""
        return self.fileno() >= 0 and not _ready(self.fileno(), writing=False, seconds=0)

    def cancel(self) -> None:
        """Wakes whoever waits on this line, from any thread; the line is useless afterwards."""
        # The method of the plain socket: that of a TLS socket would take its state away from under a reader.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        self.cancel()
        with self._lock, contextlib.suppress(OSError):
            self._socket.close()

    def _patiently(self, attempt: Callable[[], _Outcome], *, writing: bool) -> _Outcome:
        """Repeats `attempt` whenever the connection is ready again, until it succeeds or time is up."""
        for_writing = writing
        while True:
            until = self.write_until if writing else self.read_until
            rest = until - time.monotonic()
            if rest <= 0:
                raise TimeoutError("the deadline has passed")
            try:
                with self._lock:
                    return attempt()
            except ssl.SSLWantReadError:  # TLS may have to read in order to write, and the other way round
                for_writing = False
            except ssl.SSLWantWriteError:
                for_writing = True
            except BlockingIOError:
                for_writing = writing
            _ready(self.fileno(), writing=for_writing, seconds=min(rest, _LONGEST_WAIT))


class _Reading(io.RawIOBase):
    """A line as a raw stream, for the buffered reader that http.client wants."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._line.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _ready(descriptor: int, *, writing: bool, seconds: float) -> bool:
    """Whether the descriptor can be read (written) within `seconds`; one closed meanwhile is ready to fail."""
    if descriptor < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        readable, writable = ([], [descriptor]) if writing else ([descriptor], [])
        return any(select.select(readable, writable, [], seconds))
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT if writing else select.POLLIN)
    return bool(poll.poll(seconds * 1000))
