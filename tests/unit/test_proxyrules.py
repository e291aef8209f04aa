"""kube-proxy's rules: samples from a node in each mode against that cluster's objects, and faults put in by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubectl_netdebug.model.objects.service import Service, read_service
from kubectl_netdebug.model.objects.slices import EndpointSlice, read_slice
from kubectl_netdebug.net import ipvs, proxy_iptables, proxy_nft
from kubectl_netdebug.net.iptables import endpoint_chain, read_saved, service_chain
from kubectl_netdebug.net.nftables import read_ruleset
from kubectl_netdebug.net.proxy_expected import Where, expected
from kubectl_netdebug.net.proxy_reduce import reduce_iptables, reduce_nft
from kubectl_netdebug.net.proxyrules import General, Kind, PortRules, ProxiedPort, Verdict, compare, ports_of, read_port

DATA = Path(__file__).parent / "data"
IPTABLES = (DATA / "iptables-save.txt").read_text()
NFT = (DATA / "nft-ruleset.txt").read_text()
TEXT = {"iptables": IPTABLES, "nftables": NFT}
HERE = Where("node-1")


def objects(mode: str) -> tuple[dict[str, Service], list[EndpointSlice]]:
    items = json.loads((DATA / f"proxied-{mode}.json").read_text())["items"]
    services = [read_service(o) for o in items if o["kind"] == "Service"]
    return {s.name: s for s in services if s}, [read_slice(o) for o in items if o["kind"] == "EndpointSlice"]


def rules(mode: str, port: ProxiedPort, text: str = "") -> PortRules:
    if mode == "iptables":
        return proxy_iptables.port_rules(read_saved(text or IPTABLES), port)
    return proxy_nft.port_rules(read_ruleset(text or NFT), port)


def general(mode: str, text: str) -> General:
    return proxy_iptables.general(read_saved(text)) if mode == "iptables" else proxy_nft.general(read_ruleset(text))


MODES = pytest.mark.parametrize("mode", ["iptables", "nftables"])


def port_of(mode: str, name: str, index: int = 0) -> tuple[Service, list[EndpointSlice], ProxiedPort]:
    services, slices = objects(mode)
    return services[name], slices, ports_of(services[name])[index]


@MODES
def test_rules_of_a_healthy_node_are_what_the_slices_say(mode: str) -> None:
    services, slices = objects(mode)
    for service in services.values():
        for port in ports_of(service):
            assert compare(rules(mode, port), expected(service, port, slices, HERE)) == (), port.label


@MODES
def test_the_node_is_judged_by_its_own_endpoints(mode: str) -> None:
    service, slices, port = port_of(mode, "lb")
    elsewhere = compare(rules(mode, port), expected(service, port, slices, Where("node-2")))
    assert {d.missing for d in elsewhere} == {(("10.244.2.3", 8080),)}
    nowhere = expected(service, port, slices, Where("node-9"))
    assert {e.verdict for e in nowhere} == {Verdict.DROP}


@MODES
def test_ways_of_a_load_balancer(mode: str) -> None:
    _, _, port = port_of(mode, "lb")
    way = rules(mode, port).way(Kind.BALANCER)
    assert way is not None
    assert way.ranges == ("10.0.0.0/8", "203.0.113.0/24")
    assert [str(t) for t in way.targets] == ["10.244.1.3:8080"]


@MODES
def test_affinity_and_shares(mode: str) -> None:
    _, _, port = port_of(mode, "np")
    way = rules(mode, port).way(Kind.NODE_PORT)
    assert way is not None
    assert way.affinity == 10800
    assert [round(t.weight, 2) for t in way.targets] == [0.33, 0.33, 0.33]
    assert way.masquerade == "all"
    inside = rules(mode, port).way(Kind.CLUSTER)
    assert inside is not None
    assert inside.masquerade == "! 10.244.0.0/16"


@MODES
def test_ports_without_endpoints_are_rejected(mode: str) -> None:
    _, _, gone = port_of(mode, "np", 1)
    assert {w.verdict for w in rules(mode, gone).ways} == {Verdict.REJECT}


@MODES
def test_unknown_service_has_no_rule(mode: str) -> None:
    stranger = ProxiedPort("x", "y", "", "TCP", 80, "10.96.9.9", node_port=31999)
    found = rules(mode, stranger)
    assert not found.known
    assert {w.verdict for w in found.ways} == {Verdict.NONE}


def test_stale_and_missing_endpoint() -> None:
    for mode in TEXT:
        service, slices, port = port_of(mode, "web")
        text = TEXT[mode].replace("10.244.2.3", "10.244.2.99")
        (difference,) = compare(rules(mode, port, text), expected(service, port, slices, HERE))
        assert difference.missing == (("10.244.2.3", 8080),)
        assert difference.stale == (("10.244.2.99", 8080),)
        assert not difference.wrong_verdict


def test_emptied_chain_leads_nowhere() -> None:
    service, slices, port = port_of("iptables", "web")
    chain = service_chain("KUBE-SVC-", port.label, "tcp")
    text = "\n".join(line for line in IPTABLES.splitlines() if f"-A {chain}" not in line)
    (difference,) = compare(rules("iptables", port, text), expected(service, port, slices, HERE))
    assert difference.way.verdict is Verdict.NOWHERE
    assert difference.wrong_verdict
    service, slices, port = port_of("nftables", "web")
    text = NFT.replace("meta l4proto tcp dnat ip to numgen random mod 3 map", "#")
    (difference,) = compare(rules("nftables", port, text), expected(service, port, slices, HERE))
    assert difference.way.verdict is Verdict.NOWHERE


def test_chain_names_are_kube_proxys() -> None:
    assert service_chain("KUBE-SVC-", "default/kubernetes:https", "TCP") == "KUBE-SVC-NPX46M4PTMTKRN6Y"
    assert endpoint_chain("default/kubernetes:https", "tcp", "172.30.0.10:6443") == "KUBE-SEP-VYSJHUAOKEEF46ND"
    assert service_chain("KUBE-SVC-", "kube-system/kube-dns:dns", "udp") == "KUBE-SVC-TCOU7JCQXEZGVUNU"


def test_general_facts() -> None:
    found = general("iptables", IPTABLES)
    assert (found.present, found.broken, found.masquerades, found.random) == (True, (), True, True)
    assert found.local == ("10.244.0.0/16",)
    assert found.loopback
    found = general("nftables", NFT)
    assert (found.present, found.broken, found.masquerades, found.random) == (True, (), True, True)
    assert found.node_port_addresses == ("172.30.0.11",)
    assert not found.loopback


@MODES
def test_the_other_modes_rules_are_absent(mode: str) -> None:
    other = "nftables" if mode == "iptables" else "iptables"
    text = "*nat\n:KUBE-MARK-MASQ - [0:0]\nCOMMIT\n" if mode == "nftables" else ""
    assert not general(other, text).present


@pytest.mark.parametrize(
    ("mode", "gone", "named"),
    [
        ("iptables", '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES', "PREROUTING"),
        ("iptables", "-A POSTROUTING -m comment", "POSTROUTING"),
        ("nftables", "\t\tjump services", "nat-prerouting"),
        ("nftables", "\t\tjump masquerading", "nat-postrouting"),
    ],
)
def test_a_missing_jump_is_named(mode: str, gone: str, named: str) -> None:
    text = "\n".join(line for line in TEXT[mode].splitlines() if gone not in line)
    assert any(named in each for each in general(mode, text).broken)


def test_flushed_rules_are_not_present() -> None:
    flushed = "\n".join(line for line in IPTABLES.splitlines() if " -A " not in line and ":KUBE-S" not in line)
    assert not general("iptables", flushed).present
    assert not general("nftables", NFT.replace("table ip kube-proxy {", "table ip other {")).present


def test_old_masquerade_rule() -> None:
    assert not general("iptables", IPTABLES.replace(" --random-fully", "")).random
    assert not general("nftables", NFT.replace(" fully-random", "")).random


def test_traffic_to_itself() -> None:
    saved, listed = read_saved(IPTABLES), read_ruleset(NFT)
    assert proxy_iptables.self_marked(saved, "10.244.1.3") is True
    assert proxy_iptables.self_marked(saved, "10.9.9.9") is None
    without = "\n".join(line for line in IPTABLES.splitlines() if "-s 10.244.1.3/32" not in line)
    assert proxy_iptables.self_marked(read_saved(without), "10.244.1.3") is False
    assert proxy_nft.self_masqueraded(listed, "10.244.1.3", 8080) is True
    assert proxy_nft.self_masqueraded(listed, "10.244.2.3", 8080) is False


def test_expected_endpoints() -> None:
    service, slices, port = port_of("iptables", "web")

    def having(**conditions: Any) -> list[EndpointSlice]:
        return [replace(s, endpoints=tuple(replace(e, **conditions) for e in s.endpoints)) for s in slices]

    (cluster,) = expected(service, port, having(ready=False, serving=True, terminating=True), HERE)
    assert len(cluster.endpoints) == 3
    (none,) = expected(service, port, having(ready=False, serving=False), HERE)
    assert none.verdict is Verdict.REJECT
    hinted = [
        replace(s, endpoints=tuple(replace(e, for_zones=("a" if e.node == "node-1" else "b",)) for e in s.endpoints))
        for s in slices
    ]
    (zoned,) = expected(service, port, hinted, Where("node-1", "a"))
    assert zoned.endpoints == (("10.244.1.3", 8080),)
    (ignored,) = expected(service, port, hinted, Where("node-1", "c"))
    assert len(ignored.endpoints) == 3
    near = [replace(s, endpoints=tuple(replace(e, for_nodes=(e.node,)) for e in s.endpoints)) for s in slices]
    (own,) = expected(service, port, near, HERE)
    assert own.endpoints == (("10.244.1.3", 8080),)


@MODES
def test_reduced_rules_say_the_same(mode: str) -> None:
    cut = reduce_iptables if mode == "iptables" else reduce_nft
    for service in objects(mode)[0].values():
        ports = ports_of(service)
        text = cut(TEXT[mode].splitlines(), ports)
        assert len(text) < len(TEXT[mode])
        for port in ports:
            full, short = rules(mode, port), rules(mode, port, text)
            assert short == full
        whole, part = general(mode, TEXT[mode]), general(mode, text)
        assert replace(part, local=whole.local) == whole


@MODES
def test_reduced_rules_keep_what_is_not_kube_proxys(mode: str) -> None:
    if mode == "iptables":
        text = reduce_iptables(IPTABLES.splitlines(), ())
        assert "-A POSTROUTING -s 10.244.1.0/24 ! -d 10.244.0.0/16 -j MASQUERADE" in text
        assert "KUBE-SEP-" not in text
    else:
        text = reduce_nft(NFT.splitlines(), ())
        assert "ip saddr 10.244.1.0/24 ip daddr != 10.244.0.0/16" in text
        assert "default/web" not in text
        assert "affinity-" not in text


SAVED_IPVS = """-A -t 10.96.0.1:443 -s rr
-a -t 10.96.0.1:443 -r 172.30.0.10:6443 -m -w 1
-A -u 10.96.0.10:53 -s rr -p 10800
-a -u 10.96.0.10:53 -r 10.244.1.2:53 -m -w 1
-a -u 10.96.0.10:53 -r 10.244.2.2:53 -m -w 0
-A -t [fd00::1]:443 -s rr
-a -t [fd00::1]:443 -r [fd00::a]:6443 -m -w 1
"""
PROC_IPVS = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A600001:01BB rr
  -> AC1E000A:192B      Masq    1      0          0
UDP  0A60000A:0035 rr  persistent 10800 FFFFFFFF
  -> 0AF40102:0035      Masq    1      0          0
  -> 0AF40202:0035      Masq    0      0          0
TCP  [fd00:0000:0000:0000:0000:0000:0000:0001]:01BB rr
  -> [fd00:0000:0000:0000:0000:0000:0000:000a]:192B      Masq    1      0          0
"""


