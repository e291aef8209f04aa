"""Rules as `iptables-save -c` prints them (also `iptables-legacy-save` and `ip6tables-save`).

Format: `*TABLE`, then `:CHAIN POLICY [PACKETS:BYTES]` for each chain, then `[PACKETS:BYTES] -A CHAIN …` for each rule,
then `COMMIT`. Nothing raises on odd text: what is not understood is kept as it stands.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

_CHAIN = re.compile(r":(\S+)\s+(\S+)(?:\s+\[(\d+):(\d+)\])?\s*$")
_RULE = re.compile(r"(?:\[(\d+):(\d+)\]\s+)?(-A\s+(\S+).*?)\s*$", re.DOTALL)
_LONG = {
    "--source": "-s",
    "--src": "-s",
    "--destination": "-d",
    "--dst": "-d",
    "--protocol": "-p",
    "--proto": "-p",
    "--jump": "-j",
    "--goto": "-g",
    "--in-interface": "-i",
    "--out-interface": "-o",
    "--match": "-m",
    "--destination-port": "--dport",
    "--source-port": "--sport",
}


@dataclass(frozen=True)
class Option:
    """One option of a rule: `! -s 10.0.0.0/8` is `-s`, negated, with one value."""

    name: str
    values: tuple[str, ...] = ()
    negated: bool = False

    @property
    def value(self) -> str:
        """Its first value, or ''."""
        return self.values[0] if self.values else ""


@dataclass(frozen=True)
class Rule:
    """One rule. `text` is the rule as it was saved, from `-A` on; counters are None where they were not saved."""

    table: str
    chain: str
    text: str
    packets: int | None = None
    bytes: int | None = None

    @property
    def options(self) -> tuple[Option, ...]:
        """All its options in order, long names shortened where both exist; the chain's own `-A` is left out."""
        return _options(self.text)

    def option(self, name: str) -> Option | None:
        """The first option of that name."""
        return next((o for o in self.options if o.name == name), None)

    def value(self, name: str) -> str:
        """The first value of an option that is there and not negated, else ''."""
        found = self.option(name)
        return found.value if found and not found.negated else ""

    @property
    def target(self) -> str:
        """Where `-j` or `-g` leads: a chain or an action such as DROP; '' where the rule only counts."""
        return self.value("-j") or self.value("-g")

    @property
    def comment(self) -> str:
        """Its comments, as one text."""
        return " ".join(o.value for o in self.options if o.name == "--comment")

    @property
    def protocol(self) -> str:
        """`tcp`, `udp`, … or '' for any."""
        return self.value("-p").lower()

    @property
    def matches(self) -> tuple[Option, ...]:
        """What restricts the rule: every option but the target, what belongs to it, the comment and `-m` itself."""
        places = [n for n, o in enumerate(self.options) if o.name in ("-j", "-g")]
        before = self.options[: places[0]] if places else self.options
        return tuple(o for o in before if o.name not in ("--comment", "-m"))

    @property
    def probability(self) -> float | None:
        """The share of packets that a `statistic` match of mode random takes; None without one."""
        try:
            return min(1.0, max(0.0, float(self.value("--probability"))))
        except ValueError:
            return None


@dataclass(frozen=True)
class Chain:
    """A chain of a table; `policy` is '' for chains that are not built in."""

    table: str
    name: str
    policy: str = ""
    packets: int = 0
    bytes: int = 0
    rules: tuple[Rule, ...] = ()

    def jumps_to(self, target: str) -> bool:
        """Whether one of its rules leads to a chain."""
        return any(rule.target == target for rule in self.rules)


