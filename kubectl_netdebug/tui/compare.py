"""Two runs of one question side by side: what it was before, what it is now."""

from __future__ import annotations

from kubectl_netdebug.model.hop import State
from kubectl_netdebug.model.result import HopLine, Result
from kubectl_netdebug.report.text import GLYPHS, VERDICT_GLYPHS
from kubectl_netdebug.tui.state import RunState
from kubectl_netdebug.tui.words import FAINT, STATE_STYLES, VERDICT_STYLES, Line, Part, harmless, padded


def compare_lines(before: RunState, now: RunState, width: int, *, everything: bool = False) -> list[Line]:
    """The verdicts, then each hop that came out differently; with `everything` the others too."""
    if before.result is None or now.result is None:
        return []
    was, is_ = before.result, now.result
    column = max(12, (width - 24) // 2)
    lines: list[Line] = [
        _line("", "before", "now", column, FAINT, FAINT),
        _line(
            "verdict",
            _verdict(was),
            _verdict(is_),
            column,
            VERDICT_STYLES[was.verdict.state],
            VERDICT_STYLES[is_.verdict.state],
        ),
    ]
    earlier = {hop.hop: hop for hop in was.path}
    for hop in is_.path:
        old = earlier.get(hop.hop)
        if old is None or (not everything and not _differs(old, hop)):
            continue
        lines.append(_line(hop.title, _said(old), _said(hop), column, STATE_STYLES[old.state], STATE_STYLES[hop.state]))
    if len(lines) == 2:
        lines.append((Part("every check came out as before", FAINT),))
    return lines


def _differs(old: HopLine, new: HopLine) -> bool:
    ignored = (State.SKIPPED,)
    return old.state is not new.state and not (old.state in ignored and new.state in ignored)


def _verdict(result: Result) -> str:
    code = result.causes[0].code if result.causes else result.verdict.state.value
    return f"{VERDICT_GLYPHS[result.verdict.state]} {code}"


def _said(hop: HopLine) -> str:
    return f"{GLYPHS[hop.state]} {harmless(hop.saw, 300)}"


def _line(title: str, old: str, new: str, column: int, old_style: str, new_style: str) -> Line:
    return (
        Part(padded(title, 22) + " ", FAINT),
        Part(padded(old, column) + " ", old_style.replace("bold ", "")),
        Part(padded(new, column), new_style),
    )
