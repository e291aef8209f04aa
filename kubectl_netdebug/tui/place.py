"""The cluster that the app is about: one session for the whole app, opened when it is first needed."""

from __future__ import annotations

import argparse
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubectl_netdebug.cli.exits import UsageProblem
from kubectl_netdebug.tui.settings import Remembered, Settings

if TYPE_CHECKING:
    from kubectl_netdebug.kube.session import Session
    from kubectl_netdebug.model.question import Question
    from kubectl_netdebug.tui.live import Live
    from kubectl_netdebug.tui.outlook import Outlook

# The first screen must not wait for what speaks to a cluster: it is imported where it is needed.


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

    def __init__(self, args: argparse.Namespace, remembered: Remembered) -> None:
        """Raises UsageProblem for flags that contradict each other."""
        self.args = args
        self._remembered = remembered
        Permissions.of(args, remembered.now)
        self.limit = float(getattr(args, "timeout", 60.0) or 3600.0)
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._entered = ""

    @property
    def remembered(self) -> Settings:
        """As they are now."""
        return self._remembered.now

    @property
    def permissions(self) -> Permissions:
        """By the flags and by what is remembered now."""
        return Permissions.of(self.args, self.remembered)

    def session(self) -> Session:
        """Raises ConfigProblem."""
        from kubectl_netdebug.cli.arguments import kube_flags
        from kubectl_netdebug.kube.session import Session

        with self._lock:
            if self._session is None:
                self._session = Session.open(kube_flags(self.args), interactive=False)
            return self._session

    @property
    def namespace(self) -> str:
        """The one that was entered, else the one that was asked for, else that of the context."""
        return self._entered or getattr(self.args, "namespace", None) or self.session().namespace or "default"

    @property
    def place(self) -> str:
        """Where we are, in a few words."""
        session = self.session()
        return " · ".join(part for part in (session.context or session.server, f"ns {self.namespace}") if part)

    def namespaces(self) -> tuple[str, ...]:
        """Those that may be listed, 500 at most. Raises ConfigProblem and KubeError."""
        from kubectl_netdebug.tui.survey import namespaces

        return namespaces(self.session())

    def enter(self, namespace: str) -> None:
        """Everything from now on is about another namespace."""
        self._entered = namespace

    def aimed(self, question: Question) -> Question:
        """An address of the cluster's own is its Service or Pod. Reads; call it on a thread."""
        from kubectl_netdebug.cli.aim import aim

        return aim(self.session(), question, lambda text: None)

    def look_around(self) -> Outlook:
        """What can be chosen, and what looks broken. Raises ConfigProblem."""
        from kubectl_netdebug.tui.survey import look_around

        return look_around(self.session(), self.namespace)

    def backing(self) -> Live:
        """For the runs of one question."""
        from kubectl_netdebug.tui.live import Live

        return Live(self)

    def close(self) -> None:
        """Ends the session; calls under way are cut off."""
        with self._lock:
            if self._session is not None:
                self._session.close()
