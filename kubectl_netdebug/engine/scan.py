"""A whole scan: reads, judges, and puts together what was found, each fault once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from kubectl_netdebug.causes.dns_cluster import NAMESPACE as DNS_NAMESPACE
from kubectl_netdebug.causes.dns_cluster import SERVICE_NAMES as DNS_SERVICES
from kubectl_netdebug.engine.conclude import Circumstances, conclude
from kubectl_netdebug.engine.describe import describe
from kubectl_netdebug.engine.lists import EVERYWHERE, Lists
from kubectl_netdebug.engine.run import Lost
from kubectl_netdebug.engine.survey import count, creations, read_basics, subjects_in, subjects_of_cluster
from kubectl_netdebug.engine.sweep import Judged, Reader, Sweep
from kubectl_netdebug.flows.sweep import About, Subject
from kubectl_netdebug.model.facts import Price, Why
from kubectl_netdebug.model.finding import Confidence
from kubectl_netdebug.model.hop import State
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.result import CauseLine, RunInfo, UnknownLine
from kubectl_netdebug.model.scan import Mark, ScanFinding, ScanResult, ScanUnknown

MOST_AFFECTED = 20
"""Objects named beside a fault that many of them have in common."""


@dataclass(frozen=True)
class Scope:
    """What a scan is about. `namespace` is '' for the whole cluster; `now` is RFC 3339 in UTC.

    `verify` gives the command that asks again about one object.
    """

    namespace: str
    now: str
    cluster_flags: tuple[str, ...] = ()
    verify: Callable[[Question], str] = lambda question: ""


@dataclass
class _Gathered:
    """Findings and gaps so far, each once."""

    findings: dict[Mark, ScanFinding] = field(default_factory=dict)
    gaps: dict[tuple[str, str], ScanUnknown] = field(default_factory=dict)


def scan(
    reader: Reader,
    scope: Scope,
    accepted: Iterable[Mark] | None = None,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    strict: bool = False,
) -> ScanResult:
    """Runs a scan. `run` of the result is left for the caller to fill. Every failed read becomes an unknown."""
    lists = Lists()
    survey = read_basics(reader, lists, scope.namespace)
    subjects = [*subjects_in(lists, survey), *creations(reader, scope.namespace)]
    if not scope.namespace:
        subjects += subjects_of_cluster(lists, reader)
    sweep = Sweep(lists, reader, scope.now, strict=strict, on_progress=on_progress)
    gathered = put_together(sweep.judge(_in_order(subjects)), scope)
    known = frozenset(accepted or ())
    findings = tuple(
        replace(found, accepted=mark in known) for mark, found in sorted(gathered.findings.items(), key=_place)
    )
    stale = known - gathered.findings.keys()
    unread = bool(gathered.gaps) or EVERYWHERE in survey.unread
    return ScanResult(
        namespace=scope.namespace,
        findings=findings,
        stale=tuple(sorted(m for m in stale if not unread and _within(m, scope.namespace, survey.unread))),
        unknown=(*survey.unknown, *gathered.gaps.values()),
        scanned=count(lists, survey),
        run=RunInfo("", scope.now, 0.0, 0, 0),
    )


def _in_order(subjects: list[Subject]) -> list[Subject]:
    """The cluster's own first, then by namespace, so that what is read of one is used while it is held."""
    return sorted(subjects, key=lambda s: (s.about not in (About.NAMES, About.API), s.question.namespace))


def _place(item: tuple[Mark, ScanFinding]) -> tuple[str, str, str, str, str]:
    mark = item[0]
    return mark.namespace, mark.kind, mark.name, mark.code, mark.field


def _within(mark: Mark, namespace: str, unread: frozenset[str]) -> bool:
    """Whether an entry of a baseline is about something that was looked at."""
    return (not namespace or mark.namespace == namespace) and mark.namespace not in unread


def put_together(judged: Iterable[Judged], scope: Scope) -> _Gathered:
    """Every fault once, with the objects that it was found from."""
    gathered = _Gathered()
    dns_at_fault = False
    for each in judged:
        causes = [cause for cause in _causes(each, scope) if cause.confidence is not Confidence.POSSIBLE]
        if each.subject.about is About.NAMES:
            dns_at_fault = bool(causes)
        elif dns_at_fault and _is_dns(each.subject):
            continue  # the same fault, told for the whole cluster already
        for cause in causes:
            _add(gathered.findings, cause, each.subject)
        for gap in _gaps(each, found=bool(causes)):
            gathered.gaps.setdefault((gap.line.why, gap.line.unlock) if gap.line.unlock else (gap.line.fact, ""), gap)
    return gathered


def _is_dns(subject: Subject) -> bool:
    asked = subject.question
    return subject.about is About.SERVICE and asked.namespace == DNS_NAMESPACE and asked.service in DNS_SERVICES


def _causes(each: Judged, scope: Scope) -> tuple[CauseLine, ...]:
    about = Circumstances(
        "scan", scope.now, cluster_flags=scope.cluster_flags, verify=scope.verify(each.subject.question)
    )
    return conclude(each.diagnosis, about).causes


def _add(findings: dict[Mark, ScanFinding], cause: CauseLine, subject: Subject) -> None:
    mark = Mark.of(cause.code, cause.object)
    found = findings.get(mark) or ScanFinding(cause)
    own = (subject.about.value, subject.name) == (cause.object.kind, cause.object.name)
    if not own and subject.title not in found.affects and len(found.affects) < MOST_AFFECTED:
        found = replace(found, affects=(*found.affects, subject.title))
    findings[mark] = found


def _gaps(each: Judged, *, found: bool) -> Iterator[ScanUnknown]:
    """What kept a subject from being judged: reads that failed, and faults that nothing explains."""
    if found:
        return
    lost = [lost for step in each.diagnosis.steps for lost in step.lost if _was_wanted(lost)]
    for each_lost in lost:
        fact = describe(each_lost.key) if each_lost.key else f"check for {each_lost.by}"
        line = UnknownLine(f"{each.subject.title}: {fact}", each_lost.unknown.says, each_lost.unknown.unlock)
        yield ScanUnknown(line, essential=False)
    for step in each.diagnosis.steps:
        if step.outcome.state is State.FAIL and not lost:
            line = UnknownLine(f"{each.subject.title}: {step.step.title}", f"{step.outcome.saw}; why is not known", "")
            yield ScanUnknown(line, essential=False)


def _was_wanted(lost: Lost) -> bool:
    """Not what a scan leaves alone by its nature."""
    reads = lost.key is None or lost.key.price is Price.READ
    return reads and lost.unknown.why is not Why.NO_CONSENT


def counted(result: ScanResult, run: Mapping[str, object]) -> ScanResult:
    """The result with what the run cost."""
    return replace(result, run=replace(result.run, **run))  # type: ignore[arg-type]
