"""kube-proxy as a program on a node: the reading of its process, health and counters."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.net.proxy_process import read_program

READING = """process 82 kube-proxy S (sleeping)
arg /usr/local/bin/kube-proxy
arg --config=/var/lib/kube-proxy/config.conf
arg --hostname-override
arg node-1
healthz HTTP/1.0 503 Service Unavailable
healthz Content-Type: application/json
mode nftables
metric kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family="IPv4"} 1.7954628778001547e+09
metric kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family="IPv6"} 1.7954628778001962e+09
metric kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv6"} 1.7954628782574515e+09
metric kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family="IPv4"} 1
lock 4711 flock
"""


def test_a_reading() -> None:
    program = read_program(READING)
    process = program.process
    assert process is not None
    assert process.pid == 82
    assert process.argument("config") == "/var/lib/kube-proxy/config.conf"
    assert process.argument("hostname-override") == "node-1"
    assert process.argument("proxy-mode") == ""
    assert not process.stopped
    assert (program.health, program.mode, program.lock) == (503, "nftables", "flock (4711)")
    assert program.syncing["IPv4"].behind
    assert not program.syncing["IPv6"].behind


def test_a_stopped_process_and_none() -> None:
    program = read_program("process 82 kube-proxy T (stopped)\n")
    assert program.process is not None
    assert program.process.stopped
    assert not program.answers
    nothing = read_program("")
    assert nothing.process is None
    assert not nothing.embedded


def test_who_stands_in_for_it() -> None:
    assert read_program("process 9 cilium-agent S (sleeping)").replaced_by == "Cilium"
    assert read_program("process 9 k3s-server S (sleeping)").embedded


@given(st.lists(st.one_of(st.sampled_from(READING.splitlines()), st.text(max_size=40)), max_size=30))
def test_odd_readings_never_raise(lines: list[str]) -> None:
    program = read_program("\n".join(lines))
    assert program.health >= 0
    assert all(s.failures >= 0 or not s.behind for s in program.syncing.values())
