"""What proxy variables are taken to mean."""

from __future__ import annotations

import pytest

from kubectl_netdebug.net.noproxy import leaves_out, read_proxy


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("http://proxy:3128", ("http", "proxy", 3128)),
        ("proxy.example.com:8080/", ("http", "proxy.example.com", 8080)),
        ("https://proxy", ("https", "proxy", 443)),
        ("http://[fd00::1]:3128", ("http", "fd00::1", 3128)),
        ("$(PROXY)", None),
        ("http://proxy:99999", None),
        ("", None),
    ],
)
def test_a_proxy_is_read(value: str, expected: tuple[str, str, int] | None) -> None:
    proxy = read_proxy(value)
    assert (proxy and (proxy.scheme, proxy.host, proxy.port)) == expected


@pytest.mark.parametrize(
    ("exclusions", "host", "left_out"),
    [
        ("*", "web.shop.svc", True),
        (".svc,.cluster.local", "web.shop.svc", True),
        ("svc", "web.shop.svc", True),
        ("*.svc", "web.shop.svc", True),
        ("localhost, .SVC", "web.shop.svc", True),
        ("localhost .svc", "web.shop.svc", True),
        ("web", "web", True),
        ("web:80", "web", True),
        ("web:81", "web", False),
        ("eb", "web", False),
        ("10.0.0.0/8", "10.96.0.7", True),
        ("10.0.0.0/8", "web.shop.svc", False),
        ("fd00::/8", "fd00::5", True),
        ("", "web.shop.svc", False),
    ],
)
def test_what_no_proxy_leaves_out(exclusions: str, host: str, left_out: bool) -> None:
    assert leaves_out(exclusions, host, 80) is left_out
