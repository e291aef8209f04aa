"""A baseline: the findings of a scan that somebody has accepted, in a file of their repository."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kubectl_netdebug.cli.exits import UsageProblem
from kubectl_netdebug.model.scan import Mark

FORMAT = "netdebug-baseline/v1"
LARGEST = 32 * 1024 * 1024
"""Bytes; a larger file is no baseline."""

_FIELDS = ("code", "kind", "namespace", "name", "field")


def read_baseline(path: str) -> frozenset[Mark]:
    """The accepted findings. Raises UsageProblem for a file that is missing or that `write_baseline` did not make."""
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as problem:
        raise UsageProblem(f"--baseline {path}: {problem.strerror}; --write-baseline makes one") from problem
    if len(content) > LARGEST:
        raise UsageProblem(f"--baseline {path}: larger than {LARGEST // 1024 // 1024} MiB, so it is no baseline")
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as problem:
        raise UsageProblem(f"--baseline {path}: this is not JSON; --write-baseline makes such a file") from problem
    if not isinstance(data, dict) or data.get("schemaVersion") != FORMAT or not isinstance(data.get("findings"), list):
        raise UsageProblem(f"--baseline {path}: not a baseline that this version reads ({FORMAT})")
    return frozenset(_mark(path, number, entry) for number, entry in enumerate(data["findings"]))


def _mark(path: str, number: int, entry: Any) -> Mark:
    fields = [entry.get(name, "") if isinstance(entry, dict) else None for name in _FIELDS]
    if not all(isinstance(field, str) for field in fields) or not (fields[0] and fields[1] and fields[3]):
        wanted = ", ".join(_FIELDS)
        raise UsageProblem(f"--baseline {path}: findings[{number}] must have these as text: {wanted}")
    return Mark(*map(str, fields))


def check_writable(path: str) -> None:
    """Finds out before the scan, not after it, that a file cannot be written. Raises UsageProblem."""
    target = Path(path)
    if target.is_dir() or not target.absolute().parent.is_dir():
        raise UsageProblem(f"--write-baseline {path}: not a file in an existing folder")


def write_baseline(path: str, marks: Iterable[Mark]) -> None:
    """Writes a baseline, sorted so that a change shows as few lines. Raises UsageProblem where that fails.

    An interrupted write leaves the old file as it was.
    """
    entries = [{name: getattr(mark, name) for name in _FIELDS} for mark in sorted(set(marks))]
    text = json.dumps({"schemaVersion": FORMAT, "findings": entries}, indent=2, ensure_ascii=False) + "\n"
    folder = Path(path).absolute().parent
    name = ""
    try:
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".netdebug-", delete=False, encoding="utf-8") as file:
            name = file.name
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as problem:
        if name:
            Path(name).unlink(missing_ok=True)
        raise UsageProblem(f"--write-baseline {path}: {problem.strerror}") from problem
