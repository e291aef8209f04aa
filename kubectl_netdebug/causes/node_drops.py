"""What drops packets on a node: rules whose counters moved with our own connections, and rules that surely would."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.concerned import Trouble, nodes_concerned, troubles
from kubectl_netdebug.causes.node_asks import moved, node_text, node_view
from kubectl_netdebug.causes.node_view import about_node, bridge_ports, bypasses_kernel, network_pods
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.node import Node
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.filters import DROPPING, Dropped, Packet, foreign_drops, is_owned, is_random, matches, walk
from kubectl_netdebug.net.filters import nft_matches as nft_fits
from kubectl_netdebug.net.iptables import Rule, Saved, read_saved
from kubectl_netdebug.net.moved import Moved, MovedRule
from kubectl_netdebug.net.nftables import NftRule, NftTable, Ruleset, is_compat, read_ruleset

NFT, LEGACY, IPTABLES = "nft", "iptables-legacy", "iptables"
PROBED = 2
"""Failed connections of a node that are made again while its counters are read."""

KUBELET = 10250


@dataclass(frozen=True)
class Drop:
    """A rule or policy that takes packets away. `source` is `iptables`, `iptables-legacy` or `nft`.

    `moved` says how many packets it took while ours were sent, 0 where only its text was judged. `target` is DROP,
    REJECT or, for rules of the legacy kind, DNAT.
    """

    node: str
    source: str
    table: str
    chain: str
    text: str
    harmed: tuple[Trouble, ...] = ()
    packets: tuple[str, ...] = ()
    """What it surely drops, as `tcp 10.244.1.2 → 10.244.2.3:80`."""
    moved: int = 0
    counted: int = 0
    target: str = "DROP"
    random: bool = False
    everything: bool = False
    """It drops traffic of every kind that was judged, not some of it."""

    @property
    def is_policy(self) -> bool:
        """A chain's policy."""
        return self.text.startswith("policy ")


@dataclass(frozen=True)
class Filters:
    """All rules of a node, as far as they could be read."""

    saved: Saved
    legacy: Saved
    listed: Ruleset
    legacy_is_main: bool


def filters_of(look: Look, node: str) -> Filters:
    """Its rules of all three kinds; empty where they could not be read."""
    texts = [node_view(node, what, read_saved) for what in (IPTABLES, LEGACY)]
    listing, versions = node_view(node, NFT, read_ruleset), node_text(node, "versions")
    look.foresee(*texts, listing, versions)
    saved, legacy = look.all_known(texts)
    said = look.if_known(versions) or ""
    # Where the node's own tool is the legacy one, both readings are of the same rules.
    main = "(legacy)" in said
    return Filters(saved or Saved(), Saved() if main else legacy or Saved(), look.if_known(listing) or Ruleset(), main)


def drops(look: Look, asked: Question) -> tuple[Drop, ...]:
    """Everything that drops packets of the question, on the nodes that it concerns."""
    nodes = nodes_concerned(look, asked)
    if about_node(asked):
        return tuple(d for node in nodes for d in _on(look, node))
    wanted = [(node, t) for node in nodes for t in _made_again(look, asked, node)]
    look.foresee(*(node_text(node, "versions") for node in nodes), *(bridge_ports(node) for node in nodes))
    seen = look.all_known(
        [moved(n, t.client.pod, t.address, t.port, t.protocol) for n, t in wanted if t.client.pod is not None]
    )
    found: dict[tuple[str, str, str, str, str], Drop] = {}
    for (node, trouble), what in zip(wanted, seen, strict=True):
        if what is None or any(a.outcome.connected for a in what.attempts):
            continue
        for drop in _moved(look, node, trouble, what):
            found.setdefault((drop.node, drop.source, drop.table, drop.chain, drop.text), drop)
    for node in nodes:
        failed = tuple(t for t in troubles(look, asked) if node in (t.client_node, t.server_node))
        for drop in _judged(look, node, failed):
            found.setdefault((drop.node, drop.source, drop.table, drop.chain, drop.text), drop)
    return tuple(found.values())


