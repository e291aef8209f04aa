"""What this identity may do, asked of the API server (SelfSubjectAccessReview) and remembered."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from kubectl_netdebug.kube.errors import Garbled

_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_Key = tuple[str, str, str, str, str | None, str | None]


class Reviews:
    """Answers by question. Thread-safe; two threads that ask the same at once may ask twice."""

    def __init__(self, send: Callable[[str, str, Any], dict[str, Any]]) -> None:
        self._send = send
        self._answers: dict[_Key, bool] = {}
        self._lock = threading.Lock()

    def may(
        self, verb: str, resource: str, group: str, subresource: str, namespace: str | None, name: str | None
    ) -> bool:
        """Raises KubeError when the question itself fails."""
        key = (verb, resource, group, subresource, namespace, name)
        with self._lock:
            if key in self._answers:
                return self._answers[key]
        allowed = self._ask(key)
        with self._lock:
            self._answers[key] = allowed
        return allowed

    def _ask(self, key: _Key) -> bool:
        names = ("verb", "resource", "group", "subresource", "namespace", "name")
        attributes = {field: value for field, value in zip(names, key, strict=True) if value}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        status = self._send("POST", _PATH, review).get("status")
        if not isinstance(status, dict) or not isinstance(status.get("allowed"), bool):
            raise Garbled("The answer to an access review says neither yes nor no.")
        return bool(status["allowed"])
