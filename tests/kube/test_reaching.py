"""Ways to the server: names, refusals, TLS, client certificates, proxies."""

from __future__ import annotations

import base64
import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kubectl_netdebug.kube import dial
from kubectl_netdebug.kube.errors import ConfigProblem, CredentialProblem, KubeError, Unreachable
from kubectl_netdebug.kube.flags import KubeFlags
from kubectl_netdebug.kube.proxies import proxy_for
from kubectl_netdebug.kube.session import Session
from tests.kube.certificates import Authority
from tests.kube.fakeapi import FakeApi, answer


def attempt(**flags: Any) -> dict[str, Any]:
    with Session.open(KubeFlags(**flags)) as session:
        return session.get("/version")


def unreachable(**flags: Any) -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        attempt(**flags)
    return caught.value


@contextlib.contextmanager
def secure(tmp_path: Path, **options: Any) -> Iterator[tuple[FakeApi, str]]:
    """A fake server with TLS, and the file with its authority."""
    with FakeApi(tls=True, **options) as api:
        api.on("/version", answer({"tls": True}))
        authority = tmp_path / "ca.crt"
        authority.write_bytes(api.authority.pem)
        yield api, str(authority)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_refused(tmp_path: Path, api: FakeApi) -> None:
    config = api.kubeconfig(tmp_path)
    problem = unreachable(kubeconfig=str(config), server=f"https://127.0.0.1:{free_port()}")
    assert problem.cause == "refused"
    assert "(context fake) refuses connections" in problem.message


def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    problem = unreachable(server="https://api.example.com")
    assert (problem.cause, "api.example.com does not resolve" in problem.message) == ("dns", True)


def test_a_resolver_that_hangs_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    end = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: end.wait(30))
    monkeypatch.setattr(dial, "CONNECT_SECONDS", 0.1)
    assert unreachable(server="https://api.example.com").cause == "dns"
    end.set()


def test_the_second_address_is_tried(monkeypatch: pytest.MonkeyPatch, api: FakeApi) -> None:
    api.on("/version", answer({"ok": 1}))
    found = [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port)) for port in (free_port(), api.port)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert attempt(server="http://api.example.com:1") == {"ok": 1}


def test_nobody_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "CONNECT_SECONDS", 0.1)
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):  # fill the queue: further packets are dropped
            filler = waiting.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        problem = unreachable(server=f"https://127.0.0.1:{full.getsockname()[1]}")
    assert problem.cause in ("connect-timeout", "tls")


def test_tls_with_an_authority(tmp_path: Path) -> None:
    with secure(tmp_path) as (api, authority):
        assert attempt(server=api.url, certificate_authority=authority) == {"tls": True}


def test_a_certificate_of_an_unknown_authority(tmp_path: Path) -> None:
    with secure(tmp_path) as (api, authority):
        Path(authority).write_bytes(Authority().pem)
        problem = unreachable(server=api.url, certificate_authority=authority)
        assert "does not trust" in unreachable(server=api.url).message
    assert (problem.cause, "does not trust" in problem.message) == ("tls", True)


def test_a_certificate_for_another_name(tmp_path: Path) -> None:
    with secure(tmp_path, hosts=("kubernetes",)) as (api, authority):
        assert "--tls-server-name" in unreachable(server=api.url, certificate_authority=authority).message
        assert attempt(server=api.url, certificate_authority=authority, tls_server_name="kubernetes")


@pytest.mark.parametrize("name", [".kubernetes", "a" * 300, "ä.example"])
def test_a_server_name_that_is_none(tmp_path: Path, name: str) -> None:
    with secure(tmp_path) as (api, authority), pytest.raises(KubeError):
        attempt(server=api.url, certificate_authority=authority, tls_server_name=name)


def test_an_expired_certificate(tmp_path: Path) -> None:
    with secure(tmp_path, expired=True) as (api, authority):
        assert "has expired" in unreachable(server=api.url, certificate_authority=authority).message


