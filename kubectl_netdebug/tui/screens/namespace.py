"""Another namespace: those that may be listed, or any name that is typed."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from kubectl_netdebug.model.hop import State
from kubectl_netdebug.tui.desk import Desk
from kubectl_netdebug.tui.outlook import Entry, narrowed
from kubectl_netdebug.tui.screens.base import Dialog
from kubectl_netdebug.tui.widgets import Rows, Words, content
from kubectl_netdebug.tui.words import FAINT, STATE_STYLES, STRONG, Line, Part, harmless, sanitised_lines

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class NamespaceScreen(Dialog[str]):
    """Ends with the name, or with none where the person goes back."""

    HELP = "Type a part of the name, or a whole one that is not in the list; enter goes there."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back", priority=True, id="namespace.back"),
        Binding("enter", "take", "go there", priority=True, id="namespace.take"),
        Binding("down", "move(1)", show=False, priority=True, id="namespace.down"),
        Binding("up", "move(-1)", show=False, priority=True, id="namespace.up"),
    ]

    @dataclass
    class Listed(Message):
        """The names are there, or the reason why they are not."""

        names: tuple[str, ...]
        problem: str

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._names: tuple[Entry, ...] = ()
        self._shown: list[Entry] = []
        self._said = "looking …"

    def compose(self) -> ComposeResult:
        with Vertical(id="namespace-box"):
            yield Words([(Part("Which namespace?", STRONG),)])
            yield Input(placeholder="type a part of its name", id="namespace-name", compact=True)
            yield Words(id="namespace-said")
            yield Rows(id="namespaces")
            yield Words([(Part("enter goes there · esc goes back", FAINT),)])

    def on_mount(self) -> None:
        """Lists on a thread; typing need not wait for it."""
        self.query_one(Rows).can_focus = False
        self.query_one(Input).focus()
        self._fill()
        threading.Thread(target=self._list, name="namespaces", daemon=True).start()

    def _list(self) -> None:
        try:
            listed = self.Listed(self._desk.namespaces(), "")
        except Exception as problem:  # whatever it is, a name can still be typed
            listed = self.Listed((), f"They cannot be listed ({problem}): type a whole name.")
        self.post_message(listed)

    @on(Listed)
    def _listed(self, event: Listed) -> None:
        self._names = tuple(Entry(name) for name in event.names)
        self._said = event.problem
        self._fill()

    @on(Input.Changed)
    def _typed(self) -> None:
        self._said = ""
        self._fill()

    def resized(self) -> None:
        """Wraps anew."""
        self._fill()

    def _fill(self) -> None:
        said: list[Line] = sanitised_lines(self._said, 60, STATE_STYLES[State.WARN]) if self._said else []
        self.query_one("#namespace-said", Words).show(said)
        self._shown = narrowed(self._names, self.query_one(Input).value)
        rows = self.query_one(Rows)
        rows.clear_options()
        rows.add_options([Option(content([(Part(harmless(each.word)),)])) for each in self._shown])
        rows.highlighted = 0 if self._shown else None

    def action_move(self, rows: int) -> None:
        """The keys of the list, while the name has the focus."""
        names = self.query_one(Rows)
        names.action_cursor_down() if rows > 0 else names.action_cursor_up()

    def action_leave(self) -> None:
        """Stays where we are."""
        self.dismiss(None)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._shown[event.option_index].word)

    def action_take(self) -> None:
        """The row under the cursor, else what was typed."""
        typed = self.query_one(Input).value.strip()
        at = self.query_one(Rows).highlighted
        if any(each.word == typed for each in self._names):
            self.dismiss(typed)
        elif at is not None and at < len(self._shown):
            self.dismiss(self._shown[at].word)
        elif _LABEL.fullmatch(typed):
            self.dismiss(typed)
        else:
            self._said = "That cannot be the name of a namespace." if typed else "Type a name first."
            self._fill()
