"""What a scan found: the result that its reports draw."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kubectl_netdebug.model.finding import ObjectRef
from kubectl_netdebug.model.result import CauseLine, RunInfo, UnknownLine

SCAN_SCHEMA_VERSION = "netdebug-scan/v1"


class ScanState(StrEnum):
    """The scan in one word."""

    CLEAN = "clean"
    """Nothing was found that is not accepted, and all that is essential could be read."""
    FINDINGS = "findings"
    INCOMPLETE = "incomplete"
    """Nothing was found, and Services or EndpointSlices could not be read everywhere."""


@dataclass(frozen=True, order=True)
class Mark:
    """What a finding is known by from one scan to the next: its code, its object and the field in it."""

    code: str
    kind: str
    namespace: str
    name: str
    field: str = ""

    @staticmethod
    def of(code: str, at: ObjectRef) -> Mark:
        """The mark of a code at an object."""
        return Mark(code, at.kind, at.namespace, at.name, at.field)

    @property
    def place(self) -> str:
        """`Service shop/web spec.selector`."""
        home = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {home}{self.name} {self.field}".rstrip()


@dataclass(frozen=True)
class ScanFinding:
    """One fault. `affects` are the other objects that led to it, as `service/web` or `shop/service/web`."""

    cause: CauseLine
    affects: tuple[str, ...] = ()
    accepted: bool = False
    """The baseline has it."""

    @property
    def mark(self) -> Mark:
        """How it is known."""
        return Mark.of(self.cause.code, self.cause.object)


@dataclass(frozen=True)
class ScanUnknown:
    """Something that could not be judged. An `essential` one keeps the scan from being clean."""

    line: UnknownLine
    essential: bool


@dataclass(frozen=True)
class ScanResult:
    """A whole scan. `namespace` is '' for the whole cluster; `scanned` are counts by kind, in order."""

    namespace: str
    findings: tuple[ScanFinding, ...]
    stale: tuple[Mark, ...]
    """Entries of the baseline in what was read that nothing was found for any more."""
    unknown: tuple[ScanUnknown, ...]
    scanned: tuple[tuple[str, int], ...]
    run: RunInfo

    @property
    def open(self) -> tuple[ScanFinding, ...]:
        """The findings that the baseline does not accept."""
        return tuple(finding for finding in self.findings if not finding.accepted)

    @property
    def state(self) -> ScanState:
        """Findings come first: they are what is to be mended, whatever else could not be read."""
        if self.open:
            return ScanState.FINDINGS
        return ScanState.INCOMPLETE if any(each.essential for each in self.unknown) else ScanState.CLEAN