def _made_again(look: Look, asked: Question, node: str) -> tuple[Trouble, ...]:
    """A failed connection to a Pod's own address and one to a Service's."""
    usable = [t for t in troubles(look, asked) if node in (t.client_node, t.server_node) and t.client.pod is not None]
    direct = [t for t in usable if not t.virtual][:1]
    virtual = [t for t in usable if t.virtual][:1]
    return tuple([*direct, *virtual][:PROBED])


def _moved(look: Look, node: str, trouble: Trouble, what: Moved) -> Iterator[Drop]:
    filters = filters_of(look, node)
    for each in what.rules:
        if each.source == LEGACY and filters.legacy_is_main:
            continue
        target = _takes(look, filters, each, trouble)
        if target and each.packets >= min(2, len(what.attempts)):
            yield Drop(
                node,
                each.source,
                each.table,
                each.chain,
                each.rule,
                (trouble,),
                moved=each.packets,
                target=target,
                random=each.source != NFT and is_random(Rule(each.table, each.chain, each.rule)),
            )


def _takes(look: Look, filters: Filters, each: MovedRule, trouble: Trouble) -> str:
    """The target of a foreign rule that may have taken packets of this connection; '' for all other rules."""
    if is_owned(each.chain):
        return ""
    if each.rule == "policy DROP":
        return "DROP"
    packets = _either_way(trouble)
    if each.source == NFT:
        family, _, name = each.table.partition(" ")
        rule = NftRule(family, name, each.chain, each.rule)
        table = filters.listed.table(family, name) or NftTable(family, name)
        # iptables' own tables are told by iptables itself.
        known = name != "kube-proxy" and not is_compat(family, name) and rule.verdict in ("drop", "reject")
        return rule.verdict.upper() if known and any(nft_fits(table, rule, p) is not False for p in packets) else ""
    rule_ = Rule(each.table, each.chain, each.rule)
    kinds = (*DROPPING, "DNAT") if each.source == LEGACY else DROPPING
    if rule_.target not in kinds or not any(matches(rule_, p) is not False for p in packets):
        return ""
    return rule_.target


def _either_way(trouble: Trouble) -> tuple[Packet, ...]:
    """The connection's first packet and its answer, by the address that was connected to and by the Pod's own."""
    protocol = trouble.protocol.lower()
    targets = dict.fromkeys((trouble.address, trouble.server.address))
    there = [Packet(trouble.client.address, address, protocol, trouble.port) for address in targets]
    return (*there, *(packet.back for packet in there))


def _judged(look: Look, node: str, failed: tuple[Trouble, ...]) -> Iterator[Drop]:
    """What surely drops these connections' first packets, whether or not anything counts them."""
    direct = [t for t in failed if not t.virtual and (t.attempt.outcome.lost)]
    if not direct:
        return
    filters = filters_of(look, node)
    bridge = _bridge(look, node)
    for trouble in direct:
        hooks, packet = _at(node, trouble, bridge)
        for dropped in foreign_drops(filters.listed, hooks, packet):
            yield _drop(node, NFT, dropped, (trouble,), packet)
        for source, saved in ((IPTABLES, filters.saved), (LEGACY, filters.legacy)):
            ended = walk(saved, hooks[-1].upper(), packet)
            if ended is not None and not is_owned(ended.chain):
                yield _drop(node, source, ended, (trouble,), packet)


def _at(node: str, trouble: Trouble, bridge: str) -> tuple[tuple[str, ...], Packet]:
    """The hooks that a connection's first packet passes on a node, and the packet as it looks there."""
    mine = trouble.client_node == node
    theirs = trouble.server_node == node
    own = trouble.client.pod is not None and not trouble.client.pod.host_network
    its = trouble.server.pod is not None and not trouble.server.pod.host_network
    packet = Packet(
        trouble.client.address,
        trouble.server.address,
        trouble.protocol.lower(),
        trouble.port,
        bridge if mine and own else "",
        bridge if theirs and its else "",
    )
    if mine and not own:
        return ("output",), packet
    return ("prerouting", "input" if theirs and not its else "forward"), packet


def _bridge(look: Look, node: str) -> str:
    bridges = {port.bridge for port in look.if_known(bridge_ports(node)) or ()}
    return bridges.pop() if len(bridges) == 1 else ""


