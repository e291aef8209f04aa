"""Scaffolds a cause: its words and function, a fault with a healthy twin, and what is left to do.

python -m tests.newcause CODE [FAMILY] [HOP]      (make new-cause CODE=… FAMILY=… HOP=…)

What it writes is complete in form and empty in substance: until every TODO is filled, `make test` fails and says which.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from kubectl_netdebug.model.hop import Hop

ROOT = Path(__file__).resolve().parent.parent
IMPORTS = (
    "from kubectl_netdebug.causes import asks",
    "from kubectl_netdebug.causes.registry import explains",
    "from kubectl_netdebug.model.finding import Cause, Finding",
    "from kubectl_netdebug.model.hop import Hop",
    "from kubectl_netdebug.model.look import Look",
    "from kubectl_netdebug.model.question import Question",
)


class Refused(ValueError):
    """What was asked for cannot be scaffolded; says why."""


@dataclass(frozen=True)
class Wanted:
    """A cause to be scaffolded."""

    code: str
    family: str
    hop: Hop

    @property
    def constant(self) -> str:
        """The name of the Cause."""
        return self.code.replace("-", "_").upper()

    @property
    def function(self) -> str:
        """The name of its function."""
        return self.code.replace("-", "_")


def wanted(code: str, family: str, hop: str, root: Path) -> Wanted:
    """What the words ask for, with defaults filled in. Raises Refused."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", code):
        raise Refused(f"CODE={code!r}: a code is two or more words in small letters, such as service-port-closed")
    family = family or code.partition("-")[0]
    if not re.fullmatch(r"[a-z][a-z0-9_]*", family):
        raise Refused(f"FAMILY={family!r} is no name of a module below kubectl_netdebug/causes")
    if hop and hop not in list(Hop):
        raise Refused(f"HOP={hop!r} is none of {', '.join(Hop)}")
    found = Wanted(code, family, Hop(hop or Hop.SERVICE))
    if any(f'"{code}"' in path.read_text(encoding="utf-8") for path in _causes(root).glob("*.py")):
        raise Refused(f"there is a cause {code} already")
    if _case_file(found, root).exists():
        raise Refused(f"{_case_file(found, root).relative_to(root)} is there already")
    path = _module(found, root)
    if path.exists() and "@explains(" not in path.read_text(encoding="utf-8"):
        raise Refused(f"FAMILY={family}: {path.relative_to(root)} is a helper of the families and declares no causes")
    return found


def scaffold(cause: Wanted, root: Path) -> list[Path]:
    """Writes the skeletons; returns the files that were made or changed."""
    module = _module(cause, root)
    changed = [module, _case_file(cause, root)]
    if module.exists():
        text = module.read_text(encoding="utf-8")
        module.write_text(_imported(text).rstrip("\n") + "\n\n\n" + _skeleton(cause), encoding="utf-8")
    else:
        module.write_text(_new_module(cause), encoding="utf-8")
        changed.append(_declared(cause, root))
    _case_file(cause, root).write_text(_cases(cause), encoding="utf-8")
    return changed


def _causes(root: Path) -> Path:
    return root / "kubectl_netdebug" / "causes"


def _module(cause: Wanted, root: Path) -> Path:
    return _causes(root) / f"{cause.family}.py"


def _case_file(cause: Wanted, root: Path) -> Path:
    return root / "tests" / "faults" / "cases" / f"{cause.code}.yaml"


def _imported(text: str) -> str:
    """The module with the names that the skeleton uses; `make format` puts them in order."""
    tree = ast.parse(text)
    there = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    have = {(node.module, name.name) for node in there for name in node.names}
    missing = [line for line in IMPORTS if not _names(line) <= have]
    lines = text.split("\n")
    place = max((node.end_lineno or 0 for node in there), default=1)
    return "\n".join([*lines[:place], *missing, *lines[place:]])


def _names(line: str) -> set[tuple[str | None, str]]:
    (node,) = ast.parse(line).body
    assert isinstance(node, ast.ImportFrom)
    return {(node.module, name.name) for name in node.names}


