"""A result as JSON or YAML; the shape is `docs/result.schema.json`."""

from __future__ import annotations

import json
from typing import Any

from kubectl_netdebug.model.finding import ObjectRef
from kubectl_netdebug.model.result import SCHEMA_VERSION, CauseLine, Result


def as_data(result: Result) -> dict[str, Any]:
    """The result as plain data."""
    question, verdict, run = result.question, result.verdict, result.run
    return {
        "schemaVersion": SCHEMA_VERSION,
        "question": {
            "flow": question.flow.value,
            "source": str(question.source),
            "destination": question.kind_and_name,
            "namespace": question.namespace,
            "port": question.port,
            "protocol": question.protocol,
        },
        "verdict": {
            "state": verdict.state.value,
            "headline": verdict.headline,
            "confidence": verdict.confidence.value if verdict.confidence else None,
        },
        "causes": [cause_data(cause) for cause in result.causes],
        "path": [
            {
                "hop": hop.hop.value,
                "title": hop.title,
                "state": hop.state.value,
                "vantage": hop.vantage,
                "elapsedMs": hop.elapsed_ms,
                "saw": hop.saw,
            }
            for hop in result.path
        ],
        "unknown": [{"fact": u.fact, "why": u.why, "unlock": u.unlock, "aside": u.aside} for u in result.unknown],
        "changes": [
            {"object": c.object, "permanent": c.permanent, "removed": c.removed, "cleanup": c.cleanup}
            for c in result.changes
        ],
        "assumptions": list(result.assumptions),
        "run": {
            "id": run.id,
            "startedAt": run.started_at,
            "seconds": run.seconds,
            "apiCalls": run.api_calls,
            "probes": run.probes,
            "versions": dict(run.versions),
        },
    }


def cause_data(cause: CauseLine) -> dict[str, Any]:
    """One cause as plain data."""
    return {
        "code": cause.code,
        "primary": cause.primary,
        "object": _object(cause.object),
        "summary": cause.summary,
        "means": cause.means,
        "saw": list(cause.saw),
        "evidence": [{"vantage": e.vantage, "observed": e.observed, "command": e.command} for e in cause.evidence],
        "fixes": [
            {
                "title": f.title,
                "command": f.command,
                "risk": f.risk.value,
                "verify": f.verify,
                "notPasteable": f.not_pasteable,
            }
            for f in cause.fixes
        ],
        "confidence": cause.confidence.value,
        "explains": list(cause.explains),
    }


def _object(at: ObjectRef) -> dict[str, str]:
    return {"kind": at.kind, "namespace": at.namespace, "name": at.name, "field": at.field}


def as_json(result: Result) -> str:
    """JSON with a final newline."""
    return json.dumps(as_data(result), indent=2, ensure_ascii=False) + "\n"


def as_yaml(result: Result) -> str:
    """YAML of the same data."""
    import yaml

    return str(yaml.safe_dump(as_data(result), sort_keys=False, allow_unicode=True))
