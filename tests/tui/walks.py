"""Walks of a person from the first screen to cause and fix, by key presses at a terminal, each with its transcript.

`python -m tests.tui.walks [CASE ...]` walks on the recordings of tests/cases and writes tests/tui/walks/CASE.txt, which
the tests compare. `python -m tests.tui.walks --cluster NAME [CASE ...]` injects each case into a cluster of the
laboratory that is up, walks there with the real plugin, writes tests/tui/walks/laboratory/CASE.txt and repairs. The
cases are the ids of tests/faults/cases; without one, all of `CASES` that the cluster can carry.

Only the question of a case is known here; which keys it takes follows from it.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kubectl_netdebug.cli.diagnose import verify_command
from tests.tui.stage import recording
from tests.tui.terminal import Display

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent / "walks"
PAGE = ROOT / "docs" / "walk.md"
TOLD = "loopback-bind"
"""The walk that the page tells."""
MOST_KEYS = 8
"""Presses beside the typing of names."""

CASES = (
    "service-selector-mismatch",
    "loopback-bind",
    "outside-not-masqueraded",
    "outside-no-default-route",
    "dns-corefile-invalid",
    "dns-custom-override",
    "api-rbac-403",
    "api-token-missing",
    "pods-crash",
    "self-hairpin-off",
    "ingress-backend-missing",
    "ingress-no-class",
    "node-ip-forward-off-asked",
    "node-foreign-drop-asked",
)
ASKED = ("From which Pod?", "To which Service?", "To which port?", "To what?", "Which name?", "Which node?")
CONSENT = "This needs your consent"
OVER = re.compile(r"(faulty|partial|healthy|inconclusive|no result)\s*$")
TIME = re.compile(r"\s+\d+\.\d s  (?=\S)")


@dataclass(frozen=True)
class Plan:
    """What a person knows: what is broken (the number on the first screen), and the names that are asked for."""

    situation: str
    names: tuple[str, ...]
    nodes: bool
    """Whether looking at nodes is allowed when it is asked for."""


def plan_for(command: str, *, nodes: bool) -> Plan:
    """From the words of a question, as in `kubectl netdebug path deploy/web self -n shop`."""
    words = shlex.split(command)
    words = words[words.index("netdebug") + 1 :] if "netdebug" in words else words
    flow, *names = words[: words.index("-n")] if "-n" in words else words
    if flow == "path":
        source, target = names
        if source == "outside":
            return Plan("1", (target,), nodes)
        if target == "self":
            return Plan("4", (source,), nodes)
        inside = target.startswith(("svc/", "pod/"))
        return Plan("2" if inside else "3", (source, target), nodes)
    return Plan({"dns": "5", "api": "6", "node": "7", "service": "9"}[flow], tuple(names), nodes)


@dataclass
class Walk:
    """What was pressed and seen."""

    presses: int = 0
    told: list[str] = field(default_factory=list)

    def press(self, display: Display, key: str, called: str) -> None:
        """One press that counts."""
        self.presses += 1
        self.told.append(f">>> {called}")
        display.type(key)

    def type(self, display: Display, name: str) -> None:
        """A name, which does not count."""
        self.told.append(f">>> types {name}")
        display.type(name)

    def note(self, display: Display) -> None:
        """The screen as it stands."""
        self.told.append(still(display.text))

    @property
    def transcript(self) -> str:
        """All of it."""
        return "\n\n".join([*self.told, f"{self.presses} key presses beside the typing of names", ""])


def still(text: str) -> str:
    """A screen without what differs each time, how long a run took, and without its empty part."""
    lines = "\n".join(line.rstrip() for line in TIME.sub("  ", text).splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines)


def outline(transcript: str) -> tuple[list[str], str]:
    """The keys of a walk and its last page: what stays the same however a run's answers and the frames interleave."""
    keys = [line for line in transcript.splitlines() if line.startswith(">>> ")]
    return keys, transcript.rpartition(">>> ")[2]


def walk(display: Display, plan: Plan) -> Walk:
    """From the first screen to the fix; the walk is left at the page that shows it."""
    walked = Walk()
    display.until(lambda: "What is broken?" in display.text and "looking" not in display.text, "the first screen")
    display.settle()
    walked.note(display)
    walked.press(display, plan.situation, plan.situation)
    names = list(plan.names)
    before = ""
    while (before := _next(display, before)) != "over":
        stands = before
        if stands.startswith(CONSENT):
            walked.told.append(_consent(display))
            yes = plan.nodes or "privileged Pod" not in stands
            walked.press(display, "y" if yes else "n", "y" if yes else "n")
            continue
        if names and stands != "To which port?":
            name = names.pop(0)
            walked.type(display, name)
            display.sees(name)
            display.settle()
        walked.note(display)
        walked.press(display, "\r", "enter")
    walked.note(display)
    walked.press(display, "c", "c")
    display.sees("The fix", "esc back  c copy")
    display.settle()
    walked.note(display)
    return walked


