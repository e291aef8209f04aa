"""Packet filters of a node that belong to nobody in the cluster and drop its traffic."""

from __future__ import annotations

import re
import shlex

from kubectl_netdebug.causes.node_drops import IPTABLES, LEGACY, NFT, Drop, drops, filters_of
from kubectl_netdebug.causes.node_view import about_node, at, effect, lines
from kubectl_netdebug.causes.on_node import mend_on_node
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix
from kubectl_netdebug.model.finding import Cause, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When

_CONSEQUENCES = (
    *("egress-firewall", "egress-masquerade-missing", "dest-port-closed"),
    *("kubelet-10250-blocked", "api-vip-not-programmed", "service-name-unresolved"),
)

POLICY = Cause(
    code="forward-policy-drop",
    title="The node's FORWARD chain drops by default",
    says="On node {node} the policy of chain FORWARD is DROP, and no rule accepts {what}.",
    means="What Pods exchange with other nodes and the outside is dropped there.",
    symptom="Pods of the node time out with everything beyond it, often since Docker or ufw was installed or started.",
    apart="A rule that drops has a text of its own; here packets reach the end of the chain.",
    mend="Accept the Pods' range in FORWARD, and have whatever sets the policy (Docker, ufw) keep that.",
    explains=_CONSEQUENCES,
)


@explains(Hop.NODE_FILTERS, POLICY, When.ALWAYS)
def forward_policy(look: Look, asked: Question) -> Finding | None:
    """The walk through the chain, or a counter that moved, ends at the policy."""
    for drop in drops(look, asked):
        if not (drop.is_policy and drop.chain == "FORWARD" and drop.source != NFT):
            continue
        tool = "iptables" if drop.source == IPTABLES else "iptables-legacy"
        return POLICY.confirmed(
            at=at(drop.node),
            node=drop.node,
            what=_what(drop),
            effect=effect(look, asked),
            saw=(f"{drop.node}: {tool}-save: :FORWARD DROP", *_seen(drop)),
            fix=mend_on_node(
                look,
                drop.node,
                "have FORWARD accept by default (narrower: rules that accept the Pods' range)",
                *(tool, "-P", "FORWARD", "ACCEPT"),
            ),
        )
    return None


FOREIGN = Cause(
    code="foreign-iptables-drop",
    title="A packet filter rule on the node drops the cluster's traffic",
    says="On node {node} a rule that is neither Kubernetes' nor the Pod network's drops {what}: {table} {rule}.",
    means="{share} that this rule matches never arrives.",
    symptom="Selective timeouts or refusals at one node.",
    apart="A NetworkPolicy's drops are in chains of the Pod network's own (cali-…, KUBE-NWPLCY-…).",
    mend="Delete the rule, and find the program that adds it (a firewall service, a script, configuration management).",
    explains=_CONSEQUENCES,
)


@explains(Hop.NODE_FILTERS, FOREIGN, When.ALWAYS)
def foreign_iptables(look: Look, asked: Question) -> Finding | None:
    """Its counter moved with our connections, or its text surely matches; for a node as such, also one that counted."""
    for drop in drops(look, asked):
        if drop.is_policy or drop.source == NFT or (drop.source == LEGACY and _mixed(look, drop)):
            continue
        sure = bool(drop.moved or drop.packets)
        make = FOREIGN.confirmed if sure else FOREIGN.likely
        return make(
            at=at(drop.node),
            node=drop.node,
            what=_what(drop),
            table=f"table {drop.table}",
            rule=f"'{drop.text}'",
            share="A share of the traffic" if drop.random else "Traffic",
            effect=_effect(look, asked, drop),
            saw=_seen(drop),
            fix=_delete(look, drop),
        )
    return None


NFTABLES = Cause(
    code="foreign-nft-drop",
    title="A table of nft on the node drops the cluster's traffic",
    says="On node {node}, chain {chain} of nft table {table} drops {what}: {rule}.",
    means="A rule elsewhere that accepts cannot override it, and iptables does not list it.",
    symptom="Selective timeouts or refusals at one node, while iptables-save looks clean.",
    apart="With rules of iptables, iptables-save shows the drop.",
    mend="Delete the rule or configure the firewall that owns the table (firewalld, nftables.service).",
    explains=_CONSEQUENCES,
)


