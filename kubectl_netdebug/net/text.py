"""Makes text that came from outside safe to print: visible substitutes for everything that steers a terminal.

Whoever can write an annotation, an event message or a file in a Pod can write escape sequences, and a
terminal obeys them. Nothing here removes information: a control character becomes its picture (ESC is shown
as U+241B), an invisible or direction-changing character becomes `\\u{202E}`.
"""

from __future__ import annotations

import re
from typing import Any

# Everything but the characters that are harmless on a terminal. Newline and tab stay.
_HOSTILE_CLASS = (
    "\x00-\x08\x0b-\x1f\x7f"  # C0 without tab and newline, DEL
    "\x80-\x9f"  # C1: one-byte CSI and OSC among them
    "\xad\u061c\u180e"  # soft hyphen, Arabic letter mark, Mongolian vowel separator
    "\u200b-\u200f"  # zero width, direction marks
    "\u2028\u2029"  # line and paragraph separator
    "\u202a-\u202e\u2060-\u206f"  # bidi embeddings, overrides and isolates; word joiner, invisible operators
    "\ufeff\ufff9-\ufffb"  # byte order mark, interlinear annotation
    "\ud800-\udfff"  # lone surrogates: cannot be encoded, so printing them raises
    "\U000e0000-\U000e007f"  # tags: an invisible alphabet
)
HOSTILE = re.compile(f"[{_HOSTILE_CLASS}]")

CUT_MARK = "…"
_DEL = 0x7F
_PICTURE_OF_NUL = 0x2400
_PICTURE_OF_DEL = "\u2421"


def _substitute(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(_PICTURE_OF_NUL + code)
    if code == _DEL:
        return _PICTURE_OF_DEL
    return f"\\u{{{code:04X}}}"


def sanitise(text: str, most: int = 10_000) -> str:
    """`text` with visible substitutes for control and invisible characters, at most `most` characters long.

    Newline and tab stay. Text that was too long ends with an ellipsis.
    """
    # Substitutes are never shorter than what they replace, so what lies beyond `most` cannot come back.
    shown = text if len(text) <= most else text[: most + 1]
    if HOSTILE.search(shown) is not None:
        shown = HOSTILE.sub(_substitute, shown)
    if len(shown) <= most:
        return shown
    return shown[: max(most - len(CUT_MARK), 0)] + CUT_MARK[:most]


def sanitise_json(value: Any, most: int = 1_000_000) -> Any:
    """A copy of a JSON value with every string and every key sanitised; numbers, booleans and null stay.

    Works without recursion, so depth is bound by memory alone; each string is at most `most` characters long.
    """
    holder: list[Any] = [value]
    pending: list[dict[Any, Any] | list[Any]] = [holder]

    def copied(item: Any) -> Any:
        if isinstance(item, str):
            return sanitise(item, most)
        if isinstance(item, (dict, list)):
            twin = item.copy()
            pending.append(twin)
            return twin
        return item

    while pending:
        container = pending.pop()
        if isinstance(container, list):
            container[:] = [copied(item) for item in container]
        else:
            entries = list(container.items())
            container.clear()
            container.update((copied(key), copied(item)) for key, item in entries)
    return holder[0]
