"""NetworkPolicies between a client and the cluster's DNS or its API server."""

from __future__ import annotations

from kubectl_netdebug.causes.policy_fix import free_name, more_ports, new_policy, policy_body, rule_for, selector
from kubectl_netdebug.causes.policy_found import all_policies, found, on_mistake, similar
from kubectl_netdebug.causes.policy_judge import Judged, judged
from kubectl_netdebug.causes.policy_near import DNS_PORTS, Mistake, Reading
from kubectl_netdebug.model.command import Fix, apply
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.policy import Direction
from kubectl_netdebug.model.question import Question

UNANSWERED = (
    *("backend-partly-dead", "dns-pods-down", "dns-udp-dropped", "dns-tcp-blocked", "dns-one-replica-broken"),
    "service-name-unresolved",
)

DNS_EGRESS = Cause(
    code="np-dns-egress-blocked",
    title="A NetworkPolicy keeps the client from asking for names",
    says="{client} is isolated for egress by {policies}, and no rule admits {where} to the cluster's DNS ({server}).",
    means="Every lookup ends in a timeout, so the client reaches nothing by name, whatever else it may connect to.",
    symptom="Names time out, and addresses work.",
    apart="Other Pods resolve the same names; with DNS down none does.",
    mend="Admit UDP and TCP 53 to the DNS Pods for every Pod that the policy isolates.",
    explains=UNANSWERED,
)


@on_mistake(DNS_EGRESS, Mistake.DNS_EGRESS, Direction.EGRESS)
def dns_egress_blocked(look: Look, asked: Question, reading: Reading) -> Finding | None:
    """Neither protocol of DNS is admitted."""
    return found(look, asked, DNS_EGRESS, reading, fixes=(_admit_dns(look, asked, reading),), field="spec.egress")


def _admit_dns(look: Look, asked: Question, reading: Reading) -> Fix:
    """A policy for all Pods that the isolating one selects: each of them needs names."""
    lookups = _denied_lookups(look, asked, Direction.EGRESS)
    isolating = reading.judged.decision.isolating[0]
    name = free_name("allow-dns", isolating.namespace, all_policies(look, asked, Direction.EGRESS))
    pods = selector(isolating.selector.requirements)
    body = policy_body(isolating.namespace, name, pods, Direction.EGRESS, [rule_for(lookups or (reading.judged,))])
    return Fix("let these Pods ask for names", apply(body))


DNS_UDP_ONLY = Cause(
    code="np-dns-udp-only",
    title="A NetworkPolicy admits DNS over UDP alone",
    says="{client} may ask {server} over UDP by {policies}, and no rule admits {where}.",
    means="Answers that do not fit into a UDP packet are asked for again over TCP, and that times out.",
    symptom="Most names resolve; those with long answers hang.",
    apart="The same question is answered over UDP, truncated.",
    mend="Admit port 53 over TCP beside UDP.",
    explains=("dns-tcp-blocked",),
)


@on_mistake(DNS_UDP_ONLY, Mistake.DNS_UDP_ONLY, Direction.EGRESS)
def dns_udp_only(look: Look, asked: Question, reading: Reading) -> Finding | None:
    """UDP is admitted, TCP is not."""
    talk = reading.judged.talk
    over_udp = next(
        (
            j.decision.admitted_by
            for j in judged(look, asked, Direction.EGRESS)
            if j.talk.port in DNS_PORTS and j.talk.protocol == "UDP" and j.decision.admitted_by
        ),
        None,
    )
    if over_udp is not None and over_udp[1].ports:
        fix = more_ports(*over_udp, Direction.EGRESS, [{"protocol": "TCP", "port": talk.port}])
    else:
        fix = new_policy(similar(look, asked, reading), all_policies(look, asked, Direction.EGRESS))
    return found(look, asked, DNS_UDP_ONLY, reading, fixes=(fix,))


DNS_INGRESS = Cause(
    code="np-coredns-ingress",
    title="A NetworkPolicy isolates the cluster's DNS",
    says="{server} is isolated by {policies}, and no rule admits {client} on {where}.",
    means="Clients that no rule admits cannot resolve any name, so nearly everything in their namespaces fails.",
    symptom="DNS times out for all namespaces or for some, while its Pods are well.",
    apart="The node of a DNS Pod still reaches it, since nodes are exempt; with DNS down nobody does.",
    mend="Admit port 53 over UDP and TCP from all namespaces.",
    explains=UNANSWERED,
)


@on_mistake(DNS_INGRESS, Mistake.DNS_INGRESS, Direction.INGRESS)
def coredns_ingress(look: Look, asked: Question, reading: Reading) -> Finding | None:
    """The Pods of the cluster's DNS are isolated, and the client is not admitted."""
    isolating = reading.judged.decision.isolating[0]
    lookups = _denied_lookups(look, asked, Direction.INGRESS) or (reading.judged,)
    rule = {**rule_for(lookups), "from": [{"namespaceSelector": {}}]}
    name = free_name("allow-dns-from-everywhere", isolating.namespace, all_policies(look, asked, Direction.INGRESS))
    pods = selector(isolating.selector.requirements)
    labels = (reading.judged.decision.subject.labels or {}).get("k8s-app")
    if labels:
        pods = {**pods, "matchLabels": {**pods.get("matchLabels", {}), "k8s-app": labels}}
    body = policy_body(isolating.namespace, name, pods, Direction.INGRESS, [rule])
    fix = Fix("let every namespace ask for names", apply(body))
    return found(look, asked, DNS_INGRESS, reading, fixes=(fix,), field="spec.ingress")


API_EGRESS = Cause(
    code="np-api-egress",
    title="A NetworkPolicy keeps the client from the API server",
    says="{client} is isolated for egress by {policies}, and no rule admits the API server at {real}.",
    means="The address of Service default/kubernetes is replaced by {real} before policies look at it, so a rule has "
    "to admit that.",
    symptom="Controllers and operators time out at the API server; other Pods reach it.",
    apart="A Pod that no policy selects reaches it from the same node.",
    mend="Admit the addresses and the port of the API server by ipBlock; no selector recognises it.",
)


@on_mistake(API_EGRESS, Mistake.API_EGRESS, Direction.EGRESS)
def api_egress(look: Look, asked: Question, reading: Reading) -> Finding | None:
    """The API server's own addresses are not admitted."""
    fix = new_policy(similar(look, asked, reading), all_policies(look, asked, Direction.EGRESS))
    talk = reading.judged.talk
    return found(look, asked, API_EGRESS, reading, fixes=(fix,), real=f"{talk.server.address}:{talk.port}")


def _denied_lookups(look: Look, asked: Question, direction: Direction) -> tuple[Judged, ...]:
    """The client's name lookups that one direction denies."""
    return tuple(j for j in judged(look, asked, direction) if j.denied and j.talk.port in DNS_PORTS)
