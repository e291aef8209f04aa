"""A scan as SARIF 2.1.0 (OASIS), for services that keep track of findings.

An object of a cluster is no file: its logical location names it, and for readers that want an artifact there is a
relative address of the same parts. `partialFingerprints` keep a finding one and the same from scan to scan.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from kubectl_netdebug import __version__
from kubectl_netdebug.model.finding import Confidence
from kubectl_netdebug.model.scan import Mark, ScanFinding, ScanResult, ScanState

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def as_sarif(result: ScanResult) -> str:
    """The log file with one run, ending in a newline."""
    return json.dumps(sarif_data(result), indent=2, ensure_ascii=False) + "\n"


def sarif_data(result: ScanResult) -> dict[str, Any]:
    """The log as plain data."""
    codes = sorted({found.cause.code for found in result.findings})
    run = {
        "tool": {
            "driver": {
                "name": "kubectl-netdebug",
                "version": __version__,
                "rules": [_rule(code, result) for code in codes],
            }
        },
        "invocations": [
            {
                "executionSuccessful": result.state is not ScanState.INCOMPLETE,
                "startTimeUtc": result.run.started_at,
                "toolExecutionNotifications": [
                    {
                        "level": "error" if each.essential else "note",
                        "message": {"text": f"{each.line.fact}: {each.line.why}"},
                    }
                    for each in result.unknown
                ],
            }
        ],
        "results": [_result(found, codes) for found in result.findings],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str, result: ScanResult) -> dict[str, Any]:
    cause = next(found.cause for found in result.findings if found.cause.code == code)
    text = f"{cause.means} More: kubectl netdebug explain {code}"
    return {"id": code, "shortDescription": {"text": code.replace("-", " ")}, "help": {"text": text}}


def _result(found: ScanFinding, codes: list[str]) -> dict[str, Any]:
    cause = found.cause
    text = cause.summary + "".join(f"\n{fix.title}:\n{fix.command}" for fix in cause.fixes[:1])
    data: dict[str, Any] = {
        "ruleId": cause.code,
        "ruleIndex": codes.index(cause.code),
        "level": "error" if cause.confidence is Confidence.CONFIRMED else "warning",
        "message": {"text": text},
        "locations": [_location(found.mark)],
        "partialFingerprints": {"netdebug/v1": _address(found.mark, found.cause.code)},
    }
    if found.accepted:
        data["suppressions"] = [{"kind": "external", "justification": "accepted by the baseline"}]
    return data


def _location(mark: Mark) -> dict[str, Any]:
    logical = {"name": mark.name, "fullyQualifiedName": _address(mark), "kind": "resource"}
    return {
        "physicalLocation": {"artifactLocation": {"uri": _address(mark)}, "region": {"startLine": 1}},
        "logicalLocations": [{**logical, **({"decoratedName": mark.field} if mark.field else {})}],
    }


def _address(mark: Mark, *more: str) -> str:
    """`namespaces/shop/Service/web`: every part is escaped, so that none can hold a slash."""
    home = ("namespaces", mark.namespace) if mark.namespace else ("cluster",)
    parts = (*home, mark.kind, mark.name, *((mark.field,) if more and mark.field else ()), *more)
    return "/".join(quote(part, safe="[]") if more else quote(part, safe="") for part in parts)
