"""Runs the program in this process: its arguments, transport, engine and output are real, only probes are recorded."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from kubectl_netdebug.cli import diagnose
from kubectl_netdebug.cli.diagnose import verify_command
from kubectl_netdebug.cli.main import main
from kubectl_netdebug.engine.recording import Recording
from kubectl_netdebug.engine.run import Engine
from kubectl_netdebug.engine.source import Job, Nothing
from kubectl_netdebug.model.facts import Answer, FactKey, Now
from kubectl_netdebug.vantage.cluster import ClusterSource
from tests.failures.recorded import READS
from tests.kube.fakeapi import FakeApi

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class Ran:
    """How a run came out. `code` is None where an exception escaped, which `errors` then shows."""

    code: int | None
    output: str
    errors: str
    seconds: float

    @property
    def result(self) -> dict[str, Any] | None:
        """Standard output as the JSON of a result; None where it is something else."""
        try:
            found = json.loads(self.output)
        except ValueError:
            return None
        return found if isinstance(found, dict) and "verdict" in found else None

    @property
    def state(self) -> str:
        """The verdict's state, '' without a verdict."""
        return str(self.result["verdict"]["state"]) if self.result else ""

    @property
    def causes(self) -> tuple[tuple[str, str], ...]:
        """(code, object) of every cause."""
        found = self.result["causes"] if self.result else []
        return tuple((cause["code"], f"{cause['object']['kind']}/{cause['object']['name']}") for cause in found)


def words_of(recording: Recording) -> tuple[str, ...]:
    """What a person types to ask the question of a recording."""
    return tuple(shlex.split(verify_command(recording.question, ()))[2:])


def ask(api: FakeApi, recording: Recording, *more: str) -> Ran:
    """Asks the question of a recording again, through the transport, of a server that has its API facts."""
    with _recorded_probes(recording):
        return run(api, (*words_of(recording), "-o", "json", "--probe", "always", *more))


def run(api: FakeApi, words: Iterable[str], typed: str = "") -> Ran:
    """One command line with a home of its own; `typed` comes through standard input."""
    output, errors = io.StringIO(), io.StringIO()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as home, _alone(Path(home), api), mock.patch("sys.stdin", io.StringIO(typed)):
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            code = _code(words)
        seconds = time.monotonic() - began
    return Ran(code, output.getvalue(), errors.getvalue(), seconds)


def _code(words: Iterable[str]) -> int | None:
    try:
        return int(main(list(words)))
    except SystemExit as end:
        return int(end.code) if isinstance(end.code, int) else 1
    except Exception:
        traceback.print_exc(file=sys.stderr)
        return None


@contextlib.contextmanager
def _alone(home: Path, api: FakeApi) -> Iterator[None]:
    """Nothing of this machine's settings, and the server as the current context."""
    settings = {name: str(home / name) for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME")}
    settings |= {"KUBECONFIG": str(api.kubeconfig(home)), "HOME": str(home)}
    with mock.patch.dict(os.environ, settings):
        for name in (*_PROXIES, *map(str.lower, _PROXIES), "KUBERNETES_SERVICE_HOST"):
            os.environ.pop(name, None)
        yield


@contextlib.contextmanager
def _recorded_probes(recording: Recording) -> Iterator[None]:
    """Reads go to the server; what was seen from Pods, nodes and this machine, and the time, are as recorded."""

    class Source(ClusterSource):
        def plan(self, keys: Iterable[FactKey]) -> list[Job]:
            wanted = set(keys)
            reads = {key for key in wanted if isinstance(key, READS)}
            return [*super().plan(sorted(reads, key=repr)), *_replayed(recording, wanted - reads)]

    def engine(*arguments: Any, facts: Mapping[FactKey, Answer], **more: Any) -> Engine:
        now: dict[FactKey, Answer] = {key: known for key, known in recording.facts.items() if isinstance(key, Now)}
        return Engine(*arguments, facts={**facts, **now}, **more)

    with mock.patch.object(diagnose, "ClusterSource", Source), mock.patch.object(diagnose, "Engine", engine):
        yield


def _replayed(recording: Recording, keys: set[FactKey]) -> list[Job]:
    known = {key: recording.facts[key] for key in keys if key in recording.facts}
    jobs = [Job("recorded", tuple(known), lambda: known, 10.0)] if known else []
    return jobs + (Nothing().plan(keys - known.keys()) if keys - known.keys() else [])
