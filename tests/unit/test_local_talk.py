"""This machine speaks HTTP and TLS to a server of the test's own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kubectl_netdebug.model.facts import HttpFromHere, Known, LocalNetworks, SourceFromHere, TlsFromHere
from kubectl_netdebug.vantage import local, local_talk


@contextmanager
def server(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """One connection: reads once, answers, ends. Gives its port and what it was sent."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            talking, _ = listening.accept()
            with talking:
                heard.append(talking.recv(4096))
                talking.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1], heard
        thread.join(5)


def value(answer: object) -> dict[str, object]:
    assert isinstance(answer, Known)
    return answer.value  # type: ignore[no-any-return]


def test_a_get_carries_the_host_and_comes_back_with_status_and_body() -> None:
    with server(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone") as (port, heard):
        got = value(local_talk.http_get(HttpFromHere("127.0.0.1", port, host="shop.lab", path="/cart")))

    assert (got["outcome"], got["status"], got["body"]) == ("answer", 404, "none")
    assert heard[0].startswith(b"GET /cart HTTP/1.1\r\nHost: shop.lab\r\n")


def test_the_proxy_line_comes_first() -> None:
    with server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (port, heard):
        value(local_talk.http_get(HttpFromHere("127.0.0.1", port, announced=True)))

    assert heard[0].startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 ")


def test_hostile_headers_are_made_harmless() -> None:
    with server(b"HTTP/1.1 200 \x1b[31mOK\r\nX: \x1b]0;x\x07\r\nContent-Length: 0\r\n\r\n") as (port, _):
        got = value(local_talk.http_get(HttpFromHere("127.0.0.1", port)))

    assert "\x1b" not in str(got)


def test_plain_text_is_no_tls_and_no_http() -> None:
    with server(b"SSH-2.0-OpenSSH\r\n") as (port, _):
        assert value(local_talk.handshake(TlsFromHere("127.0.0.1", port, "shop.lab")))["outcome"] == "not-tls"
    with server(b"SSH-2.0-OpenSSH\r\n") as (port, _):
        assert value(local_talk.http_get(HttpFromHere("127.0.0.1", port)))["outcome"] == "not-http"


def test_a_closed_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert value(local_talk.http_get(HttpFromHere("127.0.0.1", port)))["outcome"] == "refused"
    assert value(local_talk.handshake(TlsFromHere("127.0.0.1", port)))["outcome"] == "refused"


def test_this_machine_knows_its_own_networks() -> None:
    for each in value(local.networks(LocalNetworks()))["addresses"]:  # type: ignore[attr-defined]
        assert each["interface"] != "lo"
        assert 0 <= each["prefix"] <= 128
    assert value(local.source(SourceFromHere("127.0.0.1")))["source"] == "127.0.0.1"
