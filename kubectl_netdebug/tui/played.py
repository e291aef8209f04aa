"""A recording played as if it were live: the same facts at about the pace at which a cluster gives them."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterable, Mapping

from kubectl_netdebug import __version__
from kubectl_netdebug.cli.diagnose import verify_command
from kubectl_netdebug.engine.conclude import Circumstances
from kubectl_netdebug.engine.describe import describe
from kubectl_netdebug.engine.recording import Recording
from kubectl_netdebug.engine.run import Diagnosis
from kubectl_netdebug.engine.source import Job
from kubectl_netdebug.model.facts import Answer, FactKey, MayLookAtNodes, MayProbe, Now, Price, Unknown, Why
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.result import Change
from kubectl_netdebug.tui.run import ClosableSource

SLOWEST = 2.5
"""Seconds that one recorded fact may take, however long it took then."""

_PACE = {Price.READ: 0.08, Price.LOCAL: 0.25, Price.POD: 0.5, Price.NODE: 0.9}
"""Seconds, by price, where the recording does not say."""

_LIMIT = {Price.READ: 20.0, Price.LOCAL: 20.0, Price.POD: 45.0, Price.NODE: 75.0}


class Played:
    """The backing of `demo` and `replay`. `pace` multiplies all times: 0 for at once."""

    def __init__(self, recording: Recording, pace: float = 1.0) -> None:
        self.recording = recording
        self._pace = pace

    def open(self, question: Question, ask: Callable[[str], bool]) -> ClosableSource:
        """Nobody is asked: what was allowed then is part of the recording."""
        return _Player(self.recording, self._pace)

    def first_facts(self) -> Mapping[FactKey, Answer]:
        """The time at which it was recorded, from which ages are counted."""
        return {key: answer for key, answer in self.recording.facts.items() if isinstance(key, Now)}

    def circumstances(self, question: Question, source: ClosableSource, diagnosis: Diagnosis) -> Circumstances:
        """As the run then had them."""
        recording = self.recording
        reads = sum(1 for key in recording.facts if key.price is Price.READ)
        return Circumstances(
            run_id="replay",
            started_at=recording.started_at,
            api_calls=reads,
            probes=len(recording.facts) - reads,
            versions={**recording.versions, "kubectl-netdebug": __version__},
            cluster_flags=recording.cluster_flags,
            changes=tuple(_change(change) for change in recording.changes),
            notes=recording.notes,
            verify=verify_command(question, recording.cluster_flags),
        )

    def check(self, diagnosis: Diagnosis) -> None:
        """A recording was of a cluster that was reached."""


def _change(data: Mapping[str, object]) -> Change:
    return Change(
        object=str(data.get("object", "")),
        permanent=bool(data.get("permanent")),
        removed=bool(data.get("removed")),
        cleanup=str(data.get("cleanup", "")),
    )


class _Player:
    """Answers from the recording, each fact after its time."""

    def __init__(self, recording: Recording, pace: float) -> None:
        self._facts = recording.facts
        self._pace = pace
        self._over = threading.Event()

    def plan(self, keys: Iterable[FactKey]) -> list[Job]:
        return [self._job(key) for key in keys]

    def close(self) -> None:
        self._over.set()

    def _job(self, key: FactKey) -> Job:
        answer = self._facts.get(key, Unknown(Why.NOT_RECORDED, "the recording does not hold this"))

        def fetch() -> Mapping[FactKey, Answer]:
            self._over.wait(self._seconds(key, answer))
            return {key: answer}

        return Job(describe(key), (key,), fetch, _LIMIT[key.price])

    def _seconds(self, key: FactKey, answer: Answer) -> float:
        if isinstance(key, MayLookAtNodes | MayProbe | Now) or (
            isinstance(answer, Unknown) and answer.why is Why.NOT_RECORDED
        ):
            return 0.0
        spread = 0.6 + (zlib.crc32(repr(key).encode()) % 100) / 125
        took = _milliseconds(answer) / 1000
        return self._pace * min(SLOWEST, max(took, _PACE[key.price] * spread))


def _milliseconds(answer: Answer) -> float:
    value = getattr(answer, "value", None)
    told = value.get("ms", 0.0) if isinstance(value, dict) else 0.0
    return max(answer.milliseconds, float(told) if isinstance(told, int | float) else 0.0)