def test_verification_off_is_announced(tmp_path: Path) -> None:
    with (
        secure(tmp_path, expired=True) as (api, _),
        Session.open(KubeFlags(server=api.url, insecure_skip_tls_verify=True)) as session,
    ):
        assert session.get("/version") == {"tls": True}
        assert "verification is off" in session.warnings[0]


def test_no_tls_where_tls_is_expected(api: FakeApi) -> None:
    problem = unreachable(server=f"https://127.0.0.1:{api.port}")
    assert (problem.cause, "does not speak TLS" in problem.message) == ("tls", True)


def test_an_authority_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("not PEM")
    with pytest.raises(ConfigProblem, match="not a readable PEM"):
        attempt(server="https://127.0.0.1:1", certificate_authority=str(tmp_path / "ca"))


def test_a_client_certificate(tmp_path: Path) -> None:
    clients = Authority("clients")
    pair = clients.issue("me")
    (tmp_path / "c").write_bytes(pair.certificate)
    (tmp_path / "k").write_bytes(pair.key)
    with secure(tmp_path, client_authority=clients.pem) as (api, authority):
        flags = {"client_certificate": str(tmp_path / "c"), "client_key": str(tmp_path / "k")}
        assert attempt(server=api.url, certificate_authority=authority, **flags) == {"tls": True}
        with pytest.raises(KubeError):
            attempt(server=api.url, certificate_authority=authority)
        (tmp_path / "k").write_bytes(clients.issue("other").key)
        with pytest.raises(CredentialProblem, match="do not fit"):
            attempt(server=api.url, certificate_authority=authority, **flags)


def test_a_key_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pair = Authority().issue("me")
    with FakeApi() as api:
        user = {
            "client-certificate-data": base64.b64encode(pair.certificate).decode(),
            "client-key-data": base64.b64encode(pair.key).decode(),
        }
        config = api.kubeconfig(tmp_path, user)
        unreachable(kubeconfig=str(config), server=f"https://127.0.0.1:{free_port()}")
    assert [path.name for path in tmp_path.iterdir()] == ["kubeconfig"]


class Proxy:
    """A proxy that serves one way of asking; `seen` is what clients asked for."""

    def __init__(self, converse: Callable[[Proxy, Any, Any], tuple[str, int] | None]) -> None:
        self.seen: list[str] = []
        proxy = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    target = converse(proxy, self.rfile, self.wfile)
                    if target is not None:
                        _join(self.connection, target)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = self._server.server_address[1]

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _join(client: socket.socket, target: tuple[str, int]) -> None:
    with socket.create_connection(target) as server:

        def copy(source: socket.socket, sink: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65_536):
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)

        back = threading.Thread(target=copy, args=(server, client), daemon=True)
        back.start()
        copy(client, server)
        back.join()


def http_proxy(proxy: Proxy, reader: Any, writer: Any) -> tuple[str, int] | None:
    lines = []
    while (line := reader.readline()) not in (b"\r\n", b""):
        lines.append(line.decode().strip())
    proxy.seen += lines
    if not any(line.startswith("Proxy-Authorization: Basic bWU6cHc=") for line in lines):
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        return None
    if lines[0].startswith("CONNECT"):
        host, _, port = lines[0].split()[1].rpartition(":")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        return host, int(port)
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"by": "proxy"}')
    return None


def socks_proxy(proxy: Proxy, reader: Any, writer: Any) -> tuple[str, int] | None:
    reader.read(reader.read(2)[1])
    writer.write(b"\x05\x02")
    user = reader.read(reader.read(2)[1])
    password = reader.read(reader.read(1)[0])
    writer.write(b"\x01\x00" if (user, password) == (b"me", b"pw") else b"\x01\x01")
    if (user, password) != (b"me", b"pw"):
        return None
    reader.read(4)
    host = reader.read(reader.read(1)[0]).decode()
    port = struct.unpack("!H", reader.read(2))[0]
    proxy.seen.append(f"{host}:{port}")
    writer.write(b"\x05\x00\x00\x01" + b"\x00" * 6)
    return host, port


