"""The pane of one check: what was checked, what was seen, what it means and what to do; evidence on demand."""

from __future__ import annotations

from kubectl_netdebug.engine.describe import describe, reproduce, vantage_of
from kubectl_netdebug.model.facts import Known
from kubectl_netdebug.model.finding import Effect
from kubectl_netdebug.model.hop import State
from kubectl_netdebug.model.result import CauseLine, FixLine, Result, VerdictState
from kubectl_netdebug.tui.state import Check, RunState, Stage
from kubectl_netdebug.tui.words import ACCENT, FAINT, STRONG, Line, Part, harmless, labelled


def causes_at(check: Check, result: Result | None) -> list[CauseLine]:
    """The causes of the result that were found at this hop."""
    if check.settled is None or result is None:
        return []
    here = {(found.finding.code, found.finding.at) for found in check.settled.found}
    return [cause for cause in result.causes if (cause.code, cause.object) in here]


def _is_headline(cause: CauseLine, result: Result | None) -> bool:
    """Whether the verdict's sentence is this cause's; beside a healthy verdict a possible one needs its own."""
    return result is not None and cause is result.causes[0] and result.verdict.state is not VerdictState.HEALTHY


def fix_at(check: Check | None, result: Result | None, number: int = 0) -> FixLine | None:
    """The fix that `c` copies: of a cause found at this hop, else of the first cause that has one."""
    if result is None:
        return None
    here = causes_at(check, result) if check else []
    for cause in (*here, *result.causes):
        if cause.fixes:
            return cause.fixes[number % len(cause.fixes)]
    return None


def detail_lines(check: Check, state: RunState, width: int, *, evidence: bool = False) -> list[Line]:
    """The whole pane."""
    causes = causes_at(check, state.result)
    lines = [] if causes and state.is_over and not evidence else _checked(check, width)
    if check.stage is Stage.RUNNING:
        return lines + _running(check, state, width)
    if check.stage is Stage.WAITING or check.settled is None:
        return lines + labelled("Saw", "nothing yet: it has not begun", width, style=FAINT)
    if not causes:
        lines += labelled("Saw", f"{check.settled.outcome.saw}  ({_seen_from(check, state)})", width)
        lines += _missing(check, width)
    for cause in causes:
        lines += cause_lines(cause, width, alone=len(causes) == 1 and _is_headline(cause, state.result))
    if causes and not evidence:
        lines += labelled("", "e evidence · x explain", width, style=FAINT)
    if evidence:
        lines += [(), *_evidence(check, causes, state, width)]
    elif not causes:
        commands = _commands(check, state)
        if commands:
            lines += labelled("Same as", commands[-1], width, style=FAINT)
    if check.settled.outcome.state is State.PASS:
        notes = [f.finding for f in check.settled.found if f.finding.effect is Effect.NOTE]
        for note in notes:
            lines += labelled("Note", note.summary, width)
    return lines


def _checked(check: Check, width: int) -> list[Line]:
    return labelled("Checked", check.step.title, width, style=STRONG)


def _running(check: Check, state: RunState, width: int) -> list[Line]:
    lines: list[Line] = []
    for flight in check.flights or ():
        elapsed = max(0.0, state.now - flight.began)
        lines += labelled("Waits", f"{flight.title}: {elapsed:.1f} of at most {flight.limit:.0f} s", width)
    return [*lines, *labelled("", "s stops this check · ctrl+c stops the run", width, style=FAINT)]


def cause_lines(cause: CauseLine, width: int, *, alone: bool) -> list[Line]:
    """Saw, Means, Where, Fix of one cause; with its sentence, where the verdict does not say it already."""
    lines: list[Line] = []
    if not alone:
        lines += labelled("Cause", f"{cause.summary}  [{cause.code}, {cause.confidence}]", width, style=STRONG)
    saw = cause.saw or tuple(each.observed for each in cause.evidence[-2:])
    for number, words in enumerate(saw):
        lines += labelled("" if number else "Saw", words, width)
    lines += labelled("Means", cause.means, width)
    where = cause.object
    home = f"{where.namespace}/" if where.namespace else ""
    lines += labelled("Where", f"{where.kind} {home}{where.name}  {where.field}".rstrip(), width)
    for fix in cause.fixes:
        lines += fix_lines(fix, width)
    if not cause.fixes:
        lines += labelled("Fix", "no command can be given; x explains what to do", width)
    if cause.explains:
        lines += labelled("So also", ", ".join(cause.explains), width, style=FAINT)
    return lines


def fix_lines(fix: FixLine, width: int) -> list[Line]:
    """What a fix does, how risky it is, and its command on lines of its own from the margin on."""
    lines = labelled("Fix", f"{fix.title}  ({fix.risk})  [c] copies", width)
    for command in fix.command.splitlines():
        lines.append((Part(harmless(command), ACCENT),))
    if fix.not_pasteable:
        lines += labelled("Before", fix.not_pasteable, width)
    return lines


def _seen_from(check: Check, state: RunState) -> str:
    assert check.settled is not None
    return vantage_of(check.settled.used, dict(state.facts) or None)


def _missing(check: Check, width: int) -> list[Line]:
    lines: list[Line] = []
    for lost in (check.settled.lost if check.settled else ())[:6]:
        fact = describe(lost.key) if lost.key else f"check for {lost.by}"
        help_ = f" — would help: {lost.unknown.unlock}" if lost.unknown.unlock else ""
        lines += labelled("Missing", f"{fact}: {lost.unknown.says}{help_}", width)
    return lines


def _commands(check: Check, state: RunState) -> list[str]:
    facts = dict(state.facts)
    flags = state.cluster_flags
    commands = []
    for ask in check.settled.used if check.settled else ():
        answer = facts.get(ask.key)
        if isinstance(answer, Known) and (command := reproduce(ask.key, answer.how, flags)):
            commands.append(command)
    return commands


def _evidence(check: Check, causes: list[CauseLine], state: RunState, width: int) -> list[Line]:
    lines: list[Line] = []
    told = [evidence for cause in causes for evidence in cause.evidence]
    for each in told:
        lines += labelled("Proof", f"{each.observed}  ({each.vantage})", width)
        lines += [(Part(harmless(line), FAINT),) for line in each.command.splitlines()]
    if not told:
        for command in dict.fromkeys(_commands(check, state)):
            lines.append((Part(harmless(command), FAINT),))
    return lines or labelled("Proof", "nothing beyond what stands above", width, style=FAINT)
