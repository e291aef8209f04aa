"""kube-proxy's nftables mode: what table `kube-proxy` of a node does with a Service port.

The layout is that of Kubernetes pkg/proxy/nftables: the maps service-ips and service-nodeports choose by address and
port, external-, service- and local- chains balance, by a map of addresses or, with affinity, by endpoint- chains.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kubectl_netdebug.net.nftables import NftRule, NftTable, Ruleset, split_outside
from kubectl_netdebug.net.proxyrules import (
    General,
    Kind,
    Mode,
    PortRules,
    ProxiedPort,
    Target,
    Verdict,
    Way,
    endpoint,
    is_address,
    plain,
)

TABLE = "kube-proxy"
JUMPS = (("nat-prerouting", "services"), ("nat-output", "services"), ("nat-postrouting", "masquerading"))
_DNAT = re.compile(r"\bdnat\b.*?\bto\s+(.*)")
_RANDOM = re.compile(r"\bnumgen random mod \d+ v?map\s*\{(.*)\}")
_RANGES = re.compile(r"saddr != (\{[^}]*\}|\S+) drop")
_NOT_FROM = re.compile(r"saddr != (\S+)")
_DEEPEST = 6


def table_of(rules: Ruleset, ipv6: bool = False) -> NftTable | None:
    """kube-proxy's table of a family, or None."""
    return rules.table("ip6" if ipv6 else "ip", TABLE)


def port_rules(rules: Ruleset, port: ProxiedPort) -> PortRules:
    """What the rules do with one Service port, way by way."""
    table = table_of(rules, port.ipv6) or NftTable("ip6" if port.ipv6 else "ip", TABLE)
    return PortRules(port, Mode.NFTABLES, tuple(_way(table, port, *place) for place in port.places))


@dataclass
class _Walk:
    targets: dict[tuple[str, int], float] = field(default_factory=dict)
    affinity: int = 0
    masquerade: str = ""
    text: list[str] = field(default_factory=list)


def _way(table: NftTable, port: ProxiedPort, kind: Kind, address: str, number: int) -> Way:
    node = kind is Kind.NODE_PORT
    bare = f"{port.protocol.lower()} . {number}"
    key = bare if node else f"{address} . {bare}"
    value = table.set("service-nodeports" if node else "service-ips").value(key)
    stop = table.set("no-endpoint-nodeports" if node else "no-endpoint-services").value(key)
    walk = _Walk()
    chain = value.removeprefix("goto ").removeprefix("jump ") if value else ""
    if value:
        walk.text.append(f"{key} : {value}")
        _follow(table, chain, 1.0, walk, 0)
    if kind is Kind.CLUSTER and not walk.masquerade:
        walk.masquerade = _services_mark(table)
    targets = tuple(Target(*place, weight) for place, weight in walk.targets.items())
    verdict = Verdict.BALANCE if targets else Verdict.NOWHERE if value else Verdict.NONE
    if stop is not None and not targets:
        walk.text.append(f"{key} : {stop}")
        verdict = Verdict.DROP if stop == "drop" else Verdict.REJECT
    ranges = _ranges(table, key) if kind is Kind.BALANCER else ()
    return Way(kind, address, number, verdict, targets, walk.affinity, walk.masquerade, ranges, chain, tuple(walk.text))


def _follow(table: NftTable, name: str, share: float, walk: _Walk, depth: int) -> None:
    """Goes through a chain as a packet of a client from outside, and takes down where it may end."""
    if depth > _DEEPEST:
        return
    for rule in table.chain(name).rules:
        if match := re.search(r"saddr @(\S+)", rule.text):
            walk.affinity = max(walk.affinity, table.set(match[1]).timeout)
        elif "saddr" in rule.text and "update @" not in rule.text:
            continue
        elif rule.text.startswith("meta mark set"):
            walk.masquerade = "all"
        elif rule.verdict in ("goto", "jump"):
            walk.text.append(rule.text)
            _follow(table, rule.target, share, walk, depth + 1)
            return
        elif ends := _ends(rule):
            walk.text.append(rule.text)
            for place in ends:
                walk.targets[place] = walk.targets.get(place, 0.0) + share / len(ends)
            return
        elif chains := _chains(rule):
            walk.text.append(rule.text)
            for each in chains:
                _follow(table, each, share / len(chains), walk, depth + 1)
            return


