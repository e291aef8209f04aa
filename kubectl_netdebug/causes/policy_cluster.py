"""Policies of other kinds that deny: looked at only where NetworkPolicies admit a connection that is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.policy_fix import called
from kubectl_netdebug.causes.policy_judge import Judged, Standing, end_of, judged
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.facts import Ask, Objects
from kubectl_netdebug.model.finding import Cause, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.policy import Direction
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.calicoselector import Unreadable
from kubectl_netdebug.net.clusterpolicy import Denial, denied_by_admin, denied_by_calico
from kubectl_netdebug.net.networkpolicy import Packet

CALICO_GLOBAL = "globalnetworkpolicies.crd.projectcalico.org"
CALICO = "networkpolicies.crd.projectcalico.org"
ADMIN = "adminnetworkpolicies.policy.networking.k8s.io"
BASELINE = "baselineadminnetworkpolicies.policy.networking.k8s.io"

Raws = list[Mapping[str, Any]]

CLUSTER_DENY = Cause(
    code="cluster-policy-deny",
    title="A policy of the cluster's administrators or of the network plugin denies the connection",
    says="{kind} {name} denies {client} → {server} on {where}: {why}.",
    means="No NetworkPolicy is against it, but policies of that kind are judged besides, and drop it.",
    symptom="Connections time out, and every NetworkPolicy admits them.",
    apart="Without the policy, or with a rule that allows this before it, the connection works.",
    mend="Have a rule added that allows this flow before the one that denies it.",
    explains=("backend-partly-dead",),
)


@explains(Hop.EGRESS_POLICY, CLUSTER_DENY, When.ALWAYS)
def denied_on_the_way_out(look: Look, asked: Question) -> Finding | None:
    """A policy of another kind denies the client's side."""
    return _denied(look, asked, Direction.EGRESS)


@explains(Hop.INGRESS_POLICY, CLUSTER_DENY, When.ALWAYS)
def denied_on_the_way_in(look: Look, asked: Question) -> Finding | None:
    """A policy of another kind denies the server's side."""
    return _denied(look, asked, Direction.INGRESS)


@dataclass(frozen=True)
class _Kinds:
    """The policies of other kinds, as the API gives them."""

    calico: Raws
    admin: Raws
    baseline: Raws

    def denial(self, each: Judged, packet: Packet) -> Denial | None:
        """By Kubernetes' own order: administrators, then Calico with the NetworkPolicies, then the baseline."""
        direction = each.decision.direction
        isolated = bool(each.decision.isolating)
        return (
            denied_by_admin(direction, packet, self.admin, "AdminNetworkPolicy")
            or denied_by_calico(direction, packet, self.calico, admitted=each.decision.allowed, isolated=isolated)
            or (None if isolated else denied_by_admin(direction, packet, self.baseline, "BaselineAdminNetworkPolicy"))
        )


def _denied(look: Look, asked: Question, direction: Direction) -> Finding | None:
    everything = judged(look, asked, direction)
    lost = [
        j
        for j in everything
        if j.standing is Standing.ADMITTED
        and not j.decision.exempt
        and j.decision.subject.is_pod
        and j.talk.attempt is not None
        and j.talk.attempt.outcome.lost
    ]
    if not lost:
        return None
    kinds = _read(look, {j.decision.subject.namespace for j in lost})
    if not (kinds.calico or kinds.admin or kinds.baseline):
        return None
    names = sorted({p.pod.namespace for j in lost for p in (j.talk.client, j.talk.server) if p.pod})
    labels = dict(zip(names, look.all([asks.labels_of_namespace(name) for name in names]), strict=True))
    for each in lost:
        talk = each.talk
        packet = Packet(end_of(talk.client, labels), end_of(talk.server, labels), talk.port, talk.protocol)
        try:
            denial = kinds.denial(each, packet)
        except Unreadable:
            continue
        if denial is not None:
            return _finding(each, denial, Effect.DEGRADES if len(lost) < len(everything) else Effect.BREAKS)
    return None


def _finding(each: Judged, denial: Denial, effect: Effect) -> Finding:
    at, talk = denial.at, each.talk
    resource = {
        "AdminNetworkPolicy": ADMIN,
        "BaselineAdminNetworkPolicy": BASELINE,
        "GlobalNetworkPolicy": CALICO_GLOBAL,
    }
    shown = kubectl("get", resource.get(at.kind, CALICO), at.name, "-o", "yaml", namespace=at.namespace)
    words = talk.attempt.words if talk.attempt else ""
    return CLUSTER_DENY.confirmed(
        at=at,
        kind=at.kind,
        name=f"{at.namespace}/{at.name}" if at.namespace else at.name,
        client=called(talk.client),
        server=called(talk.server),
        where=f"{talk.port}/{talk.protocol}",
        why=denial.says,
        saw=(
            f"{called(talk.client)} → {talk.server.address}:{talk.port}/{talk.protocol}: {words}",
            f"NetworkPolicies admit it; {at.kind} {at.name}: {denial.says}",
        ),
        effect=effect,
        fix=Fix("look at the policy, and ask who owns it for a rule that allows this", shown, Risk.READ_ONLY),
    )


def _read(look: Look, namespaces: set[str]) -> _Kinds:
    """All kinds side by side; what is not served is an empty list, what may not be read counts as absent."""
    wanted = [_raw(CALICO_GLOBAL), _raw(ADMIN), _raw(BASELINE), *(_raw(CALICO, ns) for ns in sorted(namespaces))]
    everywhere, admin, baseline, *calico = look.all_known(wanted)
    return _Kinds([*(everywhere or []), *(p for found in calico for p in found or [])], admin or [], baseline or [])


def _raw(resource: str, namespace: str = "") -> Ask[Raws]:
    kind = resource.partition(".")[0]
    return Ask(Objects(resource, namespace), asks.items, lambda found: f"{len(found)} {kind}")
