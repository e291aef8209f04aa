"""Settings of a node's kernel that keep Pods' packets from getting on."""

from __future__ import annotations

import re

from kubectl_netdebug.causes import kubeproxy_asks
from kubectl_netdebug.causes.backends import backends_asked, in_use
from kubectl_netdebug.causes.concerned import Trouble
from kubectl_netdebug.causes.node_view import (
    BRIDGE_NF,
    BRIDGE_NF6,
    FORWARD,
    FORWARD6,
    about_node,
    at,
    bridge_ports,
    bypasses_kernel,
    concerned,
    effect,
    forwarded,
    kernel,
    lines,
    lost_at,
    network_pods,
)
from kubectl_netdebug.causes.on_node import mend_on_node
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.model.step import When

IP_FORWARD = Cause(
    code="ip-forward-off",
    title="The node does not forward packets",
    says="{setting} is 0 on node {node}: it drops what it would have to forward.",
    means="Pods of this node reach neither other nodes nor the outside, and are not reached from there.",
    symptom="Pods of one node time out with everything beyond it; among themselves all is well.",
    apart="A FORWARD chain that drops shows in the rules; here nothing is dropped by a rule.",
    mend="Set it to 1, and keep it so with a file in /etc/sysctl.d; a hardening script may have set it.",
    explains=(
        *("egress-firewall", "egress-masquerade-missing", "overlay-port-blocked"),
        *("service-name-unresolved", "api-vip-not-programmed"),
    ),
)


@explains(Hop.NODE_KERNEL, IP_FORWARD, When.ALWAYS)
def ip_forward_off(look: Look, asked: Question) -> Finding | None:
    """The setting is off on a node with Pods; in other questions, a connection got lost that passes it."""
    for node in concerned(look, asked):
        settings, ports = look.if_known(kernel(node)), look.if_known(bridge_ports(node)) or ()
        harmed = forwarded(look, asked, node, bridged=bool(ports))
        six = any(":" in t.server.address for t in harmed)
        pods = network_pods(look, node) if about_node(asked) else ()
        name = FORWARD6 if (six and not any(":" not in t.server.address for t in harmed)) else FORWARD
        if about_node(asked) and _only_six(pods):
            name = FORWARD6
        if settings is None or settings.get(name) != "0" or not (harmed or pods) or bypasses_kernel(look, node):
            continue
        setting = name.replace("/", ".")
        return IP_FORWARD.confirmed(
            at=at(node),
            node=node,
            setting=setting,
            effect=effect(look, asked),
            saw=(f"{node}: {setting} = 0", *lines(harmed)),
            fix=mend_on_node(
                look,
                node,
                "have the kernel forward (until the next start; a file in /etc/sysctl.d keeps it)",
                *("sysctl", "-w", f"{setting}=1"),
            ),
        )
    return None


def _only_six(pods: tuple[object, ...]) -> bool:
    return bool(pods) and all(":" in str(getattr(p, "ip", "")) for p in pods)


BRIDGE = Cause(
    code="bridge-nf-off",
    title="The bridge of the node passes by the packet filters",
    says="{setting} is {state} on node {node}, so answers between Pods of its bridge are not translated back.",
    means="A Service answers a Pod only when it chooses a backend on another node: answers of one on the same node "
    "come from the Pod's address and not from the Service's, and are refused.",
    symptom="Connections by a Service's address time out whenever the backend is on the client's node, which looks "
    "random; Pods' own addresses work.",
    apart="With hairpin mode off only a Pod's calls of itself fail. Networks without a bridge do not need the setting.",
    mend="Load br_netfilter and set it to 1, and keep both in /etc/modules-load.d and /etc/sysctl.d.",
    explains=("service-name-unresolved", "api-vip-not-programmed"),
)


@explains(Hop.NODE_KERNEL, BRIDGE, When.ALWAYS)
def bridge_nf_off(look: Look, asked: Question) -> Finding | None:
    """Pods are on a bridge, and the setting is off; in other questions, a Service's address got lost to one there."""
    for node in concerned(look, asked):
        settings, ports = look.if_known(kernel(node)), look.if_known(bridge_ports(node))
        harmed = _by_service(look, asked, node)
        pods = network_pods(look, node) if about_node(asked) else ()
        if settings is None or not ports or not (harmed or pods):
            continue
        six = bool(harmed) and all(":" in t.server.address for t in harmed)
        name = BRIDGE_NF6 if six else BRIDGE_NF
        if settings.get(name) == "1" or bypasses_kernel(look, node) or _all_masqueraded(look):
            continue
        setting, off = name.replace("/", "."), name in settings
        silent = sum(1 for p in ports if p.hairpin is False)
        beside = (f"hairpin mode is off on {silent} of its ports, which shows once this is mended",) if silent else ()
        line = f"modprobe br_netfilter && sysctl -w {setting}=1"
        argv = ("sysctl", "-w", f"{setting}=1") if off else ("sh", "-c", line)
        return BRIDGE.confirmed(
            at=at(node),
            node=node,
            setting=setting,
            state="0" if off else "missing (br_netfilter is not loaded)",
            effect=effect(look, asked),
            saw=(
                f"{node}: {setting} = {settings.get(name, 'no such setting')}",
                f"{len(ports)} ports on bridge {', '.join(sorted({p.bridge for p in ports}))}",
                *beside,
                *lines(harmed),
            ),
            fix=mend_on_node(look, node, "have bridged packets filtered and translated, as kube-proxy needs", *argv),
        )
    return None


def _by_service(look: Look, asked: Question, node: str) -> tuple[Trouble, ...]:
    """Connects of a Pod of this node by a Service's address that got lost, where a backend is on this node as well."""
    if about_node(asked) or asked.flow is FlowName.POD_TO_ITSELF:
        return ()
    found = [t for t in lost_at(look, asked, node) if t.virtual and t.client_node == node and t.client.pod]
    if not found or not asked.service:
        return ()
    near = {b.endpoint.node for b in in_use(backends_asked(look, asked))}
    return tuple(t for t in found if node in near and not (t.client.pod and t.client.pod.host_network))


def _all_masqueraded(look: Look) -> bool:
    """With masqueradeAll, answers go by way of the node in any case."""
    config = look.if_known(kubeproxy_asks.config())
    return config is not None and bool(re.search(r"^\s*masqueradeAll:\s*true", config.text, re.MULTILINE))
