"""Writes a report: markdown, JSON, or a recording that can be played again."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from kubectl_netdebug.tui.host import host
from kubectl_netdebug.tui.run import Run
from kubectl_netdebug.tui.screens.base import Dialog
from kubectl_netdebug.tui.widgets import Rows, Words, content
from kubectl_netdebug.tui.words import FAINT, STRONG, Line, Part

FORMS = (
    ("md", "markdown", "for a ticket"),
    ("json", "JSON", "for programs"),
    ("netdebug.gz", "recording", "kubectl netdebug replay FILE diagnoses it again, anywhere"),
)


class SaveScreen(Dialog[None]):
    """Which form, then which file."""

    HELP = "Choose a form; the file is written into the folder where you stand, unless you type another name."
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "back", id="save.back")]

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run
        self._form = FORMS[0][0]

    def compose(self) -> ComposeResult:
        with Vertical(id="save-box"):
            yield Words([(Part("Write a report", STRONG),)])
            yield Rows(id="save-forms")
            yield Words([(Part("into file", FAINT),)])
            yield Input(value=self._proposed(), id="save-name", compact=True)
            yield Words([(Part("enter writes · esc goes back", FAINT),)])

    def on_mount(self) -> None:
        """Markdown is the first choice."""
        forms = self.query_one(Rows)
        lines: list[Line] = [
            (Part(f"{number}  {name}", ""), Part(f"  {what}", FAINT)) for number, (_, name, what) in enumerate(FORMS, 1)
        ]
        forms.add_options([Option(content([line])) for line in lines])
        forms.highlighted = 0
        forms.focus()

    def on_key(self, event: object) -> None:
        """The numbers choose while the list has the focus."""
        character = getattr(event, "character", None) or ""
        if self.query_one(Rows).has_focus and character in ("1", "2", "3"):
            self.query_one(Rows).highlighted = int(character) - 1

    def _proposed(self) -> str:
        return f"netdebug-{datetime.now():%Y%m%d-%H%M%S}.{self._form}"

    @on(OptionList.OptionHighlighted)
    def _chosen(self, event: OptionList.OptionHighlighted) -> None:
        self._form = FORMS[event.option_index][0]
        self.query_one(Input).value = self._proposed()

    @on(OptionList.OptionSelected)
    @on(Input.Submitted)
    def _write(self) -> None:
        path = Path(self.query_one(Input).value).expanduser()
        try:
            path.write_bytes(report_bytes(self._run, self._form))
        except (OSError, ValueError) as problem:
            host(self).tell(f"Not written: {getattr(problem, 'strerror', None) or problem}")
            return
        host(self).tell(f"Written: {path.absolute()}")
        self.dismiss()


def report_bytes(run: Run, form: str) -> bytes:
    """The content of the file. Raises ValueError while there is no result."""
    from kubectl_netdebug.cli.diagnose import recording_of
    from kubectl_netdebug.report.data import as_json
    from kubectl_netdebug.report.markdown import as_markdown

    result, recordable = run.snapshot().result, run.recordable
    if result is None or recordable is None:
        raise ValueError("there is no result yet")
    if form == "md":
        return as_markdown(result).encode()
    if form == "json":
        return as_json(result).encode()
    return recording_of(*recordable).to_bytes()
