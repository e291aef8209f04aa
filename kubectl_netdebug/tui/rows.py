"""What each row of the run says: the hops, the line on top, the verdict."""

from __future__ import annotations

from kubectl_netdebug.model.hop import NOT_REACHED, State
from kubectl_netdebug.model.question import Question, SourceKind
from kubectl_netdebug.model.result import VerdictState
from kubectl_netdebug.report.text import GLYPHS, VERDICT_GLYPHS
from kubectl_netdebug.tui.state import Check, RunState, Stage
from kubectl_netdebug.tui.words import (
    ACCENT,
    FAINT,
    STATE_STYLES,
    STRONG,
    VERDICT_STYLES,
    Line,
    Part,
    cut,
    harmless,
    padded,
    width_of,
    wrap,
)

WAITING_GLYPH = "·"
RUNNING_GLYPH = "…"
TITLE_WIDTH = 22
SLOW = 0.01
"""Seconds from which on the time of a check is worth a column."""


def check_row(check: Check, state: RunState, width: int) -> Line:
    """One hop: its state as glyph, its name, the one value that matters or what it waits for, its time."""
    match check.stage:
        case Stage.WAITING:
            return _row(WAITING_GLYPH, FAINT, check, _waits_for(check, state), FAINT, "", width)
        case Stage.RUNNING:
            return _row(RUNNING_GLYPH, ACCENT, check, _under_way(check), "", _clock(check, state), width)
    assert check.settled is not None
    outcome = check.settled.outcome
    style = STATE_STYLES[outcome.state]
    faint = FAINT if outcome.state is State.SKIPPED else ""
    took = check.settled.elapsed_ms / 1000
    return _row(GLYPHS[outcome.state], style, check, outcome.saw, faint, _seconds(took) if took >= SLOW else "", width)


def _row(glyph: str, style: str, check: Check, words: str, words_style: str, tail: str, width: int) -> Line:
    title_width = TITLE_WIDTH if width >= 60 else 14
    room = width - 2 - title_width - 1 - (len(tail) + 1 if tail else 0)
    middle = padded(harmless(words, 400), room) if tail else cut(harmless(words, 400), room)
    title_style = FAINT if words_style == FAINT else style if style.startswith("bold") else ""
    line: Line = (
        Part(f"{glyph} ", style),
        Part(f"{padded(check.step.title, title_width)} ", title_style),
        Part(middle, words_style),
    )
    return (*line, Part(f" {tail}", FAINT)) if tail else line


def _waits_for(check: Check, state: RunState) -> str:
    first = {other.step.hop: other for other in reversed(state.checks)}
    for hop in check.step.after:
        other = first.get(hop)
        if other is not None and other.stage is not Stage.DONE:
            return f"waits for: {other.step.title}"
    return "waits"


def _under_way(check: Check) -> str:
    titles = list(dict.fromkeys(flight.title for flight in check.flights))
    return " · ".join(titles) or "looks"


def _clock(check: Check, state: RunState) -> str:
    began = min((flight.began for flight in check.flights), default=check.began)
    limit = max((flight.limit for flight in check.flights), default=0.0)
    elapsed = max(0.0, state.now - began)
    return f"{elapsed:.1f}/{limit:.0f} s" if limit else f"{elapsed:.1f} s"


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def client_of(question: Question) -> str:
    """The client in a word, '' where the flow chooses one."""
    source = question.source
    if source.kind is SourceKind.OUTSIDE:
        return "this machine"
    return f"{_SHORT.get(source.kind, source.kind.value)}/{source.name}" if source.name else ""


_SHORT = {SourceKind.DEPLOYMENT: "deploy", SourceKind.STATEFULSET: "sts", SourceKind.DAEMONSET: "ds"}


def asked_line(question: Question) -> str:
    """The question in one line: from where to where."""
    client = client_of(question)
    target = f"svc/{question.destination}" if question.service and not question.scheme else question.destination
    return f"{client} → {target}" if client else target


