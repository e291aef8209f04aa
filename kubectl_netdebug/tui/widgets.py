"""Widgets that show text as it is: no markup anywhere, so that a name with brackets or escapes is only a name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static

from kubectl_netdebug.tui.words import Line, harmless, width_of


def content(lines: Iterable[Line]) -> Content:
    """Styled lines as Textual draws them."""
    drawn = [Content.assemble(*((harmless(part.text), part.style) for part in line)) for line in lines]
    return Content("\n").join(drawn)


class Words(Static):
    """Lines of styled words; the only way in which this app shows text."""

    def __init__(self, lines: Iterable[Line] = (), *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        first = tuple(lines)
        super().__init__(content(first), id=id, markup=False)
        self._last = first

    def show(self, lines: Iterable[Line], *, at_least: int = 0) -> None:
        """Draws, unless nothing has changed; `at_least` fills up with empty lines.

        The screen is laid out anew only where the height changes: that costs ten times as much as drawing does.
        """
        wanted = tuple(lines)
        wanted += ((),) * (at_least - len(wanted))
        if wanted == self._last:
            return
        before, self._last = self._last, wanted
        self.update(content(wanted), layout=_height(before, self.size.width) != _height(wanted, self.size.width))


def _height(lines: tuple[Line, ...], width: int) -> int | tuple[Line, ...]:
    """What the height follows from: the number of lines, or what they say where one of them has to be broken."""
    return lines if any(width_of(line) > width for line in lines) else max(1, len(lines))


class Rows(OptionList):
    """A list that is walked with arrows or with vi's keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", show=False, id="list.down"),
        Binding("k", "cursor_up", show=False, id="list.up"),
        Binding("g", "first", show=False, id="list.first"),
        Binding("G", "last", show=False, id="list.last"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, markup=False)

    def turn(self, pages: int) -> None:
        """A screenful down, or up."""
        move: Callable[[], None] = self.action_page_down if pages > 0 else self.action_page_up
        move()


class Pane(VerticalScroll):
    """Something to read that may be longer than its place."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", show=False, id="pane.down"),
        Binding("k", "scroll_up", show=False, id="pane.up"),
        Binding("g", "scroll_home", show=False, id="pane.first"),
        Binding("G", "scroll_end", show=False, id="pane.last"),
    ]
