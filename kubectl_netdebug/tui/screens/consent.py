"""Asks before anything is made in the cluster: what, for how long, with which right."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button

from kubectl_netdebug.tui.screens.base import Dialog
from kubectl_netdebug.tui.widgets import Words
from kubectl_netdebug.tui.words import FAINT, STRONG, Line, Part, sanitised_lines


class ConsentScreen(Dialog[bool]):
    """Yes or no; Esc is no."""

    HELP = "y allows it for this run, n goes on without. Nothing is made before you say yes."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes", id="consent.yes"),
        Binding("n,escape", "answer(False)", "no", id="consent.no"),
        Binding("left,right,h,l", "other", show=False, id="consent.other"),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical(id="consent-box"):
            yield Words(id="consent-words")
            with Horizontal(id="consent-buttons"):
                yield Button("Yes, do it (y)", id="yes", variant="primary")
                yield Button("No, without it (n)", id="no")

    def on_mount(self) -> None:
        """The careful answer has the focus: Enter alone makes nothing."""
        self._draw()
        self.query_one("#no", Button).focus()

    def resized(self) -> None:
        """Wraps anew."""
        self._draw()

    def _draw(self) -> None:
        width = max(20, min(76, self.size.width - 8))
        head: list[Line] = [(Part("This needs your consent", STRONG),), ()]
        foot: list[Line] = [(), (Part("The answer holds for this run.", FAINT),)]
        self.query_one("#consent-words", Words).show([*head, *sanitised_lines(self._text, width), *foot])

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """With the mouse, or Enter."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """By key."""
        self.dismiss(yes)

    def action_other(self) -> None:
        """To the other button."""
        self.focus_next()
