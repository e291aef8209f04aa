"""Writes what is made from data: `docs/causes/`, a page for each cause, the texts that `explain` reads, and the pages
of `tests.pages`: the whole catalogue, the decision trees, the permissions.

python -m tests.docs            write the pages
python -m tests.docs --check    exit 1 and name what differs; write nothing
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from kubectl_netdebug.causes.catalogue import explanations
from kubectl_netdebug.model.finding import Cause
from tests.faults.case import Case, load
from tests.pages import catalogue as whole
from tests.pages import permissions, tree

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "causes"
TEXTS = Path(__file__).resolve().parent.parent / "kubectl_netdebug" / "cli" / "catalogue.json"
INDEX = "README.md"
GENERATED = "<!-- Written by `make docs` from the catalogue; edit the cause, not this page. -->"
MADE = "<!-- Written by `make docs`; edit the data it is made from, not this page. -->"


def made() -> dict[str, str]:
    """The text of every page beside `causes/` that is made from data, by its file name."""
    pages = {"catalogue.md": whole.page(), "decision-tree.md": tree.page(), "permissions.md": permissions.page()}
    return {name: f"{MADE}\n\n{text}" for name, text in pages.items()}


def pages() -> dict[str, str]:
    """The text of every page by its file name, the index among them."""
    hops: dict[str, list[str]] = {}
    catalogue: dict[str, Cause] = {}
    for explanation in explanations():
        code = explanation.cause.code
        catalogue[code] = explanation.cause
        if explanation.hop.value not in hops.setdefault(code, []):
            hops[code].append(explanation.hop.value)
    cases = load()
    rows = {row.code: row for row in whole.rows(catalogue)}
    written = {
        f"{code}.md": _page(cause, hops[code], cases, rows[code], catalogue) for code, cause in catalogue.items()
    }
    return {INDEX: _index(catalogue, hops), **written}


def _index(catalogue: Mapping[str, Cause], hops: Mapping[str, list[str]]) -> str:
    lines = [
        GENERATED,
        "",
        "# Causes",
        "",
        "Every cause that `kubectl netdebug` can name, in the order of the path. `kubectl netdebug explain CODE`",
        "prints the same in a terminal.",
        "",
        "| code | what is wrong | hop |",
        "|---|---|---|",
        *(
            f"| [{code}]({code}.md) | {_cell(cause.title)} | {', '.join(hops[code])} |"
            for code, cause in catalogue.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def _page(cause: Cause, hops: list[str], cases: list[Case], row: whole.Row, catalogue: Mapping[str, Cause]) -> str:
    lines = [GENERATED, "", f"# {cause.title}", "", f"`{cause.code}` · hop: {', '.join(hops)}"]
    for heading, text in (
        ("What you see", cause.symptom),
        ("What it means", cause.means_plainly),
        ("How it is told apart", cause.apart),
        ("How to mend it", cause.mend),
    ):
        lines += ["", f"## {heading}", "", _prose(text)]
    if cause.explains:
        lines += ["", "## What it explains", "", "Where these are found too, they are its consequences:", ""]
        lines += [f"- {_link(code, catalogue)}" for code in cause.explains]
    lines += _proof(cause.code, cases, row)
    return "\n".join(lines) + "\n"


def _proof(code: str, cases: list[Case], row: whole.Row) -> list[str]:
    injected = [case for case in cases if case.kind == "fault" and case.expect.code == code]
    quiet = [case for case in cases if case.row == code and case not in injected]
    lines = ["", "## How it was tested", "", f"{row.state[0].upper()}{row.state[1:]}: {_prose(row.why)}.", ""]
    lines += [f"- named in `{case.id}`: {_prose(case.title)}" for case in injected]
    lines += [f"- not named in `{case.id}` ({case.kind}): {_prose(case.title)}" for case in quiet]
    if injected and not quiet:
        lines.append(
            "- told apart by the faults of all other causes, none of which may name it; it has no twin of its own"
        )
    return lines if lines[-1] else lines[:-1]


def _link(code: str, catalogue: Mapping[str, Cause]) -> str:
    cause = catalogue.get(code)
    return f"[{code}]({code}.md): {_prose(cause.title)}" if cause else f"`{code}`"


def _prose(text: str) -> str:
    """Placeholders such as `<service>` must not be taken for HTML."""
    return text.replace("<", "\\<")


def _cell(text: str) -> str:
    return _prose(text).replace("|", "\\|")


def texts() -> str:
    """The catalogue's texts as JSON, for `explain`: importing every cause takes longer than that command may."""
    catalogue = {each.cause.code: each.cause for each in explanations()}
    data = {
        code: {
            "title": cause.title,
            "symptom": cause.symptom,
            "means": cause.means_plainly,
            "apart": cause.apart,
            "mend": cause.mend,
            "explains": list(cause.explains),
        }
        for code, cause in catalogue.items()
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def differences(folder: Path = FOLDER, catalogue: Path = TEXTS) -> list[str]:
    """What is missing, out of date or left over, a line each."""
    wanted = pages()
    present = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    missing = [f"{name} is missing" for name in wanted.keys() - present.keys()]
    left_over = [f"{name} belongs to no cause" for name in present.keys() - wanted.keys()]
    old = [f"{name} is out of date" for name in wanted.keys() & present.keys() if wanted[name] != present[name]]
    if not catalogue.exists() or catalogue.read_text(encoding="utf-8") != texts():
        old.append(f"{catalogue.name} is out of date")
    for name, text in made().items():
        path = folder.parent / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            old.append(f"{name} is out of date")
    return sorted(missing + left_over + old)


def write(folder: Path = FOLDER, catalogue: Path = TEXTS) -> None:
    """Makes the folder hold exactly the pages, and the catalogue the texts."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for path in folder.glob("*.md"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")
    catalogue.write_text(texts(), encoding="utf-8")
    for name, text in made().items():
        (folder.parent / name).write_text(text, encoding="utf-8")


def main(argv: list[str]) -> int:
    """Exit code 0, or 1 where `--check` finds differences."""
    if argv != ["--check"]:
        write()
        return 0
    found = differences()
    for line in found:
        print(f"docs/causes: {line}")
    if found:
        print("run: make docs")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
