"""A scan as JUnit XML, which CI servers show as a list of tests: each fault is a failed one.

The format has no standard; this is what Jenkins' and GitLab's readers take (`testsuites/testsuite/testcase` with
`failure`, `error` or `skipped`).
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from kubectl_netdebug.model.scan import ScanFinding, ScanResult
from kubectl_netdebug.report.scan_text import headline

# XML 1.0, section 2.2: what no document may hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(result: ScanResult) -> str:
    """The document, with an XML declaration and a final newline."""
    failed, errors = len(result.open), sum(1 for each in result.unknown if each.essential)
    skipped = len(result.findings) - failed + len(result.unknown) - errors
    total = max(1, failed + errors + skipped)
    suites = ElementTree.Element("testsuites")
    counts = {"tests": total, "failures": failed, "errors": errors, "skipped": skipped}
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "kubectl netdebug scan"})
    for element in (suites, suite):
        element.attrib |= {key: str(value) for key, value in counts.items()} | {"time": f"{result.run.seconds:.3f}"}
    suite.set("timestamp", _clean(result.run.started_at.removesuffix("Z")))
    for found in result.findings:
        _finding(suite, found)
    for each in result.unknown:
        case = _case(suite, "could-not-be-read" if each.essential else "not-known", each.line.fact)
        tag = "error" if each.essential else "skipped"
        ElementTree.SubElement(case, tag, {"message": _clean(f"{each.line.why} {each.line.unlock}".strip())})
    if not len(suite):
        _case(suite, "scan", headline(result))
    ElementTree.indent(suites)
    body = ElementTree.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _case(suite: ElementTree.Element, kind: str, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", {"classname": f"netdebug.{_clean(kind)}", "name": _clean(name)})


def _finding(suite: ElementTree.Element, found: ScanFinding) -> None:
    case = _case(suite, found.cause.code, found.mark.place)
    if found.accepted:
        ElementTree.SubElement(case, "skipped", {"message": "accepted by the baseline"})
        return
    failure = ElementTree.SubElement(
        case, "failure", {"message": _clean(found.cause.summary), "type": found.cause.code}
    )
    fixes = [f"fix: {fix.title} ({fix.risk})\n{fix.command}" for fix in found.cause.fixes]
    failure.text = _clean("\n".join([found.cause.means, *(f"saw: {saw}" for saw in found.cause.saw), *fixes]))


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
