"""What packet filters do with a packet: rules of iptables and of foreign nft tables, matched as far as they are known.

Every match is yes, no or unknown (None). A walk ends in a verdict only where nothing unknown stands before it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from kubectl_netdebug.net.iptables import Option, Rule, Saved
from kubectl_netdebug.net.nftables import NftChain, NftRule, NftTable, Ruleset

DROPPING = ("DROP", "REJECT")
OWNED = ("KUBE-", "cali-", "cali", "CILIUM", "OLD_CILIUM", "WEAVE-", "ANTREA-", "FLANNEL-", "CNI-", "ISTIO", "LINKERD")
"""How names of chains begin that belong to Kubernetes, a Pod network or a mesh, whose drops are theirs to explain."""

DEPTH = 12
_NO_MATCH = ("-m", "--comment", "--reject-with", "--log-prefix", "--log-level", "-j", "-g")


@dataclass(frozen=True)
class Packet:
    """The first packet of a connection. `port` 0 and devices '' are not known."""

    source: str
    target: str
    protocol: str = "tcp"
    port: int = 0
    incoming: str = ""
    outgoing: str = ""

    @property
    def back(self) -> Packet:
        """Its answer, whose own destination port is not known."""
        return replace(self, source=self.target, target=self.source, port=0, incoming="", outgoing="")

    def __str__(self) -> str:
        port = f":{self.port}" if self.port else ""
        return f"{self.protocol} {self.source} → {self.target}{port}"


@dataclass(frozen=True)
class Dropped:
    """Where a packet ends. `text` is the rule, or `policy DROP` of a chain; `packets` None where nothing counts."""

    table: str
    chain: str
    text: str
    packets: int | None = None
    number: int = 0
    """The rule's place in its chain, from 1; 0 for a policy."""

    @property
    def is_policy(self) -> bool:
        """A chain's policy, met since no rule took the packet."""
        return self.text.startswith("policy ")


def is_owned(chain: str) -> bool:
    """Whether a chain is Kubernetes' own or a Pod network's."""
    return chain.startswith(OWNED)


# --- iptables -----------------------------------------------------------------------------------------------------


def matches(rule: Rule, packet: Packet) -> bool | None:
    """Whether a rule takes a packet; None where that cannot be told."""
    if is_random(rule):
        return None
    found = [_fits(option, packet) for option in rule.options if option.name not in _NO_MATCH and _restricts(option)]
    return _all(found)


def is_random(rule: Rule) -> bool:
    """Whether it takes a share of what passes (`-m statistic`)."""
    return rule.option("--probability") is not None or rule.option("--every") is not None


def _restricts(option: Option) -> bool:
    return not option.name.startswith(("--set-mark", "--set-xmark", "--to-", "--or-mark", "--and-mark", "--random"))


def _all(found: Iterable[bool | None]) -> bool | None:
    each = list(found)
    if any(one is False for one in each):
        return False
    return None if any(one is None for one in each) else True


def _fits(option: Option, packet: Packet) -> bool | None:
    plain = _fits_plainly(option, packet)
    return None if plain is None else plain != option.negated


def _fits_plainly(option: Option, packet: Packet) -> bool | None:
    value = option.value
    match option.name:
        case "-s":
            return within(packet.source, value.split(","))
        case "-d":
            return within(packet.target, value.split(","))
        case "-p":
            return value.lower() in (packet.protocol, "all")
        case "-i":
            return _device(packet.incoming, value)
        case "-o":
            return _device(packet.outgoing, value)
        case "--dport" | "--dports":
            return _port(packet.port, value)
        case "--ctstate" | "--state":
            return "NEW" in value.split(",")
        case "--syn":
            return packet.protocol == "tcp"
        case "--tcp-flags":
            return option.values[1:2] == ("SYN",)
        case "--mark":
            return int(value.partition("/")[0] or "0", 0) == 0 if re.match(r"0x[0-9a-f]+|\d+", value) else None
    return None


