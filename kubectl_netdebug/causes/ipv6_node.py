"""IPv6 on nodes: forwarding that is off, and private addresses that leave without being translated."""

from __future__ import annotations

import ipaddress
import re

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.concerned import Trouble, nodes_concerned, troubles, working
from kubectl_netdebug.causes.fabric_view import LOST, as_network, nodes_by_name
from kubectl_netdebug.causes.node_asks import node_as_client, node_text, sysctls
from kubectl_netdebug.causes.on_node import mend_on_node
from kubectl_netdebug.causes.outside_way import is_outside, port_of, tried_outside
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.model.step import When

FORWARDING = "net/ipv6/conf/all/forwarding"

FORWARDING_OFF = Cause(
    code="v6-forwarding-off",
    title="A node does not forward IPv6",
    says="On node {node}, net.ipv6.conf.all.forwarding is 0.",
    means="IPv6 packets from and to its Pods stay on the node: other nodes' Pods and the outside are lost.",
    symptom="IPv6 fails between Pods of different nodes and to the outside, while IPv4 works.",
    apart="With IPv6 off in one Pod, others of the node still have it.",
    mend="Set the sysctl, also for the next start; with accept_ra=2 where the default route comes by announcements.",
    explains=(*LOST, "v6-no-egress-nat", "egress-firewall", "foreign-iptables-drop"),
)


@explains(Hop.NODE_KERNEL, FORWARDING_OFF, When.ALWAYS)
def forwarding_off(look: Look, asked: Question) -> Finding | None:
    """The setting is 0 on a node that lost IPv6 connections of Pods, or that was asked about and has IPv6 Pods."""
    lost = [t for t in troubles(look, asked) if t.attempt.outcome.lost and ":" in t.address]
    if asked.flow is not FlowName.NODE and not lost:
        return None
    nodes = nodes_by_name(look)
    concerned = [n for n in nodes_concerned(look, asked) if n in nodes]
    wanted = [n for n in concerned if any(":" in r for r in nodes[n].pod_cidrs)]
    settings = look.all_known([sysctls(n, FORWARDING) for n in wanted])
    for node, found in zip(wanted, settings, strict=True):
        if found is None or found.get(FORWARDING) != "0":
            continue
        return FORWARDING_OFF.confirmed(
            at=ObjectRef("Node", "", node),
            node=node,
            effect=_effect(look, asked),
            saw=(f"{node}: net.ipv6.conf.all.forwarding = 0", *_words(lost)),
            fix=mend_on_node(look, node, "switch it on", "sysctl", "-w", "net.ipv6.conf.all.forwarding=1"),
        )
    return None


NO_EGRESS_NAT = Cause(
    code="v6-no-egress-nat",
    title="Private IPv6 addresses leave without being translated",
    says="Node {node} does not translate {range}, the private IPv6 range of its Pods, on the way to {place}.",
    means="Packets leave with a source that nobody outside can answer to.",
    symptom="IPv6 to the outside times out from Pods, and works from the node itself; IPv4 works.",
    apart="With forwarding off, other nodes' Pods are lost as well.",
    mend="Masquerade what leaves the cluster, or give Pods global addresses with a route back to them.",
    explains=("egress-masquerade-missing", "egress-firewall"),
)


@explains(Hop.FABRIC, NO_EGRESS_NAT, When.ALWAYS)
def no_egress_nat(look: Look, asked: Question) -> Finding | None:
    """A unique local source, no rule that translates it, and the node itself gets through."""
    if not is_outside(asked):
        return None
    lost = [(a, attempt) for a, attempt in tried_outside(look, asked) if attempt.outcome.lost and ":" in a]
    client = client_pod(look, asked) if lost else None
    if client is None or client.host_network or not client.node:
        return None
    source = next((ip for ip in client.ips if ":" in ip and _local(ip)), "")
    place = next((a for a, _ in lost if not _local(a)), "")
    rules = look.if_known(node_text(client.node, "ip6tables")) if source and place else None
    if rules is None or any(_translates(line, source) for line in rules.splitlines()):
        return None
    itself = node_as_client(look, client.node)
    attempt = look.if_known(asks.connect(itself, place, port_of(asked))) if itself else None
    if attempt is None or attempt.outcome.lost:
        return None
    node = nodes_by_name(look).get(client.node)
    ranges = [r for r in (node.pod_cidrs if node else ()) if ":" in r]
    range_ = ranges[0] if ranges else f"{source}/128"
    everything = [n for each in nodes_by_name(look).values() for r in each.pod_cidrs if (n := as_network(r))]
    cluster = _around([n for n in everything if n.version == 6])
    rule = ("-t", "nat", "-A", "POSTROUTING", "-s", range_, "!", "-d", cluster or range_, "-j", "MASQUERADE")
    return NO_EGRESS_NAT.confirmed(
        at=ObjectRef("Node", "", client.node),
        node=client.node,
        range=range_,
        place=place,
        saw=(
            f"{client.node}: no rule of ip6tables translates {source}",
            f"the node itself → [{place}]:{port_of(asked)}: {attempt.words}",
        ),
        fix=mend_on_node(look, client.node, "masquerade what leaves the cluster", "ip6tables", *rule),
    )


def _translates(line: str, source: str) -> bool:
    """A rule of `ip6tables-save` that may change this source; kube-proxy's are for marked packets alone."""
    if not re.search(r"-j (MASQUERADE|SNAT)\b", line) or " KUBE-" in line:
        return False
    wanted = re.search(r"(! )?-s (\S+)", line)
    if wanted is None:
        return True
    network = as_network(wanted[2])
    inside = network is not None and network.version == 6 and ipaddress.ip_address(source) in network
    return inside is not bool(wanted[1])


def _around(networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> str:
    """The smallest network that holds them all, or ''."""
    if not networks:
        return ""
    around = networks[0]
    while not all(n.subnet_of(around) for n in networks) and around.prefixlen:  # type: ignore[arg-type]
        around = around.supernet()
    return str(around)


def _local(address: str) -> bool:
    """A unique local IPv6 address (fc00::/7)."""
    return ipaddress.ip_address(address) in ipaddress.ip_network("fc00::/7")


def _words(lost: list[Trouble]) -> tuple[str, ...]:
    return tuple(f"{t.label}: {t.attempt.words}" for t in lost[:2])


def _effect(look: Look, asked: Question) -> Effect:
    return Effect.DEGRADES if asked.flow is not FlowName.NODE and working(look, asked) else Effect.BREAKS
