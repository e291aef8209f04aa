"""Checks of the ways into a Pod: every kind of Pod can be asked; with fewer rights a lower rung is used and shown."""

from __future__ import annotations

import json
from typing import Any

import yaml

from tests.faults.laboratory import Lab

NAMESPACE = "nd-ladder"
USER = "ladder-person"
BUSYBOX = "docker.io/library/busybox:1.37"
PORT = 5353

_CONFINED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
_NOBODY = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}


def every_kind_of_pod_is_asked(lab: Lab) -> None:
    """Pod Security `restricted` with a read-only root, distroless, and the node's own network."""
    try:
        _set_up(lab)
        for pod, namespace in (("shell", NAMESPACE), ("bare", NAMESPACE), ("onnode", "default")):
            result = _ask(lab, f"path {namespace}/pod/{pod} svc/web.default:80 --probe always")
            assert result["verdict"]["state"] == "healthy", f"{pod}: {result['verdict']}"
            assert f"pod/{pod}" in result["verdict"]["headline"], f"{pod}: {result['verdict']}"
            assert any(f"in pod {namespace}/{pod}:" in f"{c['object']}:" for c in result["changes"]), result["changes"]
    finally:
        _tear_down(lab)


def fewer_rights_a_lower_rung(lab: Lab) -> None:
    """The printed Role is enough; without ephemeral containers the app's shell serves; then what lacks is said."""
    try:
        _set_up(lab)
        role = _first(lab.sh(f"kubectl netdebug access --role -n {NAMESPACE} --as {USER}", check=False))
        asked = f"service deaf -n {NAMESPACE} --from shell --probe always --as {USER}"

        _grant(lab, role)
        best = _ask(lab, asked)
        assert _codes(best) == ["service-targetport-wrong"], best
        assert best["changes"], best
        assert not any("own container" in line for line in best["assumptions"]), best["assumptions"]

        _grant(lab, _without(role, "pods/ephemeralcontainers"))
        lower = _ask(lab, asked.replace("--from shell", "--from other"))
        assert _codes(lower) == ["service-targetport-wrong"], lower
        assert not lower["changes"], lower
        assert any("own container main" in line and "ephemeralcontainers" in line for line in lower["assumptions"]), (
            lower
        )

        _grant(lab, _without(role, "pods/ephemeralcontainers", "pods/exec"))
        none = _ask(lab, asked)
        assert none["verdict"]["state"] == "inconclusive", none["verdict"]
        assert not none["causes"], none["causes"]
        assert any("access --role" in line["unlock"] for line in none["unknown"]), none["unknown"]
    finally:
        _tear_down(lab)


def _set_up(lab: Lab) -> None:
    lab.sh(f"kubectl create namespace {NAMESPACE}")
    lab.sh(f"kubectl label namespace {NAMESPACE} pod-security.kubernetes.io/enforce=restricted")
    wait = "trap 'exit 0' TERM; sleep 3600 & wait"
    image = lab.sh(
        "kubectl -n kube-system get deploy coredns -o jsonpath='{.spec.template.spec.containers[0].image}'"
    ).strip()
    served = {"image": image, "args": ["-dns.port", str(PORT)]}
    pods = [_pod(name, {"image": BUSYBOX, "command": ["sh", "-c", wait]}) for name in ("shell", "other")]
    lab.apply([*pods, _pod("bare", served), _deaf()], NAMESPACE)
    on_node = _pod("onnode", {"image": BUSYBOX, "command": ["sh", "-c", wait]})
    on_node["spec"] |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    lab.apply([on_node], "default")
    lab.sh(f"kubectl -n {NAMESPACE} wait --for=condition=Ready pod --all --timeout=120s")
    lab.sh("kubectl wait --for=condition=Ready pod/onnode --timeout=120s")


def _tear_down(lab: Lab) -> None:
    lab.sh("kubectl delete pod onnode --ignore-not-found --wait=false")
    lab.sh(f"kubectl delete namespace {NAMESPACE} --ignore-not-found --timeout=120s", check=False)


def _pod(name: str, container: dict[str, Any]) -> dict[str, Any]:
    contained = {"name": "main", "imagePullPolicy": "IfNotPresent", "securityContext": _CONFINED, **container}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 1, "securityContext": _NOBODY, "containers": [contained]},
    }


def _deaf() -> dict[str, Any]:
    """A Service that sends to a port on which the distroless Pod does not listen."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "deaf"},
        "spec": {"selector": {"app": "bare"}, "ports": [{"port": 53, "targetPort": PORT + 1, "protocol": "TCP"}]},
    }


def _first(documents: str) -> dict[str, Any]:
    role: dict[str, Any] = next(iter(yaml.safe_load_all(documents)))
    return role


def _grant(lab: Lab, role: dict[str, Any]) -> None:
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "netdebug"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role["metadata"]["name"]},
        "subjects": [{"kind": "User", "name": USER, "apiGroup": "rbac.authorization.k8s.io"}],
    }
    lab.apply([role, binding], NAMESPACE)


def _without(role: dict[str, Any], *resources: str) -> dict[str, Any]:
    return {**role, "rules": [rule for rule in role["rules"] if not set(rule["resources"]) & set(resources)]}


def _ask(lab: Lab, words: str) -> dict[str, Any]:
    _, output, errors = lab.netdebug(f"{words} -o json")
    assert output.startswith("{"), f"{words}: {errors}"
    result: dict[str, Any] = json.loads(output)
    return result


def _codes(result: dict[str, Any]) -> list[str]:
    return [cause["code"] for cause in result["causes"]]
