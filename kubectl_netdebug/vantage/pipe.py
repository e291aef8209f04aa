"""Protocols spoken from here through a socket that a Pod lends: HTTP, TLS and DNS over a byte pipe.

`nc` in the probe container carries bytes and nothing else, so answers are read by real libraries and no tool's dialect
has to be guessed.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import ssl
import struct
import time
from typing import Any, cast

from kubectl_netdebug.kube import errors
from kubectl_netdebug.kube.execution import BytePipe
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.facts import Answer, Http, Known, Lookup, Tls
from kubectl_netdebug.net.certificate import describe_certificate
from kubectl_netdebug.net.text import sanitise
from kubectl_netdebug.vantage import dns_script
from kubectl_netdebug.vantage.api import unknown_from
from kubectl_netdebug.vantage.probe import NoProbe, ProbeContainer, ProbeContainers
from kubectl_netdebug.vantage.secured import Secured, tunnel

SECONDS = 5.0
"""For one whole conversation."""

BODY = 300
"""Characters of an HTTP body that are kept."""

MOST_CERTIFICATES = 6
"""Of a chain that a server sends."""

PROTOCOLS = ("h2", "http/1.1")
"""What is offered in a handshake, as browsers and HTTP libraries do."""

_AS_DER = 2
"""OpenSSL's number for the encoding, in the module `_ssl`."""

LEND = (
    'if command -v nc >/dev/null 2>&1; then exec nc "$0" "$1"; fi; '
    'exec bash -c \'exec 3<>"/dev/tcp/$0/$1"; cat <&3 & cat >&3; wait\' "$0" "$1"'
)


class PipeVantage:
    """Speaks protocols from Pods. Every way to fail is an Unknown or an outcome; nothing is raised."""

    def __init__(self, session: Session, containers: ProbeContainers) -> None:
        self._session = session
        self._containers = containers

    def tls(self, key: Tls) -> Answer:
        """The handshake with whatever certificate is shown; nothing is verified, the certificate is the fact."""
        return self._converse(key, lambda pipe: _tls(pipe, key))

    def http(self, key: Http) -> Answer:
        """One GET."""
        return self._converse(key, lambda pipe: _http(pipe, key))

    def lookup(self, key: Lookup) -> Answer:
        """One DNS question over TCP."""
        return self._converse(key, lambda pipe: _lookup(pipe, key))

    def _converse(self, key: Tls | Http | Lookup, talk: Any) -> Answer:
        host, port = _first_stop(key)
        try:
            probe = self._containers.ensure(key.namespace, key.pod)
            with Conversation(self._session, probe, host, port) as pipe:
                began = time.monotonic()
                value = talk(pipe)
                milliseconds = round((time.monotonic() - began) * 1000, 1)
                return Known({**value, "ms": milliseconds}, milliseconds, probe.how)
        except NoProbe as refused:
            return refused.unknown
        except errors.KubeError as problem:
            return unknown_from(problem)


def _first_stop(key: Tls | Http | Lookup) -> tuple[str, int]:
    """Where the socket leads: to the server, or to the proxy on the way."""
    if isinstance(key, Lookup):
        return key.server, key.port
    if key.via:
        host, _, port = key.via.rpartition(":")
        return host.strip("[]"), int(port)
    return key.host, key.port


