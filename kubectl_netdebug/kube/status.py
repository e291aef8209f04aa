"""From an HTTP status and body to the exception that says what happened."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.kube.errors import (
    Conflict,
    CredentialProblem,
    Expired,
    Forbidden,
    Garbled,
    KubeError,
    NotFound,
    Rejected,
    ServerFault,
    Throttled,
    Unreachable,
)
from kubectl_netdebug.kube.rim import admit

# Source: k8s.io/apiserver, pkg/endpoints/handlers/responsewriters/errors.go
_DENIED = re.compile(
    r'User "[^"]*" cannot (?P<verb>\S+) (?:resource|path) "(?P<resource>[^"]*)"'
    r'(?: in API group "[^"]*")?(?: in the namespace "(?P<namespace>[^"]*)")?'
)
# Source: Go, net/http/server.go
_WRONG_SCHEME = b"Client sent an HTTP request to an HTTPS server"
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_LONGEST_RETRY_AFTER = 86_400.0


def failure(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> KubeError:
    """The exception for an answer outside 2xx. `path` is as requested, without query."""
    if _WRONG_SCHEME in body:
        return Unreachable("tls", "The server speaks TLS, but its address begins with http://: it needs https://.")
    message = status_message(body) or _plain(path, status, body)
    match status:
        case 401:
            return CredentialProblem(f"The API server does not accept the credential: {message}")
        case 403:
            return _forbidden(method, path, message)
        case 404:
            return NotFound(message)
        case 409:
            return Conflict(message)
        case 410:
            return Expired(message)
        case 429:
            return Throttled(retry_after(headers), message)
        case _ if 400 <= status < 500:
            return Rejected(message)
        case _ if 500 <= status < 600:
            return ServerFault(status, message)
        case _:
            return Garbled(f"Not an answer of an API server: {message}")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from Retry-After; None without one, or when it is a date."""
    value = headers.get("retry-after", "").strip()
    return min(float(value), _LONGEST_RETRY_AFTER) if re.fullmatch(r"[0-9]{1,9}", value) else None


def status_message(body: bytes) -> str | None:
    """The message of a Kubernetes Status, None when the body is something else."""
    try:
        content = admit(body.decode("utf-8", "replace"))
    except Garbled:
        return None
    message = content.get("message") if isinstance(content, dict) else None
    return message if isinstance(message, str) and message else None


def _plain(path: str, status: int, body: bytes) -> str:
    if status == 404:
        return f"The API server has nothing at {path}."
    text = re.sub(r"<[^>]*>", " ", body[:4_000].decode("utf-8", "replace"))
    words = " ".join(text.split())[:200]
    return f"HTTP {status}" + (f", {words}" if words else "")


def _forbidden(method: str, path: str, message: str) -> KubeError:
    denied = _DENIED.search(message)
    if denied is not None:
        return Forbidden(denied["verb"], denied["resource"], denied["namespace"], message)
    if method != "GET":
        # Authorisation names verb and resource; a write that is forbidden without them met an admission check.
        return Rejected(message)
    target = _target(path)
    return Forbidden(_VERBS.get(method, method.lower()), target.resource, target.namespace, message)


@dataclass(frozen=True)
class _Target:
    resource: str
    namespace: str | None


def _target(path: str) -> _Target:
    """The resource (with subresource) and namespace that an API path means."""
    parts: list[Any] = [part for part in path.split("/") if part]
    rest = parts[2:] if parts[:1] == ["api"] else parts[3:] if parts[:1] == ["apis"] else parts
    namespace = None
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    resource = "/".join([*rest[:1], *rest[2:3]]) or path
    return _Target(resource, namespace)
