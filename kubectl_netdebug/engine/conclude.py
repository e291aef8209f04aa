"""Makes the result of a diagnosis: ranks the findings, words the verdict, collects evidence and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubectl_netdebug.engine.describe import describe, reproduce, vantage_of
from kubectl_netdebug.engine.run import Diagnosis, Found, Settled
from kubectl_netdebug.model.facts import Answer, Ask, FactKey, Known, Price, Sockets, Unknown, Why
from kubectl_netdebug.model.finding import Confidence, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop, State
from kubectl_netdebug.model.question import FlowName
from kubectl_netdebug.model.result import (
    CauseLine,
    Change,
    Evidence,
    FixLine,
    HopLine,
    Result,
    RunInfo,
    UnknownLine,
    Verdict,
    VerdictState,
)

_UNFORESEEN = (Why.TIMEOUT, Why.UNREACHABLE, Why.ERROR)
"""Missing rights, tools and consent are a matter of course. A read that broke down is not: the cause that it would have
told may be the one behind the cause that was found, or behind a verdict of healthy."""

REACHED = (Hop.NAME_SERVERS, Hop.BACKENDS, Hop.OWN_ADDRESS, Hop.ADDRESS, Hop.TLS)
"""Hops that pass only when a connection was really made."""


@dataclass(frozen=True)
class Circumstances:
    """What a result says about the run beside its findings."""

    run_id: str
    started_at: str
    api_calls: int = 0
    probes: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    cluster_flags: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    """What the vantage points had to make do with, a sentence each."""
    verify: str = ""
    """The command that asks the same question again."""


def conclude(diagnosis: Diagnosis, about: Circumstances) -> Result:
    """The result of a diagnosis. Pure: the same facts give the same result."""
    ranked, consequences = rank([found for step in diagnosis.steps for found in step.found])
    causes = tuple(
        _cause_line(found, index == 0, consequences[found.finding], diagnosis.facts, about)
        for index, found in enumerate(ranked)
    )
    verdict = _verdict(diagnosis, ranked)
    return Result(
        question=diagnosis.question,
        verdict=verdict,
        causes=causes,
        path=tuple(_hop_line(step, diagnosis.facts) for step in diagnosis.steps),
        unknown=_unknown_lines(diagnosis, verdict.state, decided=bool(causes)),
        changes=about.changes,
        assumptions=(*about.notes, *_assumptions(diagnosis, decided=bool(causes))),
        run=RunInfo(
            id=about.run_id,
            started_at=about.started_at,
            seconds=round(diagnosis.seconds, 3),
            api_calls=about.api_calls,
            probes=about.probes,
            versions=tuple(sorted(about.versions.items())),
        ),
    )


def rank(found: list[Found]) -> tuple[list[Found], dict[Finding, tuple[str, ...]]]:
    """The independent causes in the order in which to mend them, and the codes that each of them explains.

    A finding whose code another one explains is a consequence and is not listed by itself, unless it is surer than what
    would explain it. Confirmed comes before likely, then the earlier hop, then what breaks before what degrades. What
    was found at several hops counts once, as what it is first in that order.
    """
    serious = _each_once(sorted((each for each in found if each.finding.effect is not Effect.NOTE), key=_place))
    roots = [each for each in serious if not any(_explains(other, each) for other in serious if other is not each)]
    consequences = {
        root.finding: tuple(sorted({e.finding.code for e in serious if _explains(root, e)})) for root in roots
    }
    return roots, consequences


def _place(found: Found) -> tuple[int, int, bool]:
    return found.finding.confidence.rank, found.hop.order, found.finding.effect is not Effect.BREAKS


def _each_once(found: list[Found]) -> list[Found]:
    first: dict[tuple[str, ObjectRef], Found] = {}
    for each in found:
        first.setdefault((each.finding.code, each.finding.at), each)
    return list(first.values())


def _explains(cause: Found, consequence: Found) -> bool:
    surer = cause.finding.confidence.rank <= consequence.finding.confidence.rank
    likely = cause.finding.confidence is not Confidence.POSSIBLE
    explained = consequence.finding.code in cause.finding.cause.explains
    return explained and (surer or (likely and consequence.finding.cause.symptom_only))


def _verdict(diagnosis: Diagnosis, ranked: list[Found]) -> Verdict:
    failing = [s for s in diagnosis.steps if s.outcome.state is State.FAIL]
    limping = [s for s in diagnosis.steps if s.outcome.state is State.WARN]
    lost = [s for s in diagnosis.steps if s.step.essential and s.outcome.state in (State.UNKNOWN, State.ERROR)]
    if failing or limping:
        state = VerdictState.FAULTY if failing else VerdictState.PARTIAL
        if ranked:
            return Verdict(state, ranked[0].finding.summary, ranked[0].finding.confidence)
        where = min(failing or limping, key=lambda s: s.step.hop.order)
        return Verdict(state, f"{_capital(where.step.title)}: {where.outcome.saw}; the cause is not established")
    if lost:
        first = min(lost, key=lambda s: s.step.hop.order)
        return Verdict(VerdictState.INCONCLUSIVE, f"Cannot tell: {first.step.title}: {first.outcome.saw}")
    return Verdict(VerdictState.HEALTHY, _healthy_headline(diagnosis))


def _healthy_headline(diagnosis: Diagnosis) -> str:
    name = diagnosis.question.destination
    outside = diagnosis.question.flow is FlowName.OUTSIDE_TO_POD
    hops = (Hop.ENTRY,) if outside else REACHED
    reached = [s for s in diagnosis.steps if s.step.hop in hops and s.outcome.state is State.PASS]
    if reached:
        verb = "resolve" if name == "names" else "resolves" if diagnosis.question.flow is FlowName.DNS else "answers"
        return f"{name} {verb} from {vantage_of(reached[-1].used)}, now"
    if diagnosis.question.flow is FlowName.NODE:
        return _node_headline(diagnosis)
    if any(s.lost and any(lost.unknown.why is Why.NO_CONSENT for lost in s.lost) for s in diagnosis.steps):
        return f"the configuration of {name} is complete; no connection was tried"
    return f"the configuration of {name} is complete"


def _node_headline(diagnosis: Diagnosis) -> str:
    name = diagnosis.question.destination
    looked = any(ask.key.price is Price.NODE for s in diagnosis.steps for ask in s.used)
    if looked and not any(lost.unknown.why is Why.NO_CONSENT for s in diagnosis.steps for lost in s.lost):
        return f"{name}: nothing wrong was found in its network, now"
    return f"{name}: nothing wrong is told by the API; the node itself was not looked at (--allow node)"


def _hop_line(settled: Settled, facts: Mapping[FactKey, Answer]) -> HopLine:
    return HopLine(
        hop=settled.step.hop,
        title=settled.step.title,
        state=settled.outcome.state,
        vantage=vantage_of(settled.used, facts),
        elapsed_ms=round(settled.elapsed_ms, 1),
        saw=settled.outcome.saw,
    )


def _cause_line(
    found: Found, primary: bool, consequences: tuple[str, ...], facts: Mapping[FactKey, Answer], about: Circumstances
) -> CauseLine:
    finding = found.finding
    return CauseLine(
        code=finding.code,
        primary=primary,
        object=finding.at,
        summary=finding.summary,
        means=finding.means,
        saw=finding.saw,
        evidence=_evidence(found.used, facts, about.cluster_flags),
        fixes=tuple(
            FixLine(fix.title, fix.command.render(about.cluster_flags), fix.risk, about.verify, fix.not_pasteable)
            for fix in finding.fixes
        ),
        confidence=finding.confidence,
        explains=consequences,
    )


def _evidence(
    used: tuple[Ask[object], ...], facts: Mapping[FactKey, Answer], cluster_flags: tuple[str, ...]
) -> tuple[Evidence, ...]:
    """One line for each fact that was established and can be told; a fact without words is background, not evidence."""
    lines = []
    for ask in used:
        answer = facts.get(ask.key)
        if isinstance(answer, Known) and ask.says is not None:
            observed = ask.says(ask.read(answer.value))
            lines.append(Evidence(vantage_of((ask,), facts), observed, reproduce(ask.key, answer.how, cluster_flags)))
    return tuple(lines)


def _unknown_lines(diagnosis: Diagnosis, verdict: VerdictState, *, decided: bool) -> tuple[UnknownLine, ...]:
    """What is missing, each reason once: first what weighs, then what the checks could do without."""
    missing = [(lost.key, lost.unknown, lost.by, lost.essential) for step in diagnosis.steps for lost in step.lost]
    missing += [
        (key, answer, "", False)
        for key, answer in diagnosis.facts.items()
        if isinstance(answer, Unknown) and answer.why is not Why.NO_CONSENT
    ]
    lines: dict[tuple[str, str], UnknownLine] = {}
    for key, unknown, by, essential in missing:
        weighs = unknown.why in _UNFORESEEN or (verdict is not VerdictState.HEALTHY and (essential or not decided))
        line = UnknownLine(describe(key) if key else f"check for {by}", unknown.says, unknown.unlock, aside=not weighs)
        before = lines.get((line.why, line.unlock))
        if before is None or (before.aside and not line.aside):
            lines[line.why, line.unlock] = line
    return tuple(sorted(lines.values(), key=lambda line: line.aside))


def _assumptions(diagnosis: Diagnosis, *, decided: bool) -> tuple[str, ...]:
    said = []
    used = [ask for step in diagnosis.steps for ask in step.used if ask.key.price is Price.POD]
    used = [ask for ask in used if not isinstance(ask.key, Sockets)]  # those were read in a backend
    pods = {vantage_of((ask,)) for ask in used if isinstance(diagnosis.facts.get(ask.key), Known)}
    if pods and not diagnosis.question.source.name:
        said.append(f"the client was chosen ({', '.join(sorted(pods))}); another may see something else: --from")
    tried = any(isinstance(diagnosis.facts.get(ask.key), Known) for ask in used)
    missed = [a for s in diagnosis.steps for a in s.lost if a.unknown.why is Why.NO_CONSENT]
    if not decided and not tried and any(a.key is None or a.key.price is not Price.NODE for a in missed):
        said.append("judged by configuration alone: no connection was tried (--probe always, or --allow ephemeral)")
    return tuple(said)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
