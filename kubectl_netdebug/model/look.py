"""What causes and hops see of a run: a way to look at facts, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from types import CodeType
from typing import Any, TypeVar, cast, overload

from kubectl_netdebug.model.facts import Answer, Ask, FactKey, Known, Unknown

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


Views = dict[tuple[FactKey, CodeType], Any]
"""What readers made of facts, by the fact and the reader's code."""


class Suspended(Exception):
    """Raised through a cause when facts are missing that can still be fetched; it is run again when they are there."""

    def __init__(self, keys: frozenset[FactKey]) -> None:
        super().__init__("waiting for facts")
        self.keys = keys


class Unestablished(Exception):
    """Raised through a cause when a fact cannot be had at all."""

    def __init__(self, key: FactKey, unknown: Unknown) -> None:
        super().__init__(unknown.says)
        self.key = key
        self.unknown = unknown


class Look:
    """Gives facts to one evaluation of a pure function and remembers which ones it used.

    A function is run again from its start whenever facts that it asked for have arrived; so it must not keep state.
    `views` holds what was read out of facts already, for all evaluations of a run: once there, a fact never changes.
    """

    def __init__(self, facts: Mapping[FactKey, Answer], views: Views | None = None) -> None:
        self._facts = facts
        self._views: Views = {} if views is None else views
        self.used: dict[FactKey, Ask[Any]] = {}

    def __call__(self, ask: Ask[T]) -> T:
        """The fact. Suspends while it is missing; leaves the function where it cannot be had."""
        (value,) = self.all([ask])
        return value

    def all(self, asks: list[Ask[T]]) -> list[T]:
        """Several facts, fetched side by side."""
        return [self._read(ask, self._answer(ask)) for ask in self._present(asks)]

    @overload
    def together(self, first: Ask[A], second: Ask[B], /) -> tuple[A, B]: ...
    @overload
    def together(self, first: Ask[A], second: Ask[B], third: Ask[C], /) -> tuple[A, B, C]: ...
    def together(self, *asks: Ask[Any]) -> tuple[Any, ...]:
        """Several facts of different kinds, fetched side by side."""
        return tuple(self.all(list(asks)))

    def if_known(self, ask: Ask[T]) -> T | None:
        """The fact, or None where it cannot be had; still suspends while it is missing."""
        (value,) = self.all_known([ask])
        return value

    def all_known(self, asks: list[Ask[T]]) -> list[T | None]:
        """Several facts side by side, None for each that cannot be had."""
        answers = [(ask, self._answer(ask)) for ask in self._present(asks)]
        return [self._read(ask, answer) if isinstance(answer, Known) else None for ask, answer in answers]

    def foresee(self, *asks: Ask[Any]) -> None:
        """Has facts fetched side by side that are needed soon, whether or not they can be had."""
        self._present(list(asks))

    def why_unknown(self, ask: Ask[T]) -> Unknown | None:
        """Why a fact cannot be had, or None where it was established."""
        (present,) = self._present([ask])
        answer = self._answer(present)
        return answer if isinstance(answer, Unknown) else None

    def _present(self, asks: list[Ask[T]]) -> list[Ask[T]]:
        missing = frozenset(ask.key for ask in asks if ask.key not in self._facts)
        if missing:
            raise Suspended(missing)
        for ask in asks:
            if ask.key not in self.used or ask.says is not None:
                self.used[ask.key] = ask
        return asks

    def _answer(self, ask: Ask[Any]) -> Answer:
        return self._facts[ask.key]

    def _read(self, ask: Ask[T], answer: Answer) -> T:
        if isinstance(answer, Unknown):
            raise Unestablished(ask.key, answer)
        # Readers are made anew for each question; two with the same code and nothing captured read the same.
        if getattr(ask.read, "__closure__", ()) is not None or getattr(ask.read, "__defaults__", ()) is not None:
            return ask.read(cast(Any, answer.value))
        place = (ask.key, ask.read.__code__)
        if place not in self._views:
            self._views[place] = ask.read(cast(Any, answer.value))
        return cast(T, self._views[place])
