"""Small servers for the outside, a program by itself: TLS, a proxy, a slow server, one that says nothing."""

import argparse
import asyncio
import ssl
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

BY_NAME = {
    "good.example.lab": "good",
    "expired.example.lab": "expired",
    "wrong.example.lab": "wrong",
    "own.example.lab": "own",
}
"""The name in the client's greeting, and the certificate that it is shown; any other gets that of example.lab."""

THINKS = 2.5
"""Seconds for which the slow server thinks."""

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def main() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    for name, folder in (("tls", True), ("intercept", True), ("mute", False), ("slow", False), ("proxy", False)):
        command = commands.add_parser(name)
        if folder:
            command.add_argument("folder", type=Path)
        command.add_argument("addresses", nargs="+")
        command.add_argument("--locked", action="store_true")
    chosen = parser.parse_args()
    context = None
    if chosen.command == "tls":
        context = _by_name(chosen.folder)
    elif chosen.command == "intercept":
        context = _made_up(chosen.folder)
    talks: dict[str, Talk] = {
        "tls": _web(0.0),
        "intercept": _web(0.0),
        "slow": _web(THINKS),
        "mute": _mute,
        "proxy": _proxy(chosen.locked),
    }
    asyncio.run(_serve(talks[chosen.command], chosen.addresses, context))


async def _serve(talk: Talk, addresses: list[str], context: ssl.SSLContext | None) -> None:
    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, TimeoutError):
            pass
        finally:
            writer.close()

    servers = []
    for address in addresses:
        host, port = address.rsplit(":", 1)
        servers.append(await asyncio.start_server(guarded, host, int(port), ssl=context))
    await asyncio.gather(*(server.serve_forever() for server in servers))


def _by_name(folder: Path) -> ssl.SSLContext:
    contexts = {name: _context(folder, name) for name in ("example", *BY_NAME.values())}

    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = contexts[BY_NAME.get(name or "", "example")]

    contexts["example"].sni_callback = choose
    return contexts["example"]


def _made_up(folder: Path) -> ssl.SSLContext:
    """A certificate for every name that is asked, signed on the spot."""
    made: dict[str, ssl.SSLContext] = {}
    first = _context(folder, "example")

    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        wanted = name or "unknown.example.lab"
        if wanted not in made:
            made[wanted] = _make(folder, wanted)
        connection.context = made[wanted]

    first.sni_callback = choose
    return first


def _make(folder: Path, name: str) -> ssl.SSLContext:
    with tempfile.TemporaryDirectory() as place:
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{place}/made.key"]
        extension = ["-addext", f"subjectAltName=DNS:{name}"]
        authority = ["-CA", f"{folder}/company-ca.crt", "-CAkey", f"{folder}/company-ca.key"]
        command = ["openssl", "req", "-x509", *key, *extension, *authority, "-days", "30", "-subj", f"/CN={name[:60]}"]
        subprocess.run([*command, "-out", f"{place}/made.crt"], check=True, capture_output=True)
        chain = Path(place, "made.crt")
        chain.write_text(chain.read_text() + (folder / "company-ca.crt").read_text())
        return _context(Path(place), "made")


def _context(folder: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    context.set_alpn_protocols(["http/1.1"])
    return context


def _web(thinks: float) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request of any size, one answer that says how much was read."""
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        length = next((int(v) for k, v in _headers(head) if k == "content-length"), 0)
        await asyncio.wait_for(reader.readexactly(length), 30)
        await asyncio.sleep(thinks)
        body = f"read {len(head) + length} bytes\n".encode()
        start = (
            f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(start.encode() + body)
        await writer.drain()

    return talk


async def _mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads and never answers, as servers of protocols in which the client has to know what to say."""
    while await reader.read(4096):
        pass


def _proxy(locked: bool) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """CONNECT to anywhere, and plain requests with an absolute address."""
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        if locked and not any(key == "proxy-authorization" for key, _ in _headers(head)):
            writer.write(_said("407 Proxy Authentication Required", 'Proxy-Authenticate: Basic realm="lab"\r\n'))
            await writer.drain()
            return
        place = target if method == "CONNECT" else target.split("://", 1)[-1].split("/", 1)[0]
        host, _, port = place.partition(":")
        try:
            onward = await asyncio.wait_for(asyncio.open_connection(host, int(port or 80)), 3)
        except (OSError, TimeoutError) as problem:
            writer.write(_said(f"502 {problem or 'timed out'}", ""))
            await writer.drain()
            return
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            onward[1].write(head)
        await asyncio.gather(_copy(reader, onward[1]), _copy(onward[0], writer))

    return talk


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    except OSError:
        pass
    finally:
        if target.can_write_eof():
            target.write_eof()


def _said(status: str, headers: str) -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()


def _headers(head: bytes) -> list[tuple[str, str]]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return [(key.strip().lower(), value.strip()) for key, _, value in (line.partition(":") for line in lines) if value]


if __name__ == "__main__":
    main()
