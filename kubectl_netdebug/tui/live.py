"""A live cluster as the backing of runs: one session for the whole app, one source of facts a run."""

from __future__ import annotations

import argparse
import os
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from kubectl_netdebug import __version__
from kubectl_netdebug.cli.aim import aim
from kubectl_netdebug.cli.arguments import cluster_flags, kube_flags
from kubectl_netdebug.cli.diagnose import raise_if_never_reached, verify_command
from kubectl_netdebug.cli.exits import UsageProblem
from kubectl_netdebug.engine.conclude import Circumstances
from kubectl_netdebug.engine.run import Diagnosis
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.facts import Answer, FactKey, Known, Now
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.tui.outlook import Outlook, look_around
from kubectl_netdebug.tui.run import ClosableSource
from kubectl_netdebug.tui.settings import Settings
from kubectl_netdebug.vantage.cluster import ClusterSource
from kubectl_netdebug.vantage.consent import Consent


@dataclass(frozen=True)
class Permissions:
    """What flags and settings say about touching the cluster; what they leave open, the person is asked."""

    forbidden: str = ""
    pods: bool = False
    nodes: bool = False

    @staticmethod
    def of(args: argparse.Namespace, remembered: Settings) -> Permissions:
        """Raises UsageProblem for flags that contradict each other."""
        mode = getattr(args, "probe", "auto")
        if getattr(args, "read_only", False):
            if mode == "always":
                raise UsageProblem("--read-only and --probe always contradict each other")
            return Permissions(forbidden="--read-only")
        if mode == "never":
            return Permissions(forbidden="--probe never")
        granted = {word for words in getattr(args, "allow", []) for word in words}
        if remembered.consent_pods == "no" and mode == "auto" and not granted:
            return Permissions(forbidden="your settings")
        pods = mode == "always" or "ephemeral" in granted or remembered.consent_pods == "yes"
        return Permissions(pods=pods, nodes="node" in granted)


class Cluster:
    """The session, opened when it is first needed: the first screen does not wait for it. Threads may share it."""

    def __init__(self, args: argparse.Namespace, remembered: Settings) -> None:
        self.args = args
        self.remembered = remembered
        self.permissions = Permissions.of(args, remembered)
        self.limit = float(getattr(args, "timeout", 60.0) or 3600.0)
        self._lock = threading.Lock()
        self._session: Session | None = None

    def session(self) -> Session:
        """Raises ConfigProblem."""
        with self._lock:
            if self._session is None:
                self._session = Session.open(kube_flags(self.args), interactive=False)
            return self._session

    @property
    def namespace(self) -> str:
        """The one that was asked for, else that of the context."""
        return getattr(self.args, "namespace", None) or self.session().namespace or "default"

    @property
    def place(self) -> str:
        """Where we are, in a few words."""
        session = self.session()
        return " · ".join(part for part in (session.context or session.server, f"ns {self.namespace}") if part)

    def aimed(self, question: Question) -> Question:
        """An address of the cluster's own is its Service or Pod. Reads; call it on a thread."""
        return aim(self.session(), question, lambda text: None)

    def look_around(self) -> Outlook:
        """What can be chosen, and what looks broken. Raises ConfigProblem."""
        return look_around(self.session(), self.namespace)

    def backing(self) -> Live:
        """For the runs of one question."""
        return Live(self)

    def close(self) -> None:
        """Ends the session; calls under way are cut off."""
        with self._lock:
            if self._session is not None:
                self._session.close()


class Live:
    """The backing of one question's runs. A yes holds for all of them; a no is asked again in the next."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._consent: Consent | None = None
        self._started = ""
        self._calls_before = 0

    def open(self, question: Question, ask: Callable[[str], bool]) -> ClosableSource:
        """Raises ConfigProblem."""
        args, remembered, session = self._cluster.args, self._cluster.remembered, self._cluster.session()
        permissions, before = self._cluster.permissions, self._consent
        self._consent = Consent(
            forbidden=permissions.forbidden,
            allowed=permissions.pods or bool(before and before.said_yes("pod")),
            nodes_allowed=permissions.nodes or bool(before and before.said_yes("node")),
            ask=ask,
        )
        self._calls_before = len(session.calls)
        return ClusterSource(
            session,
            self._consent,
            getattr(args, "image", "") or os.environ.get("NETDEBUG_IMAGE", "") or remembered.image,
            namespace=question.namespace,
            node_image=getattr(args, "node_image", "")
            or os.environ.get("NETDEBUG_NODE_IMAGE", "")
            or remembered.node_image,
        )

    def first_facts(self) -> Mapping[FactKey, Answer]:
        """When the run began."""
        self._started = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return {Now(): Known(self._started)}

    def circumstances(self, question: Question, source: ClosableSource, diagnosis: Diagnosis) -> Circumstances:
        """As of this run."""
        assert isinstance(source, ClusterSource)
        session = self._cluster.session()
        flags = cluster_flags(self._cluster.args, session.context)
        return Circumstances(
            run_id=secrets.token_hex(4),
            started_at=self._started,
            api_calls=len(session.calls) - self._calls_before,
            probes=source.probes,
            versions={"kubectl-netdebug": __version__},
            cluster_flags=flags,
            changes=source.changes,
            notes=source.containers.notes,
            verify=verify_command(question, flags),
        )

    def check(self, diagnosis: Diagnosis) -> None:
        """Raises KubeError where no call ever got through: then the cluster is the answer, and no verdict about it."""
        raise_if_never_reached(self._cluster.session(), diagnosis)
