"""Requests as one identity: authorisation and impersonation headers, renewal after a 401, the transcript.

Below it is `transport` (bytes), above it `session` (JSON) and `execution` (exec).
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote, urlencode, urlsplit

from kubectl_netdebug import __version__
from kubectl_netdebug.kube.access import Access, Impersonation
from kubectl_netdebug.kube.credentials import Credentials, Proof
from kubectl_netdebug.kube.dial import Endpoint
from kubectl_netdebug.kube.errors import ConfigProblem
from kubectl_netdebug.kube.line import Line
from kubectl_netdebug.kube.proxies import proxy_for
from kubectl_netdebug.kube.tls import context_for
from kubectl_netdebug.kube.transcript import Call, Transcript
from kubectl_netdebug.kube.transport import Headers, Reply, Request, Transport

Query = Mapping[str, str] | Sequence[tuple[str, str]]
Upgraded = tuple[Reply, Line, Callable[[int], bytes]]
_Answer = TypeVar("_Answer", Reply, Upgraded)

_LARGEST_REFUSAL = 1_000_000


class Channel:
    """Speaks to one API server as one user. Thread-safe; opens nothing before the first request."""

    def __init__(self, access: Access, *, interactive: bool = False) -> None:
        self._access = access
        self._credentials = Credentials(access, interactive=interactive)
        self._endpoint = _endpoint(access)
        self._prefix = urlsplit(access.server).path.rstrip("/")
        self._standing = _standing_headers(access)
        self._lock = threading.Lock()
        self._transport: Transport | None = None
        self._shown: tuple[bytes | None, bytes | None] = (None, None)
        self.transcript = Transcript()
        self.encodings: Headers = _encodings(access, self._endpoint.host)

    def log_in(self) -> None:
        """Gets or renews the credential, so that the time for it counts for no call.

        Raises CredentialProblem, ConfigProblem.
        """
        self._credentials.proof()

    def exchange(
        self,
        method: str,
        path: str,
        query: Query,
        *,
        headers: Headers = (),
        body: bytes | None = None,
        until: float,
        most: int,
        cut: bool = False,
    ) -> Reply:
        """One request, sent again once when a 401 led to another credential.

        `until` is on `time.monotonic()`; `most` and `cut` as in `Transport.exchange`. Any HTTP status comes back
        as a reply. Raises Unreachable, TimedOut, Garbled, CredentialProblem, ConfigProblem.
        """

        def attempt(proof: Proof) -> Reply:
            request = Request(method, self._target(path, query), self._headers(proof, headers), body)
            return self._recorded(method, path, lambda: self._via(proof).exchange(request, until, most, cut=cut))

        return self._authenticated(attempt, lambda reply: reply.status)

    def upgrade(self, path: str, query: Query, *, headers: Headers, until: float) -> Upgraded:
        """A GET that asks for another protocol; see `Transport.upgrade`. Raises as `exchange`."""

        def attempt(proof: Proof) -> Upgraded:
            request = Request("GET", self._target(path, query), self._headers(proof, headers))

            def ask() -> Upgraded:
                return self._via(proof).upgrade(request, until, _LARGEST_REFUSAL)

            return self._recorded("GET", path, ask)

        return self._authenticated(attempt, lambda upgraded: upgraded[0].status)

    def close(self) -> None:
        """Closes idle connections."""
        with self._lock:
            transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def _authenticated(self, attempt: Callable[[Proof], _Answer], status: Callable[[_Answer], int]) -> _Answer:
        proof = self._credentials.proof()
        answer = attempt(proof)
        if status(answer) == 401 and self._credentials.refused(proof):
            answer = attempt(self._credentials.proof())
        return answer

    def _recorded(self, method: str, path: str, ask: Callable[[], _Answer]) -> _Answer:
        started = time.monotonic()
        reply: Reply | None = None
        try:
            answer = ask()
            reply = answer if isinstance(answer, Reply) else answer[0]
            return answer
        finally:
            elapsed = (time.monotonic() - started) * 1000
            status, size = (0, 0) if reply is None else (reply.status, len(reply.body))
            self.transcript.add(Call(method, path, status, elapsed, size))

    def _via(self, proof: Proof) -> Transport:
        """The transport that shows the proof's client certificate."""
        shown = (proof.certificate, proof.key)
        with self._lock:
            if self._transport is None or self._shown != shown:
                if self._transport is not None:
                    self._transport.close()
                self._transport = Transport(self._endpoint, self._context(proof))
                self._shown = shown
            return self._transport

    def _context(self, proof: Proof) -> ssl.SSLContext | None:
        if not self._endpoint.secure:
            return None
        return context_for(
            self._access.certificate_authority,
            insecure=self._access.insecure,
            certificate=proof.certificate,
            key=proof.key,
        )

    def _target(self, path: str, query: Query) -> str:
        # A percent sign is encoded like the rest: a name from outside must not become a path.
        target = self._prefix + quote(path, safe="/:@!$&'()*+,;=~-._", errors="replace")
        pairs = list(query.items()) if isinstance(query, Mapping) else list(query)
        encoded = urlencode(pairs, errors="replace")
        return f"{target}?{encoded}" if encoded else target

    def _headers(self, proof: Proof, headers: Headers) -> Headers:
        authorization = () if proof.authorization is None else (("Authorization", proof.authorization),)
        return [*self._standing, *authorization, *headers]


def _endpoint(access: Access) -> Endpoint:
    parts = urlsplit(access.server)
    host, secure = parts.hostname or "", parts.scheme == "https"
    return Endpoint(
        host=host,
        port=parts.port or (443 if secure else 80),
        secure=secure,
        server_name=access.tls_server_name or host,
        shown=f"{access.server} (context {access.context})" if access.context else access.server,
        proxy=proxy_for(access.server, access.proxy_url, os.environ),
    )


def _encodings(access: Access, host: str) -> Headers:
    """Whether to ask for packed answers: worth the CPU time of both ends unless the server is on this machine."""
    near = host in ("localhost", "::1") or host.startswith("127.")
    return [("Accept-Encoding", "gzip" if access.compression and not near else "identity")]


def _standing_headers(access: Access) -> Headers:
    """The headers that every request of this identity carries."""
    headers = [("User-Agent", f"kubectl-netdebug/{__version__}"), *_impersonation(access.impersonation)]
    if any(not value.isprintable() for _, value in headers):
        raise ConfigProblem("A name to impersonate holds control characters.")
    return headers


def _impersonation(impersonation: Impersonation | None) -> list[tuple[str, str]]:
    if impersonation is None:
        return []
    headers = [("Impersonate-User", impersonation.user)]
    headers += [("Impersonate-Group", group) for group in impersonation.groups]
    if impersonation.uid:
        headers.append(("Impersonate-Uid", impersonation.uid))
    # Keys may hold characters that header names may not: client-go encodes them like a URL.
    headers += [(f"Impersonate-Extra-{quote(key.lower(), safe='')}", value) for key, value in impersonation.extra]
    return headers
