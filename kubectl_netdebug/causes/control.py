"""The controller that keeps EndpointSlices: what it should have written long ago and has not."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.objects.slices import Endpoint, EndpointSlice
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When

SLACK = 30.0
"""Seconds that the controller may take; it needs one or two."""

STALLED = Cause(
    code="slice-controller-stalled",
    title="EndpointSlices are no longer kept up to date",
    says="EndpointSlices of Service {service} are not updated: {proof}. kube-controller-manager does not do its work"
    "{since}.",
    means="New Pods get no traffic and Pods that are gone still do; this holds for every Service of the cluster.",
    symptom="Rollouts and scaling have no effect on traffic; connections go to addresses that no longer exist.",
    apart="The selector does match the Pods, and they are Ready since long.",
    mend="Restart kube-controller-manager on the control plane and see in its log why it stopped.",
    explains=("endpoints-not-ready", "backend-partly-dead", "service-selector-mismatch"),
)

LEASE = ObjectRef("Lease", "kube-system", "kube-controller-manager", "spec.renewTime")


@explains(Hop.ENDPOINTS, STALLED, When.ALWAYS)
def slice_controller_stalled(look: Look, asked: Question) -> Finding | None:
    """Pods and slices have disagreed for longer than the controller ever needs; read again, they still do."""
    service, slices = look.together(asks.the_service(asked), asks.slices_of(asked))
    if service is None or not service.selector or any(not s.by_controller for s in slices):
        return None
    pods = look(asks.pods_selected_by(service))
    moment = look(asks.now())
    if len(pods) >= 500 or not (_overlooked(service, pods, slices, moment) or _ghosts(pods, slices)):
        return None
    slices = look(asks.slices_read_again(asked))
    service_age = _age(look, service, moment)
    overlooked = _overlooked(service, pods, slices, moment) if service_age > SLACK else []
    gone = [e for e in _ghosts(pods, slices) if _long_gone(look, asked, e, moment)]
    if not overlooked and not gone:
        return None
    at, since, leads = _controller(look, moment, slices)
    found = STALLED.likely if leads else STALLED.confirmed
    return found(
        at=at,
        service=service.name,
        proof=overlooked[0] if overlooked else f"{gone[0].target_name} is gone and still listed",
        since=since,
        saw=(*overlooked[:2], *(f"Pod {e.target_name} is gone and {e.address} is still listed" for e in gone[:2])),
        effect=Effect.DEGRADES if any(e.ready for s in slices for e in s.endpoints if e not in gone) else Effect.BREAKS,
        fix=Fix(
            "see whether it still leads",
            kubectl("get", "lease", "kube-controller-manager", "-o", "yaml", namespace="kube-system"),
            Risk.READ_ONLY,
            not_pasteable="the process has to be restarted on the control plane, which the API cannot do",
        ),
    )


def _overlooked(
    service: Service, pods: Iterable[Pod], slices: tuple[EndpointSlice, ...], moment: datetime
) -> list[str]:
    """Pods whose readiness changed long ago and stands otherwise, or not at all, in the slices."""
    listed = {e.target_name: e for s in slices for e in s.endpoints}
    found = []
    for pod in pods:
        ready = pod.conditions.get("Ready")
        if pod.finished or pod.deleting or not pod.ip or ready is None or ready.since is None:
            continue
        seconds = (moment - ready.since).total_seconds()
        if seconds <= SLACK:
            continue
        endpoint = listed.get(pod.name)
        if endpoint is None and pod.ready:
            found.append(f"Pod {pod.name} is Ready for {seconds:.0f} s and not listed")
        elif endpoint is not None and endpoint.ready != pod.ready and not service.publish_not_ready:
            words = ("Ready", "not ready") if pod.ready else ("not Ready", "ready")
            found.append(f"Pod {pod.name} is {words[0]} for {seconds:.0f} s and listed as {words[1]}")
    return found


def _ghosts(pods: tuple[Pod, ...], slices: tuple[EndpointSlice, ...]) -> list[Endpoint]:
    names = {pod.name for pod in pods}
    return [e for s in slices for e in s.endpoints if e.target_kind == "Pod" and e.target_name not in names]


def _long_gone(look: Look, asked: Question, endpoint: Endpoint, moment: datetime) -> bool:
    """The Pod does not exist, and its containers were told to end longer ago than its grace and the controller take."""
    if look(asks.pod_named(asked.namespace, endpoint.target_name)) is not None:
        return False
    events = look.if_known(asks.events_about("Pod", asked.namespace, endpoint.target_name)) or ()
    ended = [e.last for e in events if e.reason == "Killing" and e.last]
    return bool(ended) and (moment - max(ended)).total_seconds() > SLACK


def _age(look: Look, service: Service, moment: datetime) -> float:
    raw = look(asks.raw_object("services", service.namespace, service.name))
    created = tree.when(raw, "metadata", "creationTimestamp")
    return (moment - created).total_seconds() if created else 0.0


def _controller(look: Look, moment: datetime, slices: tuple[EndpointSlice, ...]) -> tuple[ObjectRef, str, bool]:
    """What stands for the controller: its lease, its Pod on the control plane, else what it should have written.

    With it a word on its lease, and whether that says that it still leads.
    """
    lease = look.if_known(asks.raw_object("leases.coordination.k8s.io", LEASE.namespace, LEASE.name))
    renewed = tree.when(lease, "spec", "renewTime")
    if renewed:
        seconds = (moment - renewed).total_seconds()
        leads = seconds <= SLACK
        return LEASE, "" if leads else f" (its lease was renewed {seconds:.0f} s ago)", leads
    for pod in look.if_known(asks.pods_in("kube-system")) or ():
        if pod.name.startswith("kube-controller-manager-"):
            return pod.at, "", False
    return (slices[0].at if slices else LEASE), "", False
