"""What can go wrong between this program and an API server, as one family of exceptions.

Each carries `message`: one sentence for a person, already sanitised. Which class it is says what the caller
can do about it; callers never parse the message.
"""

from __future__ import annotations

from typing import Literal

from kubectl_netdebug.net.text import sanitise

LONGEST_MESSAGE = 2_000

UnreachableCause = Literal["dns", "refused", "connect-timeout", "no-route", "tls", "proxy", "reset"]


class KubeError(Exception):
    """Base of everything this package raises on purpose."""

    def __init__(self, message: str) -> None:
        self.message = sanitise(message, LONGEST_MESSAGE)
        super().__init__(self.message)


class ConfigProblem(KubeError):
    """The kubeconfig or a flag cannot be used: no file, bad content, unknown context, unsupported setting."""


class CredentialProblem(KubeError):
    """Nobody could be authenticated: 401, an expired credential, a credential plugin that failed."""


class Unreachable(KubeError):
    """No conversation with the API server came about. `cause` says at which step it ended."""

    def __init__(self, cause: UnreachableCause, message: str) -> None:
        super().__init__(message)
        self.cause: UnreachableCause = cause


class Forbidden(KubeError):
    """403 from authorisation: the identity lacks `verb` on `resource` (with subresource: `pods/exec`)."""

    def __init__(self, verb: str, resource: str, namespace: str | None, message: str) -> None:
        super().__init__(message)
        self.verb = sanitise(verb, 100)
        self.resource = sanitise(resource, 300)
        self.namespace = None if namespace is None else sanitise(namespace, 300)


class NotFound(KubeError):
    """404: the object, or the whole API group, does not exist."""


class Conflict(KubeError):
    """409: somebody changed the object meanwhile, or it exists already."""


class Expired(KubeError):
    """410: the list or watch position is too old."""


class Throttled(KubeError):
    """429: the server asks to come back after `retry_after` seconds (None when it did not say)."""

    def __init__(self, retry_after: float | None, message: str) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Rejected(KubeError):
    """The request was understood and refused: invalid (400, 422) or turned away by an admission check."""


class ServerFault(KubeError):
    """5xx; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class TimedOut(KubeError):
    """Connected, but the answer was not complete within the deadline."""


class Garbled(KubeError):
    """What came is not what an API server says: no JSON, a wrong shape, too large, cut in the middle."""
