"""What is remembered between starts, each line to be changed by enter."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from kubectl_netdebug.tui import settings
from kubectl_netdebug.tui.host import host
from kubectl_netdebug.tui.screens.base import Dialog
from kubectl_netdebug.tui.settings import CONSENT, Remembered
from kubectl_netdebug.tui.widgets import Rows, Words, content
from kubectl_netdebug.tui.words import ACCENT, FAINT, STRONG, Line, Part, harmless, labelled, padded

IMAGES = {"image": "image of containers in Pods", "node_image": "image of Pods on nodes"}
CONSENTS = {"ask": "ask each time", "yes": "yes, without asking", "no": "never connect from Pods"}
WIDTH = 70


class SettingsScreen(Dialog[None]):
    """Theme, consent and images; where the keys are written."""

    HELP = "Enter changes the line under the cursor; what changes is written at once and holds from the next run on."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,comma", "leave", "back", id="settings.back", key_display="esc")
    ]

    def __init__(self, remembered: Remembered) -> None:
        super().__init__()
        self._remembered = remembered
        self._editing = ""

    def compose(self) -> ComposeResult:
        with Vertical(id="settings-box"):
            yield Words([(Part("Settings", STRONG),)])
            yield Rows(id="settings-rows")
            yield Input(id="settings-value", compact=True)
            yield Words(id="settings-where")

    def on_mount(self) -> None:
        """The first line has the cursor."""
        self._draw()
        self.query_one(Rows).highlighted = 0
        self._edit("")
        self.watch(self.app, "theme", self._draw, init=False)

    def resized(self) -> None:
        """Wraps anew."""
        self._draw()

    def _draw(self) -> None:
        rows = self.query_one(Rows)
        at = rows.highlighted
        rows.clear_options()
        rows.add_options([Option(content([line])) for line in self._lines()])
        rows.highlighted = at
        width = max(20, min(WIDTH, self.size.width - 8))
        where = labelled("Written", f"in {settings.place()}", width, style=FAINT)
        keys = labelled("Keys", 'are changed there: {"keys": {"run.again": "f6"}}', width, style=FAINT)
        keys += labelled("", f"{len(self._remembered.now.keys)} of them are", width, style=FAINT)
        foot: Line = (Part("enter changes · esc goes back", FAINT),)
        self.query_one("#settings-where", Words).show([(), *where, *keys, foot])

    def _lines(self) -> list[Line]:
        now = self._remembered.now
        values = [
            ("theme", self.app.theme),
            ("containers in Pods", CONSENTS[now.consent_pods]),
            *((name, getattr(now, field) or "the one that comes with the program") for field, name in IMAGES.items()),
        ]
        return [(Part(padded(name, 30), ACCENT), Part(harmless(value))) for name, value in values]

    @on(OptionList.OptionSelected)
    def _change(self, event: OptionList.OptionSelected) -> None:
        if event.option_index == 0:
            self.app.search_themes()
        elif event.option_index == 1:
            now = CONSENT.index(self._remembered.now.consent_pods)
            self._keep(consent_pods=CONSENT[(now + 1) % len(CONSENT)])
        else:
            self._edit(list(IMAGES)[event.option_index - 2])

    def _edit(self, field: str) -> None:
        self._editing = field
        value = self.query_one(Input)
        value.display = bool(field)
        if field:
            value.value = getattr(self._remembered.now, field)
            value.placeholder = "registry/name:tag; empty for the one that comes with the program"
            value.focus()
        else:
            self.query_one(Rows).focus()

    @on(Input.Submitted)
    def _edited(self, event: Input.Submitted) -> None:
        image = event.value.strip()
        if any(character.isspace() for character in image):
            host(self).tell("That cannot be an image: it has a space.")
            return
        self._keep(**{self._editing: image})
        self._edit("")

    def _keep(self, **what: str) -> None:
        if not self._remembered.change(**what):
            host(self).tell(f"It holds until you leave: {settings.place()} cannot be written.")
        self._draw()

    def action_leave(self) -> None:
        """Out of the field first, then back."""
        if self._editing:
            self._edit("")
        else:
            self.dismiss()
