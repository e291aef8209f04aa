"""Reads kubeconfig files and merges them the way kubectl does; `resolve` makes an `Access` of the outcome.

Several paths in KUBECONFIG: for each context, cluster and user, and for `current-context`, the first file
that has it wins as a whole; files that do not exist are skipped. An explicit `--kubeconfig` must exist.
Source: client-go, tools/clientcmd/loader.go.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubectl_netdebug.kube.errors import ConfigProblem

_LARGEST_FILE = 16 * 1024 * 1024
_KINDS = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML in which a date stays text, as it does for kubectl: `name: 2026-01-01` is a name."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class Entry:
    """One named context, cluster or user with the file it came from (relative paths lead from there)."""

    name: str
    fields: Mapping[str, Any]
    file: Path


@dataclass(frozen=True)
class Kubeconfig:
    """All files merged."""

    files: tuple[Path, ...]
    current_context: str
    contexts: Mapping[str, Entry]
    clusters: Mapping[str, Entry]
    users: Mapping[str, Entry]

    @property
    def empty(self) -> bool:
        return not (self.current_context or self.contexts or self.clusters or self.users)


def config_paths(explicit: str | None, environ: Mapping[str, str]) -> list[Path]:
    """The files to read, first wins. Raises ConfigProblem when `explicit` names no file."""
    if explicit:
        path = Path(explicit).expanduser()
        if not path.exists():
            raise ConfigProblem(f"There is no kubeconfig at {explicit}.")
        return [path]
    listed = [part for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    if listed:
        return [Path(part) for part in dict.fromkeys(listed)]
    home = environ.get("HOME") or os.path.expanduser("~")
    return [Path(home) / ".kube" / "config"]


def load(paths: Sequence[Path]) -> Kubeconfig:
    """Reads and merges. Raises ConfigProblem that names the file and what is wrong in it."""
    current = ""
    contexts: dict[str, Entry] = {}
    clusters: dict[str, Entry] = {}
    users: dict[str, Entry] = {}
    read: list[Path] = []
    for path in paths:
        document = _document(path)
        if document is None:
            continue
        read.append(path)
        current = current or text_field(document, "current-context", f"{path}") or ""
        for merged, plural, singular in (
            (contexts, "contexts", "context"),
            (clusters, "clusters", "cluster"),
            (users, "users", "user"),
        ):
            for entry in _entries(document, plural, singular, path):
                merged.setdefault(entry.name, entry)
    return Kubeconfig(tuple(read), current, contexts, clusters, users)


def text_field(fields: Mapping[str, Any], key: str, where: str) -> str | None:
    """The text under `key`, None when absent, null or empty. Raises ConfigProblem on another type."""
    value = fields.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ConfigProblem(f"{where}: {key} must be text, it is {_kind_of(value)}.")
    return value


def flag_field(fields: Mapping[str, Any], key: str, where: str) -> bool:
    """The boolean under `key`, False when absent or null. Raises ConfigProblem on another type."""
    value = fields.get(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise ConfigProblem(f"{where}: {key} must be true or false, it is {_kind_of(value)}.")
    return value


def list_field(fields: Mapping[str, Any], key: str, where: str) -> list[Any]:
    """The list under `key`, empty when absent or null. Raises ConfigProblem on another type."""
    value = fields.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ConfigProblem(f"{where}: {key} must be a list, it is {_kind_of(value)}.")
    return value


def map_field(fields: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    """The object under `key`, empty when absent or null. Raises ConfigProblem on another type."""
    value = fields.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigProblem(f"{where}: {key} must be an object, it is {_kind_of(value)}.")
    return value


def _kind_of(value: Any) -> str:
    return _KINDS.get(type(value), "something else")


def _document(path: Path) -> dict[str, Any] | None:
    content = _content(path)
    if content is None:
        return None
    try:
        document = yaml.load(content, Loader=_Loader)
    except RecursionError:
        raise ConfigProblem(f"{path} is nested too deeply to be a kubeconfig.") from None
    except (yaml.YAMLError, ValueError, TypeError) as problem:
        raise ConfigProblem(f"{path} is not valid YAML: {_first_lines(problem)}.") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigProblem(f"{path} is not a kubeconfig: its top level is {_kind_of(document)}.")
    return document


def _content(path: Path) -> str | None:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST_FILE + 1)
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        raise ConfigProblem(f"{path} is a directory, not a kubeconfig.") from None
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
        raise ConfigProblem(f"Cannot read the kubeconfig {path}: {reason}.") from None
    if len(raw) > _LARGEST_FILE:
        raise ConfigProblem(f"{path} is larger than 16 MiB: that is no kubeconfig.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigProblem(f"{path} is not a kubeconfig: it is not UTF-8 text.") from None


def _first_lines(problem: Exception) -> str:
    return " ".join(str(problem).split())[:300]


def _entries(document: Mapping[str, Any], plural: str, singular: str, path: Path) -> list[Entry]:
    found: dict[str, Entry] = {}
    for index, item in enumerate(list_field(document, plural, str(path))):
        where = f"{path}: {plural}[{index}]"
        if not isinstance(item, dict):
            raise ConfigProblem(f"{where} must be an object with a name, it is {_kind_of(item)}.")
        name = text_field(item, "name", where)
        if name is None:
            raise ConfigProblem(f"{where} has no name.")
        if name in found:
            raise ConfigProblem(f"{path} has two {plural} called {name!r}.")
        found[name] = Entry(name, map_field(item, singular, where), path)
    return list(found.values())
