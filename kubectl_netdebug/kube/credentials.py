"""Proves to the API server who we are, and renews the proof when it expires.

Precedence as in client-go: an explicit token goes before everything; a token file before the token beside it; a
plugin runs only when there is no token; basic authentication last. A client certificate is shown in any case.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubectl_netdebug.kube.access import Access, ExecPlugin
from kubectl_netdebug.kube.errors import CredentialProblem
from kubectl_netdebug.kube.oidc import provider_token

if TYPE_CHECKING:
    from kubectl_netdebug.kube.plugin import PluginCredential

_LEEWAY_SECONDS = 10.0
_SHORTEST_USE_SECONDS = 30.0
_TOKEN_FILE_SECONDS = 10.0


@dataclass(frozen=True)
class Proof:
    """What goes with a request: the Authorization header and the client certificate (PEM), either may be None.

    `generation` grows with each renewal, so that many threads that see a 401 renew once.
    """

    authorization: str | None = field(default=None, repr=False)
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    generation: int = 0

    def same_as(self, other: Proof) -> bool:
        return (self.authorization, self.certificate) == (other.authorization, other.certificate)


class Credentials:
    """The credential of one session. Thread-safe; nothing is run or read before the first `proof`."""

    def __init__(self, access: Access, *, interactive: bool = False, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives seconds since the epoch."""
        self._access = access
        self._identity = access.identity
        self._interactive = interactive
        self._clock = clock
        self._lock = threading.Lock()
        self._proof: Proof | None = None
        self._valid_until: float | None = None
        """In seconds since the epoch; None: until the server refuses it."""

    def proof(self) -> Proof:
        """The current proof, made or renewed as needed. Raises CredentialProblem, ConfigProblem."""
        with self._lock:
            if self._proof is None or (self._valid_until is not None and self._clock() >= self._valid_until):
                self._renew()
            assert self._proof is not None
            return self._proof

    def refused(self, proof: Proof) -> bool:
        """Call after a 401: renews, and says whether there is another proof to try."""
        if not self._renewable:
            return False
        with self._lock:
            if self._proof is None or self._proof.generation == proof.generation:
                self._renew()
            return self._proof is not None and not self._proof.same_as(proof)

    @property
    def _renewable(self) -> bool:
        identity = self._identity
        return bool(identity.token_file or identity.exec_plugin or identity.auth_provider)

    def _renew(self) -> None:
        generation = 0 if self._proof is None else self._proof.generation + 1
        identity = self._identity
        certificate, key = identity.client_certificate, identity.client_key
        token = identity.token
        self._valid_until = None
        if identity.token_file:
            token = self._token_from_file(identity.token_file) or token
            self._valid_until = self._clock() + _TOKEN_FILE_SECONDS
        elif token is None and identity.exec_plugin is not None:
            # Only the first time: later there may be a screen that a plugin would write over.
            printed = _run(identity.exec_plugin, self._access, interactive=self._interactive and generation == 0)
            self._valid_until = self._renewal_time(printed)
            token = printed.token
            certificate, key = printed.certificate or certificate, printed.key or key
        elif token is None and identity.auth_provider is not None:
            token = provider_token(identity.auth_provider, self._access.user)
        self._proof = Proof(self._authorization(token), certificate, key, generation)

    def _renewal_time(self, printed: PluginCredential) -> float | None:
        """Shortly before the credential expires.

        One that expires at once (a clock is wrong) is used for a while all the same: a plugin can take seconds, and
        running it for every call would help nobody. The server's 401 has the last word.
        """
        if printed.expires is None:
            return None
        return max(printed.expires - _LEEWAY_SECONDS, self._clock() + _SHORTEST_USE_SECONDS)

    def _token_from_file(self, path: str) -> str | None:
        try:
            with open(path, encoding="utf-8") as stream:
                return stream.read(1_000_000).strip() or None
        except (OSError, ValueError) as problem:
            if self._identity.token is not None:
                return None
            reason = getattr(problem, "strerror", None) or str(problem)
            raise CredentialProblem(f"Cannot read the token file {path}: {reason}.") from None

    def _authorization(self, token: str | None) -> str | None:
        if token is not None:
            token = token.strip()
            if not token.isascii() or not token.isprintable():
                raise CredentialProblem(f"The token of user {self._access.user!r} holds characters that no token has.")
            return f"Bearer {token}"
        if self._identity.username is not None:
            pair = f"{self._identity.username}:{self._identity.password or ''}".encode()
            return f"Basic {base64.b64encode(pair).decode('ascii')}"
        return None


def _run(plugin: ExecPlugin, access: Access, *, interactive: bool) -> PluginCredential:
    # Imported here: most sessions start no program, and need not pay for the means to.
    from kubectl_netdebug.kube.plugin import run_plugin

    return run_plugin(plugin, access, interactive=interactive)
