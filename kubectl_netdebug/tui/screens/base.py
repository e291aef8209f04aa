"""What every screen of this app has: it keeps to the size that the terminal has now."""

from __future__ import annotations

from typing import TypeVar

from textual.command import CommandPalette
from textual.events import Resize
from textual.screen import ModalScreen, Screen

Answer = TypeVar("Answer")


def bring_up_to_date(screen: Screen[Answer], event: Resize) -> None:
    """Makes a resize speak of the size that the terminal has now.

    A screen tells itself of each size that it was laid out for, and of two such messages in a row Textual keeps the
    later. With two sizes under way at once, a screen would be laid out for one, hear of the other, and go on between
    them for ever with no key ever read; or the older one would win.
    """
    event.size = event.virtual_size = event.container_size = screen.app.size


class Page(Screen[Answer]):
    """A screen of its own. What has to be done for another size goes into `resized`."""

    def on_resize(self, event: Resize) -> None:
        """Another size of the terminal."""
        bring_up_to_date(self, event)
        self.resized()

    def resized(self) -> None:
        """Wraps anew."""


class Dialog(ModalScreen[Answer]):
    """The same, over another screen."""

    def on_resize(self, event: Resize) -> None:
        """Another size of the terminal."""
        bring_up_to_date(self, event)
        self.resized()

    def resized(self) -> None:
        """Wraps anew."""


class Palette(CommandPalette):
    """The command palette, in the same way."""

    def on_resize(self, event: Resize) -> None:
        """Another size of the terminal."""
        bring_up_to_date(self, event)