def within(address: str, networks: Iterable[str]) -> bool | None:
    """Whether an address is in one of the networks; None where one of them cannot be read."""
    try:
        place = ipaddress.ip_address(address)
        return any(place in ipaddress.ip_network(network.strip(), strict=False) for network in networks)
    except (ValueError, TypeError):
        return None


def _device(name: str, wanted: str) -> bool | None:
    if not name:
        # The loopback device carries nothing that is forwarded.
        return False if wanted == "lo" else None
    return name.startswith(wanted[:-1]) if wanted.endswith("+") else name == wanted


def _port(port: int, wanted: str) -> bool | None:
    if not port:
        return None
    for each in wanted.split(","):
        first, _, last = each.replace("-", ":").partition(":")
        if not first.isdecimal() or (last and not last.isdecimal()):
            return None
        if int(first) <= port <= int(last or first):
            return True
    return False


def walk(saved: Saved, chain: str, packet: Packet, table: str = "filter") -> Dropped | None:
    """Where a built-in chain surely drops a packet; None where it lets it through or that cannot be told."""
    end = _walk(saved, table, chain, packet, 0)
    if isinstance(end, Dropped):
        return end
    built_in = saved.chain(table, chain)
    if end == "" and built_in.policy == "DROP":
        return Dropped(table, chain, "policy DROP", built_in.packets)
    return None


def _walk(saved: Saved, table: str, chain: str, packet: Packet, depth: int) -> Dropped | str:
    """A drop, `accept`, `unknown`, or '' where the packet leaves the chain at its end."""
    for number, rule in enumerate(saved.chain(table, chain).rules, 1):
        fits = matches(rule, packet)
        if fits is False or not rule.target:
            continue
        end = _end_of(saved, table, rule, number, packet, depth)
        if end == "":
            continue
        if end == "return":
            if fits:
                return ""
            return "unknown"
        if fits is None:
            # Perhaps taken: a drop would be no surprise and no proof, and what comes behind may not be met.
            if end == "accept" or end == "unknown":
                return "unknown"
            continue
        return end
    return ""


def _end_of(saved: Saved, table: str, rule: Rule, number: int, packet: Packet, depth: int) -> Dropped | str:
    target = rule.target
    if target in DROPPING:
        return Dropped(table, rule.chain, rule.text, rule.packets, number)
    if target == "ACCEPT":
        return "accept"
    if target == "RETURN":
        return "return"
    if saved.has(table, target):
        if target.startswith(OWNED) and not target.startswith("KUBE-"):
            return "unknown"
        return _walk(saved, table, target, packet, depth + 1) if depth < DEPTH else "unknown"
    return "unknown" if target in ("NFQUEUE", "QUEUE") else ""


# --- nft ----------------------------------------------------------------------------------------------------------


def foreign_drops(ruleset: Ruleset, hooks: tuple[str, ...], packet: Packet) -> Iterator[Dropped]:
    """Where tables that are not Kubernetes' surely drop a packet. A base chain's accept binds no other chain."""
    for table in ruleset.foreign:
        if table.dormant or table.name.startswith(OWNED) or table.family not in ("ip", "ip6", "inet"):
            continue
        for chain in table.chains.values():
            if chain.hook in hooks:
                end = _nft_walk(table, chain, packet, 0)
                if isinstance(end, Dropped):
                    yield end
                elif end == "" and chain.policy == "drop":
                    yield Dropped(f"{table.family} {table.name}", chain.name, "policy drop")


