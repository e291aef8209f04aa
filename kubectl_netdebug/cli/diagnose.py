"""Runs one question against a live cluster, and draws, records and exits accordingly."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from kubectl_netdebug import __version__
from kubectl_netdebug.cli.aim import aim
from kubectl_netdebug.cli.arguments import cluster_flags, kube_flags
from kubectl_netdebug.cli.exits import Exit, UsageProblem, exit_for
from kubectl_netdebug.cli.output import say, show
from kubectl_netdebug.cli.progress import Progress
from kubectl_netdebug.cli.signals import close_undisturbed, ending_on_signals
from kubectl_netdebug.engine.conclude import Circumstances, conclude
from kubectl_netdebug.engine.recording import Recording
from kubectl_netdebug.engine.run import Diagnosis, Engine
from kubectl_netdebug.flows import flow_for
from kubectl_netdebug.kube.errors import CredentialProblem, Unreachable
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.facts import Known, Now, Unknown, Why
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.model.result import Change, Result
from kubectl_netdebug.vantage.cluster import ClusterSource
from kubectl_netdebug.vantage.consent import Consent

DEFAULT_TIMEOUT = 60.0


def diagnose(args: argparse.Namespace, ask: Callable[[str], Question]) -> Exit:
    """One run. `ask` makes the question once the default namespace is known. Raises KubeError and UsageProblem."""
    check_record(args)
    with Session.open(kube_flags(args), interactive=sys.stdin.isatty()) as session:
        for warning in session.warnings:
            say(f"warning: {warning}")
        question = aim(session, ask(getattr(args, "namespace", None) or session.namespace or "default"))
        return _run(args, session, question)


def _run(args: argparse.Namespace, session: Session, question: Question) -> Exit:
    progress = Progress()
    consent = consent_for(args, progress)
    source = ClusterSource(
        session,
        consent,
        getattr(args, "image", "") or os.environ.get("NETDEBUG_IMAGE", ""),
        namespace=question.namespace,
        node_image=getattr(args, "node_image", "") or os.environ.get("NETDEBUG_NODE_IMAGE", ""),
    )
    started = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    engine = Engine(
        question,
        flow_for(question),
        source,
        facts={Now(): Known(started)},
        timeout=getattr(args, "timeout", DEFAULT_TIMEOUT) or 3600.0,
        observer=progress,
    )
    try:
        with ending_on_signals():
            diagnosis = engine.run()
    except KeyboardInterrupt:
        progress.clear()
        close_undisturbed(source)
        return _interrupted(engine.so_far(), source)
    finally:
        close_undisturbed(source)
    progress.clear()
    raise_if_never_reached(session, diagnosis)
    flags = cluster_flags(args, session.context)
    about = Circumstances(
        run_id=secrets.token_hex(4),
        started_at=started,
        api_calls=len(session.calls),
        probes=source.probes,
        versions={"kubectl-netdebug": __version__},
        cluster_flags=flags,
        changes=source.changes,
        notes=source.containers.notes,
        verify=verify_command(question, flags),
    )
    recording, result = recording_of(diagnosis, about), conclude(diagnosis, about)
    if getattr(args, "redact", False):
        recording, result = _without_names(recording)
    if getattr(args, "record", None):
        write_recording(Path(args.record), recording)
    show(result, args)
    return exit_for(result.verdict.state)


def _without_names(recording: Recording) -> tuple[Recording, Result]:
    """The recording with masks, and what it says: what is shown holds no name that the recording does not hold."""
    from kubectl_netdebug.cli.replay import diagnose_recording
    from kubectl_netdebug.engine.redact import redacted

    masked = redacted(recording)
    return masked, diagnose_recording(masked)


def consent_for(args: argparse.Namespace, progress: Progress) -> Consent:
    """What the flags and the terminal allow."""
    mode = getattr(args, "probe", "auto")
    if getattr(args, "read_only", False):
        if mode == "always":
            raise UsageProblem("--read-only and --probe always contradict each other")
        return Consent(forbidden="--read-only")
    if mode == "never":
        return Consent(forbidden="--probe never")
    granted = {word for words in getattr(args, "allow", []) for word in words}
    terminal = sys.stdin.isatty() and sys.stderr.isatty()
    return Consent(
        allowed=mode == "always" or "ephemeral" in granted,
        nodes_allowed="node" in granted,
        ask=(lambda text: _ask_person(text, progress)) if terminal else None,
    )


def _ask_person(text: str, progress: Progress) -> bool:
    import textwrap

    progress.clear()
    say("\n".join(textwrap.wrap(text, 78)))
    sys.stderr.write("Go on? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def verify_command(question: Question, flags: tuple[str, ...]) -> str:
    """The command that asks the same question again."""
    import shlex

    return shlex.join(("kubectl", "netdebug", *_words(question), *flags))


def _words(question: Question) -> tuple[str, ...]:
    """What was typed behind `kubectl netdebug`, in one fixed form."""
    source = _source_word(question)
    home = ("-n", question.namespace)
    match question.flow:
        case FlowName.SERVICE:
            client = ("--from", source) if question.source.name else ()
            return ("service", question.destination, *home, *client)
        case FlowName.DNS:
            return ("dns", source, *([question.host] if question.host else []), *home)
        case FlowName.API:
            return ("api", source, *home)
        case FlowName.NODE:
            return ("node", question.node)
        case FlowName.POD_TO_ITSELF:
            return ("path", source, "self", *home)
    target = f"svc/{question.destination}" if question.service else question.destination
    if question.service and question.scheme:
        host = f"{question.service}.{question.namespace}.svc:{question.port}"
        target = f"{question.scheme}://{host}{question.path}"
    return ("path", source, target, *home)


def _source_word(question: Question) -> str:
    source = question.source
    other = source.namespace and source.namespace != question.namespace
    return f"{source.namespace}/{source}" if other else str(source)


def recording_of(diagnosis: Diagnosis, about: Circumstances) -> Recording:
    """The facts of a run, ready to be written."""
    return Recording(
        question=diagnosis.question,
        facts=diagnosis.facts,
        started_at=about.started_at,
        seconds=diagnosis.seconds,
        versions=about.versions,
        cluster_flags=about.cluster_flags,
        changes=tuple(vars(change) for change in about.changes),
        notes=about.notes,
    )


def check_record(args: argparse.Namespace) -> None:
    """Finds out before the run, not after it, that the file cannot be written."""
    if not hasattr(args, "record"):
        return
    path = Path(args.record)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UsageProblem(f"--record {args.record}: not a file in an existing folder")


def write_recording(path: Path, recording: Recording) -> None:
    """Writes it, or says why that failed: the diagnosis is worth showing in any case."""
    try:
        path.write_bytes(recording.to_bytes())
    except OSError as problem:
        say(f"The recording could not be written to {path}: {problem.strerror}.")


def raise_if_never_reached(session: Session, diagnosis: Diagnosis) -> None:
    """Where no call ever got through, the cluster is the answer and not a verdict about a Service."""
    if any(call.status and call.status != 401 for call in session.calls):
        return
    for answer in diagnosis.facts.values():
        if isinstance(answer, Unknown) and answer.why in (Why.UNREACHABLE, Why.TIMEOUT):
            raise Unreachable("connect-timeout", answer.says)
    if session.calls and all(call.status == 401 for call in session.calls):
        raise CredentialProblem(f"The API server {session.server} does not accept your credentials.")


def _interrupted(diagnosis: Diagnosis, source: ClusterSource) -> Exit:
    done = ", ".join(f"{s.step.title}: {s.outcome.saw}" for s in diagnosis.steps) or "nothing yet"
    say(f"Interrupted. Known so far: {done}.")
    for change in source.changes:
        if not change.removed:
            say(_left_behind(change))
    return Exit.INTERRUPTED


def _left_behind(change: Change) -> str:
    return f"Left behind: {change.object}; it {change.cleanup}."