@explains(Hop.NODE_FILTERS, NFTABLES, When.ALWAYS)
def foreign_nft(look: Look, asked: Question) -> Finding | None:
    """Its counter moved with our connections, or its chain surely ends in a drop for them."""
    for drop in drops(look, asked):
        if drop.source != NFT:
            continue
        make = NFTABLES.confirmed if drop.moved or drop.packets else NFTABLES.likely
        return make(
            at=at(drop.node),
            node=drop.node,
            chain=drop.chain,
            table=drop.table,
            what=_what(drop),
            rule=f"'{drop.text}'",
            effect=_effect(look, asked, drop),
            saw=_seen(drop),
            fix=_delete_nft(look, drop),
        )
    return None


MIX = Cause(
    code="iptables-legacy-nft-mix",
    title="The node has rules in both kinds of iptables",
    says="On node {node}, kube-proxy's rules are in iptables' nft form, and legacy iptables has rules too, which "
    "{does}: table {table} '{rule}'.",
    means="The kernel asks both, and iptables-save shows only one of them.",
    symptom="Addresses of Services lead to Pods that are gone, or packets vanish, and no list of rules shows why.",
    apart="A foreign nft table is shown by nft; these only by iptables-legacy-save.",
    mend="Delete the rules of the kind that is not used, and have every program on the node use the same.",
    explains=(*_CONSEQUENCES, "kube-proxy-stale"),
)


@explains(Hop.NODE_FILTERS, MIX, When.ALWAYS)
def legacy_mix(look: Look, asked: Question) -> Finding | None:
    """A legacy rule took our packets, or surely would, on a node whose kube-proxy writes the other kind."""
    for drop in drops(look, asked):
        if drop.source != LEGACY or drop.is_policy or not _mixed(look, drop):
            continue
        does = "translate addresses elsewhere" if drop.target == "DNAT" else "drop"
        return (MIX.confirmed if drop.moved or drop.packets else MIX.likely)(
            at=at(drop.node),
            node=drop.node,
            does=does,
            table=drop.table,
            rule=drop.text,
            effect=_effect(look, asked, drop),
            saw=_seen(drop),
            fix=_delete(look, drop),
        )
    return None


def _mixed(look: Look, drop: Drop) -> bool:
    """Whether kube-proxy's own rules are of the other kind."""
    filters = filters_of(look, drop.node)
    return not filters.legacy_is_main and any(
        chain.name.startswith("KUBE-") and chain.rules for chain in filters.saved.chains.values()
    )


def _what(drop: Drop) -> str:
    if drop.harmed:
        return drop.harmed[0].label
    if drop.packets:
        return "what Pods exchange with other nodes" if len(drop.packets) > 1 else drop.packets[0]
    return f"packets of Pods ({drop.counted} so far)"


def _seen(drop: Drop) -> tuple[str, ...]:
    counted = f"its counter rose by {drop.moved} while the connection was tried" if drop.moved else ""
    before = f"it has counted {drop.counted} packets" if drop.counted and not drop.moved else ""
    sure = [f"it takes {packet}" for packet in drop.packets[:3]]
    return tuple(each for each in (counted, before, *sure, *lines(drop.harmed)) if each)


def _effect(look: Look, asked: Question, drop: Drop) -> Effect:
    if about_node(asked):
        return Effect.DEGRADES if drop.random or not drop.packets else Effect.BREAKS
    return effect(look, asked)


def _delete(look: Look, drop: Drop) -> Fix:
    tool = "iptables" if drop.source == IPTABLES else "iptables-legacy"
    try:
        words = shlex.split(drop.text)
    except ValueError:
        words = drop.text.split()
    return mend_on_node(
        look,
        drop.node,
        "delete the rule (what added it may add it again)",
        *(tool, "-w", "-t", drop.table, "-D", *words[1:]),
    )


def _delete_nft(look: Look, drop: Drop) -> Fix:
    family, _, table = drop.table.partition(" ")
    place = shlex.join((family, table, drop.chain))
    if drop.is_policy:
        line = f"nft chain {place} '{{ policy accept; }}'"
        return mend_on_node(look, drop.node, "have the chain accept by default", "sh", "-c", line)
    known = re.split(r" ?\bcounter\b", drop.text)[0].strip() or drop.text
    number = f"nft -a list chain {place} | grep -F {shlex.quote(known)} | sed -n 's/.*# handle //p' | head -n 1"
    line = f"nft delete rule {place} handle $({number})"
    return mend_on_node(look, drop.node, "delete the rule (what added it may add it again)", "sh", "-c", line)
