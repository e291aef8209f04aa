"""Permission to touch the cluster, asked for before anything is done: what, for how long, with which right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kubectl_netdebug.model.facts import Unknown, Why

Ask = Callable[[str], bool]


@dataclass
class Consent:
    """What the person allowed.

    `ask` puts a question to a person at a terminal; None where there is nobody to ask. The answer holds for the run.
    """

    forbidden: str = ""
    """Why nothing may be probed at all, for example `--probe never`; '' where it may."""
    allowed: bool = False
    ask: Ask | None = None
    _answered: bool | None = field(default=None, init=False)

    def may_be_had(self) -> Unknown | None:
        """None where probing is allowed or can be asked for; else why not."""
        if self.forbidden:
            return Unknown(Why.NO_CONSENT, f"not probed ({self.forbidden})", "--probe always")
        if self.allowed or self.ask is not None:
            return None
        return Unknown(
            Why.NO_CONSENT, "not probed: nobody allowed to add a container", "--probe always, or --allow ephemeral"
        )

    def for_pod(self, description: str) -> Unknown | None:
        """Asks once a run, if it must; None means yes."""
        refusal = self.may_be_had()
        if refusal is not None or self.allowed:
            return refusal
        if self._answered is None:
            assert self.ask is not None
            self._answered = self.ask(description)
        if self._answered:
            return None
        return Unknown(Why.NO_CONSENT, "not probed: you said no", "--probe always")
