"""Routes, port ranges and far ends as the kernel prints them."""

from __future__ import annotations

from kubectl_netdebug.net.procroute import read_range, read_routes, read_routes6, route_to, used_towards

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0103F40A\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0003F40A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0\tgarbage
"""

ROUTES6 = """\
fd00000000000000000000000000aa00 78 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 1 0 00000001 eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 1 0 00000003 eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 1 0 00200200 lo
"""  # noqa: E501

SOCKETS = """\
   0: 0A03F40A:9C40 0A7100CB:1538 01 00000000:00000000 00:00000000 00000000 0 0 1 1 0 20 4 30 10 -1
   1: 0A03F40A:9C41 0A7100CB:1538 06 00000000:00000000 00:00000000 00000000 0 0 1 1 0 20 4 30 10 -1
   2: 0A03F40A:9C42 0A7100CB:01BB 01 00000000:00000000 00:00000000 00000000 0 0 1 1 0 20 4 30 10 -1
   3: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1 1 0 20 4 30 10 -1
"""


def test_routes_of_both_families() -> None:
    four, six = read_routes(ROUTES), read_routes6(ROUTES6)
    assert [str(route) for route in four] == ["default via 10.244.3.1 dev eth0", "10.244.3.0/24 dev eth0"]
    assert [str(route) for route in six] == ["fd00::aa00/120 dev eth0", "default via fe80::1 dev eth0"]


def test_the_most_specific_route_is_taken() -> None:
    routes = read_routes(ROUTES)
    near, far = route_to(routes, "10.244.3.9"), route_to(routes, "203.0.113.10")
    assert near is not None
    assert not near.default
    assert far is not None
    assert far.gateway == "10.244.3.1"
    assert route_to(routes[1:], "203.0.113.10") is None
    assert route_to(routes, "2001:db8::1") is None


def test_ports_in_use_are_counted_for_one_far_end() -> None:
    assert read_range("40000\t40009\n") == (40000, 40009)
    assert read_range("nonsense") is None
    assert used_towards({"tcp": SOCKETS}, "203.0.113.10", 5432) == {"ESTABLISHED": 1, "TIME_WAIT": 1}
