"""Commands in containers: run one to its end, or hold its standard input and output as a pipe."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Literal

from kubectl_netdebug.kube.channel import Channel
from kubectl_netdebug.kube.errors import Forbidden, Garbled, KubeError, Rejected, ServerFault, TimedOut
from kubectl_netdebug.kube.streams import STDOUT, Ending, Streams, open_streams

Outcome = Literal["exited", "failed-to-start", "dropped", "timed-out", "denied"]

_MOST_STDERR = 64 * 1024


@dataclass(frozen=True)
class ExecTarget:
    """What to run and where; container None lets the server choose."""

    namespace: str
    pod: str
    container: str | None
    argv: tuple[str, ...]

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.pod}/exec"

    def query(self, *, stdin: bool) -> list[tuple[str, str]]:
        chosen = [("container", self.container)] if self.container else []
        streams = [("stdout", "true"), ("stderr", "true")] + ([("stdin", "true")] if stdin else [])
        return [*chosen, *streams, *(("command", word) for word in self.argv)]


@dataclass(frozen=True)
class ExecResult:
    """How a command ended.

    exited: it ran, `code` is its exit status. failed-to-start: container or program is not there, `message` says.
    dropped: the connection ended without a status. timed-out: the time was up. denied: no right to exec, or an
    admission check said no. `stdout` and `stderr` are what had come by then, raw; `truncated` says that there was
    more than was asked for (the outcome is dropped then: nobody waited for the end).
    """

    outcome: Outcome
    code: int | None
    stdout: bytes
    stderr: bytes
    message: str
    truncated: bool = False


def run(channel: Channel, target: ExecTarget, *, stdin: bytes, seconds: float, most_bytes: int) -> ExecResult:
    """Runs a command to its end. `most_bytes` counts for both streams together.

    Raises what prevents asking at all: Unreachable, CredentialProblem, NotFound, ...
    """
    channel.log_in()
    until = time.monotonic() + seconds
    try:
        streams = open_streams(channel, target.path, target.query(stdin=bool(stdin)), until)
    except (Forbidden, Rejected, ServerFault, Garbled, TimedOut) as problem:
        return ExecResult(_not_begun(problem), None, b"", b"", problem.message)
    try:
        if stdin:
            _feed(streams, stdin, until)
        return _collect(streams, until, most_bytes)
    finally:
        streams.close()


def _not_begun(problem: KubeError) -> Outcome:
    if isinstance(problem, TimedOut):
        return "timed-out"
    if isinstance(problem, Forbidden):
        return "denied"
    return "failed-to-start"


def _feed(streams: Streams, stdin: bytes, until: float) -> None:
    """Writes standard input beside the reading, else a command that answers while it reads would block us."""

    def write() -> None:
        try:
            streams.send(stdin, until)
            streams.close_stdin(until)
        except (OSError, TimedOut):
            pass  # the reading side sees the same end, and says so

    threading.Thread(target=write, daemon=True, name="exec-stdin").start()


def _collect(streams: Streams, until: float, most_bytes: int) -> ExecResult:
    output, errors = bytearray(), bytearray()

    def result(outcome: Outcome, code: int | None, message: str, *, truncated: bool = False) -> ExecResult:
        return ExecResult(outcome, code, bytes(output), bytes(errors), message, truncated)

    while True:
        try:
            event = streams.receive(until)
        except TimedOut as problem:
            return result("timed-out", None, problem.message)
        if isinstance(event, Ending):
            return result(event.outcome, event.code, event.message)
        channel, data = event
        room = most_bytes - len(output) - len(errors)
        (output if channel == STDOUT else errors).extend(data[:room])
        if len(data) > room:
            return result("dropped", None, f"more than {most_bytes:,} bytes of output", truncated=True)


class BytePipe:
    """Standard input and output of a command in a container.

    One thread may receive while another sends; `close` may come from any thread and wakes both.
    """

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._errors = bytearray()
        self._closed = False
        self.ending: Ending | None = None
        """How the command ended, once `recv` has given None."""

    @property
    def stderr(self) -> bytes:
        """What the command wrote to standard error so far, at most 64 KiB."""
        return bytes(self._errors)

    @property
    def can_half_close(self) -> bool:
        """Whether `half_close` reaches the command (not on servers before 1.30)."""
        return self._streams.can_close_stdin

    def send(self, data: bytes, seconds: float = 10.0) -> None:
        """Raises TimedOut, or ConnectionError when the command or the connection has ended."""
        self._streams.send(data, time.monotonic() + seconds)

    def recv(self, seconds: float) -> bytes | None:
        """The next bytes of standard output, never empty; None at the end (see `ending`).

        Raises TimedOut after `seconds`; the pipe stays usable.
        """
        until = time.monotonic() + seconds
        while self.ending is None and not self._closed:
            event = self._streams.receive(until)
            if isinstance(event, Ending):
                self.ending = event
                break
            channel, data = event
            if channel == STDOUT:
                return data
            self._errors.extend(data[: _MOST_STDERR - len(self._errors)])
        return None

    def half_close(self) -> None:
        """Ends the command's standard input. Raises as `send`."""
        self._streams.close_stdin(time.monotonic() + 10.0)

    def close(self) -> None:
        """Ends the connection; the server then ends the command's streams."""
        self._closed = True
        self._streams.close()

    def __enter__(self) -> BytePipe:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()


def open_pipe(channel: Channel, target: ExecTarget, *, seconds: float) -> BytePipe:
    """Starts a command; `seconds` bounds the opening. Raises KubeError when the server declines."""
    channel.log_in()
    until = time.monotonic() + seconds
    return BytePipe(open_streams(channel, target.path, target.query(stdin=True), until))
