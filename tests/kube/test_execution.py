from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from kubectl_netdebug.kube.errors import CredentialProblem, Forbidden, NotFound, Rejected, TimedOut, Unreachable
from kubectl_netdebug.kube.execution import ExecResult
from kubectl_netdebug.kube.flags import KubeFlags
from kubectl_netdebug.kube.session import Session
from tests.kube import fakeapi
from tests.kube.fakeapi import FakeApi, answer, status
from tests.kube.fakeexec import ExecHandler, ExecStream

EXEC = "/api/v1/namespaces/default/pods/web/exec"


@pytest.fixture
def session(api: FakeApi) -> Iterator[Session]:
    with Session.open(KubeFlags(server=api.url, token="t", as_user="bob", as_groups=("x", "y"))) as opened:
        yield opened


def run(session: Session, *argv: str, stdin: bytes = b"", seconds: float = 5, **more: Any) -> ExecResult:
    return session.exec("default", "web", "app", argv or ("ls",), stdin=stdin, seconds=seconds, **more)


def test_a_command_that_ends(api: FakeApi, session: Session) -> None:
    def ls(stream: ExecStream) -> None:
        assert (stream.argv, stream.container) == (["ls", "-l", "a b"], "app")
        stream.stdout(b"")
        stream.stdout(b"bin\n\xff")
        stream.ping()
        stream.stderr(b"oops")
        stream.exit(0)

    api.exec = ls
    assert run(session, "ls", "-l", "a b") == ExecResult("exited", 0, b"bin\n\xff", b"oops", "")


def test_the_exit_code(api: FakeApi, session: Session) -> None:
    api.exec = lambda stream: stream.exit(7)
    result = run(session)
    assert (result.outcome, result.code) == ("exited", 7)


def test_identity_goes_with_the_handshake(api: FakeApi, session: Session) -> None:
    api.exec = lambda stream: stream.exit(0)
    run(session)
    (asked,) = api.asked
    assert asked.header("authorization") == "Bearer t"
    assert asked.header("impersonate-user") == "bob"
    assert asked.headers_called("impersonate-group") == ["x", "y"]
    assert ("stdin", "true") not in asked.query
    assert session.calls[0].status == 101


NOT_THERE = 'exec: "nope": executable file not found in $PATH: unknown'


def test_a_program_that_is_not_there(api: FakeApi, session: Session) -> None:
    api.exec = lambda stream: stream.fail(NOT_THERE)
    assert run(session) == ExecResult("failed-to-start", None, b"", b"", NOT_THERE)


def test_a_connection_that_drops(api: FakeApi, session: Session) -> None:
    api.exec = lambda stream: stream.stdout(b"half")
    result = run(session)
    assert (result.outcome, result.code, result.stdout) == ("dropped", None, b"half")


@pytest.mark.parametrize("data", [b"", b"no json", b"[]", b"\xff"])
def test_a_status_that_is_none(api: FakeApi, session: Session, data: bytes) -> None:
    api.exec = lambda stream: stream.message(3, data)
    assert run(session).outcome == "dropped"


@pytest.mark.parametrize("cause", [None, 1, {}, {"reason": "ExitCode"}, {"reason": "ExitCode", "message": "x"}])
def test_odd_causes(api: FakeApi, session: Session, cause: Any) -> None:
    odd = {"status": "Failure", "message": "\x1bm", "details": {"causes": [cause]}}
    api.exec = lambda stream: stream.status(odd)
    assert run(session) == ExecResult("failed-to-start", None, b"", b"", "␛m")


def test_a_command_that_hangs(api: FakeApi, session: Session) -> None:
    def hang(stream: ExecStream) -> None:
        stream.stdout(b"first")
        stream.released.wait()

    api.exec = hang
    started = time.monotonic()
    result = run(session, seconds=0.3)
    assert (result.outcome, result.stdout) == ("timed-out", b"first")
    assert time.monotonic() - started < 2


def test_a_command_that_never_stops_talking_is_bound_in_time(api: FakeApi, session: Session) -> None:
    def drip(stream: ExecStream) -> None:
        while not stream.released.wait(0.01):
            stream.stdout(b"x")

    api.exec = drip
    assert run(session, seconds=0.2).outcome == "timed-out"


def test_endless_output_is_bound_in_size(api: FakeApi, session: Session) -> None:
    def yes(stream: ExecStream) -> None:
        while True:
            stream.stdout(b"y\n" * 5_000)

    api.exec = yes
    result = run(session, most_bytes=25_000)
    assert (result.outcome, len(result.stdout), result.truncated) == ("dropped", 25_000, True)


def test_one_message_without_end_is_bound_too(api: FakeApi, session: Session) -> None:
    def flood(stream: ExecStream) -> None:
        stream.raw(b"\x82\x7f" + (1 << 60).to_bytes(8, "big") + b"\x01")
        while True:
            stream.raw(b"y" * 100_000)

    api.exec = flood
    assert run(session).outcome == "dropped"


@pytest.mark.parametrize("noise", [b"\x00" * 40, b"\x8f\x00", b"HTTP/1.1 200 OK\r\n\r\n", b"\xff" * 40])
def test_noise_instead_of_frames(api: FakeApi, session: Session, noise: bytes) -> None:
    api.exec = lambda stream: stream.raw(noise)
    assert run(session).outcome == "dropped"


