"""What the person asked, once the command line has been understood."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FlowName(StrEnum):
    """The decision trees that exist; the value stands in results and recordings."""

    SERVICE = "service"


class SourceKind(StrEnum):
    """Where the failing connection starts."""

    ANY = "any"
    POD = "pod"
    DEPLOYMENT = "deployment"
    STATEFULSET = "statefulset"
    DAEMONSET = "daemonset"
    JOB = "job"
    OUTSIDE = "outside"


@dataclass(frozen=True)
class Source:
    """The client of the failing connection; `ANY` leaves the choice of a Pod to the flow."""

    kind: SourceKind = SourceKind.ANY
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        return self.kind.value if not self.name else f"{self.kind.value}/{self.name}"


@dataclass(frozen=True)
class Question:
    """One question to answer.

    `port` is what the person typed behind the colon: a number or a port name, empty for "the Service's ports".
    """

    flow: FlowName
    namespace: str
    service: str
    port: str = ""
    protocol: str = ""
    source: Source = Source()

    @property
    def destination(self) -> str:
        """The destination as the person would write it."""
        return f"{self.service}:{self.port}" if self.port else self.service
