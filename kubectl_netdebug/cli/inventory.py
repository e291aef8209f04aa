"""What can be chosen in a namespace: Services, Ingresses, and workloads with running Pods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubectl_netdebug.cli.dialogue import Choice
from kubectl_netdebug.kube import errors
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.objects.pod import Pod, read_pod
from kubectl_netdebug.model.objects.service import read_service
from kubectl_netdebug.vantage import resources

MOST = 500
SECONDS = 8.0
_SHORT = {"StatefulSet": "sts", "DaemonSet": "ds", "Job": "job"}


def services(session: Session, namespace: str) -> tuple[Choice, ...]:
    """The Services by name; none where they may not be listed."""
    found = [s for s in map(read_service, _items(session, "services", namespace)) if s]
    return tuple(Choice(s.name, f"{s.name}  {s.describe()}") for s in sorted(found, key=lambda s: s.name))


def workloads(session: Session, namespace: str) -> tuple[Choice, ...]:
    """Each workload with a running Pod, as `deploy/web`; Pods that nothing owns as `pod/web`."""
    return workloads_of(map(read_pod, _items(session, "pods", namespace)))


def workloads_of(pods: Iterable[Pod]) -> tuple[Choice, ...]:
    """The same for Pods that were read already."""
    groups: dict[str, list[Pod]] = {}
    for pod in pods:
        if pod.phase == "Running" and not pod.deleting:
            groups.setdefault(_workload(pod), []).append(pod)
    return tuple(
        Choice(word, f"{word}  {sum(1 for p in group if p.ready)} of {len(group)} ready")
        for word, group in sorted(groups.items())
    )


def ports(session: Session, namespace: str, service: str) -> tuple[Choice, ...]:
    """The ports of a Service."""
    try:
        found = read_service(session.get(resources.path("services", namespace, service), deadline=SECONDS))
    except errors.NotFound:
        return ()
    return tuple(Choice(str(p.port), str(p)) for p in found.ports) if found else ()


def _workload(pod: Pod) -> str:
    """A ReplicaSet of a Deployment is called after it, with a hash behind the last dash."""
    template = pod.labels.get("pod-template-hash", "")
    if pod.owner_kind == "ReplicaSet" and template and pod.owner_name.endswith(f"-{template}"):
        return f"deploy/{pod.owner_name.removesuffix(f'-{template}')}"
    if pod.owner_kind in _SHORT:
        return f"{_SHORT[pod.owner_kind]}/{pod.owner_name}"
    return f"pod/{pod.name}"


def _items(session: Session, resource: str, namespace: str) -> list[Mapping[str, Any]]:
    try:
        return list(session.list(resources.path(resource, namespace), most=MOST, deadline=SECONDS).items)
    except errors.Forbidden:
        return []
