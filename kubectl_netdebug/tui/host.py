"""What screens may ask of the app; a screen knows no more of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from textual.dom import DOMNode

    from kubectl_netdebug.tui.screens.run import RunScreen
    from kubectl_netdebug.tui.settings import Remembered


class Host(Protocol):
    """The app."""

    opened: list[RunScreen]
    remembered: Remembered

    def tell(self, text: str) -> None:
        """A sentence at the edge, for some seconds."""

    def copy(self, text: str, *, quietly: bool = False) -> str:
        """To the clipboard; returns what can be said about it."""

    def ran(self, screen: RunScreen) -> None:
        """A run came to its end."""

    def go_back(self) -> None:
        """To the screen below."""


def host(node: DOMNode) -> Host:
    """The app that a screen or widget belongs to."""
    return cast("Host", node.app)
