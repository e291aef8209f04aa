"""Reading raw JSON that may be anything: each function gives the wanted type or an empty one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any


def dig(tree: Any, *path: str | int) -> Any:
    """The value at a path of keys and indexes, or None where the path ends early."""
    for step in path:
        if isinstance(step, int):
            tree = tree[step] if isinstance(tree, list) and -len(tree) <= step < len(tree) else None
        else:
            tree = tree.get(step) if isinstance(tree, Mapping) else None
    return tree


def text(tree: Any, *path: str | int) -> str:
    """A string at a path; numbers become strings, everything else ''."""
    value = dig(tree, *path)
    if isinstance(value, bool):
        return ""
    return str(value) if isinstance(value, str | int) else ""


def number(tree: Any, *path: str | int, default: int = 0) -> int:
    """A whole number at a path, or the default."""
    value = dig(tree, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def flag(tree: Any, *path: str | int, default: bool = False) -> bool:
    """A boolean at a path, or the default."""
    value = dig(tree, *path)
    return value if isinstance(value, bool) else default


def entries(tree: Any, *path: str | int) -> Iterator[Mapping[str, Any]]:
    """The objects of a list at a path; what is no object is passed over."""
    value = dig(tree, *path)
    if isinstance(value, list):
        yield from (entry for entry in value if isinstance(entry, Mapping))


def strings(tree: Any, *path: str | int) -> tuple[str, ...]:
    """The strings of a list at a path."""
    value = dig(tree, *path)
    return tuple(entry for entry in value if isinstance(entry, str)) if isinstance(value, list) else ()


def labels(tree: Any, *path: str | int) -> dict[str, str]:
    """A map of strings at a path."""
    value = dig(tree, *path)
    if not isinstance(value, Mapping):
        return {}
    return {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, str)}


def when(tree: Any, *path: str | int) -> datetime | None:
    """An RFC 3339 time at a path, in UTC."""
    return parse_time(text(tree, *path))


def parse_time(written: str) -> datetime | None:
    """`2026-01-02T03:04:05Z`, with or without fractions; None for anything else."""
    if not written:
        return None
    try:
        parsed = datetime.fromisoformat(written.replace("Z", "+00:00"))
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
