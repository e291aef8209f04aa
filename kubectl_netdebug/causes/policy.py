"""NetworkPolicies that keep a connection from working: no rule admits it, or the author forgot a direction."""

from __future__ import annotations

from kubectl_netdebug.causes.policy_fix import KIND, called, new_policy
from kubectl_netdebug.causes.policy_found import all_policies, found, named, on_mistake, similar
from kubectl_netdebug.causes.policy_judge import Judged, Standing, judged
from kubectl_netdebug.causes.policy_near import Mistake, Reading
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, patch
from kubectl_netdebug.model.finding import Cause, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.policy import Direction
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When

INGRESS_DENY = Cause(
    code="np-ingress-default-deny",
    title="A NetworkPolicy isolates the server, and no rule admits the client",
    says="{server} is isolated by {policies}, and no rule admits {client} on {where}.",
    means="Every packet of this client is dropped before it reaches the Pod; others may be admitted.",
    symptom="Connections to one workload time out, by the Service and by the Pods' own addresses alike.",
    apart="The Pod's own node reaches it, because nodes are exempt; an application that is down refuses instead.",
    mend="Add a policy that admits this client on this port; policies only ever add up.",
    explains=("backend-partly-dead",),
)


@on_mistake(INGRESS_DENY, Mistake.NO_RULE, Direction.INGRESS)
def ingress_default_deny(look: Look, asked: Question, reading: Reading) -> Finding | None:
    """The server is isolated, and no rule comes near."""
    alike = similar(look, asked, reading)
    fix = new_policy(alike, all_policies(look, asked, Direction.INGRESS)) if alike else None
    return found(look, asked, INGRESS_DENY, reading, fixes=(fix,))


EGRESS_DENY = Cause(
    code="np-egress-default-deny",
    title="A NetworkPolicy isolates the client, and no rule lets it reach the destination",
    says="{client} is isolated for egress by {policies}, and no rule admits {server} on {where}.",
    means="Every packet to that destination is dropped as it leaves the client.",
    symptom="One client times out towards a destination that other Pods reach.",
    apart="A firewall stops all Pods; here a Pod that no policy selects gets through from the same node.",
    mend="Add a policy that lets this client reach this destination; policies only ever add up.",
    explains=("backend-partly-dead", "np-dns-egress-blocked", "service-name-unresolved"),
)


@on_mistake(EGRESS_DENY, Mistake.NO_RULE, Direction.EGRESS)
def egress_default_deny(look: Look, asked: Question, reading: Reading) -> Finding | None:
    """The client is isolated, and no rule comes near. The fix lets it resolve names as well where it cannot."""
    known, names = all_policies(look, asked, Direction.EGRESS), blocked_names(look, asked)
    fix = new_policy(similar(look, asked, reading), known, names)
    return found(look, asked, EGRESS_DENY, reading, fixes=(fix,))


def blocked_names(look: Look, asked: Question) -> tuple[Judged, ...]:
    """The client's name lookups that its policies deny."""
    return tuple(j for j in judged(look, asked, Direction.EGRESS) if j.denied and j.talk.port in (53, 5353))


TYPES = Cause(
    code="np-policytypes",
    title="A policy for egress isolates ingress as well, because it names no policyTypes",
    says="{server} is isolated for ingress too by {policies}, which only speaks of egress and names no policyTypes.",
    means="Nothing may connect to the Pods that it selects, although nobody meant to close them.",
    symptom="After an egress policy is added, the selected Pods can no longer be reached.",
    apart="A policy that is meant to close ingress says so in policyTypes.",
    mend="Name the directions that are meant: policyTypes: [Egress].",
    explains=("backend-partly-dead",),
)


@on_mistake(TYPES, Mistake.TYPES, Direction.INGRESS)
def policy_types(look: Look, asked: Question, reading: Reading) -> Finding | None:
    """All policies that isolate the server were written for egress alone, without `policyTypes`."""
    isolating = reading.judged.decision.isolating
    fixes = [
        Fix(
            f"make {p} a policy for egress alone",
            patch(KIND, p.name, {"spec": {"policyTypes": ["Egress"]}}, p.namespace),
            not_pasteable="" if len(isolating) == 1 else "each of the policies has to be patched",
        )
        for p in isolating[:3]
    ]
    return found(look, asked, TYPES, reading, fixes=fixes, field="spec.policyTypes")


NOT_ENFORCED = Cause(
    code="np-not-enforced",
    title="NetworkPolicies are not enforced here",
    says="{policies} does not admit {client} on {where} of {server}, and yet it connects.",
    means="Nothing in this cluster carries out that policy; whoever relies on it is not protected.",
    symptom="A policy exists and the traffic that it denies flows.",
    apart="An enforcing network needs a few seconds after a change; this lasts.",
    mend="Install a network plugin that enforces policies (Calico, Cilium), or kube-network-policies beside it.",
)


@explains(Hop.EGRESS_POLICY, NOT_ENFORCED, When.ALWAYS)
def egress_not_enforced(look: Look, asked: Question) -> Finding | None:
    """A denied conversation gets through."""
    return _not_enforced(look, asked, Direction.EGRESS)


@explains(Hop.INGRESS_POLICY, NOT_ENFORCED, When.ALWAYS)
def ingress_not_enforced(look: Look, asked: Question) -> Finding | None:
    """A denied conversation gets through."""
    return _not_enforced(look, asked, Direction.INGRESS)


def _not_enforced(look: Look, asked: Question, direction: Direction) -> Finding | None:
    for each in judged(look, asked, direction):
        if each.standing is Standing.PASSES and each.talk.attempt is not None and each.talk.attempt.outcome.connected:
            isolating = each.decision.isolating
            return NOT_ENFORCED.confirmed(
                at=isolating[0].at,
                policies=named(isolating),
                client=called(each.talk.client),
                server=called(each.talk.server),
                where=f"{each.talk.port}/{each.talk.protocol}",
                effect=Effect.NOTE,
            )
    return None
