"""HTTP and TLS from the machine that runs this program, with real libraries; nothing is verified, answers are facts."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from typing import Any

from kubectl_netdebug.model.facts import Answer, HttpFromHere, Known, TlsFromHere
from kubectl_netdebug.net.certificate import describe_certificate
from kubectl_netdebug.net.text import sanitise
from kubectl_netdebug.vantage.local import CONNECT_SECONDS, outcome_of

SECONDS = 5.0
"""For each wait of a conversation."""

BODY = 300
"""Characters of a body that are kept."""


def http_get(key: HttpFromHere) -> Answer:
    """One GET; whatever goes wrong is an outcome."""
    began = time.monotonic()
    value = _http(key)
    milliseconds = round((time.monotonic() - began) * 1000, 1)
    return Known({**value, "ms": milliseconds}, milliseconds)


def handshake(key: TlsFromHere) -> Answer:
    """One TLS handshake and the certificate that is shown."""
    began = time.monotonic()
    try:
        with socket.create_connection((key.address, key.port), timeout=CONNECT_SECONDS) as plain:
            value = _shake(plain, key.server_name)
    except OSError as problem:
        value = {"outcome": outcome_of(problem).value}
    milliseconds = round((time.monotonic() - began) * 1000, 1)
    return Known({**value, "ms": milliseconds}, milliseconds)


def _shake(plain: socket.socket, name: str) -> dict[str, Any]:
    plain.settimeout(SECONDS)
    try:
        with _context().wrap_socket(plain, server_hostname=name or None) as secure:
            certificate = secure.getpeercert(binary_form=True) or b""
            return {"outcome": "tls", "protocol": secure.version() or "", "chain": [describe_certificate(certificate)]}
    except TimeoutError:
        return {"outcome": "timed-out"}
    except ssl.SSLError as problem:
        reason = sanitise(problem.reason or str(problem), 200)
        if "UNEXPECTED_EOF" in reason:
            return {"outcome": "closed"}
        told = "ALERT" in reason or "TLSV1" in reason
        return {"outcome": "alert" if told else "not-tls", "alert": reason}
    except (OSError, ValueError):
        return {"outcome": "closed"}


def _http(key: HttpFromHere) -> dict[str, Any]:
    try:
        plain = socket.create_connection((key.address, key.port), timeout=CONNECT_SECONDS)
    except OSError as problem:
        return {"outcome": outcome_of(problem).value}
    host = key.host or (f"[{key.address}]" if ":" in key.address else key.address)
    try:
        plain.settimeout(SECONDS)
        if key.announced:
            plain.sendall(_announcement(plain))
        lines = plain
        if key.scheme == "https":
            lines = _context().wrap_socket(plain, server_hostname=key.host or None)
        lines.sendall(
            f"GET {key.path or '/'} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: kubectl-netdebug\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n".encode("ascii", "replace")
        )
        return _reply(lines)
    except TimeoutError:
        return {"outcome": "timed-out"}
    except ssl.SSLError as problem:
        return {"outcome": "not-http", "reason": sanitise(problem.reason or str(problem), 200)}
    except (OSError, ValueError):
        return {"outcome": "closed"}
    finally:
        plain.close()


def _reply(lines: socket.socket) -> dict[str, Any]:
    response = http.client.HTTPResponse(lines)
    try:
        response.begin()
        body = response.read(4 * BODY)
    except http.client.RemoteDisconnected:
        return {"outcome": "closed"}
    except http.client.HTTPException as problem:
        return {"outcome": "not-http", "reason": sanitise(str(problem), 200)}
    finally:
        lines.close()
    return {
        "outcome": "answer",
        "status": response.status,
        "reason": sanitise(response.reason, 100),
        "headers": {k.lower(): sanitise(v, 200) for k, v in response.getheaders()[:30]},
        "body": sanitise(body.decode("utf-8", "replace"), BODY),
    }


def _announcement(plain: socket.socket) -> bytes:
    """PROXY protocol, version 1 (haproxy.org, proxy-protocol.txt, section 2.1)."""
    here, there = plain.getsockname(), plain.getpeername()
    family = "TCP6" if plain.family == socket.AF_INET6 else "TCP4"
    return f"PROXY {family} {here[0]} {there[0]} {here[1]} {there[1]}\r\n".encode()


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
