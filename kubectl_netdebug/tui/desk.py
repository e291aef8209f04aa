"""What the guided screens need of the place where they run: a namespace to choose in, and backings for runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kubectl_netdebug.model.question import Question
    from kubectl_netdebug.tui.outlook import Outlook
    from kubectl_netdebug.tui.run import Backing


class Desk(Protocol):
    """A cluster and a namespace. All methods may block; screens call them on threads, except `backing`."""

    limit: float

    @property
    def namespace(self) -> str:
        """Raises ConfigProblem."""

    @property
    def place(self) -> str:
        """Where we are, in a few words. Raises ConfigProblem."""

    def look_around(self) -> Outlook:
        """What can be chosen. Raises ConfigProblem."""

    def namespaces(self) -> tuple[str, ...]:
        """The names that may be listed. Raises ConfigProblem and KubeError."""

    def enter(self, namespace: str) -> None:
        """Everything from now on is about another namespace."""

    def aimed(self, question: Question) -> Question:
        """An address of the cluster's own is its Service or Pod."""

    def backing(self) -> Backing:
        """For the runs of one question."""
