"""The workload that most cases start from: a Deployment, a Service before it, and a Pod to probe from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def manifests(overrides: Mapping[str, Any], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """`overrides` may hold `deployment`, `service`, `client`: mappings that are merged in, or `false` to leave one out.

    `replicas` is short for the Deployment's. Lists are merged entry by entry.
    """
    objects = {"deployment": _deployment(names), "service": _service(names), "client": _client(names)}
    if "replicas" in overrides:
        objects["deployment"]["spec"]["replicas"] = overrides["replicas"]
    return [
        merge(base, overrides.get(kind) or {})
        for kind, base in objects.items()
        if overrides.get(kind, True) is not False
    ]


def _deployment(names: Mapping[str, str]) -> dict[str, Any]:
    port = int(names["tport"])
    container = {
        "name": names["app"],
        "image": names["agnhost"],
        "imagePullPolicy": "IfNotPresent",
        "args": ["netexec", f"--http-port={port}", "--udp-port=-1"],
        "ports": [{"containerPort": port, "name": "http"}],
        "readinessProbe": {"httpGet": {"path": "/hostname", "port": port}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": names["app"]},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": names["label"]}},
            "template": {
                "metadata": {"labels": {"app": names["label"]}},
                "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
            },
        },
    }


def _service(names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": names["svc"]},
        "spec": {
            "selector": {"app": names["label"]},
            "ports": [{"port": int(names["port"]), "targetPort": int(names["tport"])}],
        },
    }


def _client(names: Mapping[str, str]) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": names["busybox"],
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": names["client"]},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
    }


def merge(base: Any, change: Any) -> Any:
    """A deep merge: mappings by key (null deletes), lists of mappings entry by entry, everything else replaced."""
    if isinstance(base, Mapping) and isinstance(change, Mapping):
        merged = {key: merge(base[key], change[key]) if key in change else base[key] for key in base}
        merged |= {key: value for key, value in change.items() if key not in base}
        return {key: value for key, value in merged.items() if value is not None}
    if isinstance(base, list) and isinstance(change, list) and all(isinstance(e, Mapping) for e in [*base, *change]):
        kept = [merge(old, new) for old, new in zip(base, change, strict=False)]
        return [*kept, *base[len(kept) :], *change[len(kept) :]]
    return change
