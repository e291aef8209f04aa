"""The ways into a Pod's network, the best first: a container that was added, then one of the Pod's own."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.model.facts import Unknown

PREFIX = "netdebug-"
"""What the names of added containers begin with."""


PROBE_RIGHT = "the right to patch pods/ephemeralcontainers (kubectl netdebug access --role)"
EXEC_RIGHT = "the right to get and create pods/exec (kubectl netdebug access --role)"


class NoProbe(Exception):
    """No command can be run in the Pod's network; `unknown` says why and what would help."""

    def __init__(self, unknown: Unknown) -> None:
        super().__init__(unknown.says)
        self.unknown = unknown


@dataclass(frozen=True)
class ProbeContainer:
    """A running container in which commands can be run."""

    namespace: str
    pod: str
    name: str

    @property
    def added(self) -> bool:
        """It is ours; else the app's own, with whatever tools its image has."""
        return self.name.startswith(PREFIX)
