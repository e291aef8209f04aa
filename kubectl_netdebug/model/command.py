"""Commands to copy: built as argument lists, quoted once when they are shown."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Risk(StrEnum):
    """What a fix does to the cluster."""

    READ_ONLY = "read-only"
    REVERSIBLE = "reversible"
    DISRUPTIVE = "disruptive"


@dataclass(frozen=True)
class Command:
    """A kubectl command without the flags that choose the cluster; `stdin` is shown as a here-document.

    `then` are commands to run after it, each when the one before it succeeded; such a command takes no `stdin`.
    """

    argv: tuple[str, ...]
    namespace: str = ""
    stdin: str = ""
    then: tuple[Command, ...] = ()

    def render(self, cluster_flags: tuple[str, ...] = ()) -> str:
        """The command as a person would paste it into a POSIX shell."""
        namespace = ("-n", self.namespace) if self.namespace else ()
        line = shlex.join(("kubectl", *cluster_flags, *namespace, *self.argv))
        if self.stdin:
            return f"{line} <<'EOF'\n{self.stdin}\nEOF"
        return " && ".join((line, *(after.render(cluster_flags) for after in self.then)))


@dataclass(frozen=True)
class Fix:
    """A way to mend a fault. `not_pasteable` says why a command cannot be pasted as it stands, if so."""

    title: str
    command: Command
    risk: Risk = Risk.REVERSIBLE
    not_pasteable: str = ""


def kubectl(*argv: str, namespace: str = "") -> Command:
    """`kubectl("get", "pods", namespace="shop")`."""
    return Command(tuple(argv), namespace)


def patch(kind: str, name: str, body: Mapping[str, Any], namespace: str = "") -> Command:
    """A merge patch (strategic where the kind has one), as kubectl does by default."""
    return Command(("patch", kind, name, "-p", _compact(body)), namespace)


def json_patch(kind: str, name: str, operations: list[dict[str, Any]], namespace: str = "") -> Command:
    """A JSON patch: a list of `{"op", "path", "value"}`."""
    return Command(("patch", kind, name, "--type=json", "-p", _compact(operations)), namespace)


def apply(objects: Mapping[str, Any], namespace: str = "") -> Command:
    """`kubectl apply -f -` with the object as YAML-compatible JSON, a line each for short objects."""
    return Command(("apply", "-f", "-"), namespace, json.dumps(objects, indent=1))


def _compact(body: Any) -> str:
    return json.dumps(body, separators=(",", ":"))
