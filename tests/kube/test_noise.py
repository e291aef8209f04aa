"""Whatever a server sends, a call ends with a value or an error of the family, and soon."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubectl_netdebug.kube.errors import KubeError
from kubectl_netdebug.kube.flags import KubeFlags
from kubectl_netdebug.kube.session import Session
from tests.kube.fakeapi import Asked, FakeApi, Wire
from tests.kube.fakeexec import ExecStream

PIECES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n",
        b"HTTP/1.0 403 \r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Connection: close\r\n",
        b"Location: https://elsewhere\r\n",
        b"Retry-After: 0\r\n",
        b"\r\n",
        b"5\r\n{}   \r\n0\r\n\r\n",
        b"fffffffffffffffff\r\n",
        b'{"items": [{}], "metadata": {"continue": "x"}}',
        b"\x1f\x8b\x08\x00",
        b"\x81\x05",
        b"\x82\x7e\xff\xff",
    ]
)
NOISE = st.lists(PIECES | st.binary(max_size=12), max_size=8).map(b"".join)
QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def session(api: FakeApi) -> Iterator[Session]:
    with Session.open(KubeFlags(server=api.url)) as opened:
        yield opened


@QUICK
@given(NOISE)
def test_noise_instead_of_an_answer(api: FakeApi, session: Session, noise: bytes) -> None:
    def send(asked: Asked, wire: Wire) -> bool:
        wire.write(noise)
        return False

    for path in ("/x", "/api/v1/namespaces/d/pods/p/exec"):
        api.on(path, send)
    with contextlib.suppress(KubeError):
        session.get("/x", deadline=2)
    with contextlib.suppress(KubeError):
        session.list("/x", deadline=2)
    with contextlib.suppress(KubeError):
        session.exec("d", "p", None, ["x"], seconds=2)


@QUICK
@given(NOISE)
def test_noise_instead_of_messages(api: FakeApi, session: Session, noise: bytes) -> None:
    api.exec = lambda stream: stream.raw(noise)
    assert session.exec("d", "p", None, ["x"], seconds=2).outcome in ("dropped", "exited", "failed-to-start")


@QUICK
@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=20)), max_size=5))
def test_messages_on_any_channel(api: FakeApi, session: Session, messages: list[tuple[int, bytes]]) -> None:
    def play(stream: ExecStream) -> None:
        for channel, data in messages:
            stream.message(channel, data)

    api.exec = play
    result = session.exec("d", "p", None, ["x"], seconds=2)
    assert result.outcome == "dropped" or 3 in dict(messages)
