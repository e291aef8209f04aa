"""A node by itself: the object, its agents, its kernel, filters, links, routes and kube-proxy."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.catalogue import explanations
from kubectl_netdebug.flows.node_steps import NODE_STEPS
from kubectl_netdebug.model.hop import Hop, Outcome, failed, passed, warned
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import Flow, Step


def node_flow() -> Flow:
    """The steps of `kubectl netdebug node NAME`."""
    return Flow(
        steps=(
            Step(Hop.NODE, "Node", node_object),
            Step(Hop.NODE_AGENTS, "network agents", agents, after=(), follow_failures=True, essential=False),
            *NODE_STEPS,
        ),
        explanations=explanations(),
    )


def node_object(look: Look, asked: Question) -> Outcome:
    node = look(asks.node_named(asked.node))
    if node is None:
        return failed(f"there is no node {asked.node}")
    said = f"{node.internal_ip}, Pods from {', '.join(node.pod_cidrs) or 'no range of its own'}"
    if not node.ready:
        return failed(f"not ready; {said}")
    return passed(said + (", cordoned" if node.unschedulable else ""))


def agents(look: Look, asked: Question) -> Outcome:
    """The Pods of DaemonSets that belong to the node's own network."""
    pods = [pod for pod in look(asks.pods_on(asked.node)) if pod.host_network and pod.owner_kind == "DaemonSet"]
    if not pods:
        return passed("none runs as a Pod")
    bad = [pod for pod in pods if not pod.ready and not pod.deleting]
    counts = (len(pods) - len(bad), len(pods))
    return warned(f"not ready: {_names(bad)}", counts) if bad else passed(_names(pods), counts)


def _names(pods: list[Pod]) -> str:
    return ", ".join(pod.owner_name for pod in pods[:4])
