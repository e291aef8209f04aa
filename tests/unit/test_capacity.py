"""A full Service range, which no laboratory can be brought to."""

import pytest

from kubectl_netdebug.causes.capacity import clusterip_exhausted
from kubectl_netdebug.model.facts import Answer, FactKey, Known, Object, Objects
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import FlowName, Question

ASKED = Question(FlowName.SERVICE, "shop", "web")


def cluster(taken: int, services: tuple[str, ...] = (), cidr: str = "10.0.0.0/28") -> dict[FactKey, Answer]:
    there = [{"metadata": {"namespace": "shop", "name": name}, "spec": {}} for name in services]
    ranges = [{"metadata": {"name": "kubernetes"}, "spec": {"cidrs": [cidr]}}]
    return {
        Object("services", "shop", "web"): Known(None),
        Objects("services", "shop"): Known({"items": there}),
        Objects("servicecidrs.networking.k8s.io"): Known({"items": ranges}),
        Objects("ipaddresses.networking.k8s.io", most=4097): Known({"items": [{}] * taken}),
    }


def test_a_full_range_is_named() -> None:
    found = clusterip_exhausted(Look(cluster(14)), ASKED)
    assert found is not None
    assert (found.code, found.at.kind, found.at.name) == ("clusterip-exhausted", "ServiceCIDR", "kubernetes")


@pytest.mark.parametrize(
    "facts",
    [cluster(13), cluster(14, ("webs",)), cluster(14, cidr="10.0.0.0/16")],
    ids=["room", "mistyped", "too large to count"],
)
def test_anything_else_is_quiet(facts: dict[FactKey, Answer]) -> None:
    assert clusterip_exhausted(Look(facts), ASKED) is None
