"""Colours, wrapping and what a terminal can show. Imports little: `explain` must not pay for results."""

from __future__ import annotations

import textwrap
from typing import NamedTuple

_COLOURS = {"✓": "32", "!": "33", "✗": "31", "?": "33", "–": "2", "E": "35"}

_ASCII = str.maketrans({"✓": "+", "✗": "x", "–": "-", "—": "-", "→": ">", "×": "x", "·": "*", "…": "...", "≠": "!="})


class Style(NamedTuple):
    """How to draw: width in columns, colours or not, and whether the output can show more than ASCII."""

    width: int = 80
    colour: bool = False
    ascii_only: bool = False

    def glyph(self, glyph: str) -> str:
        """A state's glyph in its colour."""
        code = _COLOURS.get(glyph)
        return f"\x1b[{code}m{glyph}\x1b[0m" if self.colour and code else glyph

    def strong(self, text: str) -> str:
        """The one thing to read first."""
        return f"\x1b[1m{text}\x1b[0m" if self.colour else text

    def faint(self, text: str) -> str:
        """What may be left unread."""
        return f"\x1b[2m{text}\x1b[0m" if self.colour else text

    def finish(self, text: str) -> str:
        """The text as this output can show it."""
        if not self.ascii_only:
            return text
        return text.translate(_ASCII).encode("ascii", "replace").decode()

    def labelled(self, label: str, text: str, *, indent: int = 2, hang: int = 9) -> list[str]:
        """A label and a paragraph beside it, wrapped to the width."""
        lead = " " * indent + label.ljust(hang - indent)
        rest = " " * hang
        lines = []
        for number, paragraph in enumerate(text.split("\n")):
            lines += textwrap.wrap(
                paragraph,
                self.width,
                initial_indent=rest if number else lead,
                subsequent_indent=rest,
                break_long_words=False,
                break_on_hyphens=False,
            ) or [rest]
        return lines
