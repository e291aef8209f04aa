"""Causes as they stand in the catalogue, and findings: a cause seen on an object, with its proof."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from kubectl_netdebug.model.command import Fix


class Confidence(StrEnum):
    """How sure a finding is. Only what was observed may be confirmed."""

    CONFIRMED = "confirmed"
    LIKELY = "likely"
    POSSIBLE = "possible"

    @property
    def rank(self) -> int:
        """0 is the surest."""
        return list(Confidence).index(self)


class Effect(StrEnum):
    """What the fault does to the traffic that was asked about."""

    BREAKS = "breaks"
    DEGRADES = "degrades"
    NOTE = "note"
    """Worth knowing and not on the path: never makes a verdict."""


@dataclass(frozen=True)
class ObjectRef:
    """The object to mend and the field in it: a path such as `spec.selector` or `spec.ports[0].targetPort`."""

    kind: str
    namespace: str
    name: str
    field: str = ""

    def at(self, path: str) -> ObjectRef:
        """The same object, at a field."""
        return ObjectRef(self.kind, self.namespace, self.name, path)

    @property
    def short(self) -> str:
        """As kubectl would name it: `deployment/web`."""
        return f"{self.kind.lower()}/{self.name}"


@dataclass(frozen=True)
class Cause:
    """One entry of the catalogue.

    `title` says the fault in a few words. `says` and `means` are sentences with placeholders that a finding fills.
    `symptom`, `apart` (how it is told from its look-alikes) and `mend` are prose for `explain` and for the page.
    `explains` lists codes that are consequences when both are found. A `symptom_only` cause states what is wrong
    without saying why: a deeper one is looked for behind it.
    """

    code: str
    title: str
    says: str
    means: str
    symptom: str
    apart: str
    mend: str
    explains: tuple[str, ...] = ()
    symptom_only: bool = False

    @property
    def means_plainly(self) -> str:
        """`means` with its placeholders as words, for texts that are not about a particular object."""
        return re.sub(r"\{(\w+)\}", lambda match: f"<{match[1]}>", self.means)

    def confirmed(self, at: ObjectRef, **more: object) -> Finding:
        """Observed directly."""
        return self._found(Confidence.CONFIRMED, at, more)

    def likely(self, at: ObjectRef, **more: object) -> Finding:
        """The evidence fits this cause and nothing else that was looked at."""
        return self._found(Confidence.LIKELY, at, more)

    def possible(self, at: ObjectRef, **more: object) -> Finding:
        """The evidence fits this cause and others."""
        return self._found(Confidence.POSSIBLE, at, more)

    def _found(self, confidence: Confidence, at: ObjectRef, more: dict[str, object]) -> Finding:
        fixes = more.pop("fixes", None)
        if fixes is None:
            fix = more.pop("fix", None)
            fixes = (fix,) if fix is not None else ()
        effect = more.pop("effect", Effect.BREAKS)
        saw = more.pop("saw", ())
        assert isinstance(effect, Effect)
        assert isinstance(fixes, Sequence)
        saw_lines = (saw,) if isinstance(saw, str) else tuple(saw)  # type: ignore[arg-type]
        values = {name: str(value) for name, value in more.items()}
        return Finding(
            cause=self,
            confidence=confidence,
            at=at,
            summary=self.says.format(**values),
            means=self.means.format(**values),
            fixes=tuple(fixes),
            effect=effect,
            saw=saw_lines,
        )


@dataclass(frozen=True)
class Finding:
    """A cause that was found: where, how surely, what was seen, and how to mend it.

    `saw` are the observations that prove it, written for a person; the facts behind them are added by the engine.
    """

    cause: Cause
    confidence: Confidence
    at: ObjectRef
    summary: str
    means: str
    fixes: tuple[Fix, ...] = ()
    effect: Effect = Effect.BREAKS
    saw: tuple[str, ...] = field(default=())

    @property
    def code(self) -> str:
        """The stable code of the cause."""
        return self.cause.code
