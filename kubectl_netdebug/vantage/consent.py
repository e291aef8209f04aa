"""Permission to touch the cluster, asked for before anything is done: what, for how long, with which right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kubectl_netdebug.model.facts import Unknown, Why

Ask = Callable[[str], bool]


@dataclass
class Consent:
    """What the person allowed: containers in Pods, and Pods on nodes, each by itself.

    `ask` puts a question to a person at a terminal; None where there is nobody to ask. An answer holds for the run.
    """

    forbidden: str = ""
    """Why nothing may be probed at all, for example `--probe never`; '' where it may."""
    allowed: bool = False
    """A container may be added to a Pod."""
    nodes_allowed: bool = False
    """A privileged Pod may be made on a node."""
    ask: Ask | None = None
    _answers: dict[str, bool] = field(default_factory=dict, init=False)

    def may_be_had(self) -> Unknown | None:
        """None where probing is allowed or can be asked for; else why not."""
        if self.forbidden:
            return Unknown(Why.NO_CONSENT, f"not probed ({self.forbidden})", "--probe always")
        if self.allowed or self.nodes_allowed or self.ask is not None:
            return None
        return Unknown(
            Why.NO_CONSENT, "not probed: nobody allowed to add a container", "--probe always, or --allow ephemeral"
        )

    @property
    def from_nodes_alone(self) -> bool:
        """Nothing may be added to a Pod, and its network may be entered from its node."""
        return self.nodes_allowed and not self.allowed

    def for_pod(self, description: str) -> Unknown | None:
        """Asks once a run, if it must; None means yes. Who allowed nodes alone is not asked about Pods."""
        refusal = self.may_be_had()
        if refusal is not None or self.allowed or self.nodes_allowed:
            return refusal
        if self._asked("pod", description):
            return None
        return Unknown(Why.NO_CONSENT, "not probed: you said no", "--probe always")

    def for_node(self, description: str) -> Unknown | None:
        """The same for a privileged Pod on a node, which nothing but a consent of its own allows."""
        if self.forbidden:
            return Unknown(Why.NO_CONSENT, f"nodes not looked at ({self.forbidden})", "--allow node")
        if self.nodes_allowed:
            return None
        if self.ask is None:
            return Unknown(Why.NO_CONSENT, "nodes not looked at: nobody allowed a Pod there", "--allow node")
        if self._asked("node", description):
            return None
        return Unknown(Why.NO_CONSENT, "nodes not looked at: you said no", "--allow node")

    def allows_nodes_already(self) -> Unknown | None:
        """None where nodes may be looked at without asking anybody; else why not."""
        if self.nodes_allowed and not self.forbidden:
            return None
        return Unknown(Why.NO_CONSENT, "nodes not looked at: nobody allowed a Pod there", "--allow node")

    def _asked(self, what: str, description: str) -> bool:
        if what not in self._answers:
            assert self.ask is not None
            self._answers[what] = self.ask(description)
        return self._answers[what]

    def said_yes(self, what: str) -> bool:
        """Whether the person was asked and allowed it: `pod` or `node`."""
        return self._answers.get(what, False)
