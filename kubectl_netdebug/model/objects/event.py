"""Events about an object."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubectl_netdebug.model.objects import tree


@dataclass(frozen=True)
class Event:
    """What diagnosing needs of an Event. `last` is the latest of its times."""

    type: str
    reason: str
    message: str
    count: int
    field_path: str
    last: datetime | None


def read_event(raw: Any) -> Event:
    """The view of a raw Event of either API group."""
    times = [
        tree.when(raw, "series", "lastObservedTime"),
        tree.when(raw, "lastTimestamp"),
        tree.when(raw, "eventTime"),
        tree.when(raw, "metadata", "creationTimestamp"),
    ]
    return Event(
        type=tree.text(raw, "type"),
        reason=tree.text(raw, "reason"),
        message=tree.text(raw, "message") or tree.text(raw, "note"),
        count=max(1, tree.number(raw, "count"), tree.number(raw, "series", "count")),
        field_path=tree.text(raw, "involvedObject", "fieldPath") or tree.text(raw, "regarding", "fieldPath"),
        last=max((t for t in times if t), default=None),
    )
