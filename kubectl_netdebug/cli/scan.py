"""`scan`: the faults that the configuration of a namespace or of the whole cluster shows. Makes and tries nothing."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from datetime import UTC, datetime

from kubectl_netdebug import __version__
from kubectl_netdebug.cli.arguments import cluster_flags, kube_flags
from kubectl_netdebug.cli.baseline import check_writable, read_baseline, write_baseline
from kubectl_netdebug.cli.diagnose import verify_command
from kubectl_netdebug.cli.exits import Exit, UsageProblem
from kubectl_netdebug.cli.output import say, style_for, write
from kubectl_netdebug.cli.progress import Line
from kubectl_netdebug.cli.signals import ending_on_signals
from kubectl_netdebug.engine.scan import Scope, counted, scan
from kubectl_netdebug.kube.errors import CredentialProblem, Unreachable
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.model.scan import ScanResult, ScanState
from kubectl_netdebug.vantage.bulk import BulkReader

DEFAULT_TIMEOUT = 300.0
"""Seconds for the whole scan: a cluster of a hundred thousand Pods behind a slow line takes its time."""

_EXITS = {ScanState.CLEAN: Exit.HEALTHY, ScanState.FINDINGS: Exit.FAULT, ScanState.INCOMPLETE: Exit.INCONCLUSIVE}


def run_scan(args: argparse.Namespace) -> Exit:
    """One scan. Raises KubeError and UsageProblem."""
    _check(args)
    accepted = read_baseline(args.baseline) if args.baseline else frozenset()
    with Session.open(kube_flags(args), interactive=sys.stdin.isatty()) as session:
        for warning in session.warnings:
            say(f"warning: {warning}")
        flags = cluster_flags(args, session.context)
        everywhere = args.all_namespaces
        namespace = "" if everywhere else getattr(args, "namespace", None) or session.namespace or "default"
        began = time.monotonic()
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        scope = Scope(namespace, now, flags, lambda question: _verify(question, everywhere, flags))
        line = Line()
        reader = BulkReader(
            session,
            getattr(args, "timeout", DEFAULT_TIMEOUT) or 86_400.0,
            lambda resource, number: line.show(f"reading: {number} {resource.partition('.')[0]}"),
        )
        try:
            with ending_on_signals():
                result = scan(
                    reader, scope, accepted, on_progress=lambda done, total: line.show(f"judging: {done} of {total}")
                )
        finally:
            line.clear()
        _raise_if_never_reached(session, result)
        cost = {"id": secrets.token_hex(4), "seconds": round(time.monotonic() - began, 3)}
        versions = (("kubectl-netdebug", __version__),)
        result = counted(result, {**cost, "api_calls": len(session.calls), "versions": versions})
    return _report(args, result)


def _report(args: argparse.Namespace, result: ScanResult) -> Exit:
    if args.write_baseline:
        write_baseline(args.write_baseline, (finding.mark for finding in result.findings))
        say(f"{len(result.findings)} findings are accepted from now on: {args.write_baseline}")
    write(drawn(result, args))
    if args.write_baseline and result.state is ScanState.FINDINGS:
        return Exit.HEALTHY
    return _EXITS[result.state]


def drawn(result: ScanResult, args: argparse.Namespace) -> str:
    """The result in the format that was asked for."""
    form = getattr(args, "output", "text")
    if form in ("json", "yaml"):
        from kubectl_netdebug.report.scan_data import as_json, as_yaml

        return as_json(result) if form == "json" else as_yaml(result)
    if form == "markdown":
        from kubectl_netdebug.report.scan_markdown import as_markdown

        return as_markdown(result)
    if form == "junit":
        from kubectl_netdebug.report.junit import as_junit

        return as_junit(result)
    if form == "sarif":
        from kubectl_netdebug.report.sarif import as_sarif

        return as_sarif(result)
    from kubectl_netdebug.report.scan_text import render

    return render(result, style_for(args), wide=form == "wide")


def _check(args: argparse.Namespace) -> None:
    if args.all_namespaces and getattr(args, "namespace", None):
        raise UsageProblem("-A and -n contradict each other: scan one namespace, or all of them")
    if getattr(args, "probe", "never") == "always" or getattr(args, "allow", None):
        raise UsageProblem("a scan reads configuration alone: it takes neither --probe always nor --allow")
    if hasattr(args, "record"):
        raise UsageProblem("a scan is not recorded: ask about one object with --record")
    if args.write_baseline:
        check_writable(args.write_baseline)


def _verify(question: Question, everywhere: bool, flags: tuple[str, ...]) -> str:
    """A question about the object itself where there is one to ask, else the same scan."""
    if question.flow in (FlowName.SERVICE, FlowName.NODE) or question.ingress or question.gateway:
        return verify_command(question, flags)
    import shlex

    where = ("-A",) if everywhere else ("-n", question.namespace)
    return shlex.join(("kubectl", "netdebug", "scan", *where, *flags))


def _raise_if_never_reached(session: Session, result: ScanResult) -> None:
    """Where no call ever got through, the cluster is the answer."""
    if any(call.status and call.status != 401 for call in session.calls) or not session.calls:
        return
    if all(call.status == 401 for call in session.calls):
        raise CredentialProblem(f"The API server {session.server} does not accept your credentials.")
    why = next((each.line.why for each in result.unknown), "no answer")
    raise Unreachable("connect-timeout", why)
