"""Parsers of what kernels and servers write: socket tables, attempts, certificates."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.net.certificate import MOST_NAMES, covers, describe_certificate
from kubectl_netdebug.net.outcome import Attempt, Outcome, read_attempt, tally
from kubectl_netdebug.net.procnet import listeners
from tests.kube.certificates import Authority
from tests.unit.anything import json_values

# As Linux 6 writes them, headers included.
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000003 00:00000000 00000000  1000        0 81234 1 0000000000000000 100
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 21345 1 0000000000000000 100
   2: 0A00020F:0016 0202000A:D431 01 00000000:00000000 02:000A7F1E 00000000     0        0 91237 4 0000000000000000 20
   3: 0100007F:A1B2 0100007F:1F90 06 00000000:00000000 03:00000B1C 00000000     0        0 0 3 0000000000000000
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 0 0
   1: 00000000000000000000000001000000:18EB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 0 0
   2: 0000000000000000FFFF00000100007F:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 0 0
   3: 0000000000000000FFFF00000F02000A:0050 0000000000000000FFFF00000202000A:C001 01 00000000:00000000 00:00000000 0 0
   4: B80D0120000000000000000001000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 0 0
"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  292: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 21500 2 0000000000000000 0
  293: 0F02000A:B0C4 0202000A:0035 01 00000000:00000000 00:00000000 00000000   101        0 21501 2 0000000000000000 0
"""


def test_listening_sockets() -> None:
    found = listeners({"tcp": TCP, "tcp6": TCP6, "udp": UDP})

    assert [str(socket) for socket in found] == [
        "0.0.0.0:22/TCP",
        "127.0.0.53:53/UDP",
        "[::]:80/TCP",
        "[2001:db8::1]:443/TCP",
        "[::1]:6379/TCP",
        "127.0.0.1:8080/TCP",
        "[::ffff:127.0.0.1]:8081/TCP",
    ]
    assert [socket.backlog_used for socket in found if socket.port == 8080] == [3]


def test_who_can_reach_them() -> None:
    found = {s.port: s for s in listeners({"tcp": TCP, "tcp6": TCP6, "udp": UDP})}

    assert {port for port, s in found.items() if s.wildcard} == {22, 80}
    assert {port for port, s in found.items() if s.loopback} == {53, 6379, 8080, 8081}
    assert {port for port, s in found.items() if s.reachable_at("10.0.2.15")} == {22, 80}
    assert {port for port, s in found.items() if s.reachable_at("2001:db8::1")} == {80, 443}


@pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="no /proc/net here")
def test_the_sockets_of_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 0))
        wanted = {("TCP", server.getsockname()[1]), ("UDP", datagrams.getsockname()[1])}
        files = {name: Path(f"/proc/net/{name}").read_text() for name in ("tcp", "udp")}

    assert wanted <= {(s.protocol, s.port) for s in listeners(files) if s.address == "127.0.0.1"}


def _line(address: bytes, state: str, queue: int) -> str:
    """A line of a table; the address has any length, as in a damaged one."""
    return f"  7: {address.hex().upper()}:1F90 {'0' * 8}:0035 {state} 00000000:{queue:08X} 00:00000000"


lines = st.builds(_line, st.binary(max_size=17), st.sampled_from(["0A", "01", "07", "0a"]), st.integers(0, 2**40))
tables = st.lists(lines | st.text(), max_size=4).map("\n".join)


@given(st.fixed_dictionaries({"tcp": tables, "udp6": tables}, optional={"tcp6": tables, "x": tables}))
def test_every_table_is_read(files: dict[str, str]) -> None:
    for listener in listeners(files):
        ipaddress.ip_address(listener.address)
        assert 0 <= listener.port < 65536
        assert str(listener)
        assert isinstance(listener.loopback, bool)


@given(json_values)
def test_every_value_is_an_attempt(value: Any) -> None:
    attempt = read_attempt(value)

    assert attempt.words
    assert isinstance(attempt.milliseconds, float)


def test_attempts_in_words() -> None:
    assert Attempt(Outcome.CONNECTED, 0.4).words == "connected in 0 ms"
    assert Attempt(Outcome.REFUSED, 3.2).words == "refused in 3 ms"
    assert Attempt(Outcome.TIMED_OUT, 2004).words == "timed out after 2.0 s"
    assert read_attempt({"outcome": "of-a-later-version", "ms": 5}).outcome is Outcome.OTHER
    refused, connected = Attempt(Outcome.REFUSED, 1), Attempt(Outcome.CONNECTED, 1)
    assert tally([connected, refused, refused]) == "refused ×2, connected ×1"
    assert tally([refused]) == "refused"
    assert {outcome for outcome in Outcome if not outcome.words} == set()


AUTHORITY = Authority("netdebug-tests")


def der(name: str, hosts: tuple[str, ...] = ()) -> bytes:
    pem = AUTHORITY.issue(name, hosts).certificate
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


def test_a_certificate() -> None:
    said = describe_certificate(der("web", ("web.shop.svc", "*.example.org", "10.0.0.1")))

    assert (said["subject"], said["issuer"], said["selfSigned"]) == ("CN=web", "CN=netdebug-tests", False)
    assert said["names"] == ["web.shop.svc", "*.example.org", "10.0.0.1"]
    assert said["notBefore"] < said["notAfter"]
    assert describe_certificate(der("web"))["names"] == []


def test_a_certificate_that_signed_itself() -> None:
    own = x509.load_pem_x509_certificate(AUTHORITY.pem).public_bytes(serialization.Encoding.DER)

    assert describe_certificate(own)["selfSigned"] is True


def test_a_hostile_certificate_cannot_steer_the_terminal() -> None:
    said = describe_certificate(der("web\x1b]0;owned\x07" + "\u202e", tuple(f"host-{n}.example" for n in range(80))))

    assert not [c for c in str(said) if c in "\x1b\x07\u202e"]
    assert len(said["names"]) == MOST_NAMES


GOOD = der("web", ("web.shop.svc",))


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255), st.booleans())
def test_damaged_certificates_are_described_or_called_broken(place: int, byte: int, cut: bool) -> None:
    damaged = GOOD[:place] + (b"" if cut else bytes([byte]) + GOOD[place + 1 :])
    said = describe_certificate(damaged)

    assert set(said) == {"broken"} or "subject" in said


@given(st.binary(max_size=60))
def test_noise_is_no_certificate(noise: bytes) -> None:
    assert "broken" in describe_certificate(noise)


@pytest.mark.parametrize(
    ("names", "wanted", "covered"),
    [
        (["web.shop.svc"], "web.shop.svc", True),
        (["WEB.shop.svc."], "web.SHOP.svc", True),
        (["*.shop.svc"], "web.shop.svc", True),
        (["*.shop.svc"], "a.web.shop.svc", False),
        (["*.shop.svc"], "shop.svc", False),
        (["*.svc"], "web.shop.svc", False),
        (["*"], "web", False),
        ([], "web", False),
        (["10.0.0.1"], "10.0.0.1", True),
        (["web.shop.svc.evil"], "web.shop.svc", False),
    ],
)
def test_names_that_a_certificate_covers(names: list[str], wanted: str, covered: bool) -> None:
    assert covers(names, wanted) is covered
