"""An address that was typed may be one of the cluster's own: then the question is about its Service or Pod."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kubectl_netdebug.cli.output import say
from kubectl_netdebug.kube import errors
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.net.address import is_address
from kubectl_netdebug.vantage import resources

SECONDS = 5.0
API_SERVICE = ("default", "kubernetes")


def aim(session: Session, question: Question, tell: Callable[[str], None] = say) -> Question:
    """The question about the Service or Pod that has the address; unchanged where none has it, or none may be read."""
    if question.flow is not FlowName.POD_TO_OUTSIDE or not is_address(question.host):
        return question
    service = _first(session, "services", f"spec.clusterIP={question.host}")
    if service == API_SERVICE:
        tell(f"{question.host} is the address of the API server's Service.")
        return Question(FlowName.API, question.source.namespace, source=question.source)
    if service:
        tell(f"{question.host} is Service {service[1]} in namespace {service[0]}.")
        return _to(question, service[0], service=service[1])
    pod = _first(session, "pods", f"status.podIP={question.host}")
    if pod:
        tell(f"{question.host} is Pod {pod[1]} in namespace {pod[0]}.")
        return _to(question, pod[0], pod=pod[1])
    return question


def _to(question: Question, namespace: str, *, service: str = "", pod: str = "") -> Question:
    return replace(question, flow=FlowName.POD_TO_POD, namespace=namespace, service=service, pod=pod, host="")


def _first(session: Session, resource: str, fields: str) -> tuple[str, str] | None:
    """(namespace, name) of the one object with these fields; a node's own address has several Pods and names none."""
    try:
        found = session.list(resources.path(resource, ""), [("fieldSelector", fields)], most=3, deadline=SECONDS).items
    except errors.KubeError:
        return None
    alive = [each for each in found if not _gone(each)]
    if len(alive) != 1:
        return None
    return tree.text(alive[0], "metadata", "namespace"), tree.text(alive[0], "metadata", "name")


def _gone(each: Mapping[str, Any]) -> bool:
    return tree.text(each, "status", "phase") in ("Succeeded", "Failed")
