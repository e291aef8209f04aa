"""The standard streams of a remote command over one websocket.

Each message begins with a channel number: 0 to 2 are the standard streams, 3 brings a Status at the end. Version 5
of the protocol adds channel 255, which closes another one; without it (servers before 1.30) a command never sees
the end of its standard input.
Source: k8s.io/apimachinery/pkg/util/remotecommand/constants.go; RFC 6455 for the websocket.
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kubectl_netdebug.kube.channel import Channel
from kubectl_netdebug.kube.errors import Garbled, KubeError, TimedOut
from kubectl_netdebug.kube.line import Line
from kubectl_netdebug.kube.rim import admit
from kubectl_netdebug.kube.status import failure
from kubectl_netdebug.kube.transport import Reply

STDIN, STDOUT, STDERR = 0, 1, 2
_STATUS, _CLOSE = 3, 255
_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_ACCEPT_SALT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_LARGEST_MESSAGE = 16 * 1024 * 1024
_MESSAGE_CHUNK = 32 * 1024


@dataclass(frozen=True)
class Ending:
    """How the server says that a command ended; `code` only when it exited."""

    outcome: Literal["exited", "failed-to-start", "dropped"]
    code: int | None
    message: str


class Streams:
    """The two directions may be used by two threads, `close` by any. Points in time are on `time.monotonic()`."""

    def __init__(self, line: Line, read: Callable[[int], bytes], protocol: str) -> None:
        # Imported here: only exec needs it.
        import websocket

        self._line = line
        self._socket: Any = websocket.WebSocket(enable_multithread=True, skip_utf8_validation=True)
        self._plug = _Plug(line, read)
        plug: Any = self._plug
        self._socket.sock = plug
        self._socket.connected = True
        self._failures = (websocket.WebSocketException, OSError, ValueError)
        self._timeout = websocket.WebSocketTimeoutException
        self._sending = threading.Lock()
        self.can_close_stdin = protocol == _PROTOCOLS[0]

    def receive(self, until: float) -> tuple[int, bytes] | Ending:
        """The next non-empty piece of standard output or error, or how it all ended.

        Raises TimedOut; the stream stays usable then.
        """
        self._line.read_until = until
        while True:
            message = self._message()
            if message is None:
                return Ending("dropped", None, "the connection ended before the command did")
            channel, data = message[0], message[1:]
            if channel == _STATUS:
                return ending(data)
            if channel in (STDOUT, STDERR) and data:
                return channel, data

    def send(self, data: bytes, until: float) -> None:
        """Writes to standard input. Raises TimedOut, or OSError when the connection has ended."""
        for start in range(0, len(data), _MESSAGE_CHUNK):
            self._send(bytes([STDIN]) + data[start : start + _MESSAGE_CHUNK], until)

    def close_stdin(self, until: float) -> None:
        """Ends standard input where the protocol can, else does nothing. Raises as `send`."""
        if self.can_close_stdin:
            self._send(bytes([_CLOSE, STDIN]), until)

    def close(self) -> None:
        """Ends the connection and wakes whoever waits for it; from any thread."""
        self._line.close()

    def _message(self) -> bytes | None:
        """A non-empty message, None at the end of the connection."""
        import websocket

        while True:
            try:
                opcode, frame = self._socket.recv_data_frame()
            except self._timeout:
                raise TimedOut("The command sent nothing more before the time was up.") from None
            except self._failures:
                return None
            self._plug.since_message = 0
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return None
            if frame.data:
                return bytes(frame.data)

    def _send(self, message: bytes, until: float) -> None:
        with self._sending:
            self._line.write_until = until
            try:
                self._socket.send_binary(message)
            except self._timeout:
                raise TimedOut("The command took nothing more before the time was up.") from None
            except self._failures as problem:
                raise ConnectionError(str(problem)) from None


class _Plug:
    """A line as the socket that websocket-client wants, reading first what came with the handshake."""

    def __init__(self, line: Line, read: Callable[[int], bytes]) -> None:
        self._line = line
        self._read = read
        self.since_message = 0
        """Bytes read since the last whole message."""

    def recv(self, most: int) -> bytes:
        if self.since_message > _LARGEST_MESSAGE:
            raise ValueError("a message that does not end")
        data = self._read(most)
        self.since_message += len(data)
        return data

    def send(self, data: bytes) -> int:
        return self._line.send(data)

    def gettimeout(self) -> float:
        return self._line.gettimeout()

    def fileno(self) -> int:
        return self._line.fileno()

    def close(self) -> None:
        self._line.close()


def open_streams(channel: Channel, path: str, query: Sequence[tuple[str, str]], until: float) -> Streams:
    """Asks for a websocket at `path`.

    Raises the exception for the status with which the server declined (Forbidden, NotFound, Rejected, …) and what
    `Channel.exchange` raises.
    """
    key = base64.b64encode(os.urandom(16))
    headers = (
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", key.decode("ascii")),
        ("Sec-WebSocket-Protocol", ", ".join(_PROTOCOLS)),
    )
    reply, line, read = channel.upgrade(path, query, headers=headers, until=until)
    problem = _refusal(path, reply, key)
    if problem is not None:
        line.close()
        raise problem
    return Streams(line, read, reply.headers["sec-websocket-protocol"].strip())


def _refusal(path: str, reply: Reply, key: bytes) -> KubeError | None:
    if reply.status >= 300:
        return failure("GET", path, reply.status, reply.headers, reply.body)
    if reply.status != 101:
        return Garbled(f"Something on the way to the API server does not let websockets pass (HTTP {reply.status}).")
    accepted = base64.b64encode(hashlib.sha1(key + _ACCEPT_SALT, usedforsecurity=False).digest()).decode("ascii")
    if reply.headers.get("sec-websocket-accept", "").strip() != accepted:
        return Garbled("The websocket handshake was answered by something that is no websocket server.")
    if reply.headers.get("sec-websocket-protocol", "").strip() not in _PROTOCOLS:
        return Garbled("The API server speaks none of the exec protocols v4 and v5.")
    return None


def ending(data: bytes) -> Ending:
    """The Status of channel 3 in our words."""
    try:
        status = admit(data.decode("utf-8", "replace"))
    except Garbled:
        status = None
    if not isinstance(status, dict):
        return Ending("dropped", None, "the server ended the command with something that is no Status")
    message = str(status.get("message") or "")
    if status.get("status") == "Success":
        return Ending("exited", 0, message)
    code = _exit_code(status)
    return Ending("failed-to-start", None, message) if code is None else Ending("exited", code, message)


def _exit_code(status: dict[str, Any]) -> int | None:
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    for cause in causes if isinstance(causes, list) else []:
        if isinstance(cause, dict) and cause.get("reason") == "ExitCode":
            text = str(cause.get("message"))
            return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
    return None
