"""From a denied conversation to a finding: what all causes about NetworkPolicies share."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubectl_netdebug.causes.policy_fix import called
from kubectl_netdebug.causes.policy_judge import (
    Judged,
    blamed,
    confidence,
    cut_off,
    enforcer,
    judged,
    policies_of,
)
from kubectl_netdebug.causes.policy_near import Mistake, Reading, read
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix
from kubectl_netdebug.model.finding import Cause, Confidence, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.policy import Direction, NetworkPolicy
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import CauseFunction

Tell = Callable[[Look, Question, Reading], "Finding | None"]

HOPS = {Direction.EGRESS: Hop.EGRESS_POLICY, Direction.INGRESS: Hop.INGRESS_POLICY}


def on_mistake(cause: Cause, mistake: Mistake, *directions: Direction) -> Callable[[Tell], Tell]:
    """Registers a function that makes the finding of a mistake, at the hops of these directions (both, if none)."""

    def register(tell: Tell) -> Tell:
        for direction in directions or tuple(HOPS):
            explains(HOPS[direction], cause)(_finder(tell, direction, mistake))
        return tell

    return register


def _finder(tell: Tell, direction: Direction, mistake: Mistake) -> CauseFunction:
    def find(look: Look, asked: Question) -> Finding | None:
        reading = reading_of(look, asked, direction, mistake)
        return None if reading is None else tell(look, asked, reading)

    find.__module__ = tell.__module__
    return find


MOST_PEERS = 16
"""Peers of one rule in a fix."""


def reading_of(look: Look, asked: Question, direction: Direction, mistake: Mistake) -> Reading | None:
    """The first denied conversation that this mistake explains.

    A mistake that was found in one conversation speaks for all that are denied by the same policies.
    """
    readings = [read(look, asked, each) for each in blamed(look, asked, direction)]
    for reading in readings:
        if reading.mistake is mistake and not _better_told(reading, readings):
            return reading
    return None


def _better_told(reading: Reading, readings: Iterable[Reading]) -> bool:
    """Another conversation with the same Pods' policies has a more telling explanation."""
    same = reading.judged.decision.isolating
    port = (reading.judged.talk.port, reading.judged.talk.protocol)
    return any(
        other.mistake.value < reading.mistake.value
        and other.judged.decision.isolating == same
        and (other.judged.talk.port, other.judged.talk.protocol) == port
        for other in readings
    )


def found(
    look: Look,
    asked: Question,
    cause: Cause,
    reading: Reading,
    *,
    fixes: Iterable[Fix | None],
    field: str = "",
    **values: object,
) -> Finding:
    """The finding, with what was seen: the connect, the isolation, and the nearest rule."""
    each = reading.judged
    sure = confidence(look, each)
    make = cause.confirmed if sure is Confidence.CONFIRMED else cause.likely
    return make(
        at=reading.policy.at.at(field or _field(reading)),
        policy=str(reading.policy),
        policies=named(each.decision.isolating),
        subject=_subject(each),
        peer=called(each.talk.client if each.decision.direction is Direction.INGRESS else each.talk.server),
        client=called(each.talk.client),
        server=called(each.talk.server),
        where=f"{each.talk.port}/{each.talk.protocol}",
        saw=evidence(look, reading),
        effect=effect(look, asked, each.decision.direction),
        fixes=tuple(fix for fix in fixes if fix is not None),
        **values,
    )


def evidence(look: Look, reading: Reading) -> tuple[str, ...]:
    """What was observed, for people."""
    each = reading.judged
    talk, decision = each.talk, each.decision
    lines = []
    if talk.attempt is not None:
        lines.append(f"{called(talk.client)} → {talk.server.address}:{talk.port}/{talk.protocol}: {talk.attempt.words}")
    elif not enforcer(look).name:
        lines.append("judged by configuration alone; what enforces policies here could not be found out")
    else:
        lines.append(f"judged by configuration alone; {enforcer(look).name} enforces policies here")
    verb = "isolates" if len(decision.isolating) == 1 else "isolate"
    lines.append(f"{named(decision.isolating)} {verb} {_subject(each)} for {decision.direction.field}")
    if reading.miss:
        miss = reading.miss
        lines.append(f"nearest: {miss.policy}, rule {miss.rule.index + 1} ({miss.rule}): {miss.says}")
    else:
        lines.append(f"none of them has a rule for {decision.direction.field}")
    return tuple(lines)


def effect(look: Look, asked: Question, direction: Direction) -> Effect:
    """Whether any conversation of this direction is let through."""
    whole = cut_off(judged(look, asked, direction), blamed(look, asked, direction))
    return Effect.BREAKS if whole else Effect.DEGRADES


def similar(look: Look, asked: Question, reading: Reading) -> tuple[Judged, ...]:
    """The denied conversations that one rule could admit together: on the same port, isolated by the same policy."""
    each = reading.judged
    key = (each.talk.port, each.talk.protocol, each.decision.isolating[0])
    alike = [
        j
        for j in blamed(look, asked, each.decision.direction)
        if (j.talk.port, j.talk.protocol, j.decision.isolating[0]) == key and j.talk.client.address
    ]
    return tuple(alike[:MOST_PEERS])


def all_policies(look: Look, asked: Question, direction: Direction) -> tuple[NetworkPolicy, ...]:
    """All policies that were looked at, for names that are taken."""
    return policies_of(look, asked, [j.talk for j in judged(look, asked, direction)])


def named(policies: Iterable[NetworkPolicy]) -> str:
    """`NetworkPolicy shop/a and shop/b`."""
    names = [str(p) for p in policies]
    word = "NetworkPolicy" if len(names) == 1 else "NetworkPolicies"
    return f"{word} {', '.join(names[:4])}"


def _subject(each: Judged) -> str:
    party = each.talk.server if each.decision.direction is Direction.INGRESS else each.talk.client
    return called(party)


def _field(reading: Reading) -> str:
    direction = reading.judged.decision.direction
    return f"spec.{direction.field}[{reading.miss.rule.index}]" if reading.miss else f"spec.{direction.field}"
