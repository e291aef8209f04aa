"""kube-proxy's iptables mode: what the saved rules of a node do with a Service port.

The layout is that of Kubernetes pkg/proxy/iptables: KUBE-SERVICES and KUBE-NODEPORTS choose by address and port,
KUBE-EXT-, KUBE-FW-, KUBE-SVC- and KUBE-SVL- chains balance, KUBE-SEP- chains translate. In clusters of more than a
thousand endpoints the comments are absent, so nothing here leans on them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kubectl_netdebug.net.iptables import Chain, Rule, Saved, service_chain
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
    plain,
)

MARK = "KUBE-MARK-MASQ"
SERVICES = "KUBE-SERVICES"
NODE_PORTS = "KUBE-NODEPORTS"
EXTERNAL = "KUBE-EXTERNAL-SERVICES"
POSTROUTING = "KUBE-POSTROUTING"
FIREWALL = "KUBE-PROXY-FIREWALL"
JUMPS = (
    ("nat", "PREROUTING", SERVICES),
    ("nat", "OUTPUT", SERVICES),
    ("nat", "POSTROUTING", POSTROUTING),
)
"""Without these nothing is translated (first for Pods and outside, second for the node itself) or masqueraded."""
_DEEPEST = 6


def port_rules(saved: Saved, port: ProxiedPort) -> PortRules:
    """What the rules do with one Service port, way by way."""
    return PortRules(port, Mode.IPTABLES, tuple(_way(saved, port, *place) for place in port.places))


@dataclass
class _Walk:
    """What is met on the way from the first chain to the endpoints, for packets to `address`."""

    address: str
    targets: dict[tuple[str, int], float] = field(default_factory=dict)
    affinity: int = 0
    masquerade: str = ""
    ranges: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)


def _way(saved: Saved, port: ProxiedPort, kind: Kind, address: str, number: int) -> Way:
    nat = NODE_PORTS if kind is Kind.NODE_PORT else SERVICES
    filters = SERVICES if kind is Kind.CLUSTER else EXTERNAL
    first = next((r for r in saved.chain("nat", nat).rules if _about(r, port, address, number)), None)
    stop = next((r for r in saved.chain("filter", filters).rules if _about(r, port, address, number)), None)
    walk = _Walk(plain(address))
    if first is not None:
        walk.text.append(first.text)
        _follow(saved, first.target, 1.0, walk, 0)
    targets = tuple(Target(*place, weight) for place, weight in walk.targets.items())
    text = (*walk.text, *((stop.text,) if stop else ()))
    verdict = Verdict.BALANCE if targets else Verdict.NOWHERE if first else Verdict.NONE
    if not targets and stop is not None and stop.target in ("REJECT", "DROP"):
        verdict = Verdict.REJECT if stop.target == "REJECT" else Verdict.DROP
    chain = first.target if first else ""
    return Way(kind, address, number, verdict, targets, walk.affinity, walk.masquerade, tuple(walk.ranges), chain, text)


def _about(rule: Rule, port: ProxiedPort, address: str, number: int) -> bool:
    """Whether a rule chooses this address and port; node ports have a rule for loopback before the general one."""
    if rule.protocol != port.protocol.lower() or rule.value("--dport") != str(number) or not rule.target:
        return False
    destination = rule.value("-d")
    return plain(destination) == plain(address) if address else not destination


def _follow(saved: Saved, name: str, share: float, walk: _Walk, depth: int) -> None:
    """Goes through a chain as a packet of a client that is not the node itself, and takes down where it may end."""
    if depth > _DEEPEST:
        return
    left = share
    for rule in saved.chain("nat", name).rules:
        if rule.target == MARK:
            _mark(rule, walk, name)
        elif rule.target == "DNAT":
            if place := endpoint(rule.value("--to-destination")):
                walk.text.append(rule.text)
                walk.targets[place] = walk.targets.get(place, 0.0) + left
            return
        elif rule.option("--rcheck"):
            walk.affinity = max(walk.affinity, _number(rule.value("--seconds")))
        elif rule.value("-s") and name.startswith("KUBE-FW-"):
            if rule.value("-s") not in walk.ranges:
                walk.ranges.append(rule.value("-s"))
            if len(walk.ranges) == 1:
                _follow(saved, rule.target, left, walk, depth + 1)
        elif rule.option("-s") or rule.option("--src-type") or not rule.target:
            continue
        elif rule.probability is not None:
            walk.text.append(rule.text)
            _follow(saved, rule.target, left * rule.probability, walk, depth + 1)
            left *= 1 - rule.probability
        elif rule.target.startswith("KUBE-"):
            walk.text.append(rule.text)
            _follow(saved, rule.target, left, walk, depth + 1)
            return


def _mark(rule: Rule, walk: _Walk, chain: str) -> None:
    """Whose packets are masqueraded; what a KUBE-SEP- chain marks is the endpoint's traffic to itself."""
    source, destination = rule.option("-s"), rule.value("-d")
    if (
        chain.startswith("KUBE-SEP-")
        or rule.option("--src-type")
        or (destination and plain(destination) != walk.address)
    ):
        return
    walk.masquerade = f"! {source.value}" if source and source.negated else "" if source else "all"


def self_marked(saved: Saved, address: str) -> bool | None:
    """Whether an endpoint's traffic to itself is marked for masquerading; None where no chain translates to it."""
    own = [c for c in saved.chains.values() if c.name.startswith("KUBE-SEP-") and _translates_to(c, address)]
    if not own:
        return None
    return all(any(r.target == MARK and plain(r.value("-s")) == address for r in c.rules) for c in own)


def _translates_to(chain: Chain, address: str) -> bool:
    ends = (endpoint(r.value("--to-destination")) for r in chain.rules if r.target == "DNAT")
    return any(end is not None and end[0] == address for end in ends)


def general(saved: Saved) -> General:
    """What of this mode stands on the node apart from single Services."""
    services = saved.chain("nat", SERVICES)
    balancing = [c for (table, _), c in saved.chains.items() if table == "nat" and c.name.startswith("KUBE-SV")]
    present = bool(services.rules or balancing)
    broken = [] if services.rules or not present else ["chain nat/KUBE-SERVICES is empty"]
    broken += [
        f"jump from nat/{hook} to {to}" for table, hook, to in JUMPS if not saved.chain(table, hook).jumps_to(to)
    ]
    post = saved.chain("nat", POSTROUTING)
    masquerades = [r for r in post.rules if r.target == "MASQUERADE"]
    last = [r for r in services.rules if r.target == NODE_PORTS]
    return General(
        Mode.IPTABLES,
        present,
        tuple(broken),
        masquerades=bool(masquerades) and saved.chain("nat", MARK).rules != (),
        random=any(r.option("--random-fully") for r in masquerades),
        local=tuple(sorted({mark for c in balancing for r in c.rules if (mark := _local(r))})),
        node_port_addresses=tuple(plain(r.value("-d")) for r in last if r.value("-d")),
        loopback=any(not r.option("-d") or r.value("-d").startswith("127.") for r in last),
        services=len(balancing) + saved.services,
    )


def _local(rule: Rule) -> str:
    """The range by which local clients are told, in the rule that marks everybody else."""
    source = rule.option("-s")
    return source.value if rule.target == MARK and source and source.negated else ""


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def own_chains(port: ProxiedPort) -> frozenset[str]:
    """The names of the chains that belong to one Service port, apart from those of its endpoints."""
    prefixes = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-")
    return frozenset(service_chain(prefix, port.label, port.protocol) for prefix in prefixes)
