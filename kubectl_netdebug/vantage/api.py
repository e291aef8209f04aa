"""Facts that the API server knows."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from kubectl_netdebug.kube import errors
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.facts import (
    AccessReview,
    Answer,
    FactKey,
    Known,
    Log,
    Object,
    Objects,
    OwnServer,
    Unknown,
    Why,
)
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.vantage import resources

READ_SECONDS = 10.0
"""How long one read may take, with its retries."""

LOG_BYTES = 64 * 1024

READS = (Object, Objects, Log, AccessReview, OwnServer)


def fetch(session: Session, key: FactKey) -> Answer:
    """One read. Every failure that the API or the way to it can show becomes an Unknown."""
    try:
        return _read(session, key)
    except errors.NotFound as problem:
        return _absent(key, problem)
    except errors.KubeError as problem:
        return unknown_from(problem)


def _absent(key: FactKey, problem: errors.NotFound) -> Answer:
    """What 404 means. A missing object is an answer, and a list of what is not installed is as empty as one can be.

    But every API server has Pods and Services: whoever says that it serves no such list is not to be believed, and a
    Pod without a log has gone.
    """
    if isinstance(key, Object):
        return Known(None)
    if isinstance(key, Objects) and not resources.is_always_served(key.resource):
        return Known({"items": [], "complete": True})
    return unknown_from(problem)


def _read(session: Session, key: FactKey) -> Answer:
    match key:
        case Object(name=""):
            return Known(None)
        case Object():
            return Known(session.get(resources.path(key.resource, key.namespace, key.name), deadline=READ_SECONDS))
        case Objects():
            query = [(k, v) for k, v in (("labelSelector", key.labels), ("fieldSelector", key.fields)) if v]
            found = session.list(
                resources.path(key.resource, key.namespace), query, most=key.most, deadline=READ_SECONDS
            )
            return Known({"items": list(found.items), "complete": found.complete})
        case Log():
            path = resources.path("pods", key.namespace, key.pod, "log")
            query_log = {"container": key.container, "tailLines": str(key.lines), "previous": str(key.previous).lower()}
            return Known(session.get_text(path, query_log, most_bytes=LOG_BYTES, deadline=READ_SECONDS))
        case AccessReview():
            return Known(_review(session, key))
        case OwnServer():
            server = urlsplit(session.server)
            return Known({"host": server.hostname or "", "port": server.port or 443})
    raise AssertionError(f"{type(key).__name__} is not a read")


def _review(session: Session, key: AccessReview) -> dict[str, object]:
    """Asked for the whole cluster, else with the right that the owner of a namespace has."""
    attributes = {
        "verb": key.verb,
        "group": key.group,
        "resource": key.resource,
        "subresource": key.subresource,
        "namespace": key.namespace,
        "name": key.name,
    }
    spec = {
        "user": key.user,
        "groups": list(key.groups),
        "resourceAttributes": {k: v for k, v in attributes.items() if v},
    }
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    try:
        answer = session.send("POST", f"{_REVIEWS}/subjectaccessreviews", body, deadline=READ_SECONDS)
    except errors.Forbidden:
        if not key.namespace:
            raise
        local = {**body, "kind": "LocalSubjectAccessReview", "metadata": {"namespace": key.namespace}}
        path = f"{_REVIEWS}/namespaces/{key.namespace}/localsubjectaccessreviews"
        answer = session.send("POST", path, local, deadline=READ_SECONDS)
    allowed = tree.flag(answer, "status", "allowed")
    return {"allowed": allowed, "reason": tree.text(answer, "status", "reason")}


_REVIEWS = "/apis/authorization.k8s.io/v1"


def unknown_from(problem: errors.KubeError) -> Unknown:
    """The reason, in the terms of facts, and the right that would help."""
    if isinstance(problem, errors.Forbidden):
        where = f" in namespace {problem.namespace}" if problem.namespace else ""
        right = f"{problem.verb} {problem.resource}{where}"
        return Unknown(Why.FORBIDDEN, f"you may not {right}", f"the right to {right} (kubectl netdebug access --role)")
    for kind, why in _WHY.items():
        if isinstance(problem, kind):
            return Unknown(why, problem.message)
    return Unknown(Why.ERROR, problem.message)


_WHY: Mapping[type[errors.KubeError], Why] = {
    errors.TimedOut: Why.TIMEOUT,
    errors.Unreachable: Why.UNREACHABLE,
    errors.CredentialProblem: Why.UNREACHABLE,
    errors.Rejected: Why.REFUSED,
}