class Conversation(io.RawIOBase):
    """A byte pipe as a file, with one deadline for everything."""

    def __init__(self, session: Session, probe: ProbeContainer, host: str, port: int) -> None:
        argv = probe.command(("sh", "-c", LEND, host, str(port)))
        self._pipe: BytePipe = session.open_pipe(probe.namespace, probe.pod, probe.name, argv, seconds=SECONDS)
        self._until = time.monotonic() + SECONDS
        self._rest = b""
        self.late = False

    def send(self, data: bytes) -> None:
        """Sends all of it; a far side that is gone shows when reading."""
        with contextlib.suppress(errors.KubeError, ConnectionError):
            self._pipe.send(data)

    def receive(self) -> bytes:
        """The next bytes; empty at the end or when the time is up (then `late` is set)."""
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        try:
            return self._pipe.recv(max(0.0, self._until - time.monotonic())) or b""
        except errors.TimedOut:
            self.late = True
            return b""
        except (errors.KubeError, ConnectionError):
            return b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.receive()
        count = min(len(data), len(buffer))
        buffer[:count] = data[:count]
        self._rest = data[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            self._pipe.close()
        super().close()


def _http(pipe: Conversation, key: Http) -> dict[str, Any]:
    stream: Conversation | Secured = pipe
    if key.scheme == "https":
        refused = tunnel(pipe, key.host, key.port) if key.via else None
        secured = Secured(pipe, key.host_header or key.host, ("http/1.1",))
        refused = refused or secured.shake()
        if refused is not None:
            return {**refused, "reason": refused.get("reason", refused.get("alert", ""))}
        stream = secured
    stream.send(_request(key).encode("ascii", "replace"))
    asked = time.monotonic()
    response = http.client.HTTPResponse(cast(Any, _Lent(stream)))
    try:
        response.begin()
        first_byte = round((time.monotonic() - asked) * 1000, 1)
        body = response.read(4 * BODY)
    except http.client.RemoteDisconnected:
        return {"outcome": "timed-out" if stream.late else "closed"}
    except (http.client.HTTPException, ValueError) as problem:
        return {"outcome": "not-http", "reason": sanitise(str(problem), 200)}
    return {
        "outcome": "answer",
        "status": response.status,
        "reason": sanitise(response.reason, 100),
        "headers": {k.lower(): sanitise(v, 200) for k, v in response.getheaders()[:30]},
        "body": sanitise(body.decode("utf-8", "replace"), BODY),
        "firstByteMs": first_byte,
    }


def _request(key: Http) -> str:
    """The request; a proxy for plain HTTP is told the whole address."""
    host = key.host_header or (f"[{key.host}]" if ":" in key.host else key.host)
    named = host if key.port in (80, 443) or key.host_header else f"{host}:{key.port}"
    path = f"http://{host}:{key.port}{key.path}" if key.via and key.scheme == "http" else key.path
    padding = f"X-Padding: {'n' * key.padding}\r\n" if key.padding else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {named if key.via else host}\r\nUser-Agent: kubectl-netdebug\r\n"
        f"Accept: */*\r\n{padding}Connection: close\r\n\r\n"
    )


class _Lent:
    """What http.client needs of a socket."""

    def __init__(self, pipe: Conversation | Secured) -> None:
        self._pipe = pipe

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._pipe)


def _tls(pipe: Conversation, key: Tls) -> dict[str, Any]:
    refused = tunnel(pipe, key.host, key.port) if key.via else None
    secured = Secured(pipe, key.server_name, PROTOCOLS)
    refused = refused or secured.shake()
    if refused is not None:
        return refused
    shaking = secured.shaking
    certificate = shaking.getpeercert(binary_form=True) or b""
    return {
        "outcome": "tls",
        "protocol": shaking.version() or "",
        "alpn": shaking.selected_alpn_protocol() or "",
        "chain": [describe_certificate(certificate)],
        "der": [base64.b64encode(each).decode() for each in _shown(shaking, certificate)],
    }


def _shown(shaking: ssl.SSLObject, certificate: bytes) -> list[bytes]:
    """Every certificate that the server sent, its own first; its own alone where Python does not tell more."""
    chain = getattr(getattr(shaking, "_sslobj", None), "get_unverified_chain", None)
    try:
        sent = [_der(each) for each in chain() or ()] if chain else []
    except (ssl.SSLError, AttributeError, TypeError, ValueError):
        sent = []
    return sent[:MOST_CERTIFICATES] or [certificate]


def _der(certificate: Any) -> bytes:
    """Python gives bytes from 3.13 on; before, an object of its own that is shown as PEM or DER."""
    return certificate if isinstance(certificate, bytes) else bytes(certificate.public_bytes(_AS_DER))


def _lookup(pipe: Conversation, key: Lookup) -> dict[str, Any]:
    try:
        question = dns_script.query(key.name, key.type)
    except dns_script.BadName as problem:
        return {"outcome": "bad-name", "rcode": str(problem)}
    pipe.send(struct.pack("!H", len(question)) + question)
    reader = io.BufferedReader(pipe)
    header = reader.read(2)
    if len(header) < 2:
        return {"outcome": "timed-out" if pipe.late else "closed"}
    return dns_script.read_answer(reader.read(struct.unpack("!H", header)[0]), question)
