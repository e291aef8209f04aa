"""A result as markdown, for a ticket: the verdict, the path as a table, each cause with proof and fix."""

from __future__ import annotations

import re

from kubectl_netdebug.model.result import CauseLine, FixLine, Result
from kubectl_netdebug.report.text import GLYPHS, VERDICT_GLYPHS

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&!])")


def as_markdown(result: Result) -> str:
    """The whole report, ending in a newline. Words of the cluster are escaped, so that they cannot become markup."""
    verdict = result.verdict
    sure = f", {verdict.confidence}" if verdict.confidence else ""
    lines = [
        f"# {VERDICT_GLYPHS[verdict.state]} {words(result.question.destination)}: {verdict.state}{sure}",
        "",
        words(verdict.headline),
        "",
        _circumstances(result),
        "",
        "| | hop | saw | from | ms |",
        "|---|---|---|---|---:|",
    ]
    for hop in result.path:
        cells = (GLYPHS[hop.state], words(hop.title), words(hop.saw), words(hop.vantage), f"{hop.elapsed_ms:.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    for cause in result.causes:
        lines += ["", *cause_lines(cause)]
    if result.missing:
        lines += ["", "## Not known", ""]
        for each in result.missing:
            unlock = f" (would help: {words(each.unlock)})" if each.unlock else ""
            lines.append(f"- {words(each.fact)}: {words(each.why)}{unlock}")
    notes = [words(each) for each in result.assumptions]
    notes += [f"left behind: {words(c.object)}; it {words(c.cleanup)}" for c in result.changes if not c.removed]
    if notes:
        lines += ["", "## Notes", "", *(f"- {note}" for note in notes)]
    versions = ", ".join(f"{words(name)} {words(version)}" for name, version in result.run.versions)
    return "\n".join([*lines, "", versions, ""])


def _circumstances(result: Result) -> str:
    run, asked = result.run, result.question
    return (
        f"Asked at {words(run.started_at)} in namespace {_code(asked.namespace)}, from {words(str(asked.source))}; "
        f"{run.seconds:.1f} s, {run.api_calls} API reads, {run.probes} probes, run {_code(run.id)}."
    )


def cause_lines(cause: CauseLine) -> list[str]:
    """A cause with its proof and fixes, under a heading of the second level."""
    where = cause.object
    place = f"{where.kind} {where.namespace + '/' if where.namespace else ''}{where.name} {where.field}".rstrip()
    lines = [f"## {_code(cause.code)} ({cause.confidence})", "", words(cause.summary), "", words(cause.means), ""]
    lines.append(f"- where: {_code(place)}")
    lines += [f"- saw: {words(saw)}" for saw in cause.saw]
    if cause.explains:
        lines.append(f"- so also: {', '.join(map(_code, cause.explains))}")
    for fix in cause.fixes:
        lines += ["", *_fix(fix)]
    if cause.evidence:
        lines += ["", "Evidence:", ""]
        for each in cause.evidence:
            lines.append(f"- {words(each.observed)} ({words(each.vantage)})")
            if each.command:
                lines += ["", *(f"  {line}" for line in _block(each.command)), ""]
    return lines


def _fix(fix: FixLine) -> list[str]:
    lines = [f"Fix: {words(fix.title)} ({fix.risk})", "", *_block(fix.command)]
    if fix.not_pasteable:
        lines += ["", f"Before you paste: {words(fix.not_pasteable)}"]
    if fix.verify:
        lines += ["", "Then see whether it helped:", "", *_block(fix.verify)]
    return lines


def words(text: str) -> str:
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
