"""What rules do with a packet, as far as it can be told."""

from __future__ import annotations

import pytest

from kubectl_netdebug.net.filters import Packet, foreign_drops, matches, walk
from kubectl_netdebug.net.iptables import Rule, read_saved
from kubectl_netdebug.net.nftables import read_ruleset

HERE, THERE = "10.244.1.5", "10.244.2.7"
PACKET = Packet(HERE, THERE, "tcp", 8080, incoming="cni0")
PLAIN = """*filter
:INPUT ACCEPT [0:0]
:FORWARD {policy} [0:0]
:KUBE-FORWARD - [0:0]
:mine - [0:0]
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
{rules}
-A KUBE-FORWARD -m conntrack --ctstate INVALID -m nfacct --nfacct-name  ct_state_invalid_dropped_pkts -j DROP
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
"""


@pytest.mark.parametrize(
    ("options", "takes"),
    [
        ("-s 10.244.1.0/24", True),
        ("! -s 10.244.0.0/16", False),
        ("-s 10.244.1.0/24 ! -d 10.244.0.0/16", False),
        ("-p tcp -m tcp --dport 8080", True),
        ("-p tcp -m multiport --dports 22,8000:8100", True),
        ("-p udp -m udp --dport 8080", False),
        ("-i cni0 -o eth0", None),
        ("-i eth0", False),
        ("-i veth+", False),
        ("-m conntrack --ctstate RELATED,ESTABLISHED", False),
        ("-m conntrack --ctstate INVALID", False),
        ("-m state --state NEW", True),
        ("-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN", True),
        ("-m set --match-set blocked src", None),
        ("-m statistic --mode random --probability 0.3", None),
        ('-m comment --comment "a -d 10.0.0.0/8 in words"', True),
    ],
)
def test_a_rule_takes_a_packet_surely_perhaps_or_not(options: str, takes: bool | None) -> None:
    assert matches(Rule("filter", "FORWARD", f"-A FORWARD {options} -j DROP"), PACKET) is takes


@pytest.mark.parametrize(
    ("policy", "rules", "ends"),
    [
        ("ACCEPT", "", ""),
        ("DROP", "", "policy DROP"),
        ("DROP", "-A FORWARD -s 10.244.0.0/16 -j ACCEPT", ""),
        ("DROP", "-A FORWARD -m set --match-set allowed src -j ACCEPT", ""),
        ("DROP", "-A FORWARD -i docker0 -j ACCEPT", "policy DROP"),
        ("ACCEPT", "-A FORWARD -j mine\n-A mine -d 10.244.2.0/24 -j REJECT", "-A mine -d 10.244.2.0/24 -j REJECT"),
        ("ACCEPT", "-A FORWARD -j mine\n-A mine -s 10.244.0.0/16 -j RETURN\n-A mine -j DROP", ""),
        ("ACCEPT", "-A FORWARD -m limit --limit 5/sec -j DROP", ""),
    ],
)
def test_a_walk_ends_where_it_surely_does(policy: str, rules: str, ends: str) -> None:
    found = walk(read_saved(PLAIN.format(policy=policy, rules=rules)), "FORWARD", PACKET)
    assert (found.text if found else "") == ends


def test_a_pod_networks_own_chain_is_not_judged() -> None:
    rules = ":cali-FORWARD - [0:0]\n-A FORWARD -j cali-FORWARD\n-A cali-FORWARD -j DROP"
    assert walk(read_saved(PLAIN.format(policy="DROP", rules=rules)), "FORWARD", PACKET) is None


NFT = """table inet guard {
	set blocked {
		type ipv4_addr
		flags interval
		elements = { 10.244.0.0/16 }
	}

	chain passing {
		type filter hook forward priority 5; policy accept;
		%s
	}
}
"""


@pytest.mark.parametrize(
    ("rule", "drops"),
    [
        ("tcp dport 8080 drop", True),
        ("tcp dport { 22, 8080 } counter packets 3 bytes 180 drop", True),
        ("tcp dport 23 reject", False),
        ('ip saddr @blocked log prefix "no " drop comment "a drop"', True),
        ("ip saddr != @blocked drop", False),
        ("ct state established,related accept", False),
        ("ct state invalid drop", False),
        ("ip daddr 10.244.2.0/24 meta l4proto tcp reject with icmpx admin-prohibited", True),
        ("limit rate over 5/second drop", False),
        ("numgen random mod 2 0 drop", False),
        ("ip6 saddr fd00::/8 drop", False),
    ],
)
def test_a_table_of_nft_drops_surely_or_is_left_alone(rule: str, drops: bool) -> None:
    assert bool(list(foreign_drops(read_ruleset(NFT % rule), ("forward",), PACKET))) is drops


def test_a_policy_of_nft_drops_what_no_rule_accepts() -> None:
    text = (NFT % "ct state established accept").replace("policy accept", "policy drop")
    assert [d.text for d in foreign_drops(read_ruleset(text), ("forward",), PACKET)] == ["policy drop"]
    assert not list(foreign_drops(read_ruleset(text.replace("established", "new")), ("forward",), PACKET))
    assert not list(foreign_drops(read_ruleset(text), ("input",), PACKET))
