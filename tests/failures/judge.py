"""What a disturbed run has to hold to, measured against the undisturbed one."""

from __future__ import annotations

from collections.abc import Iterator

from tests.failures.program import Ran

SLACK = 6.0
"""Seconds beyond its limit that a run may take on a machine that is busy with other things."""

_EXITS = {"healthy": 0, "faulty": 1, "partial": 1, "inconclusive": 4}
_UNREACHABLE, _INCONCLUSIVE = 3, 4
_DEFECTS = ("Traceback (most recent call last)", "itself failed", "Exception ignored", "gave no answer")


def problems(undisturbed: Ran, ran: Ran, limit: float, *, answered: bool, gone: bool, healed: bool) -> list[str]:
    """What is wrong with a disturbed run; empty when it is as it should be.

    `answered`: some call got its answer, so the cluster was reached. `gone`: the server said of objects that they do not
    exist, so that may be the cause. `healed`: the program could have asked again, so nothing may be missing.
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


def _of_verdict(undisturbed: Ran, ran: Ran, *, gone: bool) -> Iterator[str]:
    new = [f"{code} at {place}" for code, place in ran.causes if (code, place) not in undisturbed.causes]
    if new and not gone:
        yield f"accuses {', '.join(new)}"
    bad = ("faulty", "partial")
    if undisturbed.state in bad and ran.state == "healthy":
        yield f"healthy, but {undisturbed.state} when undisturbed"
    if undisturbed.state == "healthy" and ran.state in bad and not gone:
        yield f"{ran.state}, but healthy when undisturbed"
    assert ran.result is not None
    if _differ(undisturbed, ran) and not ran.result["unknown"] and not gone:
        yield "another verdict, and nothing is said to be missing"
    if ran.state == "inconclusive" and not ran.result["unknown"]:
        yield "inconclusive without what is missing"


def _differ(one: Ran, other: Ran) -> bool:
    return (one.state, one.causes) != (other.state, other.causes)