def test_fragments_are_put_together(api: FakeApi, session: Session) -> None:
    def split(stream: ExecStream) -> None:
        stream.frame(2, b"\x01one ", final=False)
        stream.frame(0, b"two")
        stream.exit(0)

    api.exec = split
    assert run(session).stdout == b"one two"


def echo(stream: ExecStream) -> None:
    for data in stream.stdin():
        stream.stdout(data)
    stream.exit(0)


def test_input_is_sent_whole_and_then_closed(api: FakeApi, session: Session) -> None:
    api.exec = echo
    data = bytes(range(256)) * 1_000
    assert run(session, "cat", stdin=data).stdout == data


def test_without_a_right(api: FakeApi, session: Session) -> None:
    message = 'User "bob" cannot create resource "pods/exec" in API group "" in the namespace "default"'
    api.on(EXEC, status(403, message))
    result = run(session)
    assert (result.outcome, result.message) == ("denied", message)
    with pytest.raises(Forbidden) as caught:
        session.open_pipe("default", "web", None, ["nc"])
    assert (caught.value.verb, caught.value.resource) == ("create", "pods/exec")


@pytest.mark.parametrize(
    "behaviour", [status(400, "container app is not valid"), status(500, "container not found"), answer(b"<html>", 200)]
)
def test_a_handshake_declined(api: FakeApi, session: Session, behaviour: fakeapi.Behaviour) -> None:
    api.on(EXEC, behaviour)
    assert run(session).outcome == "failed-to-start"


def test_a_handshake_that_raises(api: FakeApi, session: Session) -> None:
    api.on(EXEC, status(404, 'pods "web" not found'))
    with pytest.raises(NotFound):
        run(session)
    api.on(EXEC, status(401))
    with pytest.raises(CredentialProblem):
        run(session)
    api.on(EXEC, fakeapi.drop)
    with pytest.raises(Unreachable):
        run(session)
    api.on(EXEC, status(400, "no"))
    with pytest.raises(Rejected):
        session.open_pipe("default", "web", None, ["nc"])


def test_a_handshake_that_hangs(api: FakeApi, session: Session) -> None:
    api.on(EXEC, fakeapi.hang)
    assert run(session, seconds=0.2).outcome == "timed-out"
    with pytest.raises(TimedOut):
        session.open_pipe("default", "web", None, ["nc"], seconds=0.2)


def test_a_server_with_another_protocol(api: FakeApi, session: Session) -> None:
    api.exec = echo
    api.exec_protocols = ("base64.channel.k8s.io",)
    assert run(session).outcome == "failed-to-start"


def test_a_pipe_carries_both_ways(api: FakeApi, session: Session) -> None:
    api.exec = echo
    with session.open_pipe("default", "web", None, ["nc", "10.0.0.1", "53"]) as pipe:
        gc.collect()  # http.client's response must not take the stream with it
        pipe.send(b"question")
        assert pipe.recv(5) == b"question"
        with pytest.raises(TimedOut):
            pipe.recv(0.05)
        pipe.send(b"again")
        assert pipe.recv(5) == b"again"
        assert pipe.can_half_close
        pipe.half_close()
        assert pipe.recv(5) is None
        assert pipe.ending is not None
        assert (pipe.ending.outcome, pipe.ending.code) == ("exited", 0)
        assert pipe.recv(5) is None


def test_a_pipe_to_nothing_says_why(api: FakeApi, session: Session) -> None:
    def refused(stream: ExecStream) -> None:
        stream.stderr(b"nc: refused")
        stream.exit(1)

    api.exec = refused
    with session.open_pipe("default", "web", None, ["nc"]) as pipe:
        assert pipe.recv(5) is None
        assert pipe.ending is not None
        assert (pipe.ending.code, pipe.stderr) == (1, b"nc: refused")


def test_an_old_server_cannot_half_close(api: FakeApi, session: Session) -> None:
    api.exec = echo
    api.exec_protocols = ("v4.channel.k8s.io",)
    with session.open_pipe("default", "web", None, ["cat"]) as pipe:
        assert not pipe.can_half_close
        pipe.half_close()
        pipe.send(b"x")
        assert pipe.recv(5) == b"x"


def _until_closed(stream: ExecStream) -> None:
    for _ in stream.stdin():
        pass


@pytest.mark.parametrize("handler", [_until_closed, echo])
def test_closing_wakes_a_reader_in_another_thread(api: FakeApi, session: Session, handler: ExecHandler) -> None:
    api.exec = handler
    pipe = session.open_pipe("default", "web", None, ["nc"])
    got: list[bytes | None] = []
    reading = threading.Event()

    def read() -> None:
        reading.set()
        got.append(pipe.recv(60))

    reader = threading.Thread(target=read)
    reader.start()
    reading.wait()
    pipe.close()
    reader.join(5)
    assert got == [None]
    with pytest.raises(ConnectionError):
        pipe.send(b"late")


def test_reading_and_writing_at_once_over_tls() -> None:
    total = 2_000_000
    with FakeApi(tls=True) as api:
        api.exec = echo
        with (
            Session.open(KubeFlags(server=api.url, insecure_skip_tls_verify=True)) as session,
            session.open_pipe("default", "web", None, ["cat"]) as pipe,
        ):
            writer = threading.Thread(target=lambda: pipe.send(b"z" * total, seconds=20), daemon=True)
            writer.start()
            received = 0
            while received < total:
                received += len(pipe.recv(10) or b"")
            writer.join()
    assert received == total
