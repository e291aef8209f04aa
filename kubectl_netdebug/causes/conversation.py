"""Who talks to whom: the connections that a question is about, for everything that judges them one by one."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.net.outcome import Attempt


@dataclass(frozen=True)
class Party:
    """One end of a connection. `pod` is None for a node, for what is outside, and for what is not known."""

    address: str
    pod: Pod | None = None


@dataclass(frozen=True)
class Conversation:
    """One connection as it looks at the Pods, that is behind Service addresses.

    `port` is the server's own. `attempt` is how a connect to exactly there ended, None where none was made. `via` is
    the Service address that the client uses, '' where it connects directly.
    """

    client: Party
    server: Party
    port: int
    protocol: str = "TCP"
    attempt: Attempt | None = None
    via: str = ""
