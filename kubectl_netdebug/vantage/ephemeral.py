"""The best rung: an ephemeral container in the Pod that ends by itself and can do nothing but connect.

It fits Pod Security "restricted": no capabilities, no escalation, a numeric user. It cannot be removed from the Pod's
record (Kubernetes has no way), so one that still runs is used again, and a run adds at most one to a Pod.
"""

from __future__ import annotations

import secrets
import threading
import time
from datetime import UTC, datetime

from kubectl_netdebug.kube import errors
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.facts import Unknown, Why
from kubectl_netdebug.model.objects.pod import ADDED, Container, Pod
from kubectl_netdebug.model.result import Change
from kubectl_netdebug.vantage import resources
from kubectl_netdebug.vantage.images import DEFAULT_IMAGE, SMALL_FIRST, image_on_node
from kubectl_netdebug.vantage.pods import read_one
from kubectl_netdebug.vantage.rung import NoProbe, ProbeContainer

LIFETIME = 600
"""Seconds after which the container ends by itself."""

SPARE = 60
"""A container is used again only while it has this many seconds left."""

START_SECONDS = 30.0
"""How long the container may take to start, an image pull included."""

USER = 65532

HOPELESS = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
)


class EphemeralContainers:
    """Finds or adds our container in a Pod. Safe to use from many threads for different Pods."""

    def __init__(self, session: Session, image: str = "") -> None:
        self._session = session
        self._image = image
        self._lock = threading.Lock()
        self._added: dict[tuple[str, str], Change] = {}

    @property
    def changes(self) -> tuple[Change, ...]:
        """What was added."""
        with self._lock:
            return tuple(self._added.values())

    def obtain(self, pod: Pod) -> ProbeContainer:
        """One that runs already, or a new one. Raises NoProbe and KubeError."""
        namespace, name = pod.namespace, pod.name
        running = next((c.name for c in pod.ephemeral if _usable(c) and self._image in ("", c.image)), None)
        if running:
            return ProbeContainer(namespace, name, running)
        container = ADDED + secrets.token_hex(3)
        body = {"spec": {"ephemeralContainers": [self._spec(container, pod)]}}
        self._patch(pod, body, dry_run=True)
        self._patch(pod, body, dry_run=False)
        self._note(namespace, name, container, f"ends by itself within {LIFETIME // 60} minutes")
        try:
            self._await_running(namespace, name, container)
        except NoProbe:
            self._note(namespace, name, container, "did not start")
            raise
        return ProbeContainer(namespace, name, container)

    def _note(self, namespace: str, pod: str, container: str, fate: str) -> None:
        """Keeps what was added for the result."""
        what = f"container {container} in pod {namespace}/{pod}"
        with self._lock:
            self._added[namespace, pod] = Change(what, True, False, f"{fate}; its record goes with the Pod")

    def _patch(self, pod: Pod, body: object, *, dry_run: bool) -> None:
        try:
            self._session.send(
                "PATCH",
                resources.path("pods", pod.namespace, pod.name, "ephemeralcontainers"),
                body,
                query={"dryRun": "All"} if dry_run else {},
                content_type="application/strategic-merge-patch+json",
                deadline=10.0,
            )
        except errors.Rejected as problem:
            raise NoProbe(
                Unknown(
                    Why.REFUSED, f"the cluster refuses a probe container in {pod.name}: {problem.message}", "--from POD"
                )
            ) from problem

    def _spec(self, name: str, pod: Pod) -> dict[str, object]:
        return {
            "name": name,
            "image": self._image or image_on_node(self._session, pod.node, SMALL_FIRST) or DEFAULT_IMAGE,
            "imagePullPolicy": "IfNotPresent",
            # A bare sleep as PID 1 ignores SIGTERM and would hold up the Pod's deletion for its whole grace period.
            "command": ["sh", "-c", f"trap 'exit 0' TERM INT; sleep {LIFETIME} & wait"],
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        }

    def _await_running(self, namespace: str, name: str, container: str) -> None:
        end = time.monotonic() + START_SECONDS
        pause = 0.05
        while True:
            pod = read_one(self._session, namespace, name)
            status = next((c for c in pod.ephemeral if c.name == container), None)
            if status and status.state == "running":
                return
            if status and status.state == "terminated":
                raise NoProbe(Unknown(Why.ERROR, f"the probe container ended at once: {_ending(status)}", "--image"))
            if status and status.reason in HOPELESS:
                says = f"the probe container does not start: {status.reason}: {status.message}".rstrip(": ")
                raise NoProbe(Unknown(Why.REFUSED, f"{says} (image {status.image})", "--image"))
            if time.monotonic() >= end:
                says = f"the probe container did not start within {START_SECONDS:.0f} s"
                raise NoProbe(Unknown(Why.TIMEOUT, says, "--image with one that is on the node"))
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)


def _usable(container: Container) -> bool:
    if not container.name.startswith(ADDED) or container.state != "running" or container.running_since is None:
        return False
    age = (datetime.now(UTC) - container.running_since).total_seconds()
    return age < LIFETIME - SPARE


def _ending(status: Container) -> str:
    ended = status.terminated
    return f"exit code {ended.exit_code} {ended.message}".strip() if ended else "no reason given"
