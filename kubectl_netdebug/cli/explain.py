"""`explain CODE`: what the catalogue knows."""

from __future__ import annotations

import argparse
import difflib

from kubectl_netdebug.causes.catalogue import by_code
from kubectl_netdebug.cli.exits import Exit, UsageProblem
from kubectl_netdebug.cli.output import style_for, write
from kubectl_netdebug.model.finding import Cause
from kubectl_netdebug.report.style import Style


def explain(args: argparse.Namespace) -> Exit:
    """One code, or all of them. Raises UsageProblem for a code that does not exist."""
    catalogue = by_code()
    if args.list or not args.code:
        width = max(map(len, catalogue))
        write("".join(f"{code.ljust(width)}  {cause.title}\n" for code, cause in catalogue.items()))
        return Exit.HEALTHY
    cause = catalogue.get(args.code)
    if cause is None:
        close = difflib.get_close_matches(args.code, catalogue, n=3, cutoff=0.4)
        hint = f"; closest: {', '.join(close)}" if close else ""
        raise UsageProblem(f"there is no code {args.code!r}{hint}. See: kubectl netdebug explain --list")
    write(_page(cause, style_for(args)))
    return Exit.HEALTHY


def _page(cause: Cause, style: Style) -> str:
    lines = [style.strong(cause.code), ""]
    for label, text in (
        ("is", cause.title),
        ("shows", cause.symptom),
        ("means", cause.means_plainly),
        ("apart", cause.apart),
        ("fix", cause.mend),
    ):
        lines += style.labelled(label, text)
    if cause.explains:
        lines += style.labelled("so also", ", ".join(cause.explains))
    return style.finish("\n".join(lines) + "\n")
