"""The path to a Service: does it exist, does anything stand behind it, and does that answer?"""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import (
    MOST_BACKENDS,
    Backend,
    attempts_at,
    backends,
    backends_asked,
    client_pod,
    in_use,
    live_pods,
    ports_asked,
)
from kubectl_netdebug.causes.catalogue import explanations
from kubectl_netdebug.model.hop import Hop, Outcome, failed, passed, skipped, unknown, warned
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question, SourceKind
from kubectl_netdebug.model.step import Flow, Step
from kubectl_netdebug.net.outcome import Attempt, tally
from kubectl_netdebug.net.outcome import Outcome as End

STARTING = 60.0
"""Seconds in which a young Pod may be not ready without anybody worrying."""

TRIES = 3
"""Connects to a virtual address: enough to see that some backends answer and others do not."""


def service_flow() -> Flow:
    """The steps of `kubectl netdebug service`."""
    before_probes = (Hop.SOURCE, Hop.SERVICE, Hop.ENDPOINTS, Hop.POD)
    return Flow(
        steps=(
            Step(Hop.SOURCE, "source Pod", _source),
            Step(Hop.SERVICE, "Service", _service),
            Step(Hop.ENDPOINTS, "endpoints", _endpoints, after=(Hop.SERVICE,)),
            Step(Hop.POD, "Pods", _pods, after=(Hop.SERVICE, Hop.ENDPOINTS), follow_failures=True, essential=False),
            Step(Hop.SOCKET, "listening socket", _socket, after=before_probes, follow_failures=True, essential=False),
            Step(Hop.BACKENDS, "each Pod directly", _each_backend, after=before_probes, follow_failures=True),
            Step(Hop.ADDRESS, "Service address", _address, after=(*before_probes, Hop.BACKENDS)),
        ),
        explanations=explanations(),
    )


def _source(look: Look, asked: Question) -> Outcome:
    if asked.source.kind is SourceKind.ANY:
        return skipped("any client")
    pod = client_pod(look, asked)
    return passed(f"{pod.name} on {pod.node}")


def _service(look: Look, asked: Question) -> Outcome:
    look.foresee(asks.the_service(asked), asks.slices_of(asked))
    service = look(asks.the_service(asked))
    if service is None:
        return failed(f"there is no Service {asked.service} in namespace {asked.namespace}")
    if asked.port and not ports_asked(service, asked):
        declared = ", ".join(map(str, service.ports)) or "none"
        return failed(f"port {asked.port} is not declared (declared: {declared})")
    return passed(service.describe())


def _endpoints(look: Look, asked: Question) -> Outcome:
    service, slices = look.together(asks.the_service(asked), asks.slices_of(asked))
    if service is None or service.is_alias:
        return skipped("an alias has no endpoints")
    everything = backends(service, slices, asked)
    if not everything:
        return failed("no endpoints", (0, 0))
    total = len({(b.address, b.service_port.index) for b in everything})
    ready = len({(b.address, b.service_port.index) for b in everything if b.endpoint.ready})
    counts = (ready, total)
    if not in_use(everything):
        return failed(f"0 of {total} ready", counts)
    silent_ports = [p for p in ports_asked(service, asked) if not any(b.service_port == p for b in in_use(everything))]
    if silent_ports:
        return warned(f"no endpoint for port {', '.join(map(str, silent_ports))}", counts)
    waiting = [b for b in everything if not b.endpoint.ready and not b.endpoint.terminating]
    if waiting and not all(_starting(look, asked, b) for b in waiting):
        return warned(f"{ready} of {total} ready", counts)
    return passed(f"{ready} of {total} ready", counts)


def _starting(look: Look, asked: Question, backend: Backend) -> bool:
    """A Pod so young that it may still be on its way to Ready."""
    if not backend.pod:
        return False
    pod = look.if_known(asks.pod_named(asked.namespace, backend.pod))
    return pod is not None and pod.age(look(asks.now())) < STARTING


def _pods(look: Look, asked: Question) -> Outcome:
    service = look(asks.the_service(asked))
    if service is None or not service.selector:
        return skipped("no selector: endpoints are made by hand")
    pods = live_pods(look(asks.pods_selected_by(service)))
    if not pods:
        return skipped("no Pods")
    ready = [pod for pod in pods if pod.ready]
    counts = (len(ready), len(pods))
    if len(ready) == len(pods):
        return passed(f"{len(pods)} of {len(pods)} ready", counts)
    saw = f"{len(ready)} of {len(pods)} ready"
    young = all(pod.age(look(asks.now())) < STARTING for pod in pods if not pod.ready)
    if ready:
        return passed(f"{saw}, the rest starting", counts) if young else warned(saw, counts)
    return failed(saw, counts)


def _attempts(look: Look, asked: Question) -> tuple[tuple[Backend, Attempt], ...]:
    """A connect to every backend in use, or to all of them where none is ready (why not is the question then)."""
    everything = backends_asked(look, asked)
    return attempts_at(look, client_pod(look, asked), in_use(everything) or everything)


def _socket(look: Look, asked: Question) -> Outcome:
    attempts = _attempts(look, asked)
    if not attempts:
        return skipped("no backend")
    if any(attempt.outcome.connected for _, attempt in attempts):
        return passed("accepts connections")
    refused = [backend for backend, attempt in attempts if attempt.outcome is End.REFUSED and backend.pod]
    if not refused:
        return skipped("not judged: no backend answers at all")
    pod = look(asks.pod_named(asked.namespace, refused[0].pod))
    if pod is None:
        return skipped(f"Pod {refused[0].pod} is gone")
    wanted = refused[0]
    listening = look(asks.sockets_of(pod))
    if any(s.port == wanted.port and s.protocol == wanted.protocol and s.reachable_at(pod.ip) for s in listening):
        return passed(f"{pod.name} listens on {wanted.port}/{wanted.protocol}")
    seen = ", ".join(map(str, listening[:4])) or "nothing"
    return failed(f"nothing listens on {wanted.port}/{wanted.protocol} for the Pod's address; listening: {seen}")


def _each_backend(look: Look, asked: Question) -> Outcome:
    attempts = _attempts(look, asked)
    if not attempts:
        return skipped("no backend")
    return _judge([attempt for _, attempt in attempts], len(backends_asked(look, asked)))


def _judge(attempts: list[Attempt], total: int) -> Outcome:
    good = [a for a in attempts if a.outcome.connected]
    silent = [a for a in attempts if a.outcome is End.SILENT]
    counts = (len(good), len(attempts))
    sampled = f" (the first {MOST_BACKENDS} of {total})" if total > MOST_BACKENDS else ""
    if len(good) + len(silent) == len(attempts):
        if not good:
            return unknown("UDP: sent, nothing came back, which a healthy server may do")
        slowest = max(a.milliseconds for a in good)
        return passed(f"{len(good)} of {len(attempts)} connected, {slowest:.0f} ms at most{sampled}", counts)
    saw = tally(attempts) + sampled
    return warned(saw, counts) if good else failed(saw, counts)


def _address(look: Look, asked: Question) -> Outcome:
    service = look(asks.the_service(asked))
    if service is None or not service.address:
        return skipped("no address of its own: clients use the endpoints directly")
    client = client_pod(look, asked)
    tried = look.all(
        [
            asks.connect(client, service.address, port.port, port.protocol, attempt)
            for port in ports_asked(service, asked)
            for attempt in range(TRIES)
        ]
    )
    judged = _judge(list(tried), len(tried))
    return judged
