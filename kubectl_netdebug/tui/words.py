"""Text with styles, before any widget: a line is a tuple of parts, a part is words and the name of their style.

Style names are those of Textual's themes. Everything is cut and wrapped by terminal cells, so that wide characters do
not break a column. Nothing here is ever read as markup.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from kubectl_netdebug.model.hop import State
from kubectl_netdebug.model.result import VerdictState
from kubectl_netdebug.net.text import sanitise


class Part(NamedTuple):
    """Some words in one style."""

    text: str
    style: str = ""


Line = tuple[Part, ...]

STRONG = "bold"
FAINT = "$text-muted"
ACCENT = "$accent"

STATE_STYLES = {
    State.PASS: "$text-success",
    State.WARN: "$text-warning",
    State.FAIL: "bold $text-error",
    State.SKIPPED: FAINT,
    State.UNKNOWN: "$text-warning",
    State.ERROR: "$text-warning",
}

VERDICT_STYLES = {
    VerdictState.HEALTHY: "bold $text-success",
    VerdictState.PARTIAL: "bold $text-warning",
    VerdictState.FAULTY: "bold $text-error",
    VerdictState.INCONCLUSIVE: "bold $text-warning",
}


def harmless(text: str, most: int = 10_000) -> str:
    """Text on one line that steers no terminal."""
    return " ".join(sanitise(text, most).split("\n")).replace("\t", " ")


def width_of(line: Line) -> int:
    """Cells that a line takes."""
    return sum(cell_len(part.text) for part in line)


def cut(text: str, width: int) -> str:
    """At most `width` cells of a text; an ellipsis says that there is more."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(0, width - 1)).rstrip() + "…" if width > 0 else ""


def padded(text: str, width: int) -> str:
    """Exactly `width` cells."""
    return set_cell_size(cut(text, width), max(0, width))


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells, broken at spaces where there are some; at least one."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            while True:
                joined = f"{line} {word}" if line else word
                if cell_len(joined) <= width:
                    line = joined
                    break
                if line:
                    lines.append(line)
                    line = ""
                    continue
                head, word = _broken(word, width)
                lines.append(head)
        lines.append(line)
    return lines


def _broken(word: str, width: int) -> tuple[str, str]:
    """A word that is longer than a line, in two."""
    taken = cells = 0
    for character in word:
        cells += cell_len(character)
        if cells > max(2, width):
            break
        taken += 1
    return word[:taken], word[taken:]


def labelled(label: str, text: str, width: int, *, style: str = "", hang: int = 9) -> list[Line]:
    """A label in the margin and a paragraph beside it."""
    room = max(10, width - hang)
    lines: list[Line] = []
    for number, words in enumerate(wrap(sanitise(text), room)):
        margin = padded(label, hang) if not number else " " * hang
        lines.append((Part(margin, FAINT), Part(words, style)))
    return lines


def plain(lines: Iterable[Line]) -> str:
    """The words alone."""
    return "\n".join("".join(part.text for part in line).rstrip() for line in lines)


def sanitised_lines(text: str, width: int, style: str = "") -> list[Line]:
    """A paragraph, wrapped."""
    return [(Part(words, style),) for words in wrap(sanitise(text), width)]