def _ends(rule: NftRule) -> list[tuple[str, int]]:
    """The endpoints that a rule translates to: one, or those of its map."""
    match = _DNAT.search(rule.text)
    if not match:
        return []
    if chosen := _RANDOM.search(match[1]):
        values = [each.partition(" : ")[2].split(" . ") for each in split_outside(chosen[1], ",")]
        return [
            (plain(v[0].strip()), int(v[1]))
            for v in values
            if len(v) == 2 and is_address(v[0].strip()) and v[1].strip().isdecimal()
        ]
    words = match[1].split()
    place = endpoint(words[0]) if words else None
    return [place] if place else []


def _chains(rule: NftRule) -> list[str]:
    chosen = _RANDOM.search(rule.text)
    values = [each.partition(" : ")[2].split() for each in split_outside(chosen[1], ",")] if chosen else []
    return [v[1] for v in values if len(v) == 2 and v[0] in ("goto", "jump")]


def _ranges(table: NftTable, key: str) -> tuple[str, ...]:
    chain = (table.set("firewall-ips").value(key) or "").removeprefix("goto ")
    for rule in table.chain(chain).rules if chain else ():
        if match := _RANGES.search(rule.text):
            return tuple(each.strip() for each in match[1].strip("{} ").split(",") if each.strip())
    return ()


def _services_mark(table: NftTable) -> str:
    """Whose packets to ClusterIPs are marked for masquerading."""
    for rule in table.chain("services").rules:
        if "@cluster-ips" in rule.text and "mark set" in rule.text:
            match = _NOT_FROM.search(rule.text)
            return f"! {match[1]}" if match else "all"
    return ""


def self_masqueraded(rules: Ruleset, address: str, port: int, protocol: str = "TCP") -> bool | None:
    """Whether an endpoint's traffic to itself is masqueraded; None where the table is not there."""
    table = table_of(rules, ":" in address)
    if table is None:
        return None
    uses = any(
        "@hairpin-connections" in r.text and r.verdict == "masquerade" for r in table.chain("masquerading").rules
    )
    key = f"{address} . {address} . {protocol.lower()} . {port}"
    return uses and table.set("hairpin-connections").value(key) is not None


def general(rules: Ruleset, ipv6: bool = False) -> General:
    """What of this mode stands on the node apart from single Services."""
    table = table_of(rules, ipv6)
    if table is None:
        return General(Mode.NFTABLES, present=False, broken=(f"table {'ip6' if ipv6 else 'ip'} {TABLE}",))
    broken = [
        f"jump from chain {hook} to {to}"
        for hook, to in JUMPS
        if not (table.chain(hook).hook and table.chain(hook).leads_to(to))
    ]
    services = table.chain("services").rules
    if services and not any("@service-ips" in r.text for r in services):
        broken.append("the look-up in map service-ips of chain services")
    if table.dormant:
        broken.append("the table is dormant")
    masquerading = [r for r in table.chain("masquerading").rules if r.verdict == "masquerade" and "mark" in r.text]
    node_ports = [r for r in services if "@service-nodeports" in r.text]
    limited = any("@nodeport-ips" in r.text for r in node_ports)
    mark = _services_mark(table)
    return General(
        Mode.NFTABLES,
        present=True,
        broken=tuple(broken),
        masquerades=bool(masquerading),
        random=any("fully-random" in r.text for r in masquerading),
        local=(mark[2:],) if mark.startswith("! ") else (),
        node_port_addresses=tuple(e.key for e in table.set("nodeport-ips").elements) if limited else (),
        loopback=False,
        services=sum(1 for name in table.chains if "/" in name and name.startswith(("service-", "local-")))
        + rules.services,
    )
