"""The path to a Service: does it exist, does anything stand behind it, and does that answer?"""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.alias_path import alias_asked
from kubectl_netdebug.causes.backends import (
    Backend,
    backends,
    in_use,
    live_pods,
    ports_asked,
)
from kubectl_netdebug.causes.catalogue import explanations
from kubectl_netdebug.causes.trouble import merely_starting
from kubectl_netdebug.flows import alias, reach
from kubectl_netdebug.flows.entry import entry
from kubectl_netdebug.flows.node_steps import node_steps
from kubectl_netdebug.flows.policy import POLICIES, policy_steps
from kubectl_netdebug.flows.protocol import protocol
from kubectl_netdebug.flows.size import size_step
from kubectl_netdebug.flows.source import SOURCE_STEP
from kubectl_netdebug.model.hop import Hop, Outcome, failed, passed, skipped, unknown, warned
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import Flow, Step

ASK_AGAIN = "all of them started less than a minute ago; ask again when they had time"


def service_flow() -> Flow:
    """The steps of `kubectl netdebug service`."""
    before_probes = (Hop.SOURCE, Hop.SERVICE, Hop.ENDPOINTS, Hop.POD)
    return Flow(
        steps=(
            SOURCE_STEP,
            Step(Hop.SERVICE, "Service", service_there),
            Step(Hop.NAME, "name", alias.name, after=(Hop.SERVICE,)),
            Step(Hop.ENDPOINTS, "endpoints", endpoints, after=(Hop.SERVICE,)),
            Step(Hop.POD, "Pods", pods, after=(Hop.SERVICE, Hop.ENDPOINTS), follow_failures=True, essential=False),
            Step(
                Hop.SOCKET, "listening socket", reach.socket, after=before_probes, follow_failures=True, essential=False
            ),
            *policy_steps(before_probes),
            Step(Hop.BACKENDS, "each Pod directly", reach.each_backend, after=before_probes, follow_failures=True),
            Step(Hop.ADDRESS, "Service address", _address, after=(*before_probes, Hop.NAME, Hop.BACKENDS)),
            *node_steps((*before_probes, Hop.NAME, *POLICIES, Hop.BACKENDS, Hop.ADDRESS)),
            size_step((*before_probes, Hop.BACKENDS, Hop.ADDRESS)),
            Step(Hop.ENTRY, "way in from outside", entry, after=(Hop.SERVICE, Hop.ENDPOINTS), essential=False),
            Step(
                Hop.PROTOCOL, "protocol", protocol, after=(*before_probes, Hop.BACKENDS, Hop.ADDRESS), essential=False
            ),
        ),
        explanations=explanations(),
    )


def service_there(look: Look, asked: Question) -> Outcome:
    look.foresee(asks.the_service(asked), asks.slices_of(asked), asks.policies_in(asked.namespace))
    service = look(asks.the_service(asked))
    if service is None:
        return failed(f"there is no Service {asked.service} in namespace {asked.namespace}")
    if asked.port and not ports_asked(service, asked):
        declared = ", ".join(map(str, service.ports)) or "none"
        return failed(f"port {asked.port} is not declared (declared: {declared})")
    return passed(service.describe())


def _address(look: Look, asked: Question) -> Outcome:
    """The Service's own address, or that to which its name leads."""
    return alias.target(look, asked) if alias_asked(look, asked) else reach.address(look, asked)


def endpoints(look: Look, asked: Question) -> Outcome:
    service, slices = look.together(asks.the_service(asked), asks.slices_of(asked))
    if service is None or service.is_alias:
        return skipped("an alias has no endpoints")
    everything = backends(service, slices, asked)
    if not everything:
        return failed("no endpoints", (0, 0))
    total = len({(b.address, b.service_port.index) for b in everything})
    ready = len({(b.address, b.service_port.index) for b in everything if b.endpoint.ready})
    counts = (ready, total)
    waiting = [b for b in everything if not b.endpoint.ready and not b.endpoint.terminating]
    starting = bool(waiting) and all(_starting(look, asked, b) for b in waiting)
    if not in_use(everything):
        return unknown(f"0 of {total} ready: {ASK_AGAIN}") if starting else failed(f"0 of {total} ready", counts)
    silent_ports = [p for p in ports_asked(service, asked) if not any(b.service_port == p for b in in_use(everything))]
    if silent_ports:
        return warned(f"no endpoint for port {', '.join(map(str, silent_ports))}", counts)
    if waiting and not starting:
        return warned(f"{ready} of {total} ready", counts)
    return passed(f"{ready} of {total} ready", counts)


def _starting(look: Look, asked: Question, backend: Backend) -> bool:
    """Behind it is a Pod that may still be on its way to Ready."""
    if not backend.pod:
        return False
    pod = look.if_known(asks.pod_named(asked.namespace, backend.pod))
    return pod is not None and merely_starting(pod, look(asks.now()))


def _runs(pod: Pod) -> bool:
    return bool(pod.containers) and all(container.state == "running" for container in pod.containers)


def pods(look: Look, asked: Question) -> Outcome:
    service = look(asks.the_service(asked))
    if service is None or not service.selector:
        return skipped("no selector: endpoints are made by hand")
    pods = live_pods(look(asks.pods_selected_by(service)))
    if not pods:
        return skipped("no Pods")
    if service.publish_not_ready and all(_runs(pod) for pod in pods):
        return passed(f"{len(pods)} running; this Service does not ask for readiness", (len(pods), len(pods)))
    ready = [pod for pod in pods if pod.ready]
    counts = (len(ready), len(pods))
    if len(ready) == len(pods):
        return passed(f"{len(pods)} of {len(pods)} ready", counts)
    saw = f"{len(ready)} of {len(pods)} ready"
    young = all(merely_starting(pod, look(asks.now())) for pod in pods if not pod.ready)
    if ready:
        return passed(f"{saw}, the rest starting", counts) if young else warned(saw, counts)
    return unknown(f"{saw}: {ASK_AGAIN}") if young else failed(saw, counts)
