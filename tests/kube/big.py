"""A big cluster for the fake API server: lists in pages that are encoded once, as large as those of a real one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from tests.kube.fakeapi import Asked, FakeApi, Wire, status_body

PAGE = 500
SERVICES_A_NAMESPACE = 20
CONTROLLER = "endpointslice-controller.k8s.io"

Pages = dict[str, list[bytes]]

API_SERVICE: dict[str, Any] = {
    "metadata": {"namespace": "default", "name": "kubernetes"},
    "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443, "targetPort": 6443}]},
}
API_SLICE: dict[str, Any] = {
    "metadata": {
        "namespace": "default",
        "name": "kubernetes",
        "labels": {"kubernetes.io/service-name": "kubernetes"},
    },
    "addressType": "IPv4",
    "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
    "endpoints": [{"addresses": ["172.16.255.1"], "conditions": {"ready": True}}],
}


def cluster(nodes: int, services: int, pods: int, *, broken: int = 0) -> Pages:
    """The pages of each list. The first `broken` Services, spread over namespaces, select nothing."""
    each = pods // services
    step = max(1, services // broken) if broken else 0
    bad = set(range(0, step * broken, step)) if broken else set()
    return {
        "/api/v1/services": _pages(
            itertools.chain([API_SERVICE], (_service(n, mistyped=n in bad) for n in range(services)))
        ),
        "/apis/discovery.k8s.io/v1/endpointslices": _pages(
            itertools.chain([API_SLICE], (_slice(n, 0 if n in bad else each, nodes) for n in range(services)))
        ),
        "/api/v1/nodes": _pages(_node(n) for n in range(nodes)),
        "/apis/apps/v1/daemonsets": _pages(iter(())),
        "/apis/apiregistration.k8s.io/v1/apiservices": _pages(iter(())),
        "/api/v1/events": _pages(iter(())),
        **{
            f"/api/v1/namespaces/{namespace}/{resource}": _pages(iter(()))
            for namespace in {_home(n) for n in sorted(bad)}
            for resource in ("pods", "events")
        },
    }


def serve(api: FakeApi, pages: Pages) -> None:
    """Lets the server answer these lists page by page; what is a page's number stands in `continue`."""
    for path, some in pages.items():
        api.on(path, _paged(some))


def _paged(pages: list[bytes]) -> Any:
    def behave(asked: Asked, wire: Wire) -> None:
        wire.answer(200, pages[int(asked.first("continue", "0"))])

    return behave


def forbidden(resource: str, namespace: str = "") -> dict[str, Any]:
    where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
    message = f'{resource} is forbidden: User "me" cannot list resource "{resource}" in API group ""{where}'
    return status_body(403, message, details={"kind": resource})


def _pages(items: Iterator[dict[str, Any]]) -> list[bytes]:
    everything = list(items)
    starts = range(0, len(everything), PAGE) or range(1)
    return [_page(everything[start : start + PAGE], number, len(starts)) for number, start in enumerate(starts)]


def _page(items: list[dict[str, Any]], number: int, total: int) -> bytes:
    metadata = {"resourceVersion": "1", **({"continue": str(number + 1)} if number + 1 < total else {})}
    return json.dumps({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}).encode()


def _metadata(kind: str, number: int, name: str, **more: Any) -> dict[str, Any]:
    """As large as the real thing: with the fields that servers and tools leave there."""
    fields: dict[str, Any] = {f"f:field{i}": {".": {}, "f:inner": {}} for i in range(6)}
    return {
        "name": name,
        "uid": f"{number:08x}-0000-4000-8000-{number:012x}",
        "resourceVersion": str(1000 + number),
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields}],
        **more,
    }


def _home(number: int) -> str:
    return f"team-{number // SERVICES_A_NAMESPACE:04}"


def _service(number: int, *, mistyped: bool) -> dict[str, Any]:
    app = f"app-{number:05}"
    labels = {"app.kubernetes.io/name": app, "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "app-1.2.3"}
    address = f"10.{96 + number // 65536}.{number // 256 % 256}.{number % 256}"
    return {
        "metadata": _metadata("Service", number, app, namespace=_home(number), labels=labels),
        "spec": {
            "clusterIP": address,
            "clusterIPs": [address],
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "selector": {"app": f"{app}-typo" if mistyped else app},
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
        },
        "status": {"loadBalancer": {}},
    }


def _slice(number: int, endpoints: int, nodes: int) -> dict[str, Any]:
    app, home = f"app-{number:05}", _home(number)
    labels = {"kubernetes.io/service-name": app, "endpointslice.kubernetes.io/managed-by": CONTROLLER}
    return {
        "metadata": _metadata("EndpointSlice", number, f"{app}-abcde", namespace=home, labels=labels),
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [_endpoint(number * endpoints + i, app, home, nodes) for i in range(endpoints)],
    }


def _endpoint(number: int, app: str, home: str, nodes: int) -> dict[str, Any]:
    return {
        "addresses": [f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "nodeName": f"node-{number % nodes:05}",
        "zone": f"zone-{number % 3}",
        "targetRef": {
            "kind": "Pod",
            "name": f"{app}-7d4b9c6f5-{number:05x}",
            "namespace": home,
            "uid": f"{number:08x}-1111-4111-8111-{number:012x}",
        },
    }


def _node(number: int) -> dict[str, Any]:
    conditions = [
        {"type": kind, "status": state, "reason": f"Kubelet{kind}", "message": f"kubelet has said {kind}"}
        for kind, state in (("MemoryPressure", "False"), ("DiskPressure", "False"), ("Ready", "True"))
    ]
    cidr = f"10.{number // 256}.{number % 256}.0/24"
    name = f"node-{number:05}"
    images = [
        {"names": [f"registry.example.org/team/image-{i}@sha256:{i:064x}", f"registry.example.org/team/image-{i}:1"]}
        for i in range(30)
    ]
    return {
        "metadata": _metadata(
            "Node", number, name, labels={"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
        ),
        "spec": {"podCIDR": cidr, "podCIDRs": [cidr]},
        "status": {
            "addresses": [{"type": "InternalIP", "address": f"172.16.{number // 256}.{number % 256}"}],
            "capacity": {"pods": "110", "cpu": "8", "memory": "32Gi"},
            "conditions": conditions,
            "images": images,
            "nodeInfo": {"operatingSystem": "linux", "kubeletVersion": "v1.36.0"},
        },
    }