@dataclass(frozen=True)
class Saved:
    """A whole output. `odd` are the lines that were not understood; `omitted` says how many rules were left out."""

    chains: Mapping[tuple[str, str], Chain] = field(default_factory=dict)
    odd: tuple[str, ...] = ()
    omitted: int = 0
    services: int = 0
    """How many chains of other Services' ports were left out."""

    def chain(self, table: str, name: str) -> Chain:
        """The chain, or an empty one."""
        return self.chains.get((table, name)) or Chain(table, name)

    def has(self, table: str, name: str) -> bool:
        """Whether there is such a chain."""
        return (table, name) in self.chains

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules of all tables, in order."""
        return tuple(rule for chain in self.chains.values() for rule in chain.rules)

    @property
    def foreign(self) -> tuple[Rule, ...]:
        """Rules in chains that are not Kubernetes' own and that do not lead to one."""
        return tuple(r for r in self.rules if not r.chain.startswith("KUBE-") and not r.target.startswith("KUBE-"))


LEFT_OUT = "# left out:"
"""How the line begins that says what a reduced text lacks."""
_LEFT_OUT = re.compile(rf"{LEFT_OUT} (\d+) rules, (\d+) Services")


def read_saved(text: str | Iterable[str]) -> Saved:
    """The rules of a saved text. Lines outside a table, or of no known form, are kept as odd ones."""
    table = ""
    chains: dict[tuple[str, str], Chain] = {}
    rules: dict[tuple[str, str], list[Rule]] = {}
    odd = []
    omitted = services = 0
    for raw in text.splitlines() if isinstance(text, str) else text:
        line = raw.strip()
        if match := _LEFT_OUT.match(line):
            omitted, services = omitted + int(match[1]), services + int(match[2])
        elif not line or line.startswith("#") or line == "COMMIT":
            continue
        elif line.startswith("*"):
            table = line[1:].strip()
        elif table and (match := _CHAIN.match(line)):
            policy = "" if match[2] == "-" else match[2]
            chains[table, match[1]] = Chain(table, match[1], policy, int(match[3] or 0), int(match[4] or 0))
        elif table and (match := _RULE.match(line)):
            packets, count = (int(match[1]), int(match[2])) if match[1] else (None, None)
            rules.setdefault((table, match[4]), []).append(Rule(table, match[4], match[3], packets, count))
        else:
            odd.append(line)
    for place, found in rules.items():
        bare = chains.get(place) or Chain(*place)
        chains[place] = Chain(bare.table, bare.name, bare.policy, bare.packets, bare.bytes, tuple(found))
    return Saved(chains, tuple(odd), omitted, services)


@lru_cache(maxsize=4096)
def _options(text: str) -> tuple[Option, ...]:
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    found: list[Option] = []
    negated = False
    for word in words[2:]:
        if word == "!":
            negated = True
        elif (word.startswith("-") and len(word) > 1 and not word[1].isdigit()) or not found:
            found.append(Option(_LONG.get(word, word), (), negated))
            negated = False
        elif negated:
            # Old notation: `-s ! 10.0.0.0/8`.
            last = found.pop()
            found.append(Option(last.name, (*last.values, word), True))
            negated = False
        else:
            last = found.pop()
            found.append(Option(last.name, (*last.values, word), last.negated))
    return tuple(found)


def chain_hash(*parts: str) -> str:
    """What kube-proxy puts behind `KUBE-SVC-` and the like (Kubernetes pkg/proxy/iptables, portProtoHash)."""
    digest = hashlib.sha256("".join(parts).encode("utf-8", "surrogatepass")).digest()
    return base64.b32encode(digest).decode()[:16]


def service_chain(prefix: str, port: str, protocol: str) -> str:
    """`KUBE-SVC-…` and its like for a Service port, which is `namespace/name:port name`, or without the port's name."""
    return f"{prefix}{chain_hash(port, protocol.lower())}"


def endpoint_chain(port: str, protocol: str, endpoint: str) -> str:
    """`KUBE-SEP-…` of an endpoint, which is `address:port`, with brackets around IPv6 addresses."""
    return f"KUBE-SEP-{chain_hash(port, protocol.lower(), endpoint)}"
