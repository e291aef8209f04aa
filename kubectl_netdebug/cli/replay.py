"""Diagnoses again from recordings: `replay FILE` and `demo`."""

from __future__ import annotations

import argparse
import difflib
from dataclasses import replace
from pathlib import Path

from kubectl_netdebug import __version__
from kubectl_netdebug.cli.cases import Case, all_cases
from kubectl_netdebug.cli.diagnose import check_record, verify_command, write_recording
from kubectl_netdebug.cli.exits import Exit, UsageProblem, exit_for
from kubectl_netdebug.cli.output import say, show, write
from kubectl_netdebug.engine.conclude import Circumstances, conclude
from kubectl_netdebug.engine.recording import BadRecording, Recording
from kubectl_netdebug.engine.run import Engine
from kubectl_netdebug.engine.source import Nothing
from kubectl_netdebug.flows import flow_for
from kubectl_netdebug.model.facts import Price
from kubectl_netdebug.model.result import Change, Result

FIRST = "service-selector-mismatch"
"""The case that `demo` shows when none is named."""


def replay(args: argparse.Namespace) -> Exit:
    """`replay FILE`; with --redact and --record, also a copy without names. Raises UsageProblem."""
    check_record(args)
    try:
        recording = Recording.from_bytes(Path(args.file).read_bytes())
    except OSError as problem:
        raise UsageProblem(f"{args.file}: {problem.strerror}") from problem
    except BadRecording as problem:
        raise UsageProblem(f"{args.file}: {problem}") from problem
    if getattr(args, "redact", False):
        from kubectl_netdebug.engine.redact import redacted

        recording = redacted(recording)
    result = diagnose_recording(recording)
    if getattr(args, "record", None):
        write_recording(Path(args.record), recording)
    show(result, args)
    return exit_for(result.verdict.state)


def demo(args: argparse.Namespace) -> Exit:
    """`demo`, `demo --list`, `demo CASE`. Raises UsageProblem."""
    cases = all_cases()
    if not cases:
        raise UsageProblem("no recordings came with this program")
    if args.list:
        write(_listing(cases))
        return Exit.HEALTHY
    case = choose(cases, args.case)
    try:
        recording = case.read()
    except (BadRecording, OSError) as problem:
        raise UsageProblem(f"{case.path}: {problem}") from problem
    result = diagnose_recording(recording)
    say(f"Recorded on a real cluster: {recording.case.get('title', case.name)}")
    say(f"$ {verify_command(recording.question, ())}\n")
    show(result, args)
    return Exit.HEALTHY


def diagnose_recording(recording: Recording, *, strict: bool = False) -> Result:
    """The result that the recorded facts lead to with today's causes."""
    question = recording.question
    engine = Engine(question, flow_for(question), Nothing(), facts=recording.facts, strict=strict)
    diagnosis = replace(engine.run(), seconds=recording.seconds)
    reads = sum(1 for key in recording.facts if key.price is Price.READ)
    about = Circumstances(
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
    return conclude(diagnosis, about)


def _change(data: object) -> Change:
    fields = dict(data) if isinstance(data, dict) else {}
    return Change(
        object=str(fields.get("object", "")),
        permanent=bool(fields.get("permanent")),
        removed=bool(fields.get("removed")),
        cleanup=str(fields.get("cleanup", "")),
    )


def choose(cases: list[Case], name: str | None) -> Case:
    """The case of that name, or whose name begins so. Raises UsageProblem."""
    names = [case.name for case in cases]
    wanted = name or (FIRST if FIRST in names else names[0])
    exact = next((case for case in cases if case.name == wanted), None)
    if exact:
        return exact
    starting = [case for case in cases if case.name.startswith(wanted)]
    if starting:
        return starting[0]
    close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.4)
    hint = f"; closest: {', '.join(close)}" if close else ""
    raise UsageProblem(f"there is no recorded case {wanted!r}{hint}. See: kubectl netdebug demo --list")


def _listing(cases: list[Case]) -> str:
    width = max(len(case.name) for case in cases)
    lines = []
    for case in cases:
        try:
            title = str(case.read().case.get("title", ""))
        except (BadRecording, OSError) as problem:
            title = f"cannot be read: {problem}"
        lines.append(f"{case.name.ljust(width)}  {title}".rstrip())
    return "\n".join(lines) + "\n"
