"""What moved between two readings of a node: rules by their counters, and the kernel's own counters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.net.outcome import Attempt, read_attempt

MOST_RULES = 500
SOURCES = ("iptables", "iptables-legacy", "ip6tables", "ip6tables-legacy", "nft")
"""Readings whose rules count."""

_COUNTED = re.compile(r"\[(\d+):\d+\] (-A (\S+) .*)")
_POLICY = re.compile(r":(\S+) (ACCEPT|DROP) \[(\d+):\d+\]")
_NFT_COUNTER = re.compile(r"counter packets (\d+) bytes \d+")
_NFT_TABLE = re.compile(r"table (\S+ \S+) \{")
_NFT_CHAIN = re.compile(r"chain (\S+) \{")

RuleKey = tuple[str, str, str, str, int]
"""(source, table, chain, rule, which of several alike)."""


@dataclass(frozen=True)
class MovedRule:
    """A rule whose counter grew. `rule` is its text without counters; a chain's policy is `policy DROP`."""

    source: str
    table: str
    chain: str
    rule: str
    packets: int


@dataclass(frozen=True)
class Moved:
    """What a `NodeMoved` fact says."""

    attempts: tuple[Attempt, ...]
    rules: tuple[MovedRule, ...]
    counters: Mapping[str, int]


def read_moved(value: Any) -> Moved:
    """The view of a fact's value."""
    return Moved(
        tuple(map(read_attempt, tree.entries(value, "attempts"))),
        tuple(
            MovedRule(
                tree.text(r, "source"),
                tree.text(r, "table"),
                tree.text(r, "chain"),
                tree.text(r, "rule"),
                tree.number(r, "packets"),
            )
            for r in tree.entries(value, "rules")
        ),
        {str(k): v for k, v in (tree.dig(value, "counters") or {}).items() if isinstance(v, int)},
    )


def between(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, Any]:
    """`{"rules": [...], "counters": {...}}` of what grew; the texts are those of the readings, by their names."""
    grown = []
    for source in SOURCES:
        old = dict(_counts(source, before.get(source, "")))
        for key, packets in _counts(source, after.get(source, "")):
            more = packets - old.get(key, packets)
            if more > 0:
                grown.append(MovedRule(*key[:4], more))
    return {
        "rules": [vars(rule) for rule in grown[:MOST_RULES]],
        "counters": _grown_counters(before, after),
    }


def _counts(source: str, text: str) -> Iterator[tuple[RuleKey, int]]:
    """Every counted rule with its packets."""
    seen: Counter[tuple[str, str, str]] = Counter()
    for table, chain, rule, packets in _nft_rules(text) if source == "nft" else _save_rules(text):
        place = (table, chain, rule)
        yield (source, table, chain, rule, seen[place]), packets
        seen[place] += 1


def _save_rules(text: str) -> Iterator[tuple[str, str, str, int]]:
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
            continue
        rule = _COUNTED.fullmatch(line)
        if rule:
            yield table, rule[3], rule[2], int(rule[1])
            continue
        policy = _POLICY.fullmatch(line)
        if policy:
            yield table, policy[1], f"policy {policy[2]}", int(policy[3])


def _nft_rules(text: str) -> Iterator[tuple[str, str, str, int]]:
    """Rules of nft that count; those of iptables' own tables are told by iptables itself."""
    table = chain = ""
    foreign = False
    for line in text.splitlines():
        stripped = line.strip()
        opened = _NFT_TABLE.fullmatch(stripped)
        if opened:
            table, foreign = opened[1], False
        elif "managed by iptables" in stripped:
            foreign = True
        elif found := _NFT_CHAIN.fullmatch(stripped):
            chain = found[1]
        elif (counter := _NFT_COUNTER.search(stripped)) and not foreign:
            yield table, chain, _NFT_COUNTER.sub("counter", stripped), int(counter[1])


def _grown_counters(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, int]:
    old = {**kernel_counters(before.get("counters", "")), **conntrack_counters(before.get("conntrack", ""))}
    new = {**kernel_counters(after.get("counters", "")), **conntrack_counters(after.get("conntrack", ""))}
    return {name: new[name] - old[name] for name in sorted(new) if name in old and new[name] > old[name]}


def kernel_counters(text: str) -> dict[str, int]:
    """`/proc/net/snmp` and `netstat`: pairs of lines with names and numbers, as `TcpExt.ListenDrops`."""
    found: dict[str, int] = {}
    names: dict[str, list[str]] = {}
    for line in text.splitlines():
        group, colon, rest = line.partition(":")
        words = rest.split()
        if not colon or not words:
            continue
        if not words[0].lstrip("-").isdecimal():
            names[group] = words
        elif group in names and len(names[group]) == len(words):
            found |= {f"{group}.{n}": int(w) for n, w in zip(names[group], words, strict=True) if w.isdecimal()}
    return found


def conntrack_counters(text: str) -> dict[str, int]:
    """`conntrack -S` (`cpu=0 found=1 …`) or `/proc/net/stat/nf_conntrack` (hexadecimal), summed over processors."""
    total: Counter[str] = Counter()
    header: list[str] = []
    for line in text.splitlines():
        pairs = re.findall(r"(\w+)=(\d+)", line)
        if pairs:
            total.update({f"conntrack.{name}": int(number) for name, number in pairs if name != "cpu"})
        elif line.startswith("entries"):
            header = line.split()
        elif header and len(line.split()) == len(header):
            for name, number in zip(header, line.split(), strict=True):
                if name != "entries" and re.fullmatch(r"[0-9a-f]+", number):
                    total[f"conntrack.{name}"] += int(number, 16)
    return dict(total)
