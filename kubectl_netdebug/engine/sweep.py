"""Judges many objects by configuration alone: one engine each, whose facts come from lists that are read once.

Services are first looked at with their slices alone, which settles nearly all of them. Only where that leaves a
question are Pods, workloads and events read: a few objects one by one, more of one namespace as a whole list.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kubectl_netdebug.causes import asks
from kubectl_netdebug.engine.lists import EVERYWHERE, Lists
from kubectl_netdebug.engine.run import Diagnosis, Engine
from kubectl_netdebug.engine.source import Nothing
from kubectl_netdebug.flows.sweep import About, Subject, evidently_well, leaves_a_question, sweep_flow
from kubectl_netdebug.model.facts import (
    Answer,
    FactKey,
    Known,
    MayLookAtNodes,
    MayProbe,
    Now,
    Object,
    Objects,
    Price,
    Unknown,
    Why,
)
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.slices import SERVICE_LABEL

FEW = 16
"""Reads of one resource in one namespace that are made one by one; of more, the whole list is read instead."""

BATCH = 200
"""Objects judged side by side: what they wish for is read together, and forgotten afterwards."""

WHOLE = ("pods", "deployments.apps", "statefulsets.apps", "replicasets.apps", "daemonsets.apps", "events", "endpoints")
"""Resources that may be read as whole lists of a namespace. Others are read one by one, or are held anyway."""


class Reader(Protocol):
    """Reads the API; every failure becomes an Unknown."""

    def whole(self, places: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Answer]:
        """The whole lists of these (resource, namespace); Known values are lists of objects."""
        ...

    def facts(self, keys: Iterable[FactKey]) -> Mapping[FactKey, Answer]:
        """Single facts, an answer for every key."""
        ...


@dataclass(frozen=True)
class Judged:
    """A subject with its diagnosis."""

    subject: Subject
    diagnosis: Diagnosis


@dataclass
class Sweep:
    """One scan under way. `on_progress` is told (judged, all) now and then. `strict` lets defects through (tests)."""

    lists: Lists
    reader: Reader
    now: str
    strict: bool = False
    on_progress: Callable[[int, int], None] = lambda done, total: None
    _facts: dict[FactKey, Answer] = field(default_factory=dict)
    _whole: set[tuple[str, str]] = field(default_factory=set)

    def judge(self, subjects: Sequence[Subject]) -> Iterator[Judged]:
        """Those subjects that are worth a closer look, judged, in order. The others are well as far as can be told."""
        for start in range(0, len(subjects), BATCH):
            batch = [each for each in subjects[start : start + BATCH] if self._is_worth_it(each)]
            self.on_progress(start, len(subjects))
            engines = [(subject, self._engine(subject)) for subject in batch]
            self._run([engine for _, engine in engines])
            if batch:
                self._forget(but=batch[-1].question.namespace)
            yield from (Judged(subject, engine.so_far()) for subject, engine in engines)
        self.on_progress(len(subjects), len(subjects))

    def _engine(self, subject: Subject) -> Engine:
        facts: dict[FactKey, Answer] = {Now(): Known(self.now)}
        return Engine(subject.question, sweep_flow(subject.about), Nothing(), facts=facts, strict=self.strict)

    def _is_worth_it(self, subject: Subject) -> bool:
        if subject.about is not About.SERVICE:
            return True
        asked = subject.question
        keys = (
            Object("services", asked.namespace, asked.service),
            Objects(asks.SLICES, asked.namespace, labels=f"{SERVICE_LABEL}={asked.service}"),
        )
        known: dict[FactKey, Known | Unknown] = {
            key: answer for key in keys if (answer := self.lists.answer(key)) is not None
        }
        service, slices = (known.get(key) for key in keys)
        if isinstance(service, Known) and isinstance(slices, Known) and service.value:
            return not evidently_well(service.value, slices.value["items"]) and leaves_a_question(Look(known), asked)
        return leaves_a_question(Look(known), asked)

    def _run(self, engines: list[Engine]) -> None:
        """Until nothing is missing: engines go on with what is held, then what all of them lack is read at once."""
        waiting = engines
        while waiting:
            lacking: dict[int, frozenset[FactKey]] = {}
            for number, engine in enumerate(waiting):
                missing = self._go_on(engine)
                if missing:
                    lacking[number] = missing
            if not lacking:
                return
            self._read(frozenset().union(*lacking.values()))
            waiting = [engine for number, engine in enumerate(waiting) if number in lacking]

    def _go_on(self, engine: Engine) -> frozenset[FactKey]:
        """Advances as far as can be without reading; the keys that have to be read."""
        while missing := engine.advance():
            answers = {key: answer for key in missing if (answer := self._known(key)) is not None}
            if not answers:
                return missing
            engine.learn(answers)
        return missing

    def _known(self, key: FactKey) -> Answer | None:
        if key.price is not Price.READ or isinstance(key, MayLookAtNodes | MayProbe):
            return _NO_PROBE
        held = self.lists.answer(key)
        return held if held is not None else self._facts.get(key)

    def _read(self, keys: frozenset[FactKey]) -> None:
        groups: dict[tuple[str, str], list[FactKey]] = defaultdict(list)
        for key in keys:
            groups[_place(key)].append(key)
        whole = [place for place, some in groups.items() if len(some) > FEW and place[0] in WHOLE and place[1]]
        for place, answer in self.reader.whole(whole).items() if whole else ():
            if isinstance(answer, Known):
                self.lists.hold(*place, answer.value)
            else:
                self.lists.lack(*place, answer)
            self._whole.add(place)
        self._facts.update(self.reader.facts(key for key in keys if self.lists.answer(key) is None))

    def _forget(self, but: str) -> None:
        """What single namespaces needed is not needed again, but for the last; what the whole cluster needed may be."""
        self._facts = {key: answer for key, answer in self._facts.items() if _place(key)[1] in (EVERYWHERE, but)}
        for place in {place for place in self._whole if place[1] != but}:
            self.lists.drop(*place)
            self._whole.remove(place)


_NO_PROBE = Unknown(Why.NO_CONSENT, "a scan tries no connection and makes nothing")


def _place(key: FactKey) -> tuple[str, str]:
    return (key.resource, key.namespace) if isinstance(key, Object | Objects) else ("", getattr(key, "namespace", ""))
