"""The ranges in the configuration of ip-masq-agent, as people write them."""

from __future__ import annotations

import pytest

from kubectl_netdebug.causes.outside_reach import nonmasquerade_range
from kubectl_netdebug.model.facts import Known, Object
from kubectl_netdebug.model.look import Look

AGENT = Object("configmaps", "kube-system", "ip-masq-agent")


@pytest.mark.parametrize(
    ("config", "held"),
    [
        ("nonMasqueradeCIDRs:\n  - 10.0.0.0/8\n  - 203.0.113.0/24\nmasqLinkLocal: true\n", "203.0.113.0/24"),
        ("nonMasqueradeCIDRs: [10.0.0.0/8, 203.0.113.0/24]", "203.0.113.0/24"),
        ('{"nonMasqueradeCIDRs": ["203.0.113.0/24"], "resyncInterval": "60s"}', "203.0.113.0/24"),
        ("nonMasqueradeCIDRs:\n  - 10.0.0.0/8\n", ""),
        ("resyncInterval: 60s\n", ""),
        ("nonMasqueradeCIDRs:\n  - nonsense/8\n", ""),
    ],
)
def test_the_range_that_holds_an_address(config: str, held: str) -> None:
    look = Look({AGENT: Known({"data": {"config": config}})})
    assert nonmasquerade_range(look, "203.0.113.10") == held


def test_no_agent_excludes_nothing() -> None:
    assert nonmasquerade_range(Look({AGENT: Known(None)}), "203.0.113.10") == ""
