"""The steps that judge NetworkPolicies, for every flow in which Pods talk."""

from __future__ import annotations

from collections.abc import Iterable

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.policy_judge import Judged, Standing, blamed, cut_off, judged
from kubectl_netdebug.model.facts import Why
from kubectl_netdebug.model.hop import Hop, Outcome, failed, passed, skipped, warned
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.policy import Direction
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import HopFunction, Step

SHOWN = 3

POLICIES = (Hop.EGRESS_POLICY, Hop.INGRESS_POLICY)
"""The hops of these steps."""


def policy_steps(after: tuple[Hop, ...]) -> tuple[Step, ...]:
    """Egress of the client, then ingress of the server. `after` are the hops that settle who talks to whom."""
    return (
        _step(Hop.EGRESS_POLICY, "egress policies", Direction.EGRESS, after),
        _step(Hop.INGRESS_POLICY, "ingress policies", Direction.INGRESS, after),
    )


def _step(hop: Hop, title: str, direction: Direction, after: tuple[Hop, ...]) -> Step:
    return Step(hop, title, _decides(direction), after=after, essential=False, follow_failures=True)


def _decides(direction: Direction) -> HopFunction:
    def decide(look: Look, asked: Question) -> Outcome:
        if _not_recorded(look, asked):
            return skipped("policies were not read when this was recorded")
        found = judged(look, asked, direction)
        if not found:
            return skipped("nobody to talk to")
        return outcome(found, blamed(look, asked, direction))

    return decide


def _not_recorded(look: Look, asked: Question) -> bool:
    """A recording of an older version of this program."""
    why = look.why_unknown(asks.policies_in(asked.namespace))
    return why is not None and why.why is Why.NOT_RECORDED


def outcome(found: tuple[Judged, ...], accused: tuple[Judged, ...]) -> Outcome:
    """One line for all conversations: the denied ones first, then what the policies admit, then that none applies."""
    counts = (len(found) - len(accused), len(found))
    if accused:
        first = accused[0]
        saw = f"{_policies(accused)} {'does' if _single(accused) else 'do'} not admit {_whom(first)}"
        return (failed if cut_off(found, accused) else warned)(saw, counts)
    denied = [j for j in found if j.denied]
    if denied and any(j.standing is Standing.PASSES for j in denied):
        return passed(f"{_policies(denied)} would not admit it, yet it passes: not enforced")
    if denied:
        return skipped(f"{_policies(denied)} would not admit it, but nothing was found that enforces policies")
    depends = [j for j in found if j.standing is Standing.DEPENDS]
    if depends:
        return skipped(f"isolated by {_policies(depends)}: who is admitted depends on the client (--from)")
    isolated = [j for j in found if j.decision.isolating and not j.decision.exempt]
    if not isolated:
        exempt = next((j.decision.exempt for j in found if j.decision.isolating), "")
        return passed(exempt or "none isolates it", counts)
    lost = any(j.talk.attempt is not None and j.talk.attempt.outcome.lost for j in isolated)
    return passed(f"admitted by {_admitting(isolated)}" + ("; something else loses it" if lost else ""), counts)


def _policies(found: Iterable[Judged]) -> str:
    names = sorted({str(policy) for each in found for policy in each.decision.isolating})
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _single(found: Iterable[Judged]) -> bool:
    return len({policy for each in found for policy in each.decision.isolating}) == 1


def _admitting(found: Iterable[Judged]) -> str:
    rules = [each.decision.admitted_by for each in found if each.decision.admitted_by]
    names = sorted({f"{policy}, rule {rule.index + 1}" for policy, rule in rules})
    return "; ".join(names[:SHOWN])


def _whom(each: Judged) -> str:
    client, server = each.talk.client, each.talk.server
    who = client.pod.name if client.pod else client.address or "any client"
    where = server.pod.name if server.pod else server.address
    return f"{who} → {where}, port {each.talk.port}/{each.talk.protocol}"