@pytest.mark.parametrize("text", [SAVED_IPVS, PROC_IPVS])
def test_ipvs_in_both_forms(text: str) -> None:
    servers = ipvs.read_ipvs(text)
    dns = ProxiedPort("kube-system", "kube-dns", "dns", "UDP", 53, "10.96.0.10")
    (way,) = ipvs.port_rules(servers, dns).ways
    assert [str(t) for t in way.targets] == ["10.244.1.2:53"]
    assert way.affinity == 10800
    v6 = ProxiedPort("default", "kubernetes", "https", "TCP", 443, "fd00::1", ipv6=True)
    (way,) = ipvs.port_rules(servers, v6).ways
    assert [str(t) for t in way.targets] == ["[fd00::a]:6443"]
    assert ipvs.general(servers).services == 3


def test_ipvs_compared() -> None:
    service, slices, _ = port_of("iptables", "kubernetes")
    (port,) = ports_of(service)
    assert compare(ipvs.port_rules(ipvs.read_ipvs(SAVED_IPVS), port), expected(service, port, slices, HERE)) == ()
    gone = SAVED_IPVS.replace("172.30.0.10", "172.30.0.99")
    (difference,) = compare(ipvs.port_rules(ipvs.read_ipvs(gone), port), expected(service, port, slices, HERE))
    assert difference.stale == (("172.30.0.99", 6443),)


@MODES
def test_a_port_as_text(mode: str) -> None:
    for service in objects(mode)[0].values():
        for port in ports_of(service):
            assert read_port(port.to_text()) == port
    assert read_port("iptables") is None
