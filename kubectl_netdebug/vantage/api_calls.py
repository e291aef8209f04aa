"""The API server as a Pod meets it: its own token, shown over TLS that is verified with its own CA.

The token is read by a command in the app's container, kept for the run in this module alone, and sent to nobody but a
server whose certificate the mounted CA vouches for. No fact, message or recording ever holds it.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import Any, cast

from kubectl_netdebug.kube import errors
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.facts import Answer, ApiCall, Known, PodToken, Unknown, Why
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.net.certificate import der_of
from kubectl_netdebug.net.text import sanitise, sanitise_json
from kubectl_netdebug.net.token import claims_of
from kubectl_netdebug.vantage.api import unknown_from
from kubectl_netdebug.vantage.pipe import Conversation
from kubectl_netdebug.vantage.probe import NoProbe, ProbeContainers

EXEC_SECONDS = 8.0
MOST_BYTES = 256 * 1024
MOST_BODY = 256 * 1024
MOST_RULES = 200
HEADERS = ("date", "retry-after", "x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid")
"""Headers of an answer that are kept."""

_MISSING = b"o such file"


@dataclass(frozen=True)
class _Mounted:
    """What a container has in its folder. The token is not shown even where this is printed."""

    token: str = field(repr=False)
    authorities: str


class ApiVantage:
    """Reads tokens and makes calls. Every way to fail is an Unknown or an outcome; nothing is raised."""

    def __init__(self, session: Session, containers: ProbeContainers) -> None:
        self._session = session
        self._containers = containers
        self._lock = threading.Lock()
        self._mounted: dict[tuple[str, str, str, str], _Mounted] = {}

    def token(self, key: PodToken) -> Answer:
        """The claims of a mounted token, and the certificates beside it."""
        try:
            mounted = self._read(key.namespace, key.pod, key.container, key.folder)
        except NoProbe as refused:
            return refused.unknown
        return Known({"claims": claims_of(mounted.token), "ca": der_of(mounted.authorities)}, how=key.container)

    def call(self, key: ApiCall) -> Answer:
        """One call with a container's token, or with nobody's."""
        try:
            mounted = _Mounted("", "")
            if key.container:
                mounted = self._read(key.namespace, key.pod, key.container, key.folder)
                if not mounted.token:
                    return Known({"outcome": "no-token"}, how=key.container)
            probe = self._containers.ensure(key.namespace, key.pod)
            with Conversation(self._session, probe, key.host, key.port) as pipe:
                began = time.monotonic()
                value = _speak(pipe, key, mounted)
                milliseconds = round((time.monotonic() - began) * 1000, 1)
                return Known({**value, "ms": milliseconds}, milliseconds, probe.how)
        except NoProbe as refused:
            return refused.unknown
        except errors.KubeError as problem:
            return unknown_from(problem)

    def _read(self, namespace: str, pod: str, container: str, folder: str) -> _Mounted:
        """Both files by one `cat`: a token has no end of line, and a certificate begins with dashes. Raises NoProbe."""
        where = (namespace, pod, container, folder)
        with self._lock:
            if where in self._mounted:
                return self._mounted[where]
        argv = ("cat", f"{folder}/token", f"{folder}/ca.crt")
        try:
            result = self._session.exec(namespace, pod, container, argv, seconds=EXEC_SECONDS, most_bytes=MOST_BYTES)
        except errors.KubeError as problem:
            raise NoProbe(unknown_from(problem)) from problem
        if result.outcome == "denied":
            raise NoProbe(Unknown(Why.FORBIDDEN, result.message, "the right to get and create pods/exec"))
        if result.outcome == "timed-out":
            raise NoProbe(Unknown(Why.TIMEOUT, f"a command in {pod}/{container} did not end: {result.message}"))
        if result.outcome != "exited" or not (result.stdout or _MISSING in result.stderr):
            says = f"container {container} of {pod} has no cat to read its token with"
            raise NoProbe(Unknown(Why.NO_TOOL, says, "a Pod with a shell and the same ServiceAccount: --from pod/NAME"))
        token, dashes, rest = result.stdout.decode("ascii", "replace").partition("-----BEGIN")
        mounted = _Mounted(token.strip(), dashes + rest)
        with self._lock:
            self._mounted[where] = mounted
        return mounted


def _speak(pipe: Conversation, key: ApiCall, mounted: _Mounted) -> dict[str, Any]:
    """TLS, one request, its answer."""
    tunnel = _Tunnel(pipe, key.host, mounted.authorities)
    refusal = tunnel.shake_hands()
    if refusal is not None:
        return refusal
    method, path, body = _request(key.request)
    content = json.dumps(body).encode() if body is not None else b""
    host = f"[{key.host}]" if ":" in key.host else key.host
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {host}:{key.port}",
        "User-Agent: kubectl-netdebug",
        "Accept: application/json",
        "Connection: close",
        *([f"Authorization: Bearer {mounted.token}"] if mounted.token else []),
        *(["Content-Type: application/json", f"Content-Length: {len(content)}"] if content else []),
    ]
    tunnel.send("\r\n".join(lines).encode("ascii", "replace") + b"\r\n\r\n" + content)
    response = http.client.HTTPResponse(cast(Any, _Lent(tunnel)))
    try:
        response.begin()
        raw = response.read(MOST_BODY)
    except http.client.RemoteDisconnected:
        return {"outcome": "timed-out" if pipe.late else "closed"}
    except (http.client.HTTPException, ValueError, ssl.SSLError) as problem:
        return {"outcome": "not-http", "reason": sanitise(type(problem).__name__, 100)}
    headers = {k.lower(): sanitise(v, 200) for k, v in response.getheaders()}
    return {
        "outcome": "answer",
        "status": response.status,
        "headers": {k: v for k, v in headers.items() if k in HEADERS},
        **_told(raw),
    }


def _request(words: str) -> tuple[str, str, Any]:
    """(method, path, body); the bodies create nothing, they ask about the caller."""
    what, _, about = words.partition(" ")
    if what == "whoami":
        api = "authentication.k8s.io/v1"
        return "POST", f"/apis/{api}/selfsubjectreviews", {"apiVersion": api, "kind": "SelfSubjectReview"}
    if what == "rules":
        api = "authorization.k8s.io/v1"
        review = {"apiVersion": api, "kind": "SelfSubjectRulesReview", "spec": {"namespace": about}}
        return "POST", f"/apis/{api}/selfsubjectrulesreviews", review
    return "GET", "/api", None


def _told(raw: bytes) -> dict[str, Any]:
    """What of the answer's body is kept: an error's words, who the caller is, what it may do."""
    try:
        body = sanitise_json(json.loads(raw.decode("utf-8", "replace")), 500)
    except (ValueError, RecursionError):
        return {"message": sanitise(raw[:300].decode("utf-8", "replace"), 300)}
    user = tree.dig(body, "status", "userInfo")
    rules = list(tree.entries(body, "status", "resourceRules"))
    return {
        "reason": tree.text(body, "reason"),
        "message": tree.text(body, "message"),
        "user": {"username": tree.text(user, "username"), "uid": tree.text(user, "uid")},
        "rules": [
            {name: list(tree.strings(rule, name)) for name in ("verbs", "apiGroups", "resources", "resourceNames")}
            for rule in rules[:MOST_RULES]
        ],
    }


class _Tunnel(io.RawIOBase):
    """TLS inside a conversation. With authorities the certificate is verified by them, names and dates included."""

    def __init__(self, pipe: Conversation, host: str, authorities: str) -> None:
        self._pipe = pipe
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if authorities:
            for der in der_of(authorities):
                with contextlib.suppress(ssl.SSLError, ValueError):
                    context.load_verify_locations(cadata=base64.b64decode(der))
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    def shake_hands(self) -> dict[str, Any] | None:
        """None when it went well, else the outcome."""
        while True:
            try:
                self._tls.do_handshake()
                self._flush()
                return None
            except ssl.SSLWantReadError:
                self._flush()
                data = self._pipe.receive()
                if not data:
                    return {"outcome": "timed-out" if self._pipe.late else "closed"}
                self._incoming.write(data)
            except ssl.SSLCertVerificationError as problem:
                return {"outcome": "untrusted", "reason": sanitise(problem.verify_message or str(problem), 200)}
            except ssl.SSLError as problem:
                return {"outcome": "not-tls", "reason": sanitise(problem.reason or str(problem), 200)}

    def send(self, data: bytes) -> None:
        """Encrypts and sends all of it."""
        self._tls.write(data)
        self._flush()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._pipe.send(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            try:
                data = self._tls.read(len(buffer))
            except ssl.SSLWantReadError:
                more = self._pipe.receive()
                if not more:
                    return 0
                self._incoming.write(more)
                continue
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return 0
            buffer[: len(data)] = data
            return len(data)


class _Lent:
    """What http.client needs of a socket."""

    def __init__(self, tunnel: _Tunnel) -> None:
        self._tunnel = tunnel

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._tunnel)
