"""A scan as markdown, for a ticket."""

from __future__ import annotations

from kubectl_netdebug.model.scan import ScanResult
from kubectl_netdebug.report.markdown import cause_lines, words
from kubectl_netdebug.report.scan_text import GLYPHS, headline


def as_markdown(result: ScanResult) -> str:
    """The whole report, ending in a newline. Words of the cluster are escaped, so that they cannot become markup."""
    read = ", ".join(f"{number} {words(kind)}" for kind, number in result.scanned) or "nothing"
    run = result.run
    lines = [
        f"# {GLYPHS[result.state]} {words(headline(result))}",
        "",
        f"Scanned at {words(run.started_at)} in {run.seconds:.1f} s with {run.api_calls} API reads: {read}.",
    ]
    for found in result.open:
        lines += ["", *cause_lines(found.cause)]
        if found.affects:
            lines += ["", f"Affects: {words(', '.join(found.affects))}"]
    for title, points in (
        ("Accepted by the baseline", [f"{f.cause.code}: {f.mark.place}" for f in result.findings if f.accepted]),
        ("In the baseline, and not found any more", [f"{mark.code}: {mark.place}" for mark in result.stale]),
        ("Not known", [f"{u.line.fact}: {u.line.why}" for u in result.unknown]),
    ):
        if points:
            lines += ["", f"## {title}", "", *(f"- {words(point)}" for point in points)]
    versions = ", ".join(f"{words(name)} {words(version)}" for name, version in run.versions)
    return "\n".join([*lines, "", versions, ""])
