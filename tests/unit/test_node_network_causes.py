"""Causes on nodes that the laboratory cannot have: SELinux that enforces, the address management of clouds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from kubectl_netdebug.causes import flannel, ipam
from kubectl_netdebug.model.facts import FactKey, Known, Log, NodeText, Now, Object, Objects
from kubectl_netdebug.model.finding import Confidence, Finding
from kubectl_netdebug.model.look import Look, Suspended
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.model.step import CauseFunction

ASKED = Question(FlowName.NODE, "", node="n1")
DENIAL = 'audit: type=1400 avc:  denied  { write } for pid=7 comm="cp" name="net.d" tcontext=system_u:object_r:etc_t:s0'
CP = "cp: can't create '/etc/cni/net.d/10-flannel.conflist': Permission denied"


def _facts(values: Mapping[FactKey, Any]) -> dict[FactKey, Known]:
    return {key: Known(value) for key, value in values.items()}


def _find(cause: CauseFunction, values: Mapping[FactKey, Any]) -> Finding | None:
    facts = _facts(values)
    while True:
        try:
            return cause(Look(facts), ASKED)
        except Suspended as waiting:  # what nobody gave is empty
            facts |= {
                key: Known({"items": [], "complete": True} if isinstance(key, Objects) else None)
                for key in waiting.keys
            }


def _flannel(enforcing: str, kernel_log: str, log: str) -> dict[FactKey, Any]:
    owner = {"kind": "DaemonSet", "name": "kube-flannel-ds", "controller": True}
    crashed = {"terminated": {"exitCode": 1, "reason": "Error"}}
    pod = {
        "metadata": {"name": "kube-flannel-ds-x", "namespace": "kube-flannel", "ownerReferences": [owner]},
        "spec": {"nodeName": "n1", "initContainers": [{"name": "install-cni"}], "containers": [{"name": "flannel"}]},
        "status": {
            "phase": "Pending",
            "initContainerStatuses": [{"name": "install-cni", "state": crashed, "lastState": crashed}],
        },
    }
    daemons = {"metadata": {"name": "kube-flannel-ds", "namespace": "kube-flannel"}}
    return {
        Objects("daemonsets.apps"): {"items": [daemons], "complete": True},
        Objects("pods", fields="spec.nodeName=n1"): {"items": [pod], "complete": True},
        Log("kube-flannel", "kube-flannel-ds-x", "install-cni"): log,
        NodeText("n1", "files", (flannel.ENFORCING,)): f"==> {flannel.ENFORCING} <==\n{enforcing}\n",
        NodeText("n1", "kernel-log"): kernel_log,
    }


def test_selinux_is_named_where_it_enforces_and_its_denial_is_there() -> None:
    found = _find(flannel.selinux, _flannel("1", DENIAL, CP))
    assert found is not None
    assert found.confidence is Confidence.CONFIRMED
    assert found.at.name == "kube-flannel-ds"
    assert "spc_t" in found.fixes[0].command.render()


@pytest.mark.parametrize(
    ("enforcing", "kernel_log", "log"),
    [
        ("0", DENIAL, CP),
        ("1", "nothing of the kind", CP),
        ("1", DENIAL, "cp: can't create '/etc/cni/net.d/x': Read-only file system"),
        ("", "", CP),
    ],
)
def test_selinux_is_not_named_without_all_three_proofs(enforcing: str, kernel_log: str, log: str) -> None:
    assert _find(flannel.selinux, _flannel(enforcing, kernel_log, log)) is None


@pytest.mark.parametrize(
    ("cause", "code", "said"),
    [
        (ipam.aws, "ipam-aws", "add cmd: failed to assign an IP address to container"),
        (ipam.azure, "ipam-azure", "Failed to delegate: Failed to allocate address: No available addresses"),
        (ipam.calico, "ipam-calico", "Assigned 0 out of 1 requested IPv4 addresses; No IPs available in pools: [10/8]"),
    ],
)
def test_clouds_are_named_by_their_plugins_words(cause: CauseFunction, code: str, said: str) -> None:
    pod = {
        "metadata": {"name": "web", "namespace": "shop", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"nodeName": "n1", "containers": [{"name": "web"}]},
        "status": {
            "phase": "Pending",
            "containerStatuses": [{"name": "web", "state": {"waiting": {"reason": "ContainerCreating"}}}],
        },
    }
    event = {
        "type": "Warning",
        "reason": "FailedCreatePodSandBox",
        "message": f"Failed to create pod sandbox: rpc error: code = Unknown desc = {said}",
        "count": 204,
        "lastTimestamp": "2026-01-01T00:08:00Z",
    }
    about = Objects("events", "shop", fields="involvedObject.kind=Pod,involvedObject.name=web")
    found = _find(
        cause,
        {
            Now(): "2026-01-01T00:09:00Z",
            Objects("pods", fields="spec.nodeName=n1"): {"items": [pod], "complete": True},
            about: {"items": [event], "complete": True},
            Object("nodes", "", "n1"): {"metadata": {"name": "n1"}},
        },
    )
    assert found is not None
    assert (found.code, found.at.short) == (code, "node/n1")
    assert said in found.summary
