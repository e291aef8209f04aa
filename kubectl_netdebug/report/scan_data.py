"""A scan as JSON or YAML; the shape is `docs/scan.schema.json`."""

from __future__ import annotations

import json
from typing import Any

from kubectl_netdebug.model.scan import SCAN_SCHEMA_VERSION, Mark, ScanFinding, ScanResult
from kubectl_netdebug.report.data import cause_data


def as_data(result: ScanResult) -> dict[str, Any]:
    """The scan as plain data; findings stand under the object to mend."""
    return {
        "schemaVersion": SCAN_SCHEMA_VERSION,
        "namespace": result.namespace or None,
        "state": result.state.value,
        "objects": [
            {
                "kind": mark.kind,
                "namespace": mark.namespace,
                "name": mark.name,
                "findings": [_finding(found) for found in findings],
            }
            for mark, findings in by_object(result.findings)
        ],
        "stale": [vars(mark) for mark in result.stale],
        "unknown": [
            {"fact": u.line.fact, "why": u.line.why, "unlock": u.line.unlock, "essential": u.essential}
            for u in result.unknown
        ],
        "scanned": dict(result.scanned),
        "run": {
            "id": result.run.id,
            "startedAt": result.run.started_at,
            "seconds": result.run.seconds,
            "apiCalls": result.run.api_calls,
            "versions": dict(result.run.versions),
        },
    }


def by_object(findings: tuple[ScanFinding, ...]) -> list[tuple[Mark, list[ScanFinding]]]:
    """The findings of each object, in their order; the mark is that of its first."""
    groups: dict[tuple[str, str, str], list[ScanFinding]] = {}
    for found in findings:
        mark = found.mark
        groups.setdefault((mark.kind, mark.namespace, mark.name), []).append(found)
    return [(group[0].mark, group) for group in groups.values()]


def _finding(found: ScanFinding) -> dict[str, Any]:
    cause = cause_data(found.cause)
    return {**cause, "affects": list(found.affects), "accepted": found.accepted}


def as_json(result: ScanResult) -> str:
    """JSON with a final newline."""
    return json.dumps(as_data(result), indent=2, ensure_ascii=False) + "\n"


def as_yaml(result: ScanResult) -> str:
    """YAML of the same data."""
    import yaml

    return str(yaml.safe_dump(as_data(result), sort_keys=False, allow_unicode=True))
