"""What a node's rules do with a Service port, in one form for all of kube-proxy's modes.

`net/proxy_iptables.py`, `net/proxy_nft.py` and `net/ipvs.py` read it out of the rules, `net/proxy_expected.py` says
what it should be, and `compare` tells the difference.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from kubectl_netdebug.model.objects.service import Service


class Mode(StrEnum):
    """The kinds of rules that kube-proxy writes."""

    IPTABLES = "iptables"
    NFTABLES = "nftables"
    IPVS = "ipvs"


class Verdict(StrEnum):
    """What the rules do with a new connection."""

    BALANCE = "balance"
    REJECT = "reject"
    DROP = "drop"
    NOWHERE = "nowhere"
    """Rules take it and lead to no endpoint: an emptied chain."""
    NONE = "none"
    """No rule is about it."""


class Kind(StrEnum):
    """The ways into a Service."""

    CLUSTER = "ClusterIP"
    EXTERNAL = "external IP"
    BALANCER = "load-balancer address"
    NODE_PORT = "node port"


@dataclass(frozen=True)
class ProxiedPort:
    """A Service port as kube-proxy knows it; addresses are of one family."""

    namespace: str
    service: str
    name: str
    protocol: str
    port: int
    cluster_ip: str = ""
    external_ips: tuple[str, ...] = ()
    balancer_ips: tuple[str, ...] = ()
    node_port: int = 0
    ipv6: bool = False

    @property
    def label(self) -> str:
        """`namespace/service:port name`, from which iptables mode makes the names of its chains."""
        return f"{self.namespace}/{self.service}" + (f":{self.name}" if self.name else "")

    @property
    def places(self) -> tuple[tuple[Kind, str, int], ...]:
        """Every way in: its kind, address ('' for a node port) and port."""
        addresses = (
            *(((Kind.CLUSTER, self.cluster_ip),) if self.cluster_ip else ()),
            *((Kind.EXTERNAL, a) for a in self.external_ips),
            *((Kind.BALANCER, a) for a in self.balancer_ips),
        )
        node = ((Kind.NODE_PORT, "", self.node_port),) if self.node_port else ()
        return (*((kind, address, self.port) for kind, address in addresses), *node)

    def to_text(self) -> str:
        """All of it in one line, for the key of a fact; `read_port` is its inverse."""
        fields = (
            *(self.namespace, self.service, self.name, self.protocol, str(self.port), self.cluster_ip),
            *(",".join(self.external_ips), ",".join(self.balancer_ips), str(self.node_port), "6" if self.ipv6 else "4"),
        )
        return "|".join(fields)


def read_port(text: str) -> ProxiedPort | None:
    """The Service port of such a line, or None."""
    fields = text.split("|")
    if len(fields) != 10 or not all(fields[n].isdecimal() for n in (4, 8)):
        return None
    namespace, service, name, protocol, port, cluster_ip, external, balancer, node_port, family = fields
    return ProxiedPort(
        *(namespace, service, name, protocol, int(port), cluster_ip),
        tuple(filter(None, external.split(","))),
        tuple(filter(None, balancer.split(","))),
        int(node_port),
        family == "6",
    )


ServicePorts = tuple[ProxiedPort, ...]
"""The Service ports that somebody wants to know about."""


@dataclass(frozen=True)
class Target:
    """An endpoint that the rules send to, with its share of the connections."""

    address: str
    port: int
    weight: float = 1.0

    @property
    def place(self) -> tuple[str, int]:
        """Address and port."""
        return self.address, self.port

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Way:
    """One way into the Service, and what the rules do with who takes it.

    `targets` are for a client from outside the node, Pods included; `affinity` is the timeout in seconds, 0 for none.
    `masquerade` says whose packets get the node's address: '' nobody's, `all`, or `! CIDR` (all but those from there).
    `ranges` are the only sources let in, empty for all. `text` are the rules that decide, as listed.
    """

    kind: Kind
    address: str
    port: int
    verdict: Verdict
    targets: tuple[Target, ...] = ()
    affinity: int = 0
    masquerade: str = ""
    ranges: tuple[str, ...] = ()
    chain: str = ""
    text: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """For people: `ClusterIP 10.96.0.1:443`."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.kind.value} {host}:{self.port}" if host else f"{self.kind.value} {self.port}"


