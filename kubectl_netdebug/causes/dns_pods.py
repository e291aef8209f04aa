"""The Pods of the cluster's DNS: none wanted, none ready."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.dns_state import ClusterDns, cluster_dns, restart
from kubectl_netdebug.causes.registry import explains, registered
from kubectl_netdebug.causes.trouble import merely_starting
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Confidence, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look, Unestablished
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.net.text import sanitise

SCALED_ZERO = Cause(
    code="dns-scaled-zero",
    title="The cluster's DNS is scaled to 0",
    says="{kind} {workload} of the cluster's DNS wants 0 replicas.",
    means="No Pod of the cluster resolves any name until it is scaled up again.",
    symptom="Every lookup in every Pod is refused at once, or ends after some seconds without an answer.",
    apart="Pods that crash are there and not Ready; here there are none, and none are wanted.",
    mend="Scale it up; where an autoscaler did this, see why.",
    explains=("dns-pods-down", "dns-service-no-endpoints"),
)


@explains(Hop.DNS_SERVICE, SCALED_ZERO)
def dns_scaled_zero(look: Look, asked: Question) -> Finding | None:
    """The workload is told to run nothing."""
    dns = cluster_dns(look, asked)
    if dns is None or dns.workload is None or dns.serving or dns.workload.ref.kind != "Deployment":
        return None
    ref = dns.workload.ref
    if dns.workload.replicas != 0:
        return None
    return SCALED_ZERO.confirmed(
        at=ref.at("spec.replicas"),
        kind=ref.kind,
        workload=f"{ref.namespace}/{ref.name}",
        saw=f"{ref.short}: spec.replicas is 0",
        fix=Fix("run two replicas", kubectl("scale", ref.short, "--replicas=2", namespace=ref.namespace)),
    )


PODS_DOWN = Cause(
    code="dns-pods-down",
    title="Pods of the cluster's DNS are not ready",
    says="{share} of the cluster's DNS ({workload}): {reason}",
    means="In the whole cluster, {costs}.",
    symptom="Lookups are refused or time out in all Pods; where some replicas are left, these carry the load.",
    apart="With a broken path the Pods are Ready and the API says that all is well.",
    mend="Mend what keeps the Pods down.",
    explains=("dns-service-no-endpoints",),
)


@explains(Hop.DNS_SERVICE, PODS_DOWN)
def dns_pods_down(look: Look, asked: Question) -> Finding | None:
    """Pods that should serve and do not, with the reason as the causes of Pods in general find it."""
    dns = cluster_dns(look, asked)
    if dns is None or dns.workload is None or dns.workload.replicas == 0:
        return None
    now = look(asks.now())
    ready = [pod for pod in dns.pods if pod.ready]
    down = [pod for pod in dns.pods if not pod.ready and not (ready and merely_starting(pod, now))]
    if len(ready) >= dns.workload.replicas or (dns.pods and not down):
        return None
    deeper = _deeper(look, asked, dns)
    ref = dns.workload.ref
    return PODS_DOWN.confirmed(
        at=deeper.at if deeper else ref,
        workload=f"{ref.kind} {ref.namespace}/{ref.name}",
        share=f"{len(ready)} of {dns.workload.replicas} Pods are Ready" if ready else "No Pod is Ready",
        reason=deeper.summary if deeper else f"{reason_of(down[0]) if down else 'its Pods are not created'}.",
        costs=("the replicas that are left carry all the load" if ready else "no Pod resolves any name"),
        saw=tuple(f"{pod.name}: {reason_of(pod)}" for pod in down[:3]),
        effect=dns.effect,
        fixes=(*(deeper.fixes if deeper else ()), Fix("restart them", restart(dns.workload), Risk.REVERSIBLE)),
    )


def reason_of(pod: Pod) -> str:
    """Why it is not Ready, in kubelet's words."""
    for container in (*pod.init_containers, *pod.containers):
        if container.reason and not container.ready:
            return f"{container.reason}: {sanitise(container.message, 120)}".rstrip(": ")
    for kind in ("PodScheduled", "Ready", "ContainersReady"):
        condition = pod.conditions.get(kind)
        if condition and condition.status != "True" and (condition.message or condition.reason):
            return sanitise(condition.message or condition.reason, 160)
    return pod.phase or "not started"


def _deeper(look: Look, asked: Question, dns: ClusterDns) -> Finding | None:
    """What the causes of Pods in general say when they are asked about the DNS Service."""
    if dns.service is None:
        return None
    about = replace(asked, flow=FlowName.SERVICE, namespace=dns.service.namespace, service=dns.service.name, host="")
    found = [
        f for f in _findings(look, about) if f.confidence is not Confidence.POSSIBLE and f.effect is not Effect.NOTE
    ]
    codes = {code for f in found for code in f.cause.explains}
    return next((f for f in found if f.code not in codes and not f.cause.symptom_only), None)


def _findings(look: Look, about: Question) -> Iterator[Finding]:
    for each in registered():
        if each.hop is Hop.POD:
            try:
                finding = each.find(look, about)
            except Unestablished:
                continue
            if finding is not None:
                yield finding
