"""A page of text over the screen: explanations, transcripts, help, a command to copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer

from kubectl_netdebug.tui.host import host
from kubectl_netdebug.tui.screens.base import Dialog
from kubectl_netdebug.tui.widgets import Pane, Words
from kubectl_netdebug.tui.words import ACCENT, Line, Part, cut


class TextScreen(Dialog[None]):
    """Shows lines, made for the width that there is; any way back closes it."""

    HELP = "Arrows, j and k scroll; Esc goes back."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,h,left,b,enter", "dismiss", "back", id="text.back", key_display="esc"),
        Binding("c", "copy", "copy", id="text.copy"),
    ]

    def __init__(self, title: str, make: Callable[[int], list[Line]], *, to_copy: str = "") -> None:
        super().__init__()
        self._title = title
        self._make = make
        self._to_copy = to_copy

    def compose(self) -> ComposeResult:
        yield Words(id="text-title")
        with Pane(id="text-pane"):
            yield Words(id="text-words")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Draws, and is ready to be scrolled."""
        self.query_one(Pane).focus()
        self._draw()

    def resized(self) -> None:
        """Wraps anew."""
        self._draw()

    def _draw(self) -> None:
        width = max(20, self.size.width - 4)
        self.query_one("#text-title", Words).show([(Part(cut(self._title, width), f"bold {ACCENT}"),)])
        self.query_one("#text-words", Words).show(self._make(width))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Copying is offered where there is something to copy."""
        return bool(self._to_copy) if action == "copy" else True

    def action_copy(self) -> None:
        """The text that this page is about."""
        host(self).copy(self._to_copy)
