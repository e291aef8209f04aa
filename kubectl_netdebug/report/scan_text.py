"""A scan as plain text: what is wrong, object by object, with the command that mends it; then what is not known."""

from __future__ import annotations

from kubectl_netdebug.model.scan import ScanFinding, ScanResult, ScanState
from kubectl_netdebug.report.scan_data import by_object
from kubectl_netdebug.report.style import Style
from kubectl_netdebug.report.text import fix_lines

GLYPHS = {ScanState.CLEAN: "✓", ScanState.FINDINGS: "✗", ScanState.INCOMPLETE: "?"}
SHOWN_UNKNOWN = 10
"""Lines about what is not known; more of them stand in -o wide."""


def render(result: ScanResult, style: Style, *, wide: bool = False) -> str:
    """The whole text, ending in a newline. `wide` adds evidence, consequences, and what the baseline accepts."""
    lines = _labelled(GLYPHS[result.state], headline(result), style)
    shown = result.findings if wide else result.open
    for mark, findings in by_object(shown):
        home = f"{mark.namespace}/" if mark.namespace else ""
        lines += ["", style.strong(f"{mark.kind} {home}{mark.name}")]
        for found in findings:
            lines += _finding(found, style, wide)
    lines += _stale(result, style) + _unknown(result, style, wide)
    return style.finish("\n".join([*lines, "", _footer(result, style)]) + "\n")


def headline(result: ScanResult) -> str:
    """The scan in one sentence."""
    where = f"namespace {result.namespace}" if result.namespace else "the cluster"
    accepted = len(result.findings) - len(result.open)
    aside = f", besides {accepted} that the baseline accepts" if accepted else ""
    if result.state is ScanState.FINDINGS:
        faults = "1 fault" if len(result.open) == 1 else f"{len(result.open)} faults"
        return f"{faults} in the configuration of {where}{aside}"
    if result.state is ScanState.INCOMPLETE:
        return f"cannot tell: {where} could not be read{' everywhere' if result.scanned else ''}{aside}"
    return f"no fault in the configuration of {where}{aside}; no connection was tried"


def _labelled(glyph: str, text: str, style: Style) -> list[str]:
    lines = style.labelled(glyph, text, indent=0, hang=2)
    lines[0] = style.glyph(glyph) + lines[0][len(glyph) :]
    return lines


def _finding(found: ScanFinding, style: Style, wide: bool) -> list[str]:
    cause = found.cause
    tag = f"  [{cause.code}, {cause.confidence}{', accepted' if found.accepted else ''}]"
    lines = ["", *_labelled("–" if found.accepted else "✗", cause.summary + tag, style)]
    if cause.object.field:
        lines += style.labelled("where", cause.object.field)
    for number, saw in enumerate(cause.saw):
        lines += style.labelled("" if number else "saw", saw)
    lines += style.labelled("means", cause.means)
    if found.affects:
        lines += style.labelled("affects", ", ".join(found.affects), hang=10)
    if wide and cause.explains:
        lines += style.labelled("so also", ", ".join(cause.explains), hang=10)
    for evidence in cause.evidence if wide else ():
        lines += style.labelled("proof", f"{evidence.observed}  ({evidence.vantage})")
        lines += [f"           {line}" for line in evidence.command.splitlines()]
    for fix in cause.fixes if wide else cause.fixes[:1]:
        lines += fix_lines(fix, style)
    return lines


def _stale(result: ScanResult, style: Style) -> list[str]:
    lines = [""] if result.stale else []
    for mark in result.stale:
        lines += style.labelled(
            "stale", f"the baseline accepts {mark.code} at {mark.place}, which is not found any more"
        )
    return lines


def _unknown(result: ScanResult, style: Style, wide: bool) -> list[str]:
    shown = result.unknown if wide else result.unknown[:SHOWN_UNKNOWN]
    lines = [""] if shown else []
    for number, each in enumerate(shown):
        unlock = f" — would help: {each.line.unlock}" if each.line.unlock else ""
        text = f"{each.line.fact}: {each.line.why}{unlock}"
        lines += style.labelled("" if number else "unknown", text, hang=11)
    if len(shown) < len(result.unknown):
        lines += style.labelled("", f"and {len(result.unknown) - len(shown)} more: -o wide", hang=11)
    return lines


def _footer(result: ScanResult, style: Style) -> str:
    read = ", ".join(f"{number} {kind}" for kind, number in result.scanned) or "nothing read"
    cost = f"{result.run.seconds:.1f} s, {result.run.api_calls} API reads"
    lines = style.labelled("", f"{read}; {cost}", hang=2)
    if result.open:
        lines.append(f"  more: -o wide · kubectl netdebug explain {result.open[0].cause.code}")
    return style.faint("\n".join(lines))
