"""What an API server said to a Pod: the views of the facts `ApiCall`, `PodToken` and `AccessReview`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.net.token import Claims, read_claims


@dataclass(frozen=True)
class Rule:
    """One line of what a user may do; `*` stands for all."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...]
    resources: tuple[str, ...]
    names: tuple[str, ...]

    def allows(self, verb: str, group: str, resource: str, name: str = "") -> bool:
        """`resource` with its subresource: `pods/log`."""
        fits = verb in self.verbs or "*" in self.verbs
        fits = fits and (group in self.groups or "*" in self.groups)
        part = resource.partition("/")[2]
        fits = fits and (resource in self.resources or "*" in self.resources or f"*/{part}" in self.resources)
        return fits and (not self.names or name in self.names)


@dataclass(frozen=True)
class ApiReply:
    """How one call ended; `status` is 0 where no answer came. `reason` and `message` are those of an error."""

    outcome: str
    status: int
    reason: str
    message: str
    headers: Mapping[str, str]
    user: str
    rules: tuple[Rule, ...]
    milliseconds: float

    @property
    def good(self) -> bool:
        """A status of success."""
        return self.outcome == "answer" and 200 <= self.status < 300

    @property
    def words(self) -> str:
        """`HTTP 401 Unauthorized in 5 ms`."""
        if self.outcome == "answer":
            return f"HTTP {self.status} {self.reason}".rstrip() + f" in {self.milliseconds:.0f} ms"
        if self.outcome == "untrusted":
            return f"certificate not trusted ({self.reason}); no token was sent"
        return {"no-token": "no token to show", "timed-out": "no answer", "closed": "closed without an answer"}.get(
            self.outcome, self.outcome
        )


def read_api_reply(value: Any) -> ApiReply:
    """The view of an `ApiCall` fact's value."""
    milliseconds = tree.dig(value, "ms")
    return ApiReply(
        outcome=tree.text(value, "outcome"),
        status=tree.number(value, "status"),
        reason=tree.text(value, "reason"),
        message=tree.text(value, "message"),
        headers=tree.labels(value, "headers"),
        user=tree.text(value, "user", "username"),
        rules=tuple(
            Rule(
                verbs=tree.strings(rule, "verbs"),
                groups=tree.strings(rule, "apiGroups"),
                resources=tree.strings(rule, "resources"),
                names=tree.strings(rule, "resourceNames"),
            )
            for rule in tree.entries(value, "rules")
        ),
        milliseconds=float(milliseconds) if isinstance(milliseconds, int | float) else 0.0,
    )


@dataclass(frozen=True)
class Mounted:
    """What a container has in its ServiceAccount folder: the claims of its token, the certificates of its CA."""

    claims: Claims | None
    authorities: tuple[str, ...]


def read_mounted(value: Any) -> Mounted:
    """The view of a `PodToken` fact's value."""
    return Mounted(read_claims(tree.dig(value, "claims")), tree.strings(value, "ca"))
