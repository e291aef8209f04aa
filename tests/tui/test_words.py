"""Cutting, wrapping and hostile strings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from kubectl_netdebug.net.text import HOSTILE
from kubectl_netdebug.tui.widgets import content
from kubectl_netdebug.tui.words import Part, cut, harmless, labelled, padded, plain, wrap

TEXT = st.text(alphabet=st.sampled_from("ab [/]$\\\x1b\x9b\x07\u202e漢字é\n\t-"), max_size=200)


@given(TEXT, st.integers(4, 60))
def test_no_line_is_wider_than_its_place(text: str, width: int) -> None:
    assert all(cell_len(line) <= width for line in wrap(harmless(text), width))
    assert cell_len(cut(harmless(text), width)) <= width
    assert cell_len(padded(harmless(text), width)) == width


@given(TEXT)
def test_nothing_is_lost_by_wrapping(text: str) -> None:
    words = harmless(text).replace(" ", "")
    assert "".join(wrap(harmless(text), 12)).replace(" ", "") == words


@given(TEXT)
def test_hostile_text_is_only_text(text: str) -> None:
    lines = labelled("Saw", text, 40)
    drawn = content(lines).plain

    assert not HOSTILE.search(drawn)
    assert drawn.count("[") == text.count("[")
    assert "Saw" in plain(lines)


def test_markup_is_shown_as_it_is() -> None:
    assert content([(Part("[bold]x[/nope] [@click=app.quit]y"),)]).plain == "[bold]x[/nope] [@click=app.quit]y"
