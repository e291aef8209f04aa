"""Source ports that a node's rule gives to what Pods send outside, and that are all in use towards one destination."""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from kubectl_netdebug.causes.concerned import Trouble
from kubectl_netdebug.causes.node_asks import moved, node_view
from kubectl_netdebug.causes.node_drops import IPTABLES, LEGACY, filters_of
from kubectl_netdebug.causes.node_view import about_node, at, concerned, effect, lines
from kubectl_netdebug.causes.node_view import lost_at as lost_on
from kubectl_netdebug.causes.on_node import mend_on_node
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.filters import Packet, matches
from kubectl_netdebug.net.iptables import Rule, Saved
from kubectl_netdebug.net.tracked import Given, read_tracked

EVERY_PORT = (1024, 65535)
"""What the kernel gives out where a rule names no range."""

EXHAUSTED = Cause(
    code="egress-local-snat-exhausted",
    title="All source ports towards one destination are in use on a node",
    says="On node {node} the {count} source ports that a rule gives to connections to {target} are in use ({range}).",
    means="A new connection to that destination finds no port and is dropped; one to any other destination gets one.",
    symptom="New connections to one busy destination time out from one node, while those that exist go on.",
    apart="A firewall drops from every node. A full connection table drops whatever the destination is.",
    mend="Widen the range of the rule (or leave it out), spread over more addresses, and have clients keep and share "
    "their connections.",
    explains=("egress-firewall", "egress-masquerade-missing"),
)


@dataclass(frozen=True)
class Gives:
    """A rule that translates the source of a packet. `addresses` is empty where it takes the node's own."""

    rule: Rule
    tool: str
    addresses: tuple[str, ...]
    low: int
    high: int

    @property
    def ports(self) -> int:
        """How many connections to one destination it has room for."""
        return (self.high - self.low + 1) * max(1, len(self.addresses))

    def in_use(self, given: tuple[Given, ...], trouble: Trouble) -> int:
        """How many of them are taken towards the destination of a connection."""
        return sum(
            each.within(self.low, self.high)
            for each in given
            if (each.protocol, each.address, each.port) == (trouble.protocol, trouble.address, trouble.port)
            and (not self.addresses or each.source in self.addresses)
        )


@explains(Hop.NODE_FILTERS, EXHAUSTED, When.ALWAYS)
def exhausted(look: Look, asked: Question) -> Finding | None:
    """A connection got lost, and as many answered ones are tracked to its destination as the rule has ports for."""
    if about_node(asked):
        return None
    for node in concerned(look, asked):
        for trouble in lost_on(look, asked, node):
            if trouble.client_node != node or trouble.client.pod is None or trouble.virtual:
                continue
            gives = next(_rules(look, node, trouble), None)
            if gives is None:
                continue
            given = look.if_known(node_view(node, "tracked", read_tracked, trouble.address)) or ()
            taken = gives.in_use(given, trouble)
            if taken < gives.ports and not (2 * taken >= gives.ports and _finds_none(look, node, trouble)):
                continue
            harmed = tuple(t for t in lost_on(look, asked, node) if t.address == trouble.address)
            return EXHAUSTED.confirmed(
                at=at(node),
                node=node,
                count=gives.ports,
                target=f"{trouble.address}:{trouble.port}",
                range=f"{gives.low}-{gives.high}",
                effect=effect(look, asked),
                saw=(
                    gives.rule.text,
                    f"{node}: {taken} answered connections to {trouble.address}:{trouble.port} have such a port",
                    *lines(harmed),
                ),
                fix=_widen(look, node, gives),
            )
    return None


def _finds_none(look: Look, node: str, trouble: Trouble) -> bool:
    """Whether the kernel counts each of our connects, made again, as one that it could not give a place."""
    if trouble.client.pod is None:
        return False
    again = look.if_known(moved(node, trouble.client.pod, trouble.address, trouble.port, trouble.protocol))
    if again is None or not again.attempts or any(a.outcome.connected for a in again.attempts):
        return False
    return again.counters.get("conntrack.insert_failed", 0) >= len(again.attempts)


