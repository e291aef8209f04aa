"""From a Pod to the object a person would edit."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.model.finding import ObjectRef
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Pod

EDITABLE = {"Deployment": "deployments.apps", "StatefulSet": "statefulsets.apps", "DaemonSet": "daemonsets.apps"}
"""Kinds whose Pod template kubectl can patch, with their resources."""


def owner_of(look: Look, pod: Pod) -> ObjectRef:
    """The workload whose template made this Pod, or the Pod itself where nothing known owns it."""
    if pod.owner_kind in EDITABLE or pod.owner_kind == "Job":
        return ObjectRef(pod.owner_kind, pod.namespace, pod.owner_name)
    if pod.owner_kind != "ReplicaSet":
        return pod.at
    replica_set = look.if_known(asks.raw_object("replicasets.apps", pod.namespace, pod.owner_name))
    for owner in tree.entries(replica_set, "metadata", "ownerReferences"):
        if tree.flag(owner, "controller"):
            return ObjectRef(tree.text(owner, "kind"), pod.namespace, tree.text(owner, "name"))
    return ObjectRef("ReplicaSet", pod.namespace, pod.owner_name)


def template_path(owner: ObjectRef, inside_pod_spec: str) -> str:
    """Where a field of the Pod spec stands in the owner: `spec.template.spec.…`, or `spec.…` for a bare Pod."""
    return f"spec.{inside_pod_spec}" if owner.kind == "Pod" else f"spec.template.spec.{inside_pod_spec}"


def is_patchable(owner: ObjectRef) -> bool:
    """Whether a patch of the owner's template rolls out new Pods by itself."""
    return owner.kind in EDITABLE
