"""What causes on a node share: which connections a setting there would break, and how the node's Pods are linked."""

from __future__ import annotations

from collections.abc import Mapping

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.concerned import Trouble, nodes_concerned, troubles, working
from kubectl_netdebug.causes.node_asks import node_view, sysctls
from kubectl_netdebug.model.facts import Ask
from kubectl_netdebug.model.finding import Effect, ObjectRef
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.net.links import Port, read_ports
from kubectl_netdebug.net.outcome import Outcome as End

FORWARD = "net/ipv4/ip_forward"
FORWARD6 = "net/ipv6/conf/all/forwarding"
BRIDGE_NF = "net/bridge/bridge-nf-call-iptables"
BRIDGE_NF6 = "net/bridge/bridge-nf-call-ip6tables"
TRACKED = "net/netfilter/nf_conntrack_count"
TRACKED_MOST = "net/netfilter/nf_conntrack_max"
STRICT_ALL = "net/ipv4/conf/all/rp_filter"

SETTINGS = (FORWARD, FORWARD6, BRIDGE_NF, BRIDGE_NF6, TRACKED, TRACKED_MOST, STRICT_ALL)
"""Read together, so that they are one fact."""

WITHOUT_KERNEL_RULES = ("cilium",)
"""`k8s-app` of agents that forward past the kernel's own settings and rules."""


def kernel(node: str) -> Ask[Mapping[str, str]]:
    """The settings of a node's kernel that decide about Pods' traffic."""
    return sysctls(node, *SETTINGS)


def bridge_ports(node: str) -> Ask[tuple[Port, ...]]:
    """The ports of all bridges of a node; none where Pods are not on a bridge."""
    return node_view(node, "ports", read_ports)


def network_pods(look: Look, node: str) -> tuple[Pod, ...]:
    """Running Pods of a node that have a network of their own."""
    pods = look.if_known(asks.pods_on(node)) or ()
    return tuple(p for p in pods if not p.host_network and p.ip and not p.finished)


def bypasses_kernel(look: Look, node: str) -> bool:
    """Whether an agent there forwards Pods' traffic by itself."""
    pods = look.if_known(asks.pods_on(node)) or ()
    return any(p.labels.get("k8s-app") in WITHOUT_KERNEL_RULES for p in pods)


def concerned(look: Look, asked: Question) -> tuple[str, ...]:
    """The nodes to look at, with their readings fetched side by side."""
    nodes = nodes_concerned(look, asked)
    look.foresee(*(ask for node in nodes for ask in (kernel(node), bridge_ports(node))))
    return nodes


def about_node(asked: Question) -> bool:
    """A question about a node itself, where nothing needs to have failed."""
    return asked.flow is FlowName.NODE


def lost_at(look: Look, asked: Question, node: str) -> tuple[Trouble, ...]:
    """Connections that got lost and pass a node, without those that it only ends itself."""
    return tuple(t for t in troubles(look, asked) if t.lost and node in (t.client_node, t.server_node))


def forwarded(look: Look, asked: Question, node: str, *, bridged: bool) -> tuple[Trouble, ...]:
    """Lost connections that the node would have to forward between devices: a Pod's with what is not on its bridge."""
    return tuple(t for t in lost_at(look, asked, node) if _is_forwarded(t, node, bridged))


def _is_forwarded(trouble: Trouble, node: str, bridged: bool) -> bool:
    inside = trouble.client_node == trouble.server_node == node
    if inside and bridged:
        return False
    client = trouble.client.pod if trouble.client_node == node else None
    server = trouble.server.pod if trouble.server_node == node else None
    return any(pod is not None and not pod.host_network for pod in (client, server))


def refused_at(trouble: Trouble) -> bool:
    """Ended as by a rule that rejects."""
    return trouble.attempt.outcome in (End.REFUSED, End.HOST_UNREACHABLE, End.NOT_PERMITTED)


def effect(look: Look, asked: Question) -> Effect:
    """A fault that some connections do not meet only degrades."""
    return Effect.DEGRADES if not about_node(asked) and working(look, asked) else Effect.BREAKS


def at(node: str) -> ObjectRef:
    """The node as the object to mend."""
    return ObjectRef("Node", "", node)


def lines(found: tuple[Trouble, ...]) -> tuple[str, ...]:
    """A few failed connections for people."""
    return tuple(dict.fromkeys(f"{t.label}: {t.attempt.words}" for t in found))[:3]
