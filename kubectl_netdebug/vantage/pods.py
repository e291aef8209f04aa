"""Reads one Pod as it is now, for those who change it."""

from __future__ import annotations

from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.objects.pod import Pod, read_pod
from kubectl_netdebug.vantage import resources

SECONDS = 10.0


def read_one(session: Session, namespace: str, name: str) -> Pod:
    """The Pod. Raises KubeError."""
    return read_pod(session.get(resources.path("pods", namespace, name), deadline=SECONDS))