def test_a_tunnel_through_an_http_proxy(tmp_path: Path) -> None:
    with secure(tmp_path) as (api, authority), Proxy(http_proxy) as proxy:
        flags = {"server": api.url, "certificate_authority": authority}
        assert attempt(proxy_url=f"http://me:pw@127.0.0.1:{proxy.port}", **flags) == {"tls": True}
        assert proxy.seen[0] == f"CONNECT 127.0.0.1:{api.port} HTTP/1.1"
        problem = unreachable(proxy_url=f"http://you:no@127.0.0.1:{proxy.port}", **flags)
    assert problem.cause == "proxy"
    assert "407" in problem.message
    assert "no@" not in problem.message


def test_plain_http_is_forwarded() -> None:
    with Proxy(http_proxy) as proxy:
        url = f"http://me:pw@127.0.0.1:{proxy.port}"
        assert attempt(proxy_url=url, server="http://api.example.com:8080") == {"by": "proxy"}
        assert proxy.seen[0] == "GET http://api.example.com:8080/version HTTP/1.1"


def test_a_socks_proxy(tmp_path: Path) -> None:
    with secure(tmp_path) as (api, authority), Proxy(socks_proxy) as proxy:
        flags = {"server": api.url, "certificate_authority": authority}
        assert attempt(proxy_url=f"socks5://me:pw@127.0.0.1:{proxy.port}", **flags) == {"tls": True}
        assert proxy.seen == [f"127.0.0.1:{api.port}"]
        problem = unreachable(proxy_url=f"socks5://me:no@127.0.0.1:{proxy.port}", **flags)
    assert "refuses the user name" in problem.message


def test_exec_takes_the_same_way(tmp_path: Path) -> None:
    with secure(tmp_path) as (api, authority), Proxy(http_proxy) as proxy:
        api.exec = lambda stream: stream.exit(0)
        url = f"http://me:pw@127.0.0.1:{proxy.port}"
        with Session.open(KubeFlags(server=api.url, certificate_authority=authority, proxy_url=url)) as session:
            assert session.exec("d", "p", None, ["true"]).outcome == "exited"
        assert proxy.seen[0].startswith("CONNECT")


def test_a_proxy_that_is_not_there() -> None:
    problem = unreachable(server="https://api.example.com", proxy_url=f"http://u:p@127.0.0.1:{free_port()}")
    assert problem.cause == "proxy"
    assert "refuses connections" in problem.message


@pytest.mark.parametrize("url", ["https://proxy:1", "ftp://proxy", "http://", "http://[::1", "http://x:99999"])
def test_an_unusable_proxy_is_named_at_once(url: str) -> None:
    with pytest.raises(ConfigProblem, match="proxy-url"):
        Session.open(KubeFlags(server="https://x", proxy_url=url))


@pytest.mark.parametrize(
    ("server", "no_proxy", "proxied"),
    [
        ("https://api.example.com", "", True),
        ("https://api.example.com", "*", False),
        ("https://api.example.com", "example.com", False),
        ("https://api.example.com", ".example.com", False),
        ("https://api.example.com", "*.example.com", False),
        ("https://example.com", ".example.com", True),
        ("https://api.example.com", "ample.com", True),
        ("https://api.example.com:6443", "api.example.com:6443", False),
        ("https://api.example.com:6443", "api.example.com:443", True),
        ("https://10.1.2.3", "10.0.0.0/8, x", False),
        ("https://10.1.2.3", "10.1.2.3", False),
        ("https://10.1.2.3", "10.1.2.4,bad/cidr", True),
        ("https://[fd00::1]", "fd00::/8", False),
        ("https://localhost:6443", "", False),
        ("https://127.0.0.1:6443", "", False),
    ],
)
def test_exemptions_from_the_environment(server: str, no_proxy: str, proxied: bool) -> None:
    environ = {"HTTPS_PROXY": "http://p:3128", "no_proxy": no_proxy}
    assert (proxy_for(server, None, environ) is not None) is proxied


def test_the_kubeconfig_goes_before_the_environment() -> None:
    found = proxy_for("https://127.0.0.1", "http://mine:1", {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "*"})
    assert found is not None
    assert (found.host, found.port) == ("mine", 1)