def _new_module(cause: Wanted) -> str:
    imports = "\n".join(IMPORTS)
    heading = '"""TODO: what the causes of this family have in common."""'
    return f"{heading}\n\nfrom __future__ import annotations\n\n{imports}\n\n{_skeleton(cause)}"


def _declared(cause: Wanted, root: Path) -> Path:
    catalogue = _causes(root) / "catalogue.py"
    text = catalogue.read_text(encoding="utf-8")
    catalogue.write_text(text.replace("\n)\n", f'\n    "{cause.family}",\n)\n', 1), encoding="utf-8")
    return catalogue


def _skeleton(cause: Wanted) -> str:
    return dedent(
        f'''\
        {cause.constant} = Cause(
            code="{cause.code}",
            title="TODO: what is wrong, in a few words",
            says="TODO: the sentence of a verdict about {{service}}, with values.",
            means="TODO: what follows from it for the traffic.",
            symptom="TODO: what a person sees who does not know the cause.",
            apart="TODO: which look-alikes there are, and which observation tells it from each.",
            mend="TODO: how it is mended, and kept from coming back.",
        )


        @explains(Hop.{cause.hop.name}, {cause.constant})
        def {cause.function}(look: Look, asked: Question) -> Finding | None:
            """TODO: what proves it."""
            service = look(asks.the_service(asked))
            proved = False  # TODO: ask for facts that prove it and exclude what looks alike
            if service is None or not proved:
                return None
            return {cause.constant}.confirmed(
                at=service.field("TODO: the field to mend"),
                service=service.name,
                saw="TODO: the observation",
            )
        '''
    )


def _cases(cause: Wanted) -> str:
    return dedent(
        f"""\
        # The format stands in tests/faults/case.py, examples in the files around. What is seen on a node also has
        # `allow: node` and, where the injection changes the node, `touches: node`, and asks
        # `node ${{node_a}}` or by a path.
        id: {cause.code}
        row: {cause.code}
        kind: fault
        title: "TODO: what is broken here, and how"
        setup:
          - app: {{}}
        inject:
          - sh: "false # TODO: break it; the next line waits until the break can be seen"
          - sh: kubectl -n ${{ns}} get service ${{svc}} -o name
            until: ${{svc}}
        question: service ${{svc}}:${{port}} -n ${{ns}}
        expect: {{state: faulty, code: {cause.code}, object: "Service/${{svc}}"}}
        ---
        id: {cause.code}-twin
        row: {cause.code}
        kind: twin
        title: "TODO: the same set-up, healthy in a way that looks like the fault"
        setup:
          - app: {{}}
        question: service ${{svc}}:${{port}} -n ${{ns}}
        expect: {{state: healthy}}
        """
    )


def _next_steps(cause: Wanted, changed: list[Path], root: Path) -> str:
    files = "".join(f"  {path.relative_to(root)}\n" for path in changed)
    return (
        f"Written:\n{files}\nNext:\n"
        f"1. Fill the TODOs in kubectl_netdebug/causes/{cause.family}.py (make format puts imports in order).\n"
        f"2. Fill the TODOs in tests/faults/cases/{cause.code}.yaml: the fault, and the twin that must stay healthy.\n"
        f"   Where it cannot be injected: give {cause.code} a reason in tests/faults/not-injected.yaml instead.\n"
        f"3. tests/lab/netlab up && make bench CASES='{cause.code}*'   both lines say ok; writes the recordings.\n"
        f"4. make docs   writes docs/causes/{cause.code}.md and the catalogue.\n"
        "5. make test   fails with the name of whatever is still missing.\n"
    )


def main(words: list[str], root: Path = ROOT) -> int:
    """Exit code 0, or 2 with the reason where nothing was written."""
    code, family, hop = (*words, "", "", "")[:3]
    if not code:
        print("usage: make new-cause CODE=words-with-dashes [FAMILY=module] [HOP=hop]", file=sys.stderr)
        return 2
    try:
        cause = wanted(code, family, hop, root)
    except Refused as problem:
        print(f"new-cause: {problem}", file=sys.stderr)
        return 2
    changed = scaffold(cause, root)
    print(_next_steps(cause, changed, root), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
