"""A result as plain text: the verdict first, then the broken hop, what was seen, why it matters, and the fix."""

from __future__ import annotations

from kubectl_netdebug.model.hop import NOT_REACHED, State
from kubectl_netdebug.model.result import CauseLine, FixLine, HopLine, Result, VerdictState
from kubectl_netdebug.report.style import Style

GLYPHS = {
    State.PASS: "✓",
    State.WARN: "!",
    State.FAIL: "✗",
    State.SKIPPED: "–",
    State.UNKNOWN: "?",
    State.ERROR: "E",
}

VERDICT_GLYPHS = {
    VerdictState.HEALTHY: "✓",
    VerdictState.PARTIAL: "!",
    VerdictState.FAULTY: "✗",
    VerdictState.INCONCLUSIVE: "?",
}


def render(result: Result, style: Style, *, wide: bool = False) -> str:
    """The whole text, ending in a newline. `wide` adds hop details, evidence, consequences and versions."""
    lines = [*_headline(result, style), "", *_path(result, style, wide), ""]
    for cause in result.causes:
        lines += _cause(cause, style, wide, alone=len(result.causes) == 1)
    lines += _unknown(result, style, wide)
    lines += _notes(result, style, wide)
    lines += ["", _footer(result, style, wide)]
    return style.finish("\n".join(_without_double_blanks(lines)) + "\n")


def _without_double_blanks(lines: list[str]) -> list[str]:
    return [line for number, line in enumerate(lines) if line or (number and lines[number - 1])]


def _headline(result: Result, style: Style) -> list[str]:
    verdict = result.verdict
    glyph = VERDICT_GLYPHS[verdict.state]
    tag = ""
    if result.causes and verdict.confidence:
        tag = f"  [{result.causes[0].code}, {verdict.confidence}]"
    elif verdict.state in (VerdictState.INCONCLUSIVE, VerdictState.PARTIAL):
        tag = f"  [{verdict.state}]"
    subject = result.question.destination
    headline = verdict.headline
    text = headline if headline.startswith((subject, "the configuration")) else f"{subject} — {headline}"
    lines = style.labelled(glyph, text + tag, indent=0, hang=2)
    lines[0] = style.glyph(glyph) + lines[0][len(glyph) :]
    return [style.strong(line) if number else line for number, line in enumerate(lines)]


def _path(result: Result, style: Style, wide: bool) -> list[str]:
    if wide:
        return [line for hop in result.path for line in _hop(hop, style)]
    told = [(GLYPHS[hop.state], _short_hop(hop)) for hop in result.path if hop.state is not State.SKIPPED]
    if any(hop.saw.startswith(NOT_REACHED) for hop in result.path):
        told.append((GLYPHS[State.SKIPPED], f"{GLYPHS[State.SKIPPED]} the rest was not reached"))
    lines, line = [], "  path   "
    room = style.width - len(line)
    for glyph, part in told:
        if len(part) + 3 > room and room < style.width - 9:
            lines.append(line.rstrip())
            line, room = " " * 9, style.width - 9
        line += part.replace(glyph, style.glyph(glyph), 1) + "   "
        room -= len(part) + 3
    return [*lines, line.rstrip()]


def _short_hop(hop: HopLine) -> str:
    glyph = GLYPHS[hop.state]
    if hop.state in (State.PASS, State.SKIPPED) or len(hop.saw) > 32:
        return f"{glyph} {hop.title}"
    return f"{glyph} {hop.title} {hop.saw}"


def _hop(hop: HopLine, style: Style) -> list[str]:
    lines = style.labelled(
        f"{GLYPHS[hop.state]} {hop.title}", f"{hop.saw}  ({hop.vantage}, {hop.elapsed_ms:.0f} ms)", hang=24
    )
    lines[0] = lines[0].replace(GLYPHS[hop.state], style.glyph(GLYPHS[hop.state]), 1)
    return lines


def _cause(cause: CauseLine, style: Style, wide: bool, *, alone: bool) -> list[str]:
    lines = []
    if not alone:
        order = "first" if cause.primary else "then"
        lines += [
            *([] if cause.primary else [""]),
            *style.labelled(order, f"{cause.summary}  [{cause.code}, {cause.confidence}]"),
        ]
    for number, saw in enumerate(cause.saw or _observations(cause)):
        lines += style.labelled("" if number else "saw", saw)
    lines += style.labelled("means", cause.means)
    where = cause.object
    place = f"{where.kind} {where.namespace + '/' if where.namespace else ''}{where.name}"
    lines += style.labelled("where", f"{place}  {where.field}".rstrip())
    if wide and cause.explains:
        lines += style.labelled("so also", ", ".join(cause.explains))
    if wide:
        for evidence in cause.evidence:
            lines += style.labelled("proof", f"{evidence.observed}  ({evidence.vantage})")
            lines += [f"           {line}" for line in evidence.command.splitlines()]
    for fix in cause.fixes:
        lines += ["", *fix_lines(fix, style)]
    return lines


def _observations(cause: CauseLine) -> list[str]:
    return [evidence.observed for evidence in cause.evidence][-2:]


def fix_lines(fix: FixLine, style: Style) -> list[str]:
    """A fix, with its command on a line of its own."""
    lines = style.labelled("fix", f"{fix.title} ({fix.risk})")
    command = fix.command.splitlines()
    # A here-document must keep its last line at the margin; everything else reads better indented.
    margin = "    " if len(command) == 1 else ""
    lines += [margin + style.strong(line) for line in command]
    if fix.not_pasteable:
        lines += style.labelled("", f"before you paste: {fix.not_pasteable}")
    return lines


def _unknown(result: Result, style: Style, wide: bool) -> list[str]:
    told = result.unknown if wide else result.missing
    if not told:
        return []
    lines = [""]
    for number, line in enumerate(told):
        unlock = f" — would help: {line.unlock}" if line.unlock else ""
        lines += style.labelled("" if number else "unknown", f"{line.fact}: {line.why}{unlock}", hang=11)
    return lines


def _notes(result: Result, style: Style, wide: bool) -> list[str]:
    lines = []
    for assumption in result.assumptions:
        lines += style.labelled("note", assumption)
    for change in result.changes:
        if wide or not change.removed:
            lines += style.labelled("left", f"{change.object}: {change.cleanup}")
    return ["", *lines] if lines else []


def _footer(result: Result, style: Style, wide: bool) -> str:
    run = result.run
    cost = f"{run.seconds:.1f} s, {run.api_calls} API reads, {run.probes} probes"
    hints = [] if wide else ["-o wide"]
    if result.causes:
        hints.append(f"kubectl netdebug explain {result.causes[0].code}")
    more = f"more: {' · '.join(hints)}" if hints else ""
    gap = " " * max(2, style.width - 2 - len(more) - len(cost))
    if len(more) + len(cost) + 4 > style.width:
        return style.faint(f"  {more}\n  {cost}")
    return style.faint(f"  {more}{gap}{cost}") if more else style.faint(f"  {cost}")