def _nft_walk(table: NftTable, chain: NftChain, packet: Packet, depth: int) -> Dropped | str:
    for number, rule in enumerate(chain.rules, 1):
        verdict = rule.verdict
        if not verdict or verdict in ("continue", "masquerade", "dnat", "snat", "redirect", "notrack"):
            continue
        fits = nft_matches(table, rule, packet)
        if fits is False:
            continue
        end: Dropped | str
        if verdict in ("drop", "reject"):
            end = Dropped(f"{table.family} {table.name}", chain.name, rule.text, rule.packets, number)
        elif verdict in ("jump", "goto"):
            end = _nft_walk(table, table.chain(rule.target), packet, depth + 1) if depth < DEPTH else "unknown"
            if end == "" and verdict == "goto":
                end = "return"
        else:
            end = verdict if verdict in ("accept", "return") else "unknown"
        if end == "":
            continue
        if fits is None:
            if isinstance(end, Dropped):
                continue
            return "unknown"
        return "" if end == "return" else end
    return ""


_TOKEN = re.compile(r'"[^"]*"|\{[^}]*\}|\S+')
_WORDLESS = ("counter", "log", "comment", "drop", "accept", "reject", "return", "jump", "goto", "continue")


def nft_matches(table: NftTable, rule: NftRule, packet: Packet) -> bool | None:
    """Whether a rule takes a packet. Words that are not known make it unknown."""
    words = _TOKEN.findall(rule.text)
    place = 0
    found: list[bool | None] = []
    while place < len(words):
        word = words[place]
        if word in _WORDLESS:
            if word == "counter" and words[place + 1 : place + 2] == ["packets"]:
                place += 5
                continue
            if word in ("log", "comment"):
                place += 1
                while place < len(words) and words[place] not in _WORDLESS:
                    place += 1
                continue
            break
        two = " ".join(words[place : place + 2])
        taken = 1 if word in ("iifname", "oifname", "iif", "oif") else 2
        key = word if taken == 1 else two
        rest = words[place + taken :]
        negated = rest[:1] == ["!="]
        value = rest[1 if negated else 0] if len(rest) > negated else ""
        one = _nft_fits(table, key, value, packet)
        found.append(None if one is None else one != negated)
        if one is None and key not in _NFT_KEYS:
            return False if False in found else None
        place += taken + 1 + negated
    return _all(found)


_NFT_KEYS = (
    *("ip saddr", "ip daddr", "ip6 saddr", "ip6 daddr", "tcp dport", "udp dport", "th dport", "ct state"),
    *("meta l4proto", "ip protocol", "iifname", "oifname", "iif", "oif", "tcp sport", "udp sport"),
)


def _nft_fits(table: NftTable, key: str, value: str, packet: Packet) -> bool | None:
    values = _nft_values(table, value)
    six = ":" in packet.source
    match key:
        case "ip saddr" | "ip6 saddr":
            return False if six != key.startswith("ip6") else _inside(packet.source, values)
        case "ip daddr" | "ip6 daddr":
            return False if six != key.startswith("ip6") else _inside(packet.target, values)
        case "tcp dport" | "udp dport" | "th dport":
            if not key.startswith(("th", packet.protocol)):
                return False
            return None if values is None else _port(packet.port, ",".join(values))
        case "tcp sport" | "udp sport":
            return None if key.startswith(packet.protocol) else False
        case "meta l4proto" | "ip protocol":
            return None if values is None else packet.protocol in values
        case "ct state":
            return "new" in value.strip("{} ").replace(" ", "").split(",")
        case "iifname" | "iif":
            return _named(packet.incoming, values)
        case "oifname" | "oif":
            return _named(packet.outgoing, values)
    return None


def _inside(address: str, values: list[str] | None) -> bool | None:
    if values is None or any("-" in value for value in values):
        return None
    return within(address, values)


def _named(device: str, values: list[str] | None) -> bool | None:
    if values is None:
        return None
    each = [_device(device, value.replace("*", "+")) for value in values]
    return True if True in each else None if None in each else False


def _nft_values(table: NftTable, value: str) -> list[str] | None:
    """The plain members of a value, an anonymous set or a named one; None where it cannot be read."""
    if value.startswith("@"):
        named = table.sets.get(value[1:])
        return None if named is None else [element.key.strip('"') for element in named.elements]
    if not value:
        return None
    inner = value.strip("{} ")
    return [each.strip().strip('"') for each in inner.split(",") if each.strip()]
