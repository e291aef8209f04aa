"""Exit codes; scripts rely on them."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubectl_netdebug.model.result import VerdictState


class Exit(IntEnum):
    """0 healthy · 1 fault found · 2 usage · 3 cluster or credentials unreachable · 4 inconclusive · 130 interrupted."""

    HEALTHY = 0
    FAULT = 1
    USAGE = 2
    UNREACHABLE = 3
    INCONCLUSIVE = 4
    INTERRUPTED = 130


def exit_for(state: VerdictState) -> Exit:
    """The exit code that says the verdict."""
    return {"healthy": Exit.HEALTHY, "inconclusive": Exit.INCONCLUSIVE}.get(state.value, Exit.FAULT)


class UsageProblem(Exception):
    """The command line cannot be understood; the message is one sentence."""


class OutputProblem(Exception):
    """Standard output does not take the result, for example because the disk is full; the message is one sentence."""
