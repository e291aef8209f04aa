"""`explain CODE`: what the catalogue knows.

The texts come from `catalogue.json`, which `make docs` writes from the causes: importing every cause would take several
times as long as the whole command may.
"""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from kubectl_netdebug.cli.exits import Exit, UsageProblem
from kubectl_netdebug.cli.output import style_for, write

TEXTS = os.path.join(os.path.dirname(__file__), "catalogue.json")


def explain(args: argparse.Namespace) -> Exit:
    """One code, or all of them. Raises UsageProblem for a code that does not exist."""
    with open(TEXTS, encoding="utf-8") as file:
        catalogue: dict[str, dict[str, Any]] = json.load(file)
    if args.list or not args.code:
        width = max(map(len, catalogue))
        write("".join(f"{code.ljust(width)}  {cause['title']}\n" for code, cause in catalogue.items()))
        return Exit.HEALTHY
    if args.code not in catalogue:
        raise UsageProblem(
            f"there is no code {args.code!r}{_closest(args.code, catalogue)}. See: kubectl netdebug explain --list"
        )
    style = style_for(args)
    cause = catalogue[args.code]
    lines = [style.strong(args.code), ""]
    for label, key in (("is", "title"), ("shows", "symptom"), ("means", "means"), ("apart", "apart"), ("fix", "mend")):
        lines += style.labelled(label, cause[key])
    if cause["explains"]:
        lines += style.labelled("so also", ", ".join(cause["explains"]))
    write(style.finish("\n".join(lines) + "\n"))
    return Exit.HEALTHY


def _closest(code: str, catalogue: dict[str, Any]) -> str:
    import difflib

    close = difflib.get_close_matches(code, catalogue, n=3, cutoff=0.4)
    return f"; closest: {', '.join(close)}" if close else ""