def _next(display: Display, before: str) -> str:
    """Waits for what comes after that."""
    display.until(lambda: _stands(display, before) is not None, "the next question or the verdict")
    display.settle()
    stands = _stands(display, before)
    assert stands is not None
    return stands


def _stands(display: Display, before: str) -> str | None:
    """What the screen asks for, where that is not what it asked before; `over` when the verdict is there."""
    text = display.text
    if CONSENT in text:
        found = _consent(display)
        return found if found != before else None
    if OVER.search(display.lines[0]):
        return "over"
    asked = next((each for each in ASKED if each in text), None)
    return asked if asked != before else None


def _consent(display: Display) -> str:
    """The question of the dialog in one line, without the Pod that it happens to name first."""
    lines = [line[line.index("│") + 1 : line.rindex("│")] for line in display.lines if line.count("│") >= 2]
    words = " ".join(" ".join(lines).split())
    named_first = re.sub(r"(connect from Pod|look at node) [^\s,]+", r"\1 …", words)
    return named_first.partition(" Yes, do it")[0].strip("▔▁ ")


def page(walked: Walk) -> str:
    """A walk as a page of the documentation."""
    told = []
    for each in walked.told:
        if each.startswith(">>> "):
            told.append(f"**{each.removeprefix('>>> ')}**")
        elif each.startswith(CONSENT):
            told.append(f"> {each}")
        else:
            told.append(f"```text\n{each.strip(chr(10))}\n```")
    head = (
        "# A walk\n\nMade by `python -m tests.tui.walks`: the app at a terminal of 100 columns, on the recording of a\n"
        "real cluster with a fault in it. What is pressed stands in bold.\n"
    )
    foot = f"{walked.presses} key presses beside the typing of a name, from the first screen to the command.\n"
    return "\n\n".join([head.rstrip(), *told, foot])


def walk_recorded(name: str, home: Path) -> Walk:
    """The walk of a recorded case."""
    recorded = recording(name)
    nodes = any(type(key).__name__ in ("NodeText", "NodeMoved") for key in recorded.facts)
    plan = plan_for(verify_command(recorded.question, ()), nodes=nodes)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C.UTF-8",
        "NETDEBUG_SETTINGS": str(home / "settings.json"),
    }
    with Display([sys.executable, "-m", "tests.tui.recorded_app", name], env, home, (100, 30)) as display:
        walked = walk(display, plan)
        display.type("\x11")
        display.ends()
    return walked


def walk_live(cluster: str, name: str) -> Walk:
    """The walk of a case that is injected into a cluster of the laboratory, and repaired afterwards."""
    from tests.faults import execute
    from tests.faults.case import draw, fill, load
    from tests.faults.laboratory import Lab
    from tests.lab.laboratory import person
    from tests.lab.laboratory.paths import Home

    lab = Lab(cluster)
    case = next(case for case in load() if case.id == name)
    names = draw(case, random.SystemRandom().randint(1, 10**6), lab.nodes())
    try:
        execute._prepare(lab, case, names)
        plan = plan_for(fill(case.question, names), nodes=case.allow == "node")
        argv, variables = person.command(Home.find(), cluster, ["kubectl", "netdebug", "-n", names["ns"]])
        with tempfile.TemporaryDirectory() as home:
            env: Mapping[str, str] = {**variables, "NETDEBUG_SETTINGS": f"{home}/settings.json", "LC_ALL": "C.UTF-8"}
            with Display(argv, {**env, "TERM": "xterm-256color"}, ROOT, (100, 30)) as display:
                walked = walk(display, plan)
                display.type("\x11")
                display.ends()
        assert case.expect.code is not None
        assert case.expect.code in walked.transcript, walked.transcript
    finally:
        execute._clean_up(lab, case, names)
    return walked


def main(words: Sequence[str] | None = None) -> int:
    """Exit 0 when every walk came to its end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cluster", default="")
    parser.add_argument("cases", nargs="*", default=CASES)
    args = parser.parse_args(words)
    folder = FOLDER / "laboratory" if args.cluster else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in args.cases:
        try:
            with tempfile.TemporaryDirectory() as home:
                walked = walk_live(args.cluster, name) if args.cluster else walk_recorded(name, Path(home))
        except AssertionError as problem:
            failed += 1
            print(f"FAIL {name}: {problem}", flush=True)
            continue
        (folder / f"{name}.txt").write_text(walked.transcript, encoding="utf-8")
        if name == TOLD and not args.cluster:
            PAGE.write_text(page(walked), encoding="utf-8")
        print(f"ok   {name}: {walked.presses} presses", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
