"""Recordings: the facts of a run in a file, enough to diagnose again without the cluster."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubectl_netdebug.model.facts import Answer, FactKey, answer_from_json, answer_to_json
from kubectl_netdebug.model.question import FlowName, Question, Source, SourceKind

FORMAT = "netdebug-recording/v1"
LARGEST = 256 * 1024 * 1024
"""Bytes that a recording may unpack to; a larger one is refused."""


class BadRecording(ValueError):
    """The file is not a recording, or not one that this version can read. The message is a sentence for the person."""


@dataclass(frozen=True)
class Recording:
    """The facts of a run with the question they answer.

    `cluster_flags` are kubectl's flags that chose the cluster, for the commands of a replay. `case` is filled by the
    scoreboard: what was injected and what is expected.
    """

    question: Question
    facts: Mapping[FactKey, Answer]
    started_at: str
    seconds: float
    versions: Mapping[str, str] = field(default_factory=dict)
    cluster_flags: tuple[str, ...] = ()
    changes: tuple[Mapping[str, Any], ...] = ()
    case: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """The file's content: gzip over JSON, the same bytes for the same recording."""
        data = {
            "format": FORMAT,
            "question": question_to_json(self.question),
            "startedAt": self.started_at,
            "seconds": round(self.seconds, 3),
            "versions": dict(self.versions),
            "clusterFlags": list(self.cluster_flags),
            "changes": [dict(change) for change in self.changes],
            "notes": list(self.notes),
            "case": dict(self.case),
            "facts": [{"key": k.to_json(), "answer": answer_to_json(a)} for k, a in self.facts.items()],
        }
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        return gzip.compress(text.encode(), compresslevel=9, mtime=0)

    @staticmethod
    def from_bytes(content: bytes) -> Recording:
        """Raises BadRecording for anything that `to_bytes` did not write."""
        data = _unpack(content)
        try:
            return Recording(
                question=question_from_json(data["question"]),
                facts={FactKey.from_json(f["key"]): answer_from_json(f["answer"]) for f in data["facts"]},
                started_at=str(data["startedAt"]),
                seconds=float(data["seconds"]),
                versions={str(k): str(v) for k, v in data.get("versions", {}).items()},
                cluster_flags=tuple(str(flag) for flag in data.get("clusterFlags", ())),
                changes=tuple(dict(change) for change in data.get("changes", ())),
                notes=tuple(str(note) for note in data.get("notes", ())),
                case=dict(data.get("case", {})),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as problem:
            raise BadRecording(f"This recording cannot be read: {type(problem).__name__}: {problem}") from problem


def _unpack(content: bytes) -> dict[str, Any]:
    try:
        unpacker = zlib.decompressobj(wbits=31)
        text = unpacker.decompress(content, LARGEST)
        if unpacker.unconsumed_tail:
            raise BadRecording("This recording unpacks to more than 256 MiB; it is not read.")
        if not unpacker.eof:
            raise BadRecording("This recording is cut short.")
        data = json.loads(text)
    except (zlib.error, UnicodeDecodeError, ValueError, RecursionError) as problem:
        if isinstance(problem, BadRecording):
            raise
        raise BadRecording("This file is not a netdebug recording (a gzip file made by --record).") from problem
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise BadRecording(f"This file is not a recording that this version reads ({FORMAT}).")
    return data


_TARGETS = ("pod", "ingress", "gateway", "host", "node", "scheme", "path")
"""Fields of a question that are written only where they say something."""


def question_to_json(question: Question) -> dict[str, Any]:
    """The question as plain data."""
    return {
        "flow": question.flow.value,
        "namespace": question.namespace,
        "service": question.service,
        "port": question.port,
        "protocol": question.protocol,
        "source": {
            "kind": question.source.kind.value,
            "namespace": question.source.namespace,
            "name": question.source.name,
        },
        **{name: value for name in _TARGETS if (value := getattr(question, name))},
    }


def question_from_json(data: Mapping[str, Any]) -> Question:
    """Inverse of `question_to_json`. Raises KeyError or ValueError."""
    source = data["source"]
    return Question(
        flow=FlowName(data["flow"]),
        namespace=str(data["namespace"]),
        service=str(data["service"]),
        port=str(data["port"]),
        protocol=str(data["protocol"]),
        source=Source(SourceKind(source["kind"]), str(source["namespace"]), str(source["name"])),
        **{name: str(data[name]) for name in _TARGETS if name in data},
    )
