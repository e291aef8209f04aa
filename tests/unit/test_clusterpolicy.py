"""Calico's selectors and the policies with actions: the first rule that matches decides."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.model.objects.pod import ContainerPort
from kubectl_netdebug.model.objects.policy import Direction
from kubectl_netdebug.net.calicoselector import Unreadable, selects
from kubectl_netdebug.net.clusterpolicy import Denial, denied_by_admin, denied_by_calico
from kubectl_netdebug.net.networkpolicy import End, Packet
from tests.unit.anything import json_values

LABELS = {"app": "web", "tier": "front", "projectcalico.org/namespace": "shop"}


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("", True),
        ("all()", True),
        ("app == 'web'", True),
        ('app == "db"', False),
        ("app != 'db'", True),
        ("zone != 'x'", True),
        ("has(app)", True),
        ("!has(app)", False),
        ("! has(zone) && app == 'web'", True),
        ("app in {'db', 'web'}", True),
        ("zone in {'a'}", False),
        ("zone not in {'a'}", True),
        ("app not in { 'web' }", False),
        ("app contains 'e'", True),
        ("app starts with 'we' && tier ends with 'nt'", True),
        ("(app == 'db' || tier == 'front') && has(app)", True),
        ("app == 'db' || tier == 'front' && has(zone)", False),
        ("global()", False),
        ("projectcalico.org/namespace == 'shop'", True),
    ],
)
def test_selectors(expression: str, holds: bool) -> None:
    assert selects(expression, LABELS) is holds


@pytest.mark.parametrize(
    "expression", ["app", "app ==", "app = 'web'", "(all()", "all() all()", "app == web", "§", "(" * 99]
)
def test_what_is_no_selector_is_told(expression: str) -> None:
    with pytest.raises(Unreadable):
        selects(expression, LABELS)


@given(st.text())
def test_nothing_else_escapes(expression: str) -> None:
    with contextlib.suppress(Unreadable):
        selects(expression, LABELS)


WEB = End("10.0.1.2", "shop", "web", {"app": "web"}, {"team": "a"}, (ContainerPort("http", 8080, "TCP"),), "node-1")
CLIENT = End("10.0.2.2", "ops", "client", {"app": "client"}, {"team": "b"}, (), "node-2")
PACKET = Packet(CLIENT, WEB, 8080)


def calico(order: float | None, *rules: dict[str, Any], namespace: str = "", **spec: Any) -> dict[str, Any]:
    spec = {"selector": "app == 'web'", "types": ["Ingress"], "ingress": list(rules), **spec}
    if order is not None:
        spec["order"] = order
    return {"kind": "", "metadata": {"name": f"p{order}", "namespace": namespace}, "spec": spec}


def verdict(*policies: dict[str, Any], isolated: bool = False, admitted: bool = True) -> str:
    found = denied_by_calico(Direction.INGRESS, PACKET, policies, admitted=admitted, isolated=isolated)
    return found.at.name if found else ""


ALLOW, DENY, LOG = ({"action": action} for action in ("Allow", "Deny", "Log"))


def test_the_first_rule_that_matches_decides() -> None:
    assert verdict(calico(1, DENY)) == "p1"
    assert verdict(calico(1, ALLOW, DENY)) == ""
    assert verdict(calico(2, ALLOW), calico(1, DENY)) == "p1"
    assert verdict(calico(1, LOG, DENY)) == "p1"
    assert verdict(calico(1, {**DENY, "protocol": "UDP"}, ALLOW)) == ""
    assert verdict(calico(1, {**DENY, "destination": {"ports": ["8000:8100"]}})) == "p1"
    assert verdict(calico(1, {**DENY, "destination": {"ports": ["http"]}})) == "p1"
    assert verdict(calico(1, {**DENY, "destination": {"notPorts": [8080]}}, ALLOW)) == ""
    assert verdict(calico(1, {**DENY, "source": {"nets": ["10.0.2.0/24"]}})) == "p1"
    assert verdict(calico(1, {**DENY, "source": {"namespaceSelector": "team == 'b'"}})) == "p1"


def test_what_no_rule_admits_is_denied() -> None:
    assert verdict(calico(1, {**ALLOW, "protocol": "UDP"})) == "p1"
    assert verdict(calico(1, {**ALLOW, "source": {"selector": "app == 'client'"}}, namespace="shop")) == "p1"
    assert verdict(calico(1, {**ALLOW, "source": {"selector": "app == 'client'"}})) == ""
    assert verdict(calico(1, selector="app == 'db'")) == ""
    assert verdict(calico(1, types=["Egress"])) == ""
    assert verdict(calico(1, DENY, namespace="ops")) == ""


def test_network_policies_stand_among_them() -> None:
    """They have the order 1000; those without an order come last."""
    assert verdict(calico(None, DENY), isolated=True) == ""
    assert verdict(calico(1, {**ALLOW, "protocol": "UDP"}), isolated=True) == ""
    assert verdict(calico(999, DENY), isolated=True) == "p999"


def test_what_cannot_be_judged_accuses_nobody() -> None:
    for rule in ({"source": {"serviceAccounts": {"names": ["x"]}}}, {"source": {"selector": "app ~ 'x'"}}):
        with pytest.raises(Unreadable):
            verdict(calico(1, {**DENY, **rule}))
    with pytest.raises(Unreadable):
        verdict(calico(1, DENY, tier="security"))


def admin(*rules: dict[str, Any], priority: int = 1, subject: dict[str, Any] | None = None) -> dict[str, Any]:
    spec = {"priority": priority, "subject": subject or {"namespaces": {}}, "ingress": list(rules)}
    return {"metadata": {"name": f"a{priority}"}, "spec": spec}


def admin_verdict(*policies: dict[str, Any]) -> Denial | None:
    return denied_by_admin(Direction.INGRESS, PACKET, policies, "AdminNetworkPolicy")


EVERYBODY: list[dict[str, Any]] = [{"namespaces": {}}]


def test_administrators_policies() -> None:
    deny = {"action": "Deny", "from": EVERYBODY}
    assert admin_verdict(admin(deny))
    assert not admin_verdict(admin({**deny, "action": "Allow"}), admin(deny, priority=2))
    assert admin_verdict(admin({**deny, "action": "Allow"}, priority=3), admin(deny, priority=2))
    assert not admin_verdict(admin(deny, subject={"namespaces": {"matchLabels": {"team": "b"}}}))
    pods = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "client"}}}
    assert admin_verdict(admin({**deny, "from": [{"pods": pods}]}))
    assert not admin_verdict(admin({**deny, "ports": [{"portNumber": {"protocol": "UDP", "port": 8080}}]}))
    assert admin_verdict(admin({**deny, "ports": [{"portRange": {"start": 8000, "end": 9000}}]}))
    assert admin_verdict(admin({**deny, "ports": [{"namedPort": "http"}]}))


@given(json_values)
def test_any_object_is_read(raw: Any) -> None:
    for make in (lambda: verdict({"spec": raw}), lambda: admin_verdict({"spec": raw})):
        with contextlib.suppress(Unreadable):
            make()
