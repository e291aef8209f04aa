"""Pages of text: explanation of a code, transcript, what stands below a result, the fix by itself."""

from __future__ import annotations

import json
from pathlib import Path

from kubectl_netdebug.cli.explain import TEXTS
from kubectl_netdebug.model.result import FixLine
from kubectl_netdebug.tui.state import RunState
from kubectl_netdebug.tui.words import FAINT, STRONG, Line, Part, cut, harmless, labelled, padded

NO_CONNECTION: Line = (Part("No connection was tried, or the run is not over.", FAINT),)

_EXPLAINED = (("Is", "title"), ("Shows", "symptom"), ("Means", "means"), ("Apart", "apart"), ("Fix", "mend"))


def explanation(code: str, width: int) -> list[Line]:
    """What the catalogue says about a code."""
    cause = json.loads(Path(TEXTS).read_text(encoding="utf-8")).get(code)
    if not isinstance(cause, dict):
        return labelled("", f"nothing is written about {code}", width)
    lines: list[Line] = []
    for label, key in _EXPLAINED:
        lines += [*labelled(label, str(cause[key]), width), ()]
    if cause.get("explains"):
        lines += labelled("So also", ", ".join(map(str, cause["explains"])), width)
    return lines


def transcript(state: RunState, width: int) -> list[Line]:
    """What was asked of the cluster and of Pods, in order: when it began, how long it took, how it ended."""
    if not state.flights:
        return [(Part("nothing was asked", FAINT),)]
    lines: list[Line] = [(Part(padded("at", 8) + padded("took", 9) + padded("ended", 16) + "what", FAINT),)]
    for flight in state.flights:
        took = f"{flight.ended - flight.began:.2f} s" if flight.ended is not None else "…"
        ended = flight.how or "under way"
        lines.append(
            (
                Part(padded(f"{flight.began - state.began:.2f}", 8), FAINT),
                Part(padded(took, 9)),
                Part(padded(ended, 16), "" if ended == "known" else STRONG),
                Part(cut(harmless(flight.title, 300), width - 33)),
            )
        )
    return lines


def after_lines(state: RunState, width: int) -> list[Line]:
    """What is missing, what was assumed, what was left behind; the other causes' sentences stand at their hops."""
    result = state.result
    if result is None:
        return []
    lines: list[Line] = []
    for cause in result.causes[1:]:
        lines += labelled("Then", f"{cause.summary}  [{cause.code}]", width)
    for unknown in result.missing[:8]:
        help_ = f" — would help: {unknown.unlock}" if unknown.unlock else ""
        lines += labelled("Unknown", f"{unknown.fact}: {unknown.why}{help_}", width, style=FAINT)
    for words in result.assumptions:
        lines += labelled("Note", words, width, style=FAINT)
    for change in result.changes:
        if not change.removed:
            lines += labelled("Left", f"{change.object}: it {change.cleanup}", width, style=FAINT)
    return [(), *lines] if lines else []


def fix_page(fix: FixLine, said: str, width: int) -> list[Line]:
    """The command whole, from the margin on, so that it can be selected; then what it does and how to see it worked."""
    lines: list[Line] = [(Part(harmless(line)),) for line in fix.command.splitlines()]
    lines += [(), *labelled("Does", f"{fix.title}  ({fix.risk})", width)]
    if fix.not_pasteable:
        lines += labelled("Before", fix.not_pasteable, width, style=STRONG)
    lines += labelled("Copy", said, width)
    lines += labelled("Then", "esc, then r: the same checks run again, before and after side by side", width)
    if fix.verify:
        lines += labelled("or", fix.verify, width, style=FAINT)
    return lines
