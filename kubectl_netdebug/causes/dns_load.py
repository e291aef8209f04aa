"""A DNS server that is too small for its load."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.dns_state import cluster_dns
from kubectl_netdebug.causes.pod_schedule import quantity
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.trouble import ending, keeps_ending
from kubectl_netdebug.model.command import Fix, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When

SMALL_CPU = 0.1
"""Processors below which a limit throttles CoreDNS under ordinary load."""

SLOW_CPU = Cause(
    code="dns-slow-cpu",
    title="CoreDNS has too little processor time or memory",
    says="CoreDNS ({workload}) {what}.",
    means="All Pods are concerned: {costs}.",
    symptom="Lookups are slow or fail under load, for names of the cluster too; CoreDNS restarts or is throttled.",
    apart="With a slow server outside, names of the cluster are quick.",
    mend="Raise its limits, or run more replicas.",
    explains=("dns-pods-down",),
)


@explains(Hop.DNS_SERVICE, SLOW_CPU, When.ALWAYS)
def dns_out_of_memory(look: Look, asked: Question) -> Finding | None:
    """The kernel killed it for its memory limit, more than once or a moment ago."""
    dns = cluster_dns(look, asked)
    if dns is None or dns.workload is None:
        return None
    now = look(asks.now())
    hits = [
        (pod, c)
        for pod in dns.pods
        for c in pod.containers
        if (end := ending(c)) and end.reason == "OOMKilled" and keeps_ending(c, now)
    ]
    if not hits:
        return None
    pod, container = hits[0]
    limit = tree.text(dns.workload.container, "resources", "limits", "memory")
    wanted = f"{int(max(4 * (quantity(limit) or 0), 170 * 2**20) / 2**20)}Mi"
    ref = dns.workload.ref
    command = kubectl(
        *("set", "resources", ref.short, "-c", container.name, f"--limits=memory={wanted}"), namespace=ref.namespace
    )
    return SLOW_CPU.confirmed(
        at=ref.at("spec.template.spec.containers[0].resources.limits.memory"),
        workload=f"{ref.kind} {ref.namespace}/{ref.name}",
        what=f"is killed for want of memory (limit {limit or 'none of its own'}, {container.restarts} restarts)",
        costs="at each kill, the questions that it had are lost",
        saw=f"{pod.name}: last state OOMKilled, {container.restarts} restarts",
        effect=dns.effect,
        fix=Fix(f"raise the memory limit to {wanted}", command),
    )


@explains(Hop.DNS_SPEED, SLOW_CPU)
def dns_slow_cpu(look: Look, asked: Question) -> Finding | None:
    """Names that it answers by itself come late, and its processor limit is tiny."""
    dns = cluster_dns(look, asked)
    if dns is None or dns.workload is None:
        return None
    limit = tree.text(dns.workload.container, "resources", "limits", "cpu")
    size = quantity(limit)
    if not size or size >= SMALL_CPU:
        return None
    ref = dns.workload.ref
    name = dns.workload.container_name
    command = kubectl("set", "resources", ref.short, "-c", name, "--limits=cpu=1", namespace=ref.namespace)
    return SLOW_CPU.likely(
        at=ref.at("spec.template.spec.containers[0].resources.limits.cpu"),
        workload=f"{ref.kind} {ref.namespace}/{ref.name}",
        what=f"may use {limit} of a processor, and answers late",
        costs="questions wait while it is throttled, and some are lost",
        saw=f"limits.cpu is {limit}; names that it answers by itself come late or not at all",
        effect=Effect.DEGRADES,
        fix=Fix("give it a whole processor", command),
    )