def _drop(node: str, source: str, dropped: Dropped, harmed: tuple[Trouble, ...], *packets: Packet) -> Drop:
    said = tuple(str(packet) for packet in packets)
    return Drop(node, source, dropped.table, dropped.chain, dropped.text, harmed, said, counted=dropped.packets or 0)


# --- a node as such -----------------------------------------------------------------------------------------------


def _on(look: Look, node: str) -> Iterator[Drop]:
    """What drops ordinary traffic of a cluster on a node: between Pods of two nodes, to names, to its kubelet."""
    nodes = look.if_known(asks.nodes()) or ()
    here = next((n for n in nodes if n.name == node), None)
    if here is None or bypasses_kernel(look, node) or not network_pods(look, node):
        return
    filters = filters_of(look, node)
    found: dict[tuple[str, str, str, str], Drop] = {}
    ordinary = _ordinary(look, here, nodes, _bridge(look, node))
    for hooks, packet in ordinary:
        ends = [(NFT, d) for d in foreign_drops(filters.listed, hooks, packet)]
        for source, saved in ((IPTABLES, filters.saved), (LEGACY, filters.legacy)):
            ended = walk(saved, hooks[-1].upper(), packet)
            ends += [(source, ended)] if ended is not None and not is_owned(ended.chain) else []
        for source, dropped in ends:
            place = (source, dropped.table, dropped.chain, dropped.text)
            before = found.get(place)
            drop = _drop(node, source, dropped, (), packet)
            found[place] = drop if before is None else _both(before, drop)
    yield from found.values()
    for drop in _counted(node, filters, nodes):
        if (drop.source, drop.table, drop.chain, drop.text) not in found:
            yield drop


def _both(one: Drop, other: Drop) -> Drop:
    return Drop(
        one.node, one.source, one.table, one.chain, one.text, (), (*one.packets, *other.packets), counted=one.counted
    )


def _ordinary(look: Look, here: Node, nodes: tuple[Node, ...], bridge: str) -> Iterator[tuple[tuple[str, ...], Packet]]:
    own = next((p.ip for p in network_pods(look, here.name) if ":" not in p.ip), "")
    others = [n for n in nodes if n.name != here.name]
    forward = ("prerouting", "forward")
    far = next((address for n in others for address in map(_some_address, n.pod_cidrs) if address), "")
    if own and far:
        yield forward, Packet(own, far, "tcp", 0, incoming=bridge)
        yield forward, Packet(far, own, "tcp", 0, outgoing=bridge)
        yield forward, Packet(own, far, "udp", 53, incoming=bridge)
    other = next((n.internal_ip for n in others if n.internal_ip and ":" not in n.internal_ip), "")
    if other and here.internal_ip:
        yield ("prerouting", "input"), Packet(other, here.internal_ip, "tcp", KUBELET)


def _some_address(network: str) -> str:
    """An address of an IPv4 range that a Pod might have, or ''."""
    try:
        found = ipaddress.ip_network(network)
    except ValueError:
        return ""
    return str(found[5]) if found.version == 4 and found.num_addresses > 8 else ""


def _counted(node: str, filters: Filters, nodes: tuple[Node, ...]) -> Iterator[Drop]:
    """Foreign rules that name Pods' addresses and have dropped packets."""
    ranges = [r for n in nodes for r in n.pod_cidrs]
    for source, saved in ((IPTABLES, filters.saved), (LEGACY, filters.legacy)):
        for rule in saved.rules:
            if rule.target in DROPPING and rule.packets and not is_owned(rule.chain) and _names(rule, ranges):
                yield Drop(
                    node, source, rule.table, rule.chain, rule.text, counted=rule.packets, random=is_random(rule)
                )


def _names(rule: Rule, ranges: list[str]) -> bool:
    """Whether a rule restricts itself to addresses that are Pods'."""
    for name in ("-s", "-d"):
        option = rule.option(name)
        if option is None or option.negated:
            continue
        try:
            wanted = ipaddress.ip_network(option.value, strict=False)
        except ValueError:
            continue
        if wanted.prefixlen and any(_overlap(wanted, ipaddress.ip_network(each)) for each in ranges):
            return True
    return False


def _overlap(
    one: ipaddress.IPv4Network | ipaddress.IPv6Network, other: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> bool:
    return one.version == other.version and one.overlaps(other)
