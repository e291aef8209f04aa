"""The server's side of exec: a websocket by hand, with the streams on top.

A handler gets an `ExecStream` and plays the command:

    def ls(stream: ExecStream) -> None:
        stream.stdout(b"bin\\netc\\n")
        stream.exit(0)
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

_SALT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _CLOSE_FRAME, _PING = 2, 8, 9


class ExecRequest(Protocol):
    """What this module needs of a request."""

    @property
    def path(self) -> str: ...
    @property
    def query(self) -> tuple[tuple[str, str], ...]: ...
    def header(self, name: str) -> str | None: ...


class ExecWire(Protocol):
    """What this module needs of a connection."""

    stream: Any
    released: threading.Event

    def write(self, data: bytes) -> None: ...


class ExecStream:
    """One running command, as its author sees it."""

    def __init__(self, asked: ExecRequest, wire: ExecWire, protocol: str) -> None:
        self.path = asked.path
        self.argv = [value for key, value in asked.query if key == "command"]
        self.container = dict(asked.query).get("container")
        self.protocol = protocol
        self.released = wire.released
        self._wire = wire

    def stdout(self, data: bytes) -> None:
        self.message(1, data)

    def stderr(self, data: bytes) -> None:
        self.message(2, data)

    def exit(self, code: int) -> None:
        """Ends the command as a process ends."""
        if code == 0:
            self.status({"status": "Success"})
        else:
            causes = [{"reason": "ExitCode", "message": str(code)}]
            message = f"command terminated with non-zero exit code: exit status {code}"
            fields = {"reason": "NonZeroExitCode", "message": message, "details": {"causes": causes}}
            self.status({"status": "Failure", **fields})

    def fail(self, message: str) -> None:
        """Ends it as one that could not be started."""
        details = {"causes": [{"message": message}]}
        fields = {"reason": "InternalError", "message": message, "code": 500, "details": details}
        self.status({"status": "Failure", **fields})

    def status(self, content: dict[str, Any]) -> None:
        self.message(3, json.dumps({"metadata": {}, **content}).encode())
        self.frame(_CLOSE_FRAME, struct.pack("!H", 1000))

    def ping(self) -> None:
        self.frame(_PING, b"hello")

    def message(self, channel: int, data: bytes) -> None:
        self.frame(_BINARY, bytes([channel]) + data)

    def frame(self, opcode: int, data: bytes, *, final: bool = True) -> None:
        first = bytes([opcode | (0x80 if final else 0)])
        size = len(data)
        if size < 126:
            head = first + bytes([size])
        elif size < 65_536:
            head = first + bytes([126]) + struct.pack("!H", size)
        else:
            head = first + bytes([127]) + struct.pack("!Q", size)
        self._wire.write(head + data)

    def raw(self, data: bytes) -> None:
        self._wire.write(data)

    def stdin(self) -> Iterator[bytes]:
        """What the client writes, up to its half-close or its end."""
        while (frame := self._client_frame()) is not None:
            opcode, data = frame
            if opcode == _CLOSE_FRAME or data == bytes([255, 0]):
                return
            if opcode == _BINARY and data[:1] == b"\0":
                yield data[1:]

    def _client_frame(self) -> tuple[int, bytes] | None:
        head = self._wire.stream.read(2)
        if len(head) < 2:
            return None
        size = head[1] & 0x7F
        if size == 126:
            size = struct.unpack("!H", self._wire.stream.read(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", self._wire.stream.read(8))[0]
        mask = self._wire.stream.read(4)
        data = self._wire.stream.read(size)
        return head[0] & 0x0F, bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))


ExecHandler = Callable[[ExecStream], None]


def serve_exec(asked: ExecRequest, wire: ExecWire, handler: ExecHandler, protocols: tuple[str, ...]) -> None:
    """Shakes hands, with the first protocol that the client offers and this server has, and runs the handler."""
    offered = [name.strip() for name in (asked.header("sec-websocket-protocol") or "").split(",")]
    protocol = next((name for name in offered if name in protocols), "")
    key = (asked.header("sec-websocket-key") or "").encode()
    accept = base64.b64encode(hashlib.sha1(key + _SALT).digest()).decode()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept}",
        f"Sec-WebSocket-Protocol: {protocol}",
    ]
    wire.write("\r\n".join([*lines, "", ""]).encode())
    handler(ExecStream(asked, wire, protocol))
