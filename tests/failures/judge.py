"""What a disturbed run has to hold to, measured against the undisturbed one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.failures.program import Ran

SLACK = 6.0
"""Seconds beyond its limit that a run may take on a machine that is busy with other things."""

_EXITS = {"healthy": 0, "faulty": 1, "partial": 1, "inconclusive": 4}
_UNREACHABLE, _INCONCLUSIVE = 3, 4
_DEFECTS = ("Traceback (most recent call last)", "itself failed", "Exception ignored", "gave no answer")


def problems(
    undisturbed: Ran, ran: Ran, limit: float, *, answered: bool, gone: tuple[str, ...], healed: bool
) -> list[str]:
    """What is wrong with a disturbed run; empty when it is as it should be.

    `answered`: some call got its answer, so the cluster was reached. `gone`: names of objects of which the server
    said that they do not exist, so a cause may say that. `healed`: the program could have asked again, so nothing
    may be missing in the end.
    """
    found = list(_in_order(ran, limit, answered=answered))
    if ran.result:
        found += _of_verdict(undisturbed, ran, gone=gone)
    if healed and _differ(undisturbed, ran):
        found.append("nothing was wrong when asked again, yet the verdict differs")
    return found


def in_order(ran: Ran, limit: float) -> list[str]:
    """The same for a command that gives no verdict: it ends in time, with a documented exit and a sentence."""
    wrong = list(_in_order(ran, limit, answered=False))
    if ran.code not in (0, 1, 2, _UNREACHABLE, _INCONCLUSIVE):
        wrong.append(f"exit {ran.code}")
    return wrong


def _in_order(ran: Ran, limit: float, *, answered: bool) -> Iterator[str]:
    if ran.seconds > limit + SLACK:
        yield f"took {ran.seconds:.1f} s, the limit was {limit:.0f} s"
    for words in _DEFECTS:
        if words in ran.errors + ran.output:
            yield f"says {words!r}"
    if ran.code is None:
        yield "an exception escaped"
    elif ran.result and ran.code != _EXITS[ran.state]:
        yield f"exit {ran.code} with verdict {ran.state}"
    elif not ran.result and ran.code == _UNREACHABLE and answered:
        yield "says that the cluster cannot be reached, which had answered"
    elif not ran.result and not ran.errors.strip() and not ran.output.strip():
        yield "says nothing"


def _of_verdict(undisturbed: Ran, ran: Ran, *, gone: tuple[str, ...]) -> Iterator[str]:
    assert ran.result is not None
    for cause in ran.result["causes"]:
        if not (_known_before(cause, undisturbed) or any(_names(cause["summary"], name) for name in gone)):
            yield f"accuses {cause['code']} at {_place(cause)}: {cause['summary']}"
    bad = ("faulty", "partial")
    missing = ran.result["unknown"]
    if undisturbed.state in bad and ran.state == "healthy" and not missing:
        yield f"healthy, but {undisturbed.state} when undisturbed"
    if undisturbed.state == "healthy" and ran.state in bad and not gone:
        yield f"{ran.state}, but healthy when undisturbed"
    if _differ(undisturbed, ran) and not missing and not gone:
        yield "another verdict, and nothing is said to be missing"
    if ran.state == "inconclusive" and not missing:
        yield "inconclusive without what is missing"


def _known_before(cause: Mapping[str, Any], undisturbed: Ran) -> bool:
    """The same cause at the same object or at one that it owns; or what it explained while it was still seen."""
    assert undisturbed.result is not None
    for before in undisturbed.result["causes"]:
        if cause["code"] in before["explains"]:
            return True
        if cause["code"] == before["code"] and cause["object"]["name"].startswith(before["object"]["name"]):
            return True
    return False


def _names(summary: str, name: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", summary) is not None


def _place(cause: Mapping[str, Any]) -> str:
    return f"{cause['object']['kind']}/{cause['object']['name']}"


def _differ(one: Ran, other: Ran) -> bool:
    return (one.state, one.causes) != (other.state, other.causes)
