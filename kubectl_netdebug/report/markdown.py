"""A result as markdown, for a ticket: the verdict, the path as a table, each cause with proof and fix."""

from __future__ import annotations

import re

from kubectl_netdebug.model.result import CauseLine, FixLine, Result, VerdictState
from kubectl_netdebug.report.text import GLYPHS, VERDICT_GLYPHS

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&!])")


def as_markdown(result: Result) -> str:
    """The whole report, ending in a newline. Words of the cluster are escaped, so that they cannot become markup."""
    verdict = result.verdict
    sure = f", {verdict.confidence}" if verdict.confidence else ""
    lines = [
        f"# {VERDICT_GLYPHS[verdict.state]} {_words(result.question.destination)}: {verdict.state}{sure}",
        "",
        _words(verdict.headline),
        "",
        _circumstances(result),
        "",
        "| | hop | saw | from | ms |",
        "|---|---|---|---|---:|",
    ]
    for hop in result.path:
        cells = (GLYPHS[hop.state], _words(hop.title), _words(hop.saw), _words(hop.vantage), f"{hop.elapsed_ms:.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    for cause in result.causes:
        lines += ["", *_cause(cause)]
    if result.unknown and verdict.state is not VerdictState.HEALTHY:
        lines += ["", "## Not known", ""]
        for each in result.unknown:
            unlock = f" (would help: {_words(each.unlock)})" if each.unlock else ""
            lines.append(f"- {_words(each.fact)}: {_words(each.why)}{unlock}")
    notes = [_words(each) for each in result.assumptions]
    notes += [f"left behind: {_words(c.object)}; it {_words(c.cleanup)}" for c in result.changes if not c.removed]
    if notes:
        lines += ["", "## Notes", "", *(f"- {note}" for note in notes)]
    versions = ", ".join(f"{_words(name)} {_words(version)}" for name, version in result.run.versions)
    return "\n".join([*lines, "", versions, ""])


def _circumstances(result: Result) -> str:
    run, asked = result.run, result.question
    return (
        f"Asked at {_words(run.started_at)} in namespace {_code(asked.namespace)}, from {_words(str(asked.source))}; "
        f"{run.seconds:.1f} s, {run.api_calls} API reads, {run.probes} probes, run {_code(run.id)}."
    )


def _cause(cause: CauseLine) -> list[str]:
    where = cause.object
    place = f"{where.kind} {where.namespace + '/' if where.namespace else ''}{where.name} {where.field}".rstrip()
    lines = [f"## {_code(cause.code)} ({cause.confidence})", "", _words(cause.summary), "", _words(cause.means), ""]
    lines.append(f"- where: {_code(place)}")
    lines += [f"- saw: {_words(saw)}" for saw in cause.saw]
    if cause.explains:
        lines.append(f"- so also: {', '.join(map(_code, cause.explains))}")
    for fix in cause.fixes:
        lines += ["", *_fix(fix)]
    if cause.evidence:
        lines += ["", "Evidence:", ""]
        for each in cause.evidence:
            lines.append(f"- {_words(each.observed)} ({_words(each.vantage)})")
            if each.command:
                lines += ["", *(f"  {line}" for line in _block(each.command)), ""]
    return lines


def _fix(fix: FixLine) -> list[str]:
    lines = [f"Fix: {_words(fix.title)} ({fix.risk})", "", *_block(fix.command)]
    if fix.not_pasteable:
        lines += ["", f"Before you paste: {_words(fix.not_pasteable)}"]
    if fix.verify:
        lines += ["", "Then see whether it helped:", "", *_block(fix.verify)]
    return lines


def _words(text: str) -> str:
    """Text on one line, without a meaning to markdown."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    fence = "`" * (_longest_run(text) + 1)
    gap = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{gap}{' '.join(text.split())}{gap}{fence}" if text.strip() else ""


def _block(text: str) -> list[str]:
    """A fenced block whose fence the text cannot close."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return [f"{fence}sh", *text.splitlines(), fence]


def _longest_run(text: str) -> int:
    return max((len(found) for found in re.findall(r"`+", text)), default=0)
