"""Tracked connections are shortened to ports in use, and count the same afterwards."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.net.tracked import Given, keep, read_tracked

ANSWERED = (
    "tcp      6 86393 ESTABLISHED src=10.244.1.5 dst=203.0.113.10 sport={client} dport=80 "
    "src=203.0.113.10 dst=172.30.0.11 sport=80 dport={given} [ASSURED] mark=0 use=1"
)
FROM_PROC = f"ipv4     2 {ANSWERED}"
UNANSWERED = (
    "tcp      6 112 SYN_SENT src=10.244.1.5 dst=203.0.113.10 sport=7 dport=80 [UNREPLIED] "
    "src=203.0.113.10 dst=172.30.0.11 sport=80 dport=40009 mark=0 use=1"
)


def _read(*lines: str, about: str = "203.0.113.10") -> tuple[Given, ...]:
    return read_tracked("\n".join(keep(lines, (about,))))


@given(st.sets(st.integers(1, 65535), min_size=1, max_size=60), st.sampled_from([ANSWERED, FROM_PROC]))
def test_every_port_counts_once(ports: set[int], form: str) -> None:
    lines = [form.format(client=2000 + n, given=port) for n, port in enumerate(sorted(ports))]
    (found,) = _read(*lines, lines[0])
    assert (found.protocol, found.address, found.port, found.source) == ("TCP", "203.0.113.10", 80, "172.30.0.11")
    assert found.within(1, 65535) == len(ports)
    assert found.within(1000, 2000) == len([p for p in ports if 1000 <= p <= 2000])


def test_what_was_never_answered_takes_no_port() -> None:
    assert not _read(UNANSWERED)


def test_other_destinations_are_left_out() -> None:
    assert not _read(ANSWERED.format(client=1, given=2), about="203.0.113.11")
    assert read_tracked("TCP 203.0.113.10 80 172.30.0.11 1-\nTCP a 80 b 1,,2\n\n") == ()
