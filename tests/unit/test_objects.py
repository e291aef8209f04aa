"""Views of objects: whatever stands in the JSON, reading it gives a view."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given

from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.calico_ipam import read_block, read_pool
from kubectl_netdebug.model.objects.event import read_event
from kubectl_netdebug.model.objects.node import read_node
from kubectl_netdebug.model.objects.pod import read_pod
from kubectl_netdebug.model.objects.service import read_service
from kubectl_netdebug.model.objects.slices import read_slice
from tests.unit.anything import json_values, objects

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def look_everywhere(view: Any) -> None:
    """Reads every property and every part of a view."""
    if isinstance(view, list | tuple):
        for item in view:
            look_everywhere(item)
    elif isinstance(view, dict):
        look_everywhere(list(view.values()))
    elif dataclasses.is_dataclass(view):
        assert hash is not None
        str(view)
        for name, part in vars(type(view)).items():
            if isinstance(part, property):
                getattr(view, name)
        look_everywhere(list(vars(view).values()))


@pytest.mark.parametrize("read", [read_service, read_slice, read_pod, read_node, read_event, read_pool, read_block])
@given(raw=objects | json_values)
@example(raw={"spec": {"ports": [{"targetPort": "9" * 5000}]}})
@example(raw={"metadata": {"creationTimestamp": "9999-12-31T23:59:59-23:59"}})
@example(raw={"metadata": {"creationTimestamp": "0001-01-01T00:00:00+23:59"}, "lastTimestamp": "2026-01-01"})
def test_reading_never_fails(read: Any, raw: Any) -> None:
    view = read(raw)
    look_everywhere(view)
    if read is read_pod:
        assert isinstance(view.age(NOW), float)
    if read is read_service and view is not None:
        assert isinstance(view.describe(), str)


def test_no_service_is_none() -> None:
    assert read_service(None) is None


def test_a_service_as_the_api_gives_it() -> None:
    ports = [
        {"port": 80, "targetPort": "http", "name": "web", "nodePort": 30080, "appProtocol": "http"},
        {"port": 53, "protocol": "UDP"},
    ]
    service = read_service(
        {
            "metadata": {"namespace": "shop", "name": "web", "labels": {"a": "b"}},
            "spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "ports": ports, "selector": {"app": "web"}},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "x"}]}},
        }
    )
    assert service
    assert (service.namespace, service.name, service.type, service.address) == ("shop", "web", "NodePort", "10.0.0.1")
    assert service.cluster_ips == ("10.0.0.1",)
    assert service.load_balancer_ips == ("192.0.2.1",)
    assert [(p.port, p.protocol, p.target, p.target_number) for p in service.ports] == [
        (80, "TCP", "http", None),
        (53, "UDP", "", 53),
    ]
    assert service.describe() == "NodePort 10.0.0.1, 80/TCP (web) → http, 53/UDP → 53"
    assert (service.internal_policy, service.affinity, service.headless) == ("Cluster", "None", False)


def test_conditions_of_an_endpoint_follow_the_api() -> None:
    def conditions(**given: Any) -> tuple[bool, bool, bool]:
        (endpoint,) = read_slice({"endpoints": [{"addresses": ["10.0.0.1"], "conditions": given}]}).endpoints
        return endpoint.ready, endpoint.serving, endpoint.terminating

    assert conditions() == (True, True, False)
    assert conditions(ready=None, serving=None, terminating=None) == (True, True, False)
    assert conditions(ready=False) == (False, False, False)
    assert conditions(ready=False, serving=True, terminating=True) == (False, True, True)


def test_times() -> None:
    assert tree.parse_time("2026-01-02T03:04:05Z") == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert tree.parse_time("2026-01-02T03:04:05.123456Z") == datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)
    assert tree.parse_time("2026-01-02T05:04:05+02:00") == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert [tree.parse_time(text) for text in ("", "soon", "2026-13-01T00:00:00Z")] == [None, None, None]


def test_text_takes_numbers_and_nothing_else() -> None:
    raw = {"a": 80, "b": "x", "c": True, "d": 1.5, "e": None, "f": []}

    assert [tree.text(raw, name) for name in "abcdef"] == ["80", "x", "", "", "", ""]
    assert tree.dig(raw, "f", 0) is None
    assert tree.dig([[1]], 0, -1) == 1
