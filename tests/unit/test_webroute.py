"""Hosts and paths against rules, as the Ingress and Gateway APIs define them."""

from __future__ import annotations

import pytest

from kubectl_netdebug.net.address import lies_in
from kubectl_netdebug.net.webroute import host_matches, hostname_matches, hostnames_meet, path_matches


@pytest.mark.parametrize(
    ("rule", "host", "matches"),
    [
        ("shop.lab", "shop.lab", True),
        ("shop.lab", "SHOP.lab.", True),
        ("shop.lab", "www.shop.lab", False),
        ("*.lab", "shop.lab", True),
        ("*.lab", "a.shop.lab", False),
        ("*.lab", "lab", False),
        ("", "anything", True),
    ],
)
def test_ingress_hosts(rule: str, host: str, matches: bool) -> None:
    assert host_matches(rule, host) is matches


def test_gateway_wildcards_take_any_number_of_labels() -> None:
    assert hostname_matches("*.lab", "a.b.lab")
    assert not hostname_matches("*.lab", "lab")
    assert hostnames_meet("*.lab", "shop.lab")
    assert hostnames_meet("", "shop.lab")
    assert not hostnames_meet("*.lab", "shop.com")


@pytest.mark.parametrize(
    ("rule", "kind", "path", "matches"),
    [
        ("/a", "Exact", "/a", True),
        ("/a", "Exact", "/a/", False),
        ("/a", "Prefix", "/a/b", True),
        ("/a/", "Prefix", "/a", True),
        ("/a", "Prefix", "/ab", False),
        ("/", "Prefix", "/any?x=1", True),
        ("", "Prefix", "/", True),
        ("/a", "ImplementationSpecific", "/ab", True),
    ],
)
def test_paths(rule: str, kind: str, path: str, matches: bool) -> None:
    assert path_matches(rule, kind, path) is matches


def test_ranges_as_people_write_them() -> None:
    assert lies_in("10.0.0.5", "10.0.0.0/8")
    assert lies_in("10.0.0.5", "10.0.0.1-10.0.0.9")
    assert lies_in("10.0.0.5", "10.0.0.5")
    assert not lies_in("10.0.0.5", "10.0.0.6-10.0.0.9")
    assert not lies_in("10.0.0.5", "nonsense")
    assert not lies_in("", "10.0.0.0/8")
