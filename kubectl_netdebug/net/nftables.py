"""Rules as `nft list ruleset` and `nft list table …` print them: tables, chains, sets, maps and objects.

Far enough for judging: hooks, priorities and policies of base chains, what a rule does, elements of sets and maps. Text
that is not understood is kept as it stands, and nothing raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

_PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100, "out": 100}
_QUOTED = re.compile(r'"[^"]*"')
_OPENS = re.compile(r"^(table|chain|set|map|[a-z]+(?: [a-z]+)*)\s+(.*?)\s*\{\s*(?:# handle \d+)?$")
_HOOK = re.compile(
    r"type\s+(\S+)\s+hook\s+(\S+)(?:\s+devices?\s*=?\s*(\{[^}]*\}|\S+))?\s+priority\s+([^;]+);(?:\s*policy\s+(\w+);)?"
)
_COUNTER = re.compile(r"\bcounter packets (\d+) bytes (\d+)")
_COMMENT = re.compile(r'\bcomment "([^"]*)"')
_HANDLE = re.compile(r"\s+# handle \d+$")
_END = re.compile(
    r"\b(?:(accept|drop|reject|return|continue|masquerade|queue|redirect|tproxy|notrack)\b|(jump|goto)\s+(\S+)"
    r"|(?<!status )(dnat|snat)\b)"
)
_VMAP = re.compile(r"\bvmap\s+(@\S+|\{)")


@dataclass(frozen=True)
class NftRule:
    """One rule; `text` is the rule as it was listed."""

    family: str
    table: str
    chain: str
    text: str

    @property
    def packets(self) -> int | None:
        """What its counter has counted; None without a counter."""
        match = _COUNTER.search(self.text)
        return int(match[1]) if match else None

    @property
    def comment(self) -> str:
        """Its comment, or ''."""
        match = _COMMENT.search(self.text)
        return match[1] if match else ""

    @property
    def verdict(self) -> str:
        """`accept`, `drop`, `reject`, `jump`, `goto`, `dnat`, `vmap`, … or '' where it only changes things."""
        return _verdict(self.text)[0]

    @property
    def target(self) -> str:
        """The chain that it jumps or goes to, or the map (`@name`) that decides; '' without one."""
        return _verdict(self.text)[1]


@dataclass(frozen=True)
class Element:
    """An element of a set (then without a value) or of a map: `10.96.0.1 . tcp . 443` and `goto CHAIN`."""

    key: str
    value: str = ""
    comment: str = ""


@dataclass(frozen=True)
class NftSet:
    """A named set or map. `timeout` is in seconds, 0 for none."""

    name: str
    is_map: bool
    type: str = ""
    flags: str = ""
    timeout: int = 0
    elements: tuple[Element, ...] = ()

    def value(self, key: str) -> str | None:
        """What a map has for a key ('' for a member of a set); None where it has nothing."""
        return next((e.value for e in self.elements if e.key == key), None)


@dataclass(frozen=True)
class NftChain:
    """A chain; `hook` is '' for one that is only jumped to. `priority` is None where it could not be read."""

    name: str
    type: str = ""
    hook: str = ""
    priority: int | None = None
    policy: str = ""
    rules: tuple[NftRule, ...] = ()

    def leads_to(self, target: str) -> bool:
        """Whether one of its rules jumps or goes to a chain."""
        return any(rule.target == target for rule in self.rules)


@dataclass(frozen=True)
class NftTable:
    """A table with what is in it."""

    family: str
    name: str
    chains: Mapping[str, NftChain] = field(default_factory=dict)
    sets: Mapping[str, NftSet] = field(default_factory=dict)
    dormant: bool = False

    def chain(self, name: str) -> NftChain:
        """The chain, or an empty one."""
        return self.chains.get(name) or NftChain(name)

    def set(self, name: str) -> NftSet:
        """The set or map, or an empty one."""
        return self.sets.get(name) or NftSet(name, is_map=False)


@dataclass(frozen=True)
class Ruleset:
    """All tables of a listing. `odd` are the lines that were not understood."""

    tables: Mapping[tuple[str, str], NftTable] = field(default_factory=dict)
    odd: tuple[str, ...] = ()
    services: int = 0
    """How many chains of other Services were left out of the text."""

    def table(self, family: str, name: str) -> NftTable | None:
        """The table, or None."""
        return self.tables.get((family, name))

    @property
    def foreign(self) -> tuple[NftTable, ...]:
        """Tables that neither kube-proxy nor iptables in its nft form writes."""
        return tuple(t for t in self.tables.values() if t.name != "kube-proxy" and not is_compat(t.family, t.name))


def is_compat(family: str, name: str) -> bool:
    """Whether iptables-nft keeps its rules in a table of that name; `iptables-save` has them as well."""
    return family in ("ip", "ip6") and name in ("filter", "nat", "mangle", "raw", "security")


def read_ruleset(text: str | Iterable[str]) -> Ruleset:
    """The tables of a listing."""
    reader = _Reader()
    for line in _whole_lines(text.splitlines() if isinstance(text, str) else text):
        reader.take(line)
    return reader.result()


def _whole_lines(lines: Iterable[str]) -> Iterable[str]:
    """Lines with what belongs to them: elements and anonymous sets may go on over several."""
    held = ""
    for raw in lines:
        line = raw.strip()
        if not held and (line.startswith("#") or not line):
            if line.startswith("# left out:"):
                yield line
            continue
        held = f"{held} {line}" if held else line
        bare = _QUOTED.sub("", held)
        if bare.count("{") > bare.count("}") and not _OPENS.match(bare):
            continue
        yield held
        held = ""
    if held:
        yield held


class _Reader:
    """Takes whole lines one by one; `place` are the blocks that are open: a table, and one thing in it."""

    def __init__(self) -> None:
        self.tables: dict[tuple[str, str], NftTable] = {}
        self.odd: list[str] = []
        self.services = 0
        self.table: tuple[str, str] | None = None
        self.chains: dict[str, NftChain] = {}
        self.sets: dict[str, NftSet] = {}
        self.dormant = False
        self.inside = ""
        self.name = ""
        self.lines: list[str] = []

    def take(self, line: str) -> None:
        if match := re.match(r"# left out: (\d+) rules, (\d+) Services", line):
            self.services += int(match[2])
        elif line == "}":
            self._close()
        elif self.table is None:
            match = _OPENS.match(line)
            words = match[2].split() if match and match[1] == "table" else []
            if len(words) in (1, 2):
                self.table = (words[0], words[1]) if len(words) == 2 else ("ip", words[0])
            else:
                self.odd.append(line)
        elif not self.inside and (match := _OPENS.match(line)) and " = " not in line:
            self.inside, self.name, self.lines = match[1], match[2].strip('"'), []
        elif self.inside:
            self.lines.append(_HANDLE.sub("", line))
        elif line.startswith("flags"):
            self.dormant = "dormant" in line
        elif not line.startswith("comment"):
            self.odd.append(line)

    def _close(self) -> None:
        if self.inside:
            assert self.table is not None
            if self.inside == "chain":
                self.chains[self.name] = _chain(self.table, self.name, self.lines)
            elif self.inside in ("set", "map"):
                self.sets[self.name] = _set(self.name, self.inside == "map", self.lines)
            self.inside = ""
        elif self.table is not None:
            self.tables[self.table] = NftTable(*self.table, self.chains, self.sets, self.dormant)
            self.table, self.chains, self.sets, self.dormant = None, {}, {}, False

    def result(self) -> Ruleset:
        """What was read; blocks that the text leaves open are closed."""
        if self.inside:
            self._close()
        if self.table is not None:
            self._close()
        return Ruleset(self.tables, tuple(self.odd), self.services)


def _chain(table: tuple[str, str], name: str, lines: list[str]) -> NftChain:
    rules = []
    base = NftChain(name)
    for line in lines:
        if match := _HOOK.match(line):
            base = NftChain(name, match[1], match[2], _priority(match[4]), match[5] or "accept")
        elif not line.startswith(('comment "', "policy ")):
            rules.append(NftRule(*table, name, line))
    return NftChain(name, base.type, base.hook, base.priority, base.policy, tuple(rules))


def _priority(text: str) -> int | None:
    """`filter`, `-110`, `dstnat - 10` as a number."""
    words = text.replace("+", " + ").split()
    if words and words[0] in _PRIORITIES:
        base, rest = _PRIORITIES[words[0]], "".join(words[1:])
    else:
        base, rest = 0, "".join(words)
    try:
        return base + int(rest or "0")
    except ValueError:
        return None


def _set(name: str, is_map: bool, lines: list[str]) -> NftSet:
    kind = flags = ""
    timeout = 0
    elements: tuple[Element, ...] = ()
    for line in lines:
        word, _, rest = line.partition(" ")
        if word in ("type", "typeof"):
            kind = rest
        elif word == "flags":
            flags = rest
        elif word == "timeout":
            timeout = seconds(rest)
        elif word == "elements":
            inner = rest.partition("{")[2].rpartition("}")[0]
            elements = tuple(_element(each) for each in split_outside(inner, ",") if each.strip())
    return NftSet(name, is_map, kind, flags, timeout, elements)


def _element(text: str) -> Element:
    match = _COMMENT.search(text)
    comment = match[1] if match else ""
    bare = _COMMENT.sub("", text)
    key, _, value = bare.partition(" : ")
    key = re.sub(r"\s+(timeout|expires)\s+\S+", "", key)
    return Element(" ".join(key.split()), " ".join(value.split()), comment)


def split_outside(text: str, separator: str) -> list[str]:
    """Parts of a text between separators, those in quotes or braces left alone."""
    parts, depth, quoted, start = [], 0, False, 0
    for place, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif not quoted and char in "{}":
            depth += 1 if char == "{" else -1
        elif char == separator and not quoted and depth <= 0:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def seconds(text: str) -> int:
    """`3h`, `1m30s`, `500ms` in whole seconds; what is odd counts as 0."""
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1}
    return sum(int(n) * units.get(unit, 0) for n, unit in re.findall(r"(\d{1,9})(ms|[dhms])", text))


@lru_cache(maxsize=8192)
def _verdict(text: str) -> tuple[str, str]:
    bare = re.sub(r"\{[^{}]*\}", "{", _QUOTED.sub("", text))
    if match := _VMAP.search(bare):
        return "vmap", match[1] if match[1] != "{" else ""
    ends = list(_END.finditer(bare))
    if not ends:
        return "", ""
    last = ends[-1]
    return last[1] or last[2] or last[4], last[3] or ""