@dataclass(frozen=True)
class PortRules:
    """All that a node's rules of one mode do with one Service port."""

    port: ProxiedPort
    mode: Mode
    ways: tuple[Way, ...]

    def way(self, kind: Kind, address: str = "") -> Way | None:
        """The way in of that kind and, where it is given, address."""
        return next((w for w in self.ways if w.kind is kind and (not address or w.address == address)), None)

    @property
    def known(self) -> bool:
        """Whether any rule is about this Service port."""
        return any(way.verdict is not Verdict.NONE for way in self.ways)


@dataclass(frozen=True)
class General:
    """What of a mode stands on a node apart from single Services.

    `present` is whether its chains or table are there at all. `broken` names what is missing of the way into them, as
    chain or jump. `masquerades` is whether the rule that masquerades marked packets is there, `random` whether it picks
    ports at random. `local` is the `! CIDR` that tells the clients that are masqueraded, '' where it is by other means.
    `services` is how many Service ports have rules, in the text that was read.
    """

    mode: Mode
    present: bool
    broken: tuple[str, ...] = ()
    masquerades: bool = False
    random: bool = False
    local: tuple[str, ...] = ()
    node_port_addresses: tuple[str, ...] = ()
    """The addresses on which node ports are served; empty for all of the node."""
    loopback: bool = False
    """Whether node ports are served on 127.0.0.1."""
    services: int = 0


@dataclass(frozen=True)
class Expected:
    """What a node's rules should do with one way in: a verdict and, for balancing, the endpoints."""

    kind: Kind
    address: str
    port: int
    verdict: Verdict
    endpoints: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Difference:
    """How the rules for one way in differ from what they should do. All empty: not at all."""

    way: Way
    expected: Expected
    missing: tuple[tuple[str, int], ...] = ()
    stale: tuple[tuple[str, int], ...] = ()

    @property
    def wrong_verdict(self) -> bool:
        """They do something else altogether."""
        return self.way.verdict is not self.expected.verdict

    def __bool__(self) -> bool:
        return bool(self.missing or self.stale or self.wrong_verdict)


def compare(rules: PortRules, expected: Iterable[Expected]) -> tuple[Difference, ...]:
    """The ways in on which the rules do not do what they should, in order."""
    found = []
    for each in expected:
        way = rules.way(each.kind, each.address) or Way(each.kind, each.address, each.port, Verdict.NONE)
        there = {t.place for t in way.targets} if way.verdict is Verdict.BALANCE else set()
        wanted = set(each.endpoints)
        difference = Difference(way, each, tuple(sorted(wanted - there)), tuple(sorted(there - wanted)))
        if difference:
            found.append(difference)
    return tuple(found)


def ports_of(service: Service | None) -> ServicePorts:
    """The ports of a Service as kube-proxy knows them, family by family; none for names without an address."""
    if service is None or service.headless or service.is_alias:
        return ()
    families = sorted({is_v6(a) for a in service.cluster_ips if is_address(a)})
    return tuple(
        ProxiedPort(
            service.namespace,
            service.name,
            port.name,
            port.protocol,
            port.port,
            next((a for a in service.cluster_ips if is_address(a) and is_v6(a) is v6), ""),
            tuple(a for a in service.external_ips if is_address(a) and is_v6(a) is v6),
            tuple(a for a in service.load_balancer_ips if is_address(a) and is_v6(a) is v6),
            port.node_port if service.type in ("NodePort", "LoadBalancer") else 0,
            v6,
        )
        for v6 in families
        for port in service.ports
    )


def is_address(text: str) -> bool:
    """Whether it is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_v6(address: str) -> bool:
    """Whether an address is of IPv6."""
    return ":" in address


def plain(address: str) -> str:
    """An address in its usual notation, without the mask of a single one: `10.0.0.1/32` is `10.0.0.1`."""
    bare = address.removesuffix("/32") if ":" not in address else address.removesuffix("/128")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return address


def endpoint(text: str) -> tuple[str, int] | None:
    """`10.0.0.1:80` and `[fd00::1]:80` as address and port."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    return (plain(host), int(port)) if is_address(host) and port.isdecimal() and len(port) < 6 else None