def _rules(look: Look, node: str, trouble: Trouble) -> Iterator[Gives]:
    """The first rule of each kind of iptables that takes the connection's first packet on its way out."""
    filters = filters_of(look, node)
    packet = Packet(trouble.client.address, trouble.address, trouble.protocol.lower(), trouble.port)
    for tool, saved in ((IPTABLES, filters.saved), (LEGACY, filters.legacy)):
        found = _first(saved, "POSTROUTING", packet, 0)
        if found is not None:
            addresses, low, high = _range(found)
            yield Gives(found, tool, addresses, low, high)


def _first(saved: Saved, chain: str, packet: Packet, depth: int) -> Rule | None:
    """The rule that translates a packet; what is kube-proxy's own takes only what it marked."""
    for rule in saved.chain("nat", chain).rules:
        if rule.target.startswith("KUBE-") or matches(rule, packet) is False:
            continue
        if rule.target in ("SNAT", "MASQUERADE"):
            return rule
        if rule.target in ("ACCEPT", "RETURN") and matches(rule, packet):
            return None
        if saved.has("nat", rule.target) and depth < 8:
            inside = _first(saved, rule.target, packet, depth + 1)
            if inside is not None:
                return inside
    return None


def _range(rule: Rule) -> tuple[tuple[str, ...], int, int]:
    """(addresses, first port, last port) of what a rule gives."""
    said = rule.value("--to-source")
    match = re.fullmatch(r"([0-9.]*)(?:-([0-9.]+))?(?::(\d+)(?:-(\d+))?)?(?:/\d+)?", said)
    addresses = _between(match[1], match[2] or match[1]) if match and match[1] else ()
    ports = re.fullmatch(r"(\d+)(?:-(\d+))?", rule.value("--to-ports"))
    low, high = (match[3], match[4]) if match and match[3] else (ports[1], ports[2]) if ports else ("", "")
    return (addresses, int(low), int(high or low)) if low else (addresses, *EVERY_PORT)


def _between(first: str, last: str) -> tuple[str, ...]:
    try:
        low, high = int(ipaddress.IPv4Address(first)), int(ipaddress.IPv4Address(last))
    except ValueError:
        return ()
    return tuple(str(ipaddress.IPv4Address(number)) for number in range(low, min(high, low + 255) + 1))


def _widen(look: Look, node: str, gives: Gives) -> Fix:
    """The same rule in the same place, with every port."""
    if (gives.low, gives.high) == EVERY_PORT:
        return mend_on_node(
            look,
            node,
            "give the traffic a further address",
            *(gives.tool, "-t", "nat", "-S", gives.rule.chain),
            not_pasteable="every port of this address is in use: which further address may be used is yours to say",
        )
    words = shlex.split(gives.rule.text)
    if "--to-ports" in words:
        place = words.index("--to-ports")
        wide = [*words[:place], *words[place + 2 :]]
    else:
        place = words.index("--to-source") + 1
        wide = [*words[:place], words[place].partition(":")[0] + ":{}-{}".format(*EVERY_PORT), *words[place + 1 :]]
    wide += [] if "--random-fully" in wide else ["--random-fully"]
    listed = f"{gives.tool} -w -t nat -S {shlex.quote(gives.rule.chain)}"
    number = f"$({listed} | grep '^-A' | grep -nxF -e {shlex.quote(gives.rule.text)} | head -n 1 | cut -d: -f1)"
    line = f"{gives.tool} -w -t nat -R {shlex.quote(gives.rule.chain)} {number} {shlex.join(wide[2:])}"
    title = "let the rule give every port (what wrote the rule may write it again)"
    return mend_on_node(look, node, title, "sh", "-c", line)
