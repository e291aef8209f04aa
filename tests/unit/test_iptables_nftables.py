"""The readers of rules: exact on what is known, calm about what is not."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.net import proxy_iptables, proxy_nft
from kubectl_netdebug.net.iptables import read_saved
from kubectl_netdebug.net.ipvs import read_ipvs
from kubectl_netdebug.net.nftables import read_ruleset, seconds
from kubectl_netdebug.net.proxy_reduce import reduce_iptables, reduce_nft
from kubectl_netdebug.net.proxyrules import ProxiedPort

DATA = Path(__file__).parent / "data"
LINES = (DATA / "iptables-save.txt").read_text().splitlines()
LISTED = (DATA / "nft-ruleset.txt").read_text().splitlines()
PORT = ProxiedPort("default", "web", "", "TCP", 80, "10.96.143.169", node_port=31080)


def test_every_saved_rule_is_read() -> None:
    saved = read_saved(LINES)
    assert saved.odd == ()
    assert len(saved.rules) == sum(" -A " in line for line in LINES)
    assert saved.chain("filter", "INPUT").policy == "ACCEPT"
    (rule,) = [r for r in saved.rules if r.chain == "KUBE-FIREWALL"]
    source, state = rule.option("-s"), rule.option("--ctstate")
    assert source is not None
    assert source.negated
    assert source.value == "127.0.0.0/8"
    assert state is not None
    assert state.negated
    assert state.value == "RELATED,ESTABLISHED,DNAT"
    assert rule.comment == "block incoming localnet connections"
    assert rule.target == "DROP"
    jump = saved.chain("nat", "PREROUTING").rules[0]
    assert (jump.packets, jump.bytes) == (4, 265)
    (chance,) = {r.probability for r in saved.chain("nat", "KUBE-SVC-LOLE4ISW44XBNF3G").rules[1:2]}
    assert chance is not None
    assert abs(chance - 1 / 3) < 1e-6


def test_notations() -> None:
    text = (
        "*filter\n:INPUT DROP [1:2]\n"
        '-A INPUT -s ! 10.0.0.0/8 --jump DROP\n[3:4] -A INPUT -m comment --comment "a \\"b\\" -j X" -g OTHER\n'
        "-A INPUT ! -i cni0 -m physdev ! --physdev-in eth0 -m set --match-set bad src -j LOG --log-prefix it's\n"
        "something else\nCOMMIT\n"
    )
    saved = read_saved(text)
    old, quoted, odd = saved.chain("filter", "INPUT").rules
    assert old.options[0].negated
    assert old.options[0].values == ("10.0.0.0/8",)
    assert old.target == "DROP"
    assert quoted.comment == 'a "b" -j X'
    assert quoted.target == "OTHER"
    assert [o.name for o in odd.matches] == ["-i", "--physdev-in", "--match-set"]
    assert odd.target == "LOG"
    assert saved.odd == ("something else",)


def test_every_table_is_listed() -> None:
    ruleset = read_ruleset(LISTED)
    assert ruleset.odd == ()
    assert set(ruleset.tables) == {
        *((f, t) for f in ("ip", "ip6") for t in ("nat", "mangle", "filter")),
        ("ip", "kube-proxy"),
        ("ip6", "kube-proxy"),
    }
    table = ruleset.table("ip", "kube-proxy")
    assert table is not None
    priorities = {name: c.priority for name, c in table.chains.items() if c.hook}
    assert priorities["filter-prerouting-pre-dnat"] == -110
    assert priorities["nat-postrouting"] == 100
    assert len(table.set("cluster-ips").elements) == 6
    assert table.set("no-endpoint-services").elements[0].comment == "default/empty"
    affinity = next(s for name, s in table.sets.items() if name.startswith("affinity-"))
    assert affinity.timeout == 10800


def test_verdicts() -> None:
    text = """table inet guard { # handle 7
	chain forward { # handle 1
		type filter hook forward priority filter + 5; policy drop; # handle
		ct status dnat accept
		ip saddr 10.0.0.0/8 counter packets 7 bytes 420 drop comment "no accept"
		tcp dport { 22, 80 } reject with tcp reset
		iifname "veth0" jump more # handle 4
		tcp dport vmap { 22 : accept, 23 : drop }
		meta mark set 0x1
		limit rate 5/second log prefix "drop"
	}
	map wide {
		type ipv4_addr : verdict
		elements = { 10.0.0.1 timeout 3h expires 2h : accept,
			10.0.0.2 : drop }
	}
}
"""
    (table,) = read_ruleset(text).tables.values()
    chain = table.chain("forward")
    assert [r.verdict for r in chain.rules] == ["accept", "drop", "reject", "jump", "vmap", "", ""]
    assert chain.rules[3].target == "more"
    assert chain.rules[1].packets == 7
    assert [(e.key, e.value) for e in table.set("wide").elements] == [("10.0.0.1", "accept"), ("10.0.0.2", "drop")]


def test_times() -> None:
    assert [seconds(t) for t in ("3h", "1m30s", "500ms", "2d", "")] == [10800, 90, 0, 172800, 0]


@given(st.lists(st.one_of(st.sampled_from(LINES), st.text(max_size=60)), max_size=40))
def test_odd_saved_text_never_raises(lines: list[str]) -> None:
    for saved in (read_saved(lines), read_saved(reduce_iptables(lines, (PORT,)))):
        proxy_iptables.general(saved)
        proxy_iptables.port_rules(saved, PORT)
        for rule in saved.rules:
            assert rule.matches is not None
            assert rule.comment is not None


@given(st.lists(st.one_of(st.sampled_from(LISTED), st.text(max_size=60)), max_size=60))
def test_odd_listed_text_never_raises(lines: list[str]) -> None:
    for ruleset in (read_ruleset(lines), read_ruleset(reduce_nft(lines, (PORT,)))):
        proxy_nft.general(ruleset)
        proxy_nft.port_rules(ruleset, PORT)
        for table in ruleset.tables.values():
            for chain in table.chains.values():
                assert all(rule.verdict is not None for rule in chain.rules)


@given(st.text(max_size=300))
def test_odd_ipvs_text_never_raises(text: str) -> None:
    read_ipvs(text)


@given(st.lists(st.sampled_from(LINES), max_size=60))
def test_reducing_twice_changes_nothing_more(lines: list[str]) -> None:
    once = reduce_iptables(lines, (PORT,))
    again = reduce_iptables(once.splitlines(), (PORT,))
    assert read_saved(again) == read_saved(once)
