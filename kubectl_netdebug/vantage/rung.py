"""The ways into a Pod's network, the best first: a container that was added, then one of the Pod's own."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.model.facts import Unknown
from kubectl_netdebug.model.objects.pod import ADDED

PROBE_RIGHT = "the right to patch pods/ephemeralcontainers (kubectl netdebug access --role)"
EXEC_RIGHT = "the right to get and create pods/exec (kubectl netdebug access --role)"


class NoProbe(Exception):
    """No command can be run in the Pod's network; `unknown` says why and what would help."""

    def __init__(self, unknown: Unknown) -> None:
        super().__init__(unknown.says)
        self.unknown = unknown


@dataclass(frozen=True)
class ProbeContainer:
    """A running container in which commands can be run.

    `process` is a process of the node whose network and files are meant, for a container that sees the node's
    processes; 0 where the container's own are. `where` is how the place is told to people, '' for "in the Pod".
    """

    namespace: str
    pod: str
    name: str
    process: int = 0
    where: str = ""

    @property
    def added(self) -> bool:
        """It is ours; else the app's own, with whatever tools its image has."""
        return self.name.startswith(ADDED)

    @property
    def how(self) -> str:
        """The rung, as it stands with every answer."""
        return self.where or self.name

    def command(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """What to run, so that it happens in the network that is meant."""
        return ("nsenter", "-t", str(self.process), "-n", "--", *argv) if self.process else argv

    def file(self, path: str) -> str:
        """A path as the place that is meant sees it. `/proc/net` follows the network anyway."""
        return f"/proc/{self.process}/root{path}" if self.process and not path.startswith("/proc/") else path
