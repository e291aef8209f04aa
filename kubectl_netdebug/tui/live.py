"""A live cluster as the backing of runs: one source of facts a run."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from kubectl_netdebug import __version__
from kubectl_netdebug.cli.arguments import cluster_flags
from kubectl_netdebug.cli.diagnose import raise_if_never_reached, verify_command
from kubectl_netdebug.engine.conclude import Circumstances
from kubectl_netdebug.engine.run import Diagnosis
from kubectl_netdebug.model.facts import Answer, FactKey, Known, Now
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.tui.place import Cluster
from kubectl_netdebug.tui.run import ClosableSource
from kubectl_netdebug.vantage.cluster import ClusterSource
from kubectl_netdebug.vantage.consent import Consent


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
