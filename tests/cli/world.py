"""A small healthy namespace for the fake API server: Service web, its slice, its Pod."""

from __future__ import annotations

from typing import Any

SERVICE = "/api/v1/namespaces/default/services/web"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"
ALL_SERVICES = "/api/v1/services"
POLICIES = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies"
NAMESPACE = "/api/v1/namespaces/default"


def namespace(name: str = "default") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    ports = [{"port": 80, "protocol": "TCP", "targetPort": 8080}]
    fields = {"clusterIP": "10.0.0.1", "type": "ClusterIP", "selector": {"app": "web"}, "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "default", "name": name}, "spec": fields}


def pod(name: str = "web-1", **labels: str) -> dict[str, Any]:
    container = {"name": "app", "image": "example.org/web:1", "ports": [{"containerPort": 8080}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": "default",
            "name": name,
            "labels": labels or {"app": "web"},
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"nodeName": "one", "containers": [container]},
        "status": {
            "phase": "Running",
            "podIP": "10.1.0.1",
            "podIPs": [{"ip": "10.1.0.1"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def endpoint_slice(*, ready: bool = True) -> dict[str, Any]:
    target = {"kind": "Pod", "name": "web-1", "namespace": "default"}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": "default",
            "name": "web-abc",
            "labels": {
                "kubernetes.io/service-name": "web",
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
        },
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": ["10.1.0.1"], "conditions": {"ready": ready}, "nodeName": "one", "targetRef": target}
        ],
    }


def healthy() -> list[dict[str, Any]]:
    return [namespace(), service(), pod(), endpoint_slice()]


def listed(*items: Any) -> dict[str, Any]:
    return {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": list(items)}
