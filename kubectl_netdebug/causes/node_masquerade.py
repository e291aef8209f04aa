"""A node that sends its Pods' packets outside with the Pods' own addresses."""

from __future__ import annotations

from kubectl_netdebug.causes import asks, kubeproxy_asks
from kubectl_netdebug.causes.concerned import Trouble, nodes_concerned
from kubectl_netdebug.causes.node_asks import node_as_client
from kubectl_netdebug.causes.node_drops import Filters, drops, filters_of
from kubectl_netdebug.causes.node_view import FORWARD, at, bypasses_kernel, effect, kernel, lines
from kubectl_netdebug.causes.node_view import lost_at as lost_on
from kubectl_netdebug.causes.on_node import mend_on_node
from kubectl_netdebug.causes.outside_reach import NO_MASQUERADE, nonmasquerade_range
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.finding import Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.filters import Packet, matches
from kubectl_netdebug.net.iptables import Saved

TRANSLATING = ("MASQUERADE", "SNAT")


@explains(Hop.NODE_FILTERS, NO_MASQUERADE, When.ALWAYS)
def not_masqueraded(look: Look, asked: Question) -> Finding | None:
    """A Pod gets nothing back from outside, its node does, and no rule of the node translates the Pod's address."""
    if asked.flow is not FlowName.POD_TO_OUTSIDE:
        return None
    for node in nodes_concerned(look, asked):
        for trouble in lost_on(look, asked, node):
            client = trouble.client.pod
            if client is None or client.host_network or trouble.server_node or trouble.server.pod or trouble.virtual:
                continue
            if nonmasquerade_range(look, trouble.server.address) or ":" in trouble.server.address:
                continue
            myself = node_as_client(look, node)
            if myself is None:
                continue
            look.foresee(asks.connect(myself, trouble.address, trouble.port), kernel(node))
            reached = look.if_known(asks.connect(myself, trouble.address, trouble.port))
            settings = look.if_known(kernel(node)) or {}
            filters = filters_of(look, node)
            if reached is None or not reached.outcome.connected or settings.get(FORWARD) != "1":
                continue
            if bypasses_kernel(look, node):
                continue
            if not filters.saved.chains or _translated(filters, trouble) or drops(look, asked):
                continue
            return _finding(look, asked, node, trouble, reached.words)
    return None


def _finding(look: Look, asked: Question, node: str, trouble: Trouble, words: str) -> Finding:
    here = next((n for n in look.if_known(asks.nodes()) or () if n.name == node), None)
    own = next((r for r in (here.pod_cidrs if here else ()) if ":" not in r), f"{trouble.client.address}/32")
    config = look.if_known(kubeproxy_asks.config())
    cluster = next((r for r in (config.cluster_cidr.split(",") if config else ()) if r and ":" not in r), own)
    add = ("-A", "POSTROUTING", "-s", own, "!", "-d", cluster, "-j", "MASQUERADE", "--random-fully")
    return NO_MASQUERADE.confirmed(
        at=at(node),
        node=node,
        address=trouble.address,
        others="the node itself does, and none of its rules masquerades them",
        effect=effect(look, asked),
        saw=(
            f"{node}: no rule of chain POSTROUTING (table nat) translates {trouble.client.address}",
            f"{node} itself → {trouble.address}:{trouble.port}: {words}",
            *lines((trouble,)),
        ),
        fix=mend_on_node(
            look,
            node,
            "masquerade what Pods send outside (lasting: ipMasq in the node's CNI configuration, or its agent)",
            *("iptables", "-w", "-t", "nat", *add),
        ),
    )


def _translated(filters: Filters, trouble: Trouble) -> bool:
    """Whether any rule may translate this packet's source; what is not understood counts as one."""
    packet = Packet(trouble.client.address, trouble.server.address, trouble.protocol.lower(), trouble.port)
    if any(_by_rules(saved, packet) for saved in (filters.saved, filters.legacy)):
        return True
    return any(
        rule.verdict in ("masquerade", "snat")
        for table in filters.listed.foreign
        for chain in table.chains.values()
        for rule in chain.rules
    )


def _by_rules(saved: Saved, packet: Packet) -> bool:
    chains = {"POSTROUTING"}
    for rule in saved.chain("nat", "POSTROUTING").rules:
        # kube-proxy's own chain translates only what it marked.
        own = saved.has("nat", rule.target) and not rule.target.startswith("KUBE-")
        if own and matches(rule, packet) is not False:
            chains.add(rule.target)
    return any(
        rule.target in TRANSLATING and matches(rule, packet) is not False
        for name in chains
        for rule in saved.chain("nat", name).rules
    )
