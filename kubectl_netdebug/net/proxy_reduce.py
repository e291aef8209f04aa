"""Rule sets of many Services cut down as they are read, to what concerns a few of them and what is not kube-proxy's.

The text stays one that `net/iptables.py` and `net/nftables.py` read; a comment says how much was left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kubectl_netdebug.net.iptables import LEFT_OUT
from kubectl_netdebug.net.nftables import is_compat, split_outside
from kubectl_netdebug.net.proxy_iptables import own_chains
from kubectl_netdebug.net.proxyrules import ServicePorts, plain, read_port

MOST_LINES = 20_000
"""Lines that a reduced text keeps at most; rules beyond are counted as left out."""

_CHOOSING = ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL")
_BALANCING = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-")
_DESTINATION = re.compile(r" -d (\S+)")
_PORT = re.compile(r" --dport (\d+)")
_TO_ENDPOINT = re.compile(r"-j (KUBE-SEP-\S+)")
_JUMP = re.compile(r"-[jg] (KUBE-(?:SVC|SVL|EXT|FW)-\S+)")


class _About:
    """The Service ports as sets to look up in."""

    def __init__(self, about: ServicePorts) -> None:
        self.addresses = frozenset(plain(a) for p in about for _, a, _ in p.places if a)
        self.node_ports = frozenset(str(p.node_port) for p in about if p.node_port)
        self.chains = frozenset(name for p in about for name in own_chains(p))
        self.names = frozenset(f"{p.namespace}/{p.service}/" for p in about)


def keep_iptables(lines: Iterable[str], about: tuple[str, ...]) -> Iterable[str]:
    """`reduce_iptables` for a reading of a node: `about` are Service ports as text."""
    return reduce_iptables(lines, _ports(about)).splitlines()


def keep_nft(lines: Iterable[str], about: tuple[str, ...]) -> Iterable[str]:
    """`reduce_nft` for a reading of a node: `about` are Service ports as text."""
    return reduce_nft(lines, _ports(about)).splitlines()


def _ports(about: tuple[str, ...]) -> ServicePorts:
    return tuple(port for text in about if (port := read_port(text)))


def reduce_iptables(lines: Iterable[str], about: ServicePorts) -> str:
    """Saved rules without those of other Services.

    Chains of endpoints are printed before the Services that lead to them, so those rules are held back until it is
    known which ones are wanted.
    """
    wanted = _About(about)
    chains: set[str] = set(wanted.chains)
    endpoints: set[str] = set()
    kept: list[tuple[int, str]] = []
    held: list[tuple[int, str, str]] = []
    rules = services = 0
    for number, raw in enumerate(lines):
        line = raw.rstrip("\n")
        name = _chain_of(line)
        if not name.startswith("KUBE-S") and not name.startswith(
            ("KUBE-EXT", "KUBE-FW-", "KUBE-NODEP", "KUBE-PROXY-F")
        ):
            kept.append((number, line))
        elif name.startswith("KUBE-SEP-") or name.startswith(_BALANCING):
            held.append((number, name, line))
        elif name in _CHOOSING and not _chooses(line, wanted):
            rules += 1
        else:
            kept.append((number, line))
            if match := _JUMP.search(line):
                chains.add(match[1])
    # Chains lead to further ones: from the outside, by the firewall, to the one that balances.
    for _, name, line in held * 2:
        if name in chains and (match := _JUMP.search(line)):
            chains.add(match[1])
    for _, name, line in held:
        if name in chains and (match := _TO_ENDPOINT.search(line)):
            endpoints.add(match[1])
    for number, name, line in held:
        if name in chains or name in endpoints:
            kept.append((number, line))
        elif line.startswith(":"):
            services += name.startswith(("KUBE-SVC-", "KUBE-SVL-"))
        else:
            rules += 1
    kept.sort()
    return _told([line for _, line in kept], rules, services)


def _chain_of(line: str) -> str:
    """The chain that a line is about, '' where it is about none."""
    if line.startswith(":"):
        return line[1 : line.find(" ")]
    start = line.find("-A ")
    if start < 0:
        return ""
    end = line.find(" ", start + 3)
    return line[start + 3 : end if end > 0 else None]


def _chooses(line: str, wanted: _About) -> bool:
    """Whether a rule of a choosing chain is about one of the Services, or about none in particular."""
    if line.startswith(":"):
        return True
    port = _PORT.search(line)
    if port is None:
        return True
    if match := _DESTINATION.search(line):
        address = match[1]
        if not address.startswith("127."):
            return plain(address) in wanted.addresses
    return port[1] in wanted.node_ports


def reduce_nft(lines: Iterable[str], about: ServicePorts) -> str:
    """A listing without what belongs to other Services in kube-proxy's tables and in iptables' ones."""
    wanted = _About(about)
    cut = _Cut(wanted)
    kept = [line for raw in lines for line in cut.take(raw.rstrip("\n"))]
    kept += cut.rest()
    return _told(kept, cut.rules, cut.services)


_OWN = re.compile(r"\t(chain|set) (service|local|external|firewall|endpoint|affinity)-[A-Z0-9]{8}-(\S+) \{$")
_COMPAT = re.compile(r"\tchain (KUBE-(?:SVC|SVL|EXT|FW|SEP)-\S+) \{$")
_CHOOSING_MAPS = ("no-endpoint-services", "no-endpoint-nodeports", "firewall-ips", "service-ips", "service-nodeports")


class _Cut:
    """Where in the listing we are: `skips` inside a block that is left out, `elements` inside a list of them."""

    def __init__(self, wanted: _About) -> None:
        self.wanted = wanted
        self.rules = 0
        self.services = 0
        self.family = ""
        self.table = ""
        self.block = ""
        self.skips = False
        self.elements = False
        self.first = True
        self.waiting = ""

    def take(self, line: str) -> Iterator[str]:
        """What is kept of a line, and of what waited for it."""
        if self.elements:
            yield from self._element(line)
        elif self.skips:
            if line == "\t}":
                self.skips = False
            else:
                self.rules += 1
        elif not line.startswith("\t"):
            words = line.split()
            if words[:1] == ["table"] and len(words) >= 3:
                self.family, self.table = words[1], words[2]
            if words:
                yield line
        elif self._left_out(line):
            self.skips = True
        elif line.startswith("\t\telements = {") and self.table == "kube-proxy" and self.block in _SHORTENED:
            self.elements, self.first = True, True
            yield from self._element(line[len("\t\telements = {") :])
        elif self.block in _CHOOSING and is_compat(self.family, self.table) and line.startswith("\t\t"):
            if self._compat_rule(line):
                yield line
            else:
                self.rules += 1
        else:
            if line.startswith("\t") and not line.startswith("\t\t"):
                words = line.split()
                self.block = words[1] if len(words) > 1 else ""
            yield line

    def _left_out(self, line: str) -> bool:
        """Whether a block begins here that belongs to another Service."""
        if line.startswith("\t\t"):
            return False
        if is_compat(self.family, self.table):
            # All of these are in iptables-save as well.
            return bool(_COMPAT.match(line))
        match = _OWN.match(line) if self.table == "kube-proxy" else None
        if match is None or match[3].startswith(tuple(self.wanted.names)):
            return False
        self.services += match[2] in ("service", "local")
        return True

    def _compat_rule(self, line: str) -> bool:
        match = re.search(r"\bdport (\d+)", line)
        return match is None or match[1] in self.wanted.node_ports or any(a in line for a in self.wanted.addresses)

    def _element(self, line: str) -> Iterator[str]:
        """Keeps the elements of the wanted Services, of a list that may go on over many lines."""
        bare = line.strip()
        ends = bare.endswith("}")
        text = bare.removesuffix("}").strip()
        for each in text.split(",") if '"' not in text else split_outside(text, ","):
            element = each.strip()
            if not element:
                continue
            if self._wanted(element):
                lead = "\t\telements = { " if self.first else "\t\t\t     "
                if self.waiting:
                    yield f"{self.waiting},"
                self.waiting, self.first = f"{lead}{element}", False
            else:
                self.rules += 1
        if ends:
            if self.waiting:
                yield f"{self.waiting} }}"
            self.elements, self.waiting = False, ""

    def _wanted(self, element: str) -> bool:
        if self.block == "hairpin-connections":
            return True
        key = element.partition(" : ")[0].partition(" comment ")[0].split(" . ")
        if self.block in ("service-nodeports", "no-endpoint-nodeports"):
            return key[-1] in self.wanted.node_ports
        return key[0] in self.wanted.addresses

    def rest(self) -> list[str]:
        """What is left where the listing broke off."""
        return [f"{self.waiting} }}"] if self.waiting else []


_SHORTENED = frozenset({*_CHOOSING_MAPS, "cluster-ips"})


def _told(kept: list[str], rules: int, services: int) -> str:
    if len(kept) > MOST_LINES:
        rules += len(kept) - MOST_LINES
        kept = kept[:MOST_LINES]
    told = [f"{LEFT_OUT} {rules} rules, {services} Services"] if rules or services else []
    return "\n".join([*kept, *told]) + "\n"
