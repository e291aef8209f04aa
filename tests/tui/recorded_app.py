"""The real program on a recorded cluster: `python -m tests.tui.recorded_app CASE [WORDS]`.

Everything is as at a person's terminal: the first screen and the pickers read a server (which serves the recording's
objects), the dialogs ask what they ask, the engine runs. Only what a run fetches comes from the recording, because no
server can replay what a socket said. No time of a check is drawn, so that a screen looks the same each time.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kubectl_netdebug.cli.main import main as program
from kubectl_netdebug.engine.describe import describe
from kubectl_netdebug.engine.recording import Recording
from kubectl_netdebug.engine.source import Job
from kubectl_netdebug.model.facts import Answer, FactKey, Known, MayProbe, Now, Object, Objects, Unknown, Why
from kubectl_netdebug.tui import live, rows
from kubectl_netdebug.vantage import resources
from kubectl_netdebug.vantage.cluster import ClusterSource
from tests.kube.fakeapi import FakeApi
from tests.tui.stage import recording

LOST = Unknown(Why.NOT_RECORDED, "the recording does not hold this")


def objects_of(recorded: Recording) -> Iterable[tuple[str, dict[str, Any]]]:
    """(path of its list, object) for each object that the recording holds, each once."""
    seen: set[tuple[str, str]] = set()
    for key, answer in recorded.facts.items():
        if not isinstance(key, Object | Objects) or not isinstance(answer, Known) or not isinstance(answer.value, dict):
            continue
        for item in [answer.value] if isinstance(key, Object) else answer.value.get("items", ()):
            about = item.get("metadata", {})
            path = resources.path(key.resource, about.get("namespace", ""))
            if (path, about.get("name", "")) not in seen:
                seen.add((path, about.get("name", "")))
                yield path, item


def recorded_source(recorded: Recording) -> type[ClusterSource]:
    """A live run's source, with its consent and its refusals, whose answers are those of the recording."""

    class Recorded(ClusterSource):
        def plan(self, keys: Iterable[FactKey]) -> list[Job]:
            return [self._recorded(key) for key in keys]

        def _recorded(self, key: FactKey) -> Job:
            answer: Answer | None = self._refusal(key)
            if answer is None and isinstance(key, MayProbe):
                answer = self._consent.may_be_had() or Known(True)
            answers: Mapping[FactKey, Answer] = {key: answer or recorded.facts.get(key, LOST)}
            return Job(describe(key), (key,), lambda: answers, 20.0)

    return Recorded


def main() -> int:
    """Runs the program as if the recorded cluster were there."""
    recorded = recording(sys.argv[1])
    then = {key: answer for key, answer in recorded.facts.items() if isinstance(key, Now)}
    setattr(live, "ClusterSource", recorded_source(recorded))  # noqa: B010
    setattr(live.Live, "first_facts", lambda self: then)  # noqa: B010
    rows.SLOW = float("inf")
    with FakeApi() as api, tempfile.TemporaryDirectory() as folder:
        for path, item in objects_of(recorded):
            api.serve(path, item)
        config = api.kubeconfig(Path(folder))
        said = json.loads(config.read_text())
        said["contexts"][0]["context"]["namespace"] = recorded.question.namespace or "default"
        config.write_text(json.dumps(said))
        os.environ["KUBECONFIG"] = str(config)
        return program(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
