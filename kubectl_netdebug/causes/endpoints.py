"""What stands behind a Service with a selector: matching Pods, their readiness, the controller that keeps the list."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import backends, live_pods
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.trouble import merely_starting
from kubectl_netdebug.model.command import Fix, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question

SELECTOR_MISMATCH = Cause(
    code="service-selector-mismatch",
    title="The selector matches no Pod",
    says="Selector {selector} of Service {service} matches no Pod; the nearest Pods carry {nearest}.",
    means="Nothing can receive this Service's traffic: every connection to it is refused.",
    symptom="Every connection to the Service is refused at once; its EndpointSlices are empty.",
    apart="With endpoints-not-ready, addresses are listed but not ready; a workload scaled to 0 has no Pods at all.",
    mend="Make the selector match the labels of the Pods.",
)


@explains(Hop.ENDPOINTS, SELECTOR_MISMATCH)
def selector_mismatch(look: Look, asked: Question) -> Finding | None:
    """The selector matches nothing, and no workload that it would match is merely scaled to zero."""
    service = look(asks.the_service(asked))
    if service is None or not service.selector or look(asks.pods_selected_by(service)):
        return None
    if _scaled_to_zero(look, asked, service.selector):
        return None
    nearest = nearest_labels(service.selector, look(asks.pods_in(asked.namespace)))
    selector = ",".join(f"{k}={v}" for k, v in sorted(service.selector.items()))
    return SELECTOR_MISMATCH.confirmed(
        at=service.field("spec.selector"),
        selector=selector,
        service=service.name,
        nearest=",".join(f"{k}={v}" for k, v in sorted(nearest.items())) if nearest else "nothing alike",
        saw=f"kubectl get pods -l {selector}: none",
        fix=_set_selector(service.namespace, service.name, nearest) if nearest else None,
    )


def nearest_labels(selector: Mapping[str, str], pods: tuple[Pod, ...]) -> dict[str, str]:
    """The values that the likeliest Pods carry for the selector's keys; empty where nothing is alike.

    Likeliest are those that agree in the most pairs, then those whose differing values look most alike.
    """

    def likeness(pod: Pod) -> tuple[int, float]:
        agree = sum(1 for k, v in selector.items() if pod.labels.get(k) == v)
        alike = sum(_alike(v, pod.labels[k]) for k, v in selector.items() if k in pod.labels)
        return agree, alike

    candidates = [pod for pod in live_pods(pods) if all(key in pod.labels for key in selector)]
    scored = [(likeness(pod), pod) for pod in candidates]
    good = [(score, pod) for score, pod in scored if score[0] or score[1] >= 0.5]
    if not good:
        return {}
    best = max(good, key=lambda item: item[0])[1]
    return {key: best.labels[key] for key in selector}


def _alike(first: str, second: str) -> float:
    return difflib.SequenceMatcher(None, first, second).ratio()


def _set_selector(namespace: str, service: str, wanted: Mapping[str, str]) -> Fix:
    pairs = ",".join(f"{k}={v}" for k, v in sorted(wanted.items()))
    return Fix("select those Pods", kubectl("set", "selector", "service", service, pairs, namespace=namespace))


SCALED_TO_ZERO = Cause(
    code="workload-scaled-to-zero",
    title="The workload behind the Service is scaled to 0",
    says="{workload}, which backs Service {service}, is scaled to 0.",
    means="There is no Pod to take the traffic: every connection to the Service is refused until it is scaled up.",
    symptom="Every connection to the Service is refused at once; there are no Pods.",
    apart="The selector does match the Pod template of the workload, so it is not a selector mismatch.",
    mend="Scale the workload up, unless it is idle on purpose (an autoscaler that wakes it, a night-time switch-off).",
    explains=("endpoints-not-ready",),
)


@explains(Hop.ENDPOINTS, SCALED_TO_ZERO)
def scaled_to_zero(look: Look, asked: Question) -> Finding | None:
    """A workload that the selector would match wants no Pods."""
    service = look(asks.the_service(asked))
    if service is None or not service.selector or live_pods(look(asks.pods_selected_by(service))):
        return None
    workload = _scaled_to_zero(look, asked, service.selector)
    if workload is None:
        return None
    scale = kubectl("scale", workload.short, "--replicas=1", namespace=workload.namespace)
    return SCALED_TO_ZERO.confirmed(
        at=workload.at("spec.replicas"),
        workload=f"{workload.kind} {workload.name}",
        service=service.name,
        saw=f"spec.replicas of {workload.kind} {workload.name}: 0",
        fix=Fix("scale it up", scale),
    )


def _scaled_to_zero(look: Look, asked: Question, selector: Mapping[str, str]) -> ObjectRef | None:
    """A Deployment or StatefulSet with 0 replicas whose Pods the selector would match."""
    for kind, resource in (("Deployment", "deployments.apps"), ("StatefulSet", "statefulsets.apps")):
        for workload in look.if_known(asks.objects_in(resource, asked.namespace)) or ():
            labels = tree.labels(workload, "spec", "template", "metadata", "labels")
            matches = all(labels.get(k) == v for k, v in selector.items())
            if matches and tree.number(workload, "spec", "replicas", default=1) == 0:
                return ObjectRef(kind, asked.namespace, tree.text(workload, "metadata", "name"))
    return None


ENDPOINTS_NOT_READY = Cause(
    code="endpoints-not-ready",
    title="Endpoints are listed and not ready",
    says="{ready} of {total} endpoints of Service {service} are ready{reason}.",
    means="Proxies send no traffic to endpoints that are not ready; with none ready, connections are refused.",
    symptom="Connections to the Service are refused although Pods exist.",
    apart="With a selector mismatch there are no addresses at all.",
    mend="Find out why the Pods are not Ready; the causes of the Pod family say so where it can be seen.",
    symptom_only=True,
)


@explains(Hop.ENDPOINTS, ENDPOINTS_NOT_READY)
def endpoints_not_ready(look: Look, asked: Question) -> Finding | None:
    """Addresses are there and not ready."""
    service, slices = look.together(asks.the_service(asked), asks.slices_of(asked))
    if service is None or not service.selector:
        return None
    everything = [b for b in backends(service, slices, asked) if not b.endpoint.terminating]
    unready = [b for b in everything if not b.endpoint.ready]
    if not unready:
        return None
    pods = [p for p in look(asks.pods_selected_by(service)) if p.name in {b.pod for b in unready}]
    if pods and all(merely_starting(pod, look(asks.now())) for pod in pods):
        return None
    reasons = sorted({f"{c.reason or c.type}" for p in pods if (c := p.conditions.get("Ready")) and c.status != "True"})
    return ENDPOINTS_NOT_READY.confirmed(
        at=service.at,
        ready=len(everything) - len(unready),
        total=len(everything),
        service=service.name,
        reason=f" ({', '.join(reasons)})" if reasons else "",
        effect=Effect.BREAKS if len(unready) == len(everything) else Effect.DEGRADES,
        fix=Fix(
            "see why the first one is not ready",
            kubectl("describe", "pod", unready[0].pod, namespace=asked.namespace),
        )
        if unready[0].pod
        else None,
    )
