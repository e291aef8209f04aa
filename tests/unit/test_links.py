"""Devices and bridge ports as a node's tools print them; the samples are of real nodes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.net.links import (
    UNREPORTED,
    host_end,
    link_named,
    link_with,
    read_links,
    read_ports,
    with_addresses,
)
from tests.unit.anything import json_values

DATA = Path(__file__).parent / "data" / "iproute"


def _sample(name: str) -> str:
    return (DATA / name).read_text()


@pytest.mark.parametrize("sample", ["addr.json", "bbaddr.txt"])
def test_devices_and_addresses(sample: str) -> None:
    links = read_links(_sample(sample))
    bridge = link_named(links, "cni0")
    assert bridge
    assert (bridge.mtu, bridge.up, bridge.addresses[0], bridge.mac) == (
        1450,
        True,
        "10.244.1.1/24",
        "1e:46:9f:25:d1:32",
    )
    assert str(bridge.networks[0]) == "10.244.1.0/24"
    port = link_named(links, "veth19cc667c")
    assert port
    assert port.master == "cni0"
    lonely = link_named(links, "dummyv")
    assert lonely
    assert lonely.up
    assert not lonely.carrier
    own = link_with(links, "172.30.0.11")
    assert own
    assert own.name == "eth0"
    assert link_with(links, "172.30.0.12") is None


def test_kinds_peers_and_tunnels() -> None:
    links = with_addresses(read_links(_sample("link.json")), read_links(_sample("addr.json")))
    overlay = link_named(links, "flannel.1")
    assert overlay
    assert overlay.vxlan
    assert (overlay.vxlan.id, overlay.vxlan.local, overlay.vxlan.device, overlay.vxlan.port) == (
        1,
        "172.30.0.11",
        "eth0",
        8472,
    )
    assert not overlay.vxlan.learning
    assert overlay.addresses[0] == "10.244.1.0/32"
    port = link_named(links, "veth0ec75d41")
    assert port
    assert (port.kind, port.master, port.peer_elsewhere) == ("veth", "cni0", True)
    found = host_end(links, port.index, pod_side=port.peer)
    assert found == port
    assert host_end(links, port.index, pod_side=port.peer + 7) is None
    assert host_end(links, 9999) is None
    assert all(link.kind == UNREPORTED for link in read_links(_sample("bbaddr.txt")))


def test_ports_of_a_bridge() -> None:
    ports = {port.name: port for port in read_ports(_sample("bridge.json"))}
    assert [port.isolated for port in ports.values()].count(True) == 1
    assert ports["veth0ec75d41"].isolated
    assert all(port.hairpin and port.bridge == "cni0" for port in ports.values())
    text = (
        "5: vethA@if2: <BROADCAST,UP> mtu 1450 master cni0 state forwarding priority 32 cost 2\n"
        "    hairpin off guard off isolated on neigh_suppress off\n"
        "6: vethB@if2: <BROADCAST,UP> mtu 1450 master cni0 state forwarding priority 32 cost 2\n"
    )
    first, second = read_ports(text)
    assert (first.name, first.hairpin, first.isolated) == ("vethA", False, True)
    assert (second.name, second.hairpin, second.isolated) == ("vethB", None, None)


KEYS = ("ifname", "ifindex", "mtu", "addr_info", "linkinfo", "flags", "master", "hairpin")


@given(st.text() | st.dictionaries(st.sampled_from(KEYS), json_values).map(json.dumps))
def test_nothing_that_a_node_prints_raises(text: str) -> None:
    for sample in (text, f"[{text}]", f"2: eth0: <UP> mtu 1500\n    inet {text}"):
        links = read_links(sample)
        read_ports(sample)
        with_addresses(links, links)
        assert all(isinstance(link.networks, tuple) for link in links)
