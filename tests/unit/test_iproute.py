"""Routes, rules, neighbours and forwarding entries as a node's tools print them; the samples are of real nodes."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.net.fdb import read_fdb, remotes_of
from kubectl_netdebug.net.iproute import read_neighbours, read_routes, read_rules
from kubectl_netdebug.net.iproute_proc import own_addresses, read_trie
from kubectl_netdebug.net.iproute_table import Decision, Neighbour, Route, Rule, route_to
from tests.unit.anything import json_values

DATA = Path(__file__).parent / "data" / "iproute"


def _sample(name: str) -> str:
    return (DATA / name).read_text()


ALL = read_routes(_sample("route.json"))
RULES = read_rules(_sample("rule.json"))


def _said(found: Decision) -> str:
    return str(found.route) if found.route else found.refused or "nothing"


@pytest.mark.parametrize("sample", ["route.json", "bbroute.txt"])
@pytest.mark.parametrize(
    ("address", "route", "refused"),
    [
        ("10.244.1.7", "10.244.1.0/24 dev cni0", ""),
        ("10.244.3.7", "10.244.3.0/24 via 10.244.3.0 dev flannel.1", ""),
        ("203.0.113.10", "default via 172.30.0.1 dev eth0", ""),
        ("172.30.0.11", "local 172.30.0.11/32 dev eth0", ""),
        ("10.250.0.9", "blackhole 10.250.0.0/24", "blackhole"),
        ("10.251.0.9", "unreachable 10.251.0.0/24", "unreachable"),
        ("10.252.0.9", "prohibit 10.252.0.0/24", "prohibit"),
    ],
)
def test_the_kernel_s_choice_is_made_again(sample: str, address: str, route: str, refused: str) -> None:
    found = route_to(read_routes(_sample(sample)), RULES, address)
    assert (str(found.route), found.refused, found.leads) == (route, refused, not refused)


def test_a_rule_leads_to_another_table_and_throw_back_from_it() -> None:
    away = route_to(ALL, RULES, "10.9.0.5", source="10.244.1.7")
    assert (away.rule and away.rule.priority, str(away.route)) == (100, "default via 172.30.0.1 dev eth0 table 100")
    thrown = route_to(ALL, RULES, "10.9.1.5", source="10.244.1.7")
    assert (thrown.rule and thrown.rule.priority, str(thrown.route)) == (32766, "default via 172.30.0.1 dev eth0")
    own = route_to(ALL, RULES, "10.9.0.5")
    assert own.rule
    assert own.rule.priority == 32766


def test_a_route_may_have_several_ways() -> None:
    ways = route_to(ALL, RULES, "10.253.0.1").route
    assert ways
    assert [way.gateway for way in ways.ways] == ["172.30.0.12", "172.30.0.13"]


def test_all_kinds_of_rules_are_read() -> None:
    rules = read_rules(_sample("rules-many.json"))
    assert [rule.priority for rule in rules] == [0, *range(10, 18), *range(30, 35), 32766, 32767]
    assert [str(rule) for rule in rules[1:6]] == [
        "10: from 10.1.0.0/16 prohibit",
        "11: from all to 10.2.0.0/16 blackhole",
        "12: from 10.3.0.0/16 unreachable",
        "13: not from all fwmark 0xca6c lookup 51820",
        "14: from all lookup main",
    ]
    assert [rule.builtin for rule in rules].count(True) == 3
    assert _said(route_to(ALL, rules, "8.8.8.8", source="10.1.2.3")) == "prohibit"
    assert _said(route_to(ALL, rules, "10.2.0.1")) == "blackhole"
    # A VPN's pair: everything unmarked into its own table, but for what the main table knows better than by default.
    tunnel = (*ALL, Route(ALL[0].network, ALL[0].ways, table="51820"))
    assert _said(route_to(tunnel, rules, "8.8.8.8")).endswith("table 51820")
    kept = tuple(rule for rule in rules if rule.priority != 13)
    assert _said(route_to(ALL, kept, "10.244.1.3")) == "10.244.1.0/24 dev cni0"


def test_busybox_prints_the_same_rules_without_some_words() -> None:
    rules = read_rules(_sample("bbrule.txt"))
    assert [str(rule) for rule in rules] == [str(rule) for rule in RULES]


@pytest.mark.parametrize("sample", ["procroute.txt"])
def test_proc_has_the_main_table(sample: str) -> None:
    routes = read_routes(_sample(sample))
    assert _said(route_to(routes, (), "10.244.2.9")) == "10.244.2.0/24 via 10.244.2.0 dev flannel.1"
    assert route_to(routes, (), "10.250.0.1").refused == "blackhole"
    assert route_to(routes, (), "10.251.0.1").refused == "unreachable"


def test_the_trie_has_types_and_own_addresses() -> None:
    trie = _sample("fib_trie.txt")
    kinds = {str(network): kind for table, network, kind in read_trie(trie) if table == "Main"}
    assert kinds["10.250.0.0/24"] == "blackhole"
    assert kinds["10.252.0.0/24"] == "prohibit"
    assert own_addresses(trie) == ("10.244.1.0", "10.244.1.1", "10.99.0.1", "172.30.0.11")


@pytest.mark.parametrize("sample", ["neigh.json", "bbneigh.txt", "arp.txt"])
def test_neighbours(sample: str) -> None:
    found = {n.address: n for n in read_neighbours(_sample(sample))}
    assert found["10.244.2.0"] == Neighbour("10.244.2.0", "flannel.1", "5e:0f:1a:00:00:02", ("PERMANENT",))
    assert found["10.244.2.0"].permanent
    assert not found["10.244.1.4"].permanent
    assert not found["10.244.1.4"].failed


def test_forwarding_entries() -> None:
    entries = read_fdb(_sample("fdb.json"))
    assert remotes_of(entries, "flannel.1", "5E:0F:1A:00:00:02") == ("172.30.0.12",)
    text = "5e:0f:1a:00:00:03 dev flannel.1 dst 172.30.0.13 self permanent\nrubbish\n33:33:00:00:00:01 dev eth0 self"
    assert remotes_of(read_fdb(text), "flannel.1", "5e:0f:1a:00:00:03") == ("172.30.0.13",)
    assert remotes_of(read_fdb(text), "eth0", "33:33:00:00:00:01") == ()


def test_the_other_family() -> None:
    routes = read_routes(_sample("route6.json"))
    assert _said(route_to(routes, (), "2001:db8::1")).startswith("unreachable 2001:db8::/32")
    assert _said(route_to(routes, (), "fd00::9")) == "fd00::/64 dev w"
    assert _said(route_to(routes, (), "fd01::9")) == "default via fd00::2 dev w"


KEYS = ("dst", "gateway", "dev", "table", "metric", "type", "nexthops", "priority", "src", "srclen", "mac", "state")


@given(st.text() | st.dictionaries(st.sampled_from(KEYS), json_values).map(json.dumps))
def test_nothing_that_a_node_prints_raises(text: str) -> None:
    for sample in (text, f"[{text}]"):
        routes, rules = read_routes(sample), read_rules(sample)
        route_to(routes, rules, "10.0.0.1", source="10.0.0.2")
        read_neighbours(sample)
        read_fdb(sample)
        read_trie(sample)
        assert all(map(str, (*routes, *rules)))


ADDRESS = st.integers(0, 2**32 - 1)


@given(st.lists(st.tuples(ADDRESS, st.integers(0, 32))), ADDRESS)
def test_the_longest_prefix_wins(entries: list[tuple[int, int]], target: int) -> None:
    networks = [ipaddress.ip_network((base, length), strict=False) for base, length in entries]
    routes = tuple(Route(network, table="main") for network in networks)
    found = route_to(routes, (), str(ipaddress.ip_address(target))).route
    fitting = [n for n in networks if ipaddress.ip_address(target) in n]
    assert (found.network.prefixlen if found else None) == max((n.prefixlen for n in fitting), default=None)


def test_a_rule_for_marked_packets_is_not_for_plain_ones() -> None:
    marked = Rule(5, "9", other=("fwmark 0x1",))
    routes = (Route(ALL[0].network, ALL[0].ways, table="9"), *ALL)
    assert _said(route_to(routes, (marked, *RULES), "203.0.113.1")) == "default via 172.30.0.1 dev eth0"
