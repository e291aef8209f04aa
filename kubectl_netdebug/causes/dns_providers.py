"""More than one kind of DNS server behind the DNS Service."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.dns_state import ClusterDns, cluster_dns
from kubectl_netdebug.causes.dns_tried import replicas_tried
from kubectl_netdebug.causes.owners import owner_of
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When

TWO_PROVIDERS = Cause(
    code="dns-two-providers",
    title="Two different DNS servers stand behind one Service",
    says="Service {service} leads to Pods of {first} and of {second}, which answer differently.",
    means="The same question gets one answer now and another a moment later, as chance sends it.",
    symptom="Names resolve every other time; repeating the lookup helps.",
    apart="A replica that is merely unreachable does not answer at all; here both answer, and disagree.",
    mend="Keep one of them: scale the other to 0, or take its Pods out of the selector.",
)


@explains(Hop.CLUSTER_NAMES, TWO_PROVIDERS, When.ALWAYS)
def dns_two_providers(look: Look, asked: Question) -> Finding | None:
    """Replicas of two workloads, and their answers to one question disagree."""
    dns = cluster_dns(look, asked)
    if dns is None or dns.service is None or dns.workload is None:
        return None
    own = {pod.name for pod in dns.pods}
    if all(r.pod in own for r in dns.serving):
        return None
    answers = {
        t.replica.pod: next((a.words for a in t.udp if a.answered), "")
        for t in replicas_tried(look, asked)
        if t.replica
    }
    ours = {answers[name] for name in answers if name in own and answers[name]}
    strange = [name for name in answers if name not in own and answers[name] and answers[name] not in ours]
    if not ours or not strange:
        return None
    return _tell_two(look, dns, strange, answers)


def _tell_two(look: Look, dns: ClusterDns, strange: list[str], answers: dict[str, str]) -> Finding | None:
    if dns.service is None or dns.workload is None:
        return None
    pods = {pod.name: pod for pod in look(asks.pods_selected_by(dns.service))}
    if strange[0] not in pods:
        return None
    refs = {pod.name: owner_of(look, pod) for pod in pods.values()}
    good = next((name for name, said in answers.items() if said[:1].isdigit()), "")
    first, second = dns.workload.ref, refs[strange[0]]
    bad = second if good not in strange else first
    return TWO_PROVIDERS.confirmed(
        at=bad,
        service=f"{dns.service.namespace}/{dns.service.name}",
        first=f"{first.kind} {first.name}",
        second=f"{second.kind} {second.name}",
        saw=tuple(f"{name} says: {said}" for name, said in sorted(answers.items()) if said),
        effect=Effect.DEGRADES,
        fix=Fix(
            f"keep the other: stop {bad.name}", kubectl("scale", bad.short, "--replicas=0", namespace=bad.namespace)
        ),
    )
