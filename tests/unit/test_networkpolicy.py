"""The policy engine: by hand where the API's documentation is plain, by properties and a second opinion elsewhere."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.model.objects.pod import ContainerPort
from kubectl_netdebug.model.objects.policy import Direction, NetworkPolicy, read_policy
from kubectl_netdebug.net.networkpolicy import Decision, End, Packet, Why, decide
from tests.unit.anything import json_values, objects
from tests.unit.test_objects import look_everywhere

SHOP = {"kubernetes.io/metadata.name": "shop", "team": "a"}
OPS = {"kubernetes.io/metadata.name": "ops", "team": "b"}
HTTP = (ContainerPort("http", 8080, "TCP"), ContainerPort("dns", 53, "UDP"), ContainerPort("dns", 5353, "TCP"))


def pod(name: str, address: str, namespace: str = "shop", node: str = "node-1", **labels: str) -> End:
    return End(address, namespace, name, labels, SHOP if namespace == "shop" else OPS, HTTP, node)


WEB = pod("web", "10.0.1.2", app="web")
SHOPPER = pod("shopper", "10.0.2.2", node="node-2", app="client", tier="front")
OPERATOR = pod("operator", "10.0.2.3", namespace="ops", node="node-2", app="client")
NODE_1 = End("172.30.0.11", node="node-1")
NODE_2 = End("172.30.0.12", node="node-2")
WEB_6 = pod("web", "fd00::2", app="web")


def policy(**spec: Any) -> NetworkPolicy:
    spec.setdefault("podSelector", {})
    return read_policy({"metadata": {"namespace": "shop", "name": "p"}, "spec": spec})


def into(client: End, *policies: NetworkPolicy, port: int = 8080, protocol: str = "TCP", server: End = WEB) -> Decision:
    return decide(Direction.INGRESS, Packet(client, server, port, protocol), policies)


def rule(*peers: dict[str, Any], ports: list[dict[str, Any]] | None = None) -> NetworkPolicy:
    """A policy on the whole namespace with one rule for incoming traffic."""
    entry: dict[str, Any] = {"from": list(peers)} if peers else {}
    if ports is not None:
        entry["ports"] = ports
    return policy(ingress=[entry])


def pods(**labels: str) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": labels}}


def spaces(**labels: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": labels}}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"podSelector": {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}}


def block(cidr: str, *excepted: str) -> dict[str, Any]:
    return {"ipBlock": {"cidr": cidr, "except": list(excepted)}}


TABLE: list[tuple[str, Decision, bool]] = [
    ("nothing isolates", into(SHOPPER), True),
    ("no rules", into(SHOPPER, policy()), False),
    ("a list of no rules", into(SHOPPER, policy(ingress=[])), False),
    ("an empty rule admits all", into(SHOPPER, policy(ingress=[{}])), True),
    ("an empty from is everybody", into(OPERATOR, policy(ingress=[{"from": []}])), True),
    ("an empty ports is every port", into(OPERATOR, policy(ingress=[{"ports": []}])), True),
    ("egress alone does not isolate", into(SHOPPER, policy(policyTypes=["Egress"], egress=[])), True),
    ("egress without policyTypes isolates", into(SHOPPER, policy(egress=[{}])), False),
    (
        "rules of a type that is not in effect do not admit",
        into(SHOPPER, policy(), policy(policyTypes=["Egress"])),
        False,
    ),
    ("it selects other Pods", into(SHOPPER, policy(podSelector={"matchLabels": {"app": "db"}})), True),
    ("policies add up", into(SHOPPER, policy(), rule(pods(app="client"))), True),
    ("a Pod of the same namespace", into(SHOPPER, rule(pods(app="client"))), True),
    ("a podSelector alone is this namespace", into(OPERATOR, rule(pods(app="client"))), False),
    ("an empty podSelector is this namespace", into(OPERATOR, rule({"podSelector": {}})), False),
    ("an empty namespaceSelector is every namespace", into(OPERATOR, rule({"namespaceSelector": {}})), True),
    ("a namespace by its label", into(OPERATOR, rule(spaces(team="b"))), True),
    ("another namespace's label", into(OPERATOR, rule(spaces(team="a"))), False),
    ("both in one entry are both", into(OPERATOR, rule({**spaces(team="b"), **pods(app="other")})), False),
    ("both in two entries are either", into(OPERATOR, rule(spaces(team="b"), pods(app="other"))), True),
    ("two labels are both", into(SHOPPER, rule(pods(app="client", tier="back"))), False),
    ("In", into(SHOPPER, rule(expression("tier", "In", "back", "front"))), True),
    ("In of an absent label", into(SHOPPER, rule(expression("zone", "In", "x"))), False),
    ("NotIn", into(SHOPPER, rule(expression("tier", "NotIn", "front"))), False),
    ("NotIn of an absent label", into(SHOPPER, rule(expression("zone", "NotIn", "x"))), True),
    ("Exists", into(SHOPPER, rule(expression("tier", "Exists"))), True),
    ("DoesNotExist", into(SHOPPER, rule(expression("tier", "DoesNotExist"))), False),
    ("DoesNotExist of an absent label", into(SHOPPER, rule(expression("zone", "DoesNotExist"))), True),
    ("an unknown operator", into(SHOPPER, rule(expression("tier", "Like", "front"))), False),
    ("an empty entry is nobody", into(SHOPPER, rule({})), False),
    ("a port", into(SHOPPER, rule(ports=[{"port": 8080}])), True),
    ("another port", into(SHOPPER, rule(ports=[{"port": 80}])), False),
    ("one of two ports", into(SHOPPER, rule(ports=[{"port": 80}, {"port": 8080, "protocol": "TCP"}])), True),
    ("without protocol it is TCP", into(SHOPPER, rule(ports=[{"port": 53}]), port=53, protocol="UDP"), False),
    ("UDP", into(SHOPPER, rule(ports=[{"port": 53, "protocol": "UDP"}]), port=53, protocol="UDP"), True),
    ("a protocol without port", into(SHOPPER, rule(ports=[{"protocol": "UDP"}]), port=7, protocol="UDP"), True),
    ("a range", into(SHOPPER, rule(ports=[{"port": 8000, "endPort": 8080}])), True),
    ("behind a range", into(SHOPPER, rule(ports=[{"port": 8000, "endPort": 8079}])), False),
    ("before a range", into(SHOPPER, rule(ports=[{"port": 8081, "endPort": 9000}])), False),
    ("a named port", into(SHOPPER, rule(ports=[{"port": "http"}])), True),
    ("a named port of another number", into(SHOPPER, rule(ports=[{"port": "http"}]), port=81), False),
    ("a name that no container has", into(SHOPPER, rule(ports=[{"port": "web"}])), False),
    ("a name is looked up by protocol", into(SHOPPER, rule(ports=[{"port": "dns"}]), port=53), False),
    ("a name of the other protocol", into(SHOPPER, rule(ports=[{"port": "dns"}]), port=5353), True),
    ("the right peer on the wrong port", into(SHOPPER, rule(pods(app="client"), ports=[{"port": 1}])), False),
    (
        "peer and port of two rules",
        into(
            SHOPPER,
            policy(
                ingress=[
                    {"from": [pods(app="client")], "ports": [{"port": 1}]},
                    {"from": [pods(app="x")], "ports": [{"port": 8080}]},
                ]
            ),
        ),
        False,
    ),
    ("a block", into(SHOPPER, rule(block("10.0.2.0/24"))), True),
    ("outside the block", into(SHOPPER, rule(block("10.0.3.0/24"))), False),
    ("excepted", into(SHOPPER, rule(block("10.0.0.0/16", "10.0.2.0/24"))), False),
    (
        "excepted here, admitted there",
        into(SHOPPER, rule(block("10.0.0.0/16", "10.0.2.0/24"), block("10.0.2.2/32"))),
        True,
    ),
    ("a block of the other family", into(SHOPPER, rule(block("::/0"))), False),
    ("a block of IPv6", into(pod("c", "fd00::9", app="c"), rule(block("fd00::/64")), server=WEB_6), True),
    ("host bits in a block", into(SHOPPER, rule(block("10.0.2.7/24"))), True),
    ("nonsense in a block", into(SHOPPER, rule(block("ten"))), False),
    ("another node is no Pod", into(NODE_2, rule({"namespaceSelector": {}})), False),
    ("another node by its address", into(NODE_2, rule(block("172.30.0.12/32"))), True),
    ("its own node is let in", into(NODE_1, policy()), True),
    ("itself is let in", into(WEB, policy()), True),
    ("a Pod on the node's network is not isolated", into(SHOPPER, policy(), server=NODE_1), True),
]


@pytest.mark.parametrize(("decision", "allowed"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_by_hand(decision: Decision, allowed: bool) -> None:
    assert decision.allowed is allowed
    if not allowed:
        assert all(miss.distance for miss in decision.misses)


def test_egress_looks_at_the_other_end() -> None:
    only_dns = policy(
        policyTypes=["Egress"], egress=[{"to": [spaces(team="b")], "ports": [{"port": "dns", "protocol": "UDP"}]}]
    )
    assert decide(Direction.EGRESS, Packet(SHOPPER, OPERATOR, 53, "UDP"), [only_dns]).allowed
    assert not decide(Direction.EGRESS, Packet(SHOPPER, OPERATOR, 53, "TCP"), [only_dns]).allowed
    assert not decide(Direction.EGRESS, Packet(SHOPPER, WEB, 53, "UDP"), [only_dns]).allowed
    assert decide(Direction.EGRESS, Packet(OPERATOR, WEB, 53, "UDP"), [only_dns]).allowed
    assert not decide(Direction.EGRESS, Packet(SHOPPER, End("203.0.113.10"), 53, "UDP"), [only_dns]).allowed


def test_the_nearest_miss_comes_first_and_says_why() -> None:
    near = rule(pods(app="client", tier="back"), ports=[{"port": 8080}])
    far = rule(spaces(team="x"), ports=[{"port": 1, "protocol": "UDP"}])
    miss = into(SHOPPER, far, near).misses[0]
    assert miss.distance == 1
    assert [d.why for d in miss.nearest_peer.differences] == [Why.POD_LABEL]
    assert miss.says == "shopper is not tier=back"
    assert miss.port_matches
    assert not miss.peer_matches


@given(raw=objects | json_values)
def test_reading_never_fails(raw: Any) -> None:
    read = read_policy(raw)
    look_everywhere(read)
    into(SHOPPER, read)


LABELS = st.dictionaries(st.sampled_from(["app", "tier", "team"]), st.sampled_from(["a", "b"]))
SELECTORS = st.fixed_dictionaries(
    {},
    optional={
        "matchLabels": LABELS,
        "matchExpressions": st.lists(
            st.fixed_dictionaries(
                {
                    "key": st.sampled_from(["app", "tier", "team"]),
                    "operator": st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
                    "values": st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2),
                }
            ),
            max_size=2,
        ),
    },
)
CIDRS = st.sampled_from(["10.0.0.0/8", "10.0.1.0/24", "10.0.2.0/31", "10.0.2.3/32", "fd00::/64", "0.0.0.0/0"])
PEERS = st.one_of(
    st.fixed_dictionaries({"podSelector": SELECTORS}),
    st.fixed_dictionaries({"namespaceSelector": SELECTORS}),
    st.fixed_dictionaries({"podSelector": SELECTORS, "namespaceSelector": SELECTORS}),
    st.fixed_dictionaries({"ipBlock": st.fixed_dictionaries({"cidr": CIDRS, "except": st.lists(CIDRS, max_size=2)})}),
)
PORTS = st.fixed_dictionaries(
    {},
    optional={
        "port": st.sampled_from([53, 80, 8080, "http", "dns", "none"]),
        "protocol": st.sampled_from(["TCP", "UDP"]),
    },
)
PORT_RANGES = st.fixed_dictionaries({"port": st.just(50), "endPort": st.sampled_from([53, 90])})
RULES = st.fixed_dictionaries(
    {}, optional={"peers": st.lists(PEERS, max_size=2), "ports": st.lists(PORTS | PORT_RANGES, max_size=2)}
)
POLICIES = st.fixed_dictionaries(
    {"podSelector": SELECTORS},
    optional={
        "policyTypes": st.lists(st.sampled_from(["Ingress", "Egress"]), min_size=1, unique=True),
        "ingress": st.lists(RULES, max_size=2),
        "egress": st.lists(RULES, max_size=2),
    },
)
ENDS = st.builds(
    pod,
    st.just("p"),
    st.sampled_from(["10.0.1.1", "10.0.2.1", "10.0.2.3", "fd00::7"]),
    namespace=st.sampled_from(["shop", "ops"]),
    app=st.sampled_from(["a", "b"]),
)
PACKETS = st.builds(Packet, ENDS, ENDS, st.sampled_from([53, 80, 8080]), st.sampled_from(["TCP", "UDP"]))


def named_peers(raw: Mapping[str, Any], number: int) -> dict[str, Any]:
    spec = dict(raw)
    for direction, word in (("ingress", "from"), ("egress", "to")):
        if direction in spec:
            spec[direction] = [{word if k == "peers" else k: v for k, v in r.items()} for r in spec[direction]]
    return {"metadata": {"namespace": "shop", "name": f"p{number}"}, "spec": spec}


SETS = st.lists(POLICIES, max_size=3).map(lambda raws: [named_peers(raw, i) for i, raw in enumerate(raws)])


@given(packet=PACKETS, raws=SETS, direction=st.sampled_from(Direction))
def test_a_second_opinion_agrees(packet: Packet, raws: list[dict[str, Any]], direction: Direction) -> None:
    found = decide(direction, packet, [read_policy(raw) for raw in raws])
    assert found.allowed is opinion(direction.value, packet, raws)
    assert (found.admitted_by is None) or found.allowed
    assert all(miss.distance > 0 for miss in found.misses)


@given(packet=PACKETS, raws=SETS, more=SETS, direction=st.sampled_from(Direction))
def test_policies_only_add(
    packet: Packet, raws: list[dict[str, Any]], more: list[dict[str, Any]], direction: Direction
) -> None:
    """Where one isolates already, further ones never close anything; and their order does not matter."""
    before = decide(direction, packet, map(read_policy, raws))
    after = decide(direction, packet, map(read_policy, [*raws, *more]))
    turned = decide(direction, packet, map(read_policy, [*more, *raws]))
    assert after.allowed == turned.allowed
    if before.isolating and before.allowed:
        assert after.allowed


# --- the second opinion: straight from the API's documentation, on raw objects --------------------------------------


def opinion(direction: str, packet: Packet, raws: list[dict[str, Any]]) -> bool:
    me, other = (packet.server, packet.client) if direction == "Ingress" else (packet.client, packet.server)
    if ipaddress.ip_address(me.address) == ipaddress.ip_address(other.address):
        return True
    mine = [raw for raw in raws if selects(raw, me, direction)]
    if not mine:
        return True
    rules = [r for raw in mine for r in raw["spec"].get(direction.lower()) or []]
    return any(admits(r, direction, packet, other) for r in rules)


def selects(raw: dict[str, Any], me: End, direction: str) -> bool:
    spec = raw["spec"]
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return me.namespace == "shop" and direction in types and chosen(spec["podSelector"], me.labels or {})


def chosen(selector: dict[str, Any], labels: Mapping[str, str]) -> bool:
    tests = [labels.get(k) == v for k, v in (selector.get("matchLabels") or {}).items()]
    for e in selector.get("matchExpressions") or []:
        has = e["key"] in labels
        tests.append(
            {
                "In": has and labels.get(e["key"]) in e["values"],
                "NotIn": not (has and labels.get(e["key"]) in e["values"]),
                "Exists": has,
                "DoesNotExist": not has,
            }[e["operator"]]
        )
    return all(tests)


def admits(raw: dict[str, Any], direction: str, packet: Packet, other: End) -> bool:
    peers = raw.get("from" if direction == "Ingress" else "to") or [None]
    ports = raw.get("ports") or [None]
    return any(peer_fits(p, other) for p in peers) and any(port_fits(p, packet) for p in ports)


def peer_fits(raw: dict[str, Any] | None, other: End) -> bool:
    if raw is None:
        return True
    if "ipBlock" in raw:
        address = ipaddress.ip_address(other.address)
        inside = [address in ipaddress.ip_network(c) for c in (raw["ipBlock"]["cidr"], *raw["ipBlock"]["except"])]
        return inside[0] and not any(inside[1:])
    space = raw.get("namespaceSelector")
    fits = other.namespace == "shop" if space is None else chosen(space, other.namespace_labels)
    return fits and chosen(raw.get("podSelector") or {}, other.labels or {})


def port_fits(raw: dict[str, Any] | None, packet: Packet) -> bool:
    if raw is None:
        return True
    if raw.get("protocol", "TCP") != packet.protocol:
        return False
    wanted = raw.get("port")
    if isinstance(wanted, str):
        return (wanted, packet.port, packet.protocol) in {(p.name, p.port, p.protocol) for p in packet.server.ports}
    return wanted is None or wanted <= packet.port <= raw.get("endPort", wanted)
