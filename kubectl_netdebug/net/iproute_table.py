"""Routing as the kernel does it: routes, rules, neighbours, and the choice among them. Pure data and one lookup."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAIN, LOCAL = "main", "local"
REFUSING = ("blackhole", "unreachable", "prohibit")
"""Types of routes and actions of rules that let nothing through: silence, and two ways to say no."""


@dataclass(frozen=True)
class Via:
    """One way of a route: to a gateway ('' on the link) by a device."""

    gateway: str
    device: str


@dataclass(frozen=True)
class Route:
    """A route of any table. `ways` is empty for a type that leads nowhere, and holds several for a multipath route."""

    network: Network
    ways: tuple[Via, ...] = ()
    type: str = "unicast"
    table: str = MAIN
    source: str = ""
    metric: int = 0
    mtu: int = 0
    protocol: str = ""
    down: bool = False
    """Its device is off: it is passed over. One whose device merely has no carrier is still taken, by default."""

    @property
    def gateway(self) -> str:
        """Of the first way, or ''."""
        return self.ways[0].gateway if self.ways else ""

    @property
    def device(self) -> str:
        """Of the first way, or ''."""
        return self.ways[0].device if self.ways else ""

    @property
    def default(self) -> bool:
        """It leads everywhere."""
        return self.network.prefixlen == 0

    @property
    def refuses(self) -> bool:
        """It is there to let nothing through."""
        return self.type in REFUSING

    def __str__(self) -> str:
        where = "default" if self.default else str(self.network)
        said = [where] if self.type == "unicast" else [self.type, where]
        for way in self.ways:
            said += ["via", way.gateway] if way.gateway else []
            said += ["dev", way.device] if way.device and not (self.refuses and way.device == "lo") else []
        return " ".join([*said, "table", self.table] if self.table not in (MAIN, LOCAL) else said)


@dataclass(frozen=True)
class Rule:
    """A rule of the policy database. `from_` and `to` are None for everything; `other` are conditions not read here."""

    priority: int
    table: str = ""
    action: str = "lookup"
    """`lookup`, `goto`, or a type that refuses."""
    from_: Network | None = None
    to: Network | None = None
    inverted: bool = False
    other: tuple[str, ...] = ()
    suppress: int = -1
    """Routes of at most this prefix length are passed over; -1 for none."""
    goto: int = 0

    @property
    def builtin(self) -> bool:
        """One of those that every machine has."""
        plain = self.from_ is None and self.to is None and not self.other
        return plain and (self.priority, self.table) in ((0, LOCAL), (32766, MAIN), (32767, "default"))

    def __str__(self) -> str:
        said = [f"{self.priority}:", "not"] if self.inverted else [f"{self.priority}:"]
        said += ["from", str(self.from_ or "all")]
        said += ["to", str(self.to)] if self.to else []
        said += self.other
        return " ".join([*said, "lookup", self.table] if self.action == "lookup" else [*said, self.action])

    def concerns(self, address: Any, source: Any, incoming: str = "") -> bool:
        """Whether it applies to a plain packet: one without a mark or other signs of its own."""
        other = [word for word in self.other if not incoming or word != f"iif {incoming}"]
        if other:
            return self.inverted and all(word.startswith("fwmark") for word in other)
        fits = _holds(self.to, address) and _holds(self.from_, source)
        return fits is not self.inverted


@dataclass(frozen=True)
class Neighbour:
    """An entry of the neighbour table. `mac` is '' while it is not known; `states` such as REACHABLE, PERMANENT."""

    address: str
    device: str
    mac: str
    states: tuple[str, ...]

    @property
    def permanent(self) -> bool:
        """Somebody put it there: the kernel neither asks nor forgets."""
        return "PERMANENT" in self.states

    @property
    def failed(self) -> bool:
        """The kernel asked and nobody answered."""
        return bool({"FAILED", "INCOMPLETE"} & {*self.states})


@dataclass(frozen=True)
class Decision:
    """What the kernel does with a packet: by which rule, and by which route (None where there is none)."""

    rule: Rule | None
    route: Route | None
    refused: str = ""
    """The type of the route or of the rule that refuses, or ''."""

    @property
    def leads(self) -> bool:
        """The packet goes somewhere."""
        return self.route is not None and not self.refused


DEFAULT_RULES = (Rule(0, LOCAL), Rule(32766, MAIN), Rule(32767, "default"))


def route_to(
    routes: tuple[Route, ...], rules: tuple[Rule, ...], address: str, source: str = "", *, incoming: str = ""
) -> Decision:
    """What becomes of a packet to an address, from a source ('' where it is the machine's own to choose).

    Rules are asked in their order; a route of type `throw` and a table without a fitting route lead on to the next.
    Without rules those of every machine are meant. `incoming` is the device that the packet came in by.
    """
    try:
        target = ipaddress.ip_address(address)
        origin = ipaddress.ip_address(source) if source else None
    except ValueError:
        return Decision(None, None)
    asked = rules or DEFAULT_RULES
    skipped_to = -1
    for rule in asked:
        if rule.priority < skipped_to or not rule.concerns(target, origin, incoming):
            continue
        if rule.action in REFUSING:
            return Decision(rule, None, rule.action)
        if rule.action == "goto":
            skipped_to = max(skipped_to, rule.goto)
            continue
        route = _in_table(routes, rule, target)
        if route is not None:
            return Decision(rule, route, route.type if route.refuses else "")
    return Decision(None, None)


def _in_table(routes: tuple[Route, ...], rule: Rule, target: Any) -> Route | None:
    """The route of the rule's table that the kernel takes: longest prefix, then smallest metric."""
    fitting = [
        route
        for route in routes
        if route.table == rule.table and route.network.version == target.version and target in route.network
    ]
    alive = [route for route in fitting if not route.down] or fitting
    best = max(alive, key=lambda route: (route.network.prefixlen, -route.metric), default=None)
    if best is None or best.type == "throw" or best.network.prefixlen <= rule.suppress:
        return None
    return best


def _holds(network: Network | None, address: Any) -> bool:
    if network is None:
        return True
    return address is not None and address.version == network.version and address in network
