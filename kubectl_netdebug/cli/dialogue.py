"""Questions to a person, a line each: numbered choices with a default, on any terminal or pipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kubectl_netdebug.cli.exits import UsageProblem
from kubectl_netdebug.net.text import sanitise

MOST_CHOICES = 12
"""Choices that are listed; more can be typed."""

MOST_TRIES = 3


@dataclass(frozen=True)
class Choice:
    """One line of a list: what is shown, and the word that it stands for."""

    word: str
    shown: str


class Dialogue:
    """Asks by `say` (a line to standard error); `read` shows a prompt and gives a line, None at the end of input."""

    def __init__(self, say: Callable[[str], None], read: Callable[[str], str | None]) -> None:
        self.say = say
        self._read = read

    def choose(self, question: str, choices: Sequence[Choice], default: str, *, free: str = "") -> str:
        """A word of the list, or with `free` (what may be typed) any other. Raises UsageProblem at the end of input."""
        self.say("")
        self.say(question)
        for number, choice in enumerate(choices[:MOST_CHOICES], 1):
            self.say(f"  {number:>2}  {choice.shown}{'   (default)' if choice.word == default else ''}")
        if len(choices) > MOST_CHOICES:
            self.say(f"      … and {len(choices) - MOST_CHOICES} more: type the name")
        known = {choice.word for choice in choices}
        for _ in range(MOST_TRIES):
            typed = self._line(free)
            if not typed:
                return default
            if typed.isdecimal() and 0 < int(typed[:4]) <= min(len(choices), MOST_CHOICES):
                return choices[int(typed[:4]) - 1].word
            if typed in known or (free and not typed.isdecimal()):
                return typed
            self.say(f"  {sanitise(typed, 40)!r} is not in the list: type a number, or nothing for the default.")
        raise UsageProblem("three answers that fit no question; see kubectl netdebug --help")

    def text(self, question: str, hint: str) -> str:
        """What the person typed, '' for nothing."""
        self.say("")
        self.say(question)
        return self._line(hint)

    def _line(self, hint: str) -> str:
        if hint:
            self.say(f"  ({hint})")
        line = self._read("> ")
        if line is None:
            raise UsageProblem("no more answers; ask in one line, for example: kubectl netdebug service NAME")
        return line.strip()
