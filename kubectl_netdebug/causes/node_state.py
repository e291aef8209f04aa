"""What the Node object says of itself: not ready, without a Pod network."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.cni_agent import agents
from kubectl_netdebug.causes.cni_view import effect_on, nodes_of_question
from kubectl_netdebug.causes.on_node import mend_on_node
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.node import Node
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When

NOT_READY = Cause(
    code="node-notready",
    title="The node is not ready",
    says="{node} is not ready{since}: {why}.",
    means="Its Pods are taken out of Services, and no new ones are sent there.",
    symptom="Pods of one node leave their Services, or new ones stay Pending with an untolerated taint not-ready.",
    apart="Unknown means that kubelet is silent; False comes with kubelet's own reason.",
    mend="Restart what the reason names, on the node: kubelet, the container runtime, or the network plugin.",
    explains=("endpoints-not-ready", "pod-unscheduled", "kubelet-10250-blocked"),
    symptom_only=True,
)


@explains(Hop.POD, NOT_READY, When.ALWAYS)
@explains(Hop.SOURCE, NOT_READY)
@explains(Hop.NODE, NOT_READY, When.ALWAYS)
def not_ready(look: Look, asked: Question) -> Finding | None:
    """The Ready condition, with kubelet's reason, or how long it has been silent."""
    for node in nodes_of_question(look, asked):
        condition = node.conditions.get("Ready")
        if node.ready or condition is None:
            continue
        since = f" since {condition.since:%H:%M:%S} UTC" if condition.since else ""
        return NOT_READY.confirmed(
            at=ObjectRef("Node", "", node.name, "status.conditions"),
            node=node.name,
            since=since,
            why=_reason(node),
            effect=effect_on(look, asked),
            saw=(f"Ready={condition.status} {condition.reason}: {condition.message}", *_lease(look, node)),
            fixes=_restart(look, node),
        )
    return None


def _reason(node: Node) -> str:
    condition = node.conditions["Ready"]
    if node.silent:
        return "its kubelet has stopped reporting (kubelet or the machine is down, or it cannot reach the API server)"
    said = condition.message.rpartition("message:")[2] or condition.message or condition.reason
    pressed = [c.type for c in node.conditions.values() if c.type.endswith("Pressure") and c.status == "True"]
    return said.rstrip(".") + (f" ({', '.join(pressed)})" if pressed else "")


def _lease(look: Look, node: Node) -> tuple[str, ...]:
    """When kubelet was heard of last."""
    lease = look.if_known(asks.raw_object("leases.coordination.k8s.io", "kube-node-lease", node.name))
    renewed = tree.when(lease, "spec", "renewTime") if lease else None
    if renewed is None:
        return ()
    age = int((look(asks.now()) - renewed).total_seconds())
    return (f"lease kube-node-lease/{node.name} was renewed {max(0, age)} s ago",)


def _restart(look: Look, node: Node) -> tuple[Fix, ...]:
    condition = node.conditions["Ready"]
    if node.silent or "runtime is down" in condition.message or "PLEG" in condition.message:
        return (
            mend_on_node(
                look,
                node.name,
                "restart kubelet and the container runtime",
                *("systemctl", "restart", "containerd", "kubelet"),
                risk=Risk.DISRUPTIVE,
                not_pasteable="a debugging Pod does not start there either: log in to the node",
            ),
        )
    look_there = kubectl("netdebug", "node", node.name, "--allow", "node")
    return (Fix("look at the node itself", look_there, Risk.READ_ONLY),)


UNAVAILABLE = Cause(
    code="node-network-unavailable",
    title="The node is marked as without a network",
    says="{node} carries the condition NetworkUnavailable: {why}.",
    means="The taint network-unavailable keeps all ordinary Pods away until the one who set the condition clears it.",
    symptom="Pods stay Pending: untolerated taint node.kubernetes.io/network-unavailable.",
    apart="kubelet says Ready all the same; the condition is set by a cloud's route controller or a network plugin.",
    mend="Mend whoever sets it: the route controller's rights or quota, or the network's agent, which clears it.",
    explains=("pod-unscheduled", "endpoints-not-ready"),
)


@explains(Hop.POD, UNAVAILABLE, When.ALWAYS)
@explains(Hop.SOURCE, UNAVAILABLE)
@explains(Hop.NODE, UNAVAILABLE, When.ALWAYS)
def network_unavailable(look: Look, asked: Question) -> Finding | None:
    """The condition, with the taint that follows from it."""
    for node in nodes_of_question(look, asked):
        if not node.network_unavailable:
            continue
        condition = node.conditions["NetworkUnavailable"]
        said = condition.message or condition.reason or "no reason given"
        taint = "node.kubernetes.io/network-unavailable"
        return UNAVAILABLE.confirmed(
            at=ObjectRef("Node", "", node.name, "status.conditions"),
            node=node.name,
            why=said.rstrip("."),
            effect=effect_on(look, asked),
            saw=(
                f"NetworkUnavailable=True {condition.reason}: {condition.message}",
                *((f"taint {taint}",) if taint in node.taints else ()),
            ),
            fixes=_clear(look, node),
        )
    return None


def _clear(look: Look, node: Node) -> tuple[Fix, ...]:
    """Whoever set the condition clears it; setting it by hand is for a condition that nobody sets any more."""
    restart = tuple(
        Fix(
            "restart the network's agent, which clears the condition",
            kubectl("rollout", "restart", agent.at.short, namespace=agent.at.namespace),
        )
        for agent in agents(look)[:1]
    )
    condition = (
        '{"status":{"conditions":[{"type":"NetworkUnavailable","status":"False","reason":"ClearedByHand",'
        '"message":"nobody sets this condition any more"}]}}'
    )
    by_hand = kubectl("patch", "node", node.name, "--subresource=status", "-p", condition)
    title = "clear the condition by hand, if who set it is gone and the node's network works"
    return (*restart, Fix(title, by_hand))
