"""The Pod that looks at a node: privileged, in the node's network and process list, with an end of its own.

It reads and changes nothing. It is deleted at the end of the run; should that never come, kubelet ends it after
`LIFETIME` seconds, and `cleanup` removes what is left of it.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from datetime import UTC, datetime, timedelta

from kubectl_netdebug.kube import errors
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.facts import NODE_PLACE, Unknown, Why
from kubectl_netdebug.model.objects.node import read_node
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.result import Change
from kubectl_netdebug.vantage import resources
from kubectl_netdebug.vantage.api import unknown_from
from kubectl_netdebug.vantage.ephemeral import HOPELESS
from kubectl_netdebug.vantage.images import DEFAULT_IMAGE, RICH_FIRST, image_on_node
from kubectl_netdebug.vantage.ledger import Entry, Ledger
from kubectl_netdebug.vantage.pods import read_one
from kubectl_netdebug.vantage.rung import NoProbe, ProbeContainer

LIFETIME = 300
"""Seconds after which kubelet ends the Pod (activeDeadlineSeconds)."""

START_SECONDS = 40.0
"""How long the Pod may take to start, an image pull included."""

SETTLE_SECONDS = 4.0
"""How long the end of a run waits for a Pod that is just being made."""

LABELS = {"app.kubernetes.io/managed-by": "kubectl-netdebug", "app.kubernetes.io/component": "node-probe"}
SELECTOR = ",".join(f"{key}={value}" for key, value in LABELS.items())
EXPIRES = "kubectl-netdebug/expires"
CONTAINER = "netdebug-node"
FIRST_NAMESPACE = "kube-system"
"""Where such Pods are usually allowed; else the namespace of the question."""

NODE_RIGHT = "the rights of the Role netdebug-node (kubectl netdebug access --role), where Pod Security is privileged"


class NodePods:
    """Makes at most one Pod a node, and removes all of them. Safe to use from many threads."""

    def __init__(self, session: Session, namespace: str, image: str = "", ledger: Ledger | None = None) -> None:
        self._session = session
        self._namespaces = tuple(dict.fromkeys((FIRST_NAMESPACE, namespace or "default")))
        self._image = image
        self._ledger = ledger or Ledger()
        self._lock = threading.Lock()
        self._node_locks: dict[str, threading.Lock] = {}
        self._ready: dict[str, ProbeContainer] = {}
        self._refused: dict[str, Unknown] = {}
        self._made: dict[str, Entry] = {}
        self._removed: set[str] = set()
        self._closed = False

    @property
    def changes(self) -> tuple[Change, ...]:
        """What was made, and whether it is gone."""
        with self._lock:
            return tuple(_change(entry, gone=node in self._removed) for node, entry in self._made.items())

    def ensure(self, node: str) -> ProbeContainer:
        """A running container on the node. Raises NoProbe."""
        with self._lock:
            lock = self._node_locks.setdefault(node, threading.Lock())
        with lock:
            if node in self._refused:
                raise NoProbe(self._refused[node])
            if node not in self._ready:
                try:
                    self._ready[node] = self._make(node)
                except NoProbe as refused:
                    self._refused[node] = refused.unknown
                    raise
                except errors.KubeError as problem:
                    self._refused[node] = _with_right(unknown_from(problem))
                    raise NoProbe(self._refused[node]) from problem
            return self._ready[node]

    def close(self) -> None:
        """Deletes every Pod that was asked for. Never raises; what could not be deleted stays in the ledger."""
        with self._lock:
            self._closed = True
            left = {node: entry for node, entry in self._made.items() if node not in self._removed}
        for node, entry in left.items():
            # One that is being made right now would outlive its own deletion.
            settled = self._node_locks[node].acquire(timeout=SETTLE_SECONDS)
            gone = delete(self._session, entry.namespace, entry.pod)
            if settled:
                self._node_locks[node].release()
            if gone and settled:
                self._ledger.remove(entry)
                with self._lock:
                    self._removed.add(node)

    def _make(self, node: str) -> ProbeContainer:
        self._refuse_silent(node)
        name = f"netdebug-node-{secrets.token_hex(4)}"
        image = self._image or image_on_node(self._session, node, RICH_FIRST) or DEFAULT_IMAGE
        expires = (datetime.now(UTC) + timedelta(seconds=LIFETIME + START_SECONDS)).isoformat(timespec="seconds")
        body = _manifest(name, node, image, expires)
        namespace = self._allowed_namespace(body)
        entry = Entry(self._session.server, self._session.context or "", namespace, name, node, expires)
        with self._lock:
            if self._closed:
                raise NoProbe(Unknown(Why.TIMEOUT, "the run is over"))
            self._made[node] = entry
        self._ledger.add(entry)
        self._session.send("POST", resources.path("pods", namespace), body, deadline=15.0)
        self._await_running(namespace, name)
        return ProbeContainer(namespace, name, CONTAINER, process=1, where=f"{NODE_PLACE}{node}")

    def _refuse_silent(self, node: str) -> None:
        """Nothing starts where no kubelet is heard of, so nobody waits for it. Raises NoProbe."""
        with contextlib.suppress(errors.KubeError):
            if read_node(self._session.get(resources.path("nodes", "", node), deadline=5.0)).silent:
                raise NoProbe(Unknown(Why.UNREACHABLE, f"the kubelet of {node} is silent: no Pod starts there"))

    def _allowed_namespace(self, body: dict[str, object]) -> str:
        """The first namespace that would take the Pod. Raises NoProbe with the reason of the last."""
        refusal = Unknown(Why.ERROR, "no namespace")
        for namespace in self._namespaces:
            try:
                path = resources.path("pods", namespace)
                self._session.send("POST", path, body, query={"dryRun": "All"}, deadline=10.0)
            except (errors.Rejected, errors.Forbidden, errors.NotFound) as problem:
                says = f"the cluster refuses a privileged Pod in namespace {namespace}: {problem.message}"
                refusal = Unknown(Why.FORBIDDEN, says, NODE_RIGHT)
            else:
                return namespace
        raise NoProbe(refusal)

    def _await_running(self, namespace: str, name: str) -> None:
        end = time.monotonic() + START_SECONDS
        pause = 0.05
        while True:
            pod = read_one(self._session, namespace, name)
            if any(c.state == "running" for c in pod.containers):
                return
            problem = _hopeless(pod)
            if problem:
                raise NoProbe(Unknown(Why.REFUSED, f"the Pod on the node does not start: {problem}", "--node-image"))
            if self._closed:
                raise NoProbe(Unknown(Why.TIMEOUT, "the run is over"))
            if time.monotonic() >= end:
                says = f"the Pod on the node did not start within {START_SECONDS:.0f} s ({pod.phase or 'no phase'})"
                raise NoProbe(Unknown(Why.TIMEOUT, says, "--node-image with one that is on the node"))
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)


def _change(entry: Entry, *, gone: bool) -> Change:
    left = f"ends by itself at {entry.expires}; kubectl netdebug cleanup removes it"
    what = f"pod {entry.namespace}/{entry.pod} on node {entry.node}"
    return Change(what, permanent=False, removed=gone, cleanup="removed" if gone else left)


def delete(session: Session, namespace: str, name: str) -> bool:
    """Asks for the deletion of one of our Pods; True when it is gone or going."""
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 1}
    for _ in range(2):
        with contextlib.suppress(errors.KubeError):
            try:
                session.send("DELETE", resources.path("pods", namespace, name), body, deadline=10.0)
            except errors.NotFound:
                return True
            return True
    return False


def _with_right(unknown: Unknown) -> Unknown:
    return Unknown(unknown.why, unknown.says, unknown.unlock or NODE_RIGHT)


def _hopeless(pod: Pod) -> str:
    """Why it will never run; '' while it still may."""
    if pod.finished:
        return f"it ended at once ({pod.phase})"
    status = next((c for c in pod.containers if c.reason in HOPELESS), None)
    return f"{status.reason}: {status.message} (image {status.image})" if status else ""


def _manifest(name: str, node: str, image: str, expires: str) -> dict[str, object]:
    # A bare sleep as PID 1 ignores SIGTERM; in the node's process list it is not PID 1, and dies of it anyway.
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(LABELS), "annotations": {EXPIRES: expires}},
        "spec": {
            "nodeName": node,
            "hostNetwork": True,
            "hostPID": True,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIFETIME,
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "dnsPolicy": "Default",
            "tolerations": [{"operator": "Exists"}],
            "containers": [
                {
                    "name": CONTAINER,
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c", f"trap 'exit 0' TERM INT; sleep {LIFETIME} & wait"],
                    "securityContext": {"privileged": True, "runAsUser": 0},
                }
            ],
        },
    }
