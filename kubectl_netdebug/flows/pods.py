"""A Pod and another Pod, directly: does it run, does it listen, does it accept, does it answer?"""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_pod, pod_ports
from kubectl_netdebug.causes.catalogue import explanations
from kubectl_netdebug.causes.pods_speed import speed_of_pod
from kubectl_netdebug.causes.reach import tried
from kubectl_netdebug.causes.talk import path_at
from kubectl_netdebug.causes.trouble import merely_starting
from kubectl_netdebug.flows import reach
from kubectl_netdebug.flows.node_steps import node_steps
from kubectl_netdebug.flows.policy import POLICIES, policy_steps
from kubectl_netdebug.flows.size import size_step
from kubectl_netdebug.flows.source import SOURCE_STEP
from kubectl_netdebug.model.hop import Hop, Outcome, failed, passed, skipped, unknown, warned
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import Flow, Step


def pod_to_pod_flow() -> Flow:
    """The steps in the order of the path."""
    before = (Hop.SOURCE, Hop.POD)
    return Flow(
        steps=(
            SOURCE_STEP,
            Step(Hop.POD, "Pod", _pod, after=()),
            Step(Hop.SOCKET, "listening socket", reach.socket, after=before, follow_failures=True, essential=False),
            *policy_steps(before),
            Step(Hop.BACKENDS, "the Pod directly", reach.each_backend, after=before, follow_failures=True),
            *node_steps((*before, *POLICIES, Hop.BACKENDS)),
            size_step((*before, Hop.BACKENDS)),
            Step(Hop.PROTOCOL, "protocol", _protocol, after=(*before, Hop.BACKENDS), essential=False),
            Step(Hop.SPEED, "speed", _speed, after=(*before, Hop.BACKENDS), essential=False),
        ),
        explanations=explanations(),
    )


def _pod(look: Look, asked: Question) -> Outcome:
    """Readiness is told and not judged: who connects to a Pod itself is not kept away by it."""
    pod = look(asks.pod_named(asked.namespace, asked.pod))
    if pod is None:
        return failed(f"there is no Pod {asked.pod} in namespace {asked.namespace}")
    if pod.finished:
        return failed(f"it has ended ({pod.phase})")
    if pod.deleting:
        return warned("it is being deleted")
    running = bool(pod.containers) and all(c.state == "running" for c in pod.containers)
    if not running or not pod.ip:
        waiting = next((c for c in (*pod.init_containers, *pod.containers) if c.state != "running"), None)
        why = f": {waiting.name}: {waiting.reason or waiting.state or 'not started'}" if waiting else ""
        said = f"{pod.phase}{why}"
        return unknown(f"{said}; it has just started") if merely_starting(pod, look(asks.now())) else failed(said)
    if not pod_ports(pod, asked):
        declared = ", ".join(f"{p.port}/{p.protocol}" for p in pod.ports) or "none"
        return unknown(f"which port? It declares {declared}: ask about pod/{pod.name}:PORT")
    ready = "ready" if pod.ready else "not Ready, so Services leave it out"
    return passed(f"{pod.ip} on {pod.node}, {ready}")


def _protocol(look: Look, asked: Question) -> Outcome:
    for backend, attempt in tried(look, asked):
        path = path_at(look, asked, backend) if attempt.outcome.connected and backend.protocol == "TCP" else None
        if path is None:
            continue
        reply = look(asks.http(client_pod(look, asked), backend.address, backend.port, path))
        if reply.answered:
            return passed(f"GET {path}: {reply.words}")
        return skipped(f"GET {path}: {reply.words}; not judged")
    return skipped("no port that is known to speak HTTP")


def _speed(look: Look, asked: Question) -> Outcome:
    found = speed_of_pod(look, asked)
    if found is None:
        return skipped("nothing to measure")
    return warned(found.words) if found.lossy or found.full or found.slow else passed(found.words)