def top_line(state: RunState, width: int, place: str = "") -> Line:
    """What is asked, and how far it is."""
    if state.problem:
        word, style = "no result", STATE_STYLES[State.FAIL]
    elif not state.is_over:
        done = sum(check.stage is Stage.DONE for check in state.checks)
        word, style = f"running {done}/{len(state.checks)}", ACCENT
    else:
        verdict = state.result.verdict.state if state.result else VerdictState.INCONCLUSIVE
        word, style = f"{VERDICT_GLYPHS[verdict]} {verdict.value}", VERDICT_STYLES[verdict]
    tail = f"{state.seconds:.1f} s  "
    asked = harmless(asked_line(state.question), 300)
    room = width - len(tail) - len(word) - 11
    where = f"  {place}" if place and len(asked) + len(place) + 2 <= room else ""
    head: Line = (Part("netdebug  ", ACCENT), Part(cut(asked, room), STRONG), Part(cut(where, room), FAINT))
    gap = max(1, width - width_of(head) - len(tail) - len(word))
    return (*head, Part(" " * gap + tail, FAINT), Part(word, style))


def verdict_lines(state: RunState, width: int, most: int = 3) -> list[Line]:
    """The verdict in one sentence with its code; what is not certain yet is called so. At least one line."""
    if state.problem:
        return _headline("✗", STATE_STYLES[State.FAIL], state.problem, "r tries again", width, most)
    result = state.result
    if result is None or (not state.is_over and not state.has_failure):
        text = state.trouble or "no fault so far"
        return [(Part(cut(harmless(text), width), STATE_STYLES[State.WARN] if state.trouble else FAINT),)]
    verdict = result.verdict
    cause = next(iter(result.causes), None)
    tag = f"{cause.code} · {verdict.confidence or cause.confidence}" if cause else verdict.state.value
    if not state.is_certain:
        tag += " · so far"
    if state.stopped:
        tag += f" · {state.stopped}"
    return _headline(VERDICT_GLYPHS[verdict.state], VERDICT_STYLES[verdict.state], verdict.headline, tag, width, most)


def _headline(glyph: str, style: str, headline: str, tag: str, width: int, most: int) -> list[Line]:
    sentences = wrap(harmless(headline, 2_000), max(10, width - 2))
    if len(sentences) > most:
        sentences = [*sentences[: most - 1], cut(" ".join(sentences[most - 1 :]), width - 3)]
    lines: list[Line] = [
        (Part(f"{glyph} " if not number else "  ", style), Part(words, style)) for number, words in enumerate(sentences)
    ]
    if width_of(lines[-1]) + len(tag) + 3 <= width:
        lines[-1] = (*lines[-1], Part(f"   {tag}", FAINT))
    else:
        lines.append((Part(f"  {cut(tag, width - 2)}", FAINT),))
    return lines


def shown_checks(state: RunState, *, everything: bool) -> list[int]:
    """Which hops have a row: all while it runs; once it is over, those that were looked at, unless all are wanted."""
    if everything or not state.is_over:
        return list(range(len(state.checks)))
    looked = [n for n, c in enumerate(state.checks) if c.settled and c.settled.outcome.state is not State.SKIPPED]
    return looked or list(range(len(state.checks)))


def folded_row(hidden: int, width: int) -> Line:
    """What stands for the hops that have no row."""
    return (
        Part(cut(f"{GLYPHS[State.SKIPPED]} {hidden} more were not reached or not needed: a shows them", width), FAINT),
    )


def was_not_reached(check: Check) -> bool:
    """Whether an earlier failure made looking at this hop pointless."""
    return check.settled is not None and check.settled.outcome.saw.startswith(NOT_REACHED)


def broken_index(state: RunState) -> int | None:
    """The hop to look at: where the primary cause was found, else the first bad one, else where a cause is possible."""
    codes = {cause.code for cause in state.result.causes[:1]} if state.result else set()
    named = [
        index
        for index, check in enumerate(state.checks)
        if check.settled and any(found.finding.code in codes for found in check.settled.found)
    ]
    if bad := [index for index in named if state.checks[index].is_bad]:
        return bad[0]
    states = (State.FAIL, State.WARN, State.ERROR, State.UNKNOWN)
    for wanted in states:
        for index, check in enumerate(state.checks):
            if check.settled and check.settled.outcome.state is wanted:
                return index
    # What is only possible is named beside a healthy verdict too: its check passed.
    return named[0] if named else None
