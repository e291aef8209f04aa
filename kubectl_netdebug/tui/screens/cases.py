"""Recorded clusters to choose from: faults and healthy ones."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Input, OptionList
from textual.widgets.option_list import Option

from kubectl_netdebug.cli.cases import Case
from kubectl_netdebug.engine.recording import BadRecording
from kubectl_netdebug.tui.host import host
from kubectl_netdebug.tui.screens.base import Page
from kubectl_netdebug.tui.widgets import Rows, Words, content
from kubectl_netdebug.tui.words import ACCENT, FAINT, STRONG, Line, Part, cut, harmless, padded

READ_AHEAD = 12
"""Titles that are read in one go between two keys."""


class CasesScreen(Page[None]):
    """Type to narrow the list, enter to play."""

    HELP = "Recordings of real clusters: injected faults, and healthy twins that look alike. Type to narrow the list."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "down", show=False, priority=True, id="cases.down"),
        Binding("up", "up", show=False, priority=True, id="cases.up"),
        Binding("pagedown", "page(1)", show=False, priority=True, id="cases.page-down"),
        Binding("pageup", "page(-1)", show=False, priority=True, id="cases.page-up"),
        Binding("enter", "play", "play", priority=True, id="cases.play"),
        Binding("escape", "clear", "clear", id="cases.clear"),
    ]

    def __init__(self, cases: list[Case], pace: float = 1.0) -> None:
        super().__init__()
        self._cases = cases
        self._titles: dict[str, str] = {}
        self._pace = pace
        self._shown: list[Case] = []

    def compose(self) -> ComposeResult:
        yield Words(id="top")
        yield Input(placeholder="type a part of a name, such as dns or policy", id="filter", compact=True)
        yield Rows(id="cases")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Names first; titles follow while nobody types."""
        head: Line = (
            Part("netdebug  ", ACCENT),
            Part("demo: recorded clusters", STRONG),
            Part(f"   {len(self._cases)} recordings, no cluster needed", FAINT),
        )
        self.query_one("#top", Words).show([head])
        self.query_one(Rows).can_focus = False
        self.query_one(Input).focus()
        self._fill("")
        self.set_interval(0.05, self._read_on)

    def resized(self) -> None:
        """Other widths, other rows."""
        self._fill(self.query_one(Input).value)

    def _read_on(self) -> None:
        missing = [case for case in (*self._shown, *self._cases) if case.name not in self._titles][:1]
        for case in missing:
            try:
                title = str(case.read().case.get("title", ""))
            except (BadRecording, OSError) as problem:
                title = f"cannot be read: {problem}"
            self._titles[case.name] = title
            if case in self._shown:
                self.query_one(Rows).replace_option_prompt_at_index(self._shown.index(case), self._row(case))

    def _row(self, case: Case):  # type: ignore[no-untyped-def]  # noqa: ANN202 - Content, as `content`
        width = max(40, self.size.width - 6)
        name = 34 if width > 70 else 24
        return content(
            [
                (
                    Part(padded(case.name, name)),
                    Part(" " + cut(harmless(self._titles.get(case.name, "")), width - name - 1), FAINT),
                )
            ]
        )

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._fill(event.value)

    def _fill(self, wanted: str) -> None:
        words = wanted.lower().split()
        self._shown = [
            case
            for case in self._cases
            if all(word in case.name or word in self._titles.get(case.name, "").lower() for word in words)
        ]
        self._shown.sort(key=lambda case: not all(word in case.name for word in words))
        rows = self.query_one(Rows)
        rows.clear_options()
        rows.add_options([Option(self._row(case)) for case in self._shown])
        rows.highlighted = 0 if self._shown else None

    def action_down(self) -> None:
        """The keys of the list, whatever has the focus."""
        self.query_one(Rows).action_cursor_down()

    def action_up(self) -> None:
        """One up."""
        self.query_one(Rows).action_cursor_up()

    def action_page(self, pages: int) -> None:
        """A screenful."""
        self.query_one(Rows).turn(pages)

    def action_clear(self) -> None:
        """The whole list again."""
        self.query_one(Input).value = ""

    def action_play(self) -> None:
        """The case under the cursor."""
        at = self.query_one(Rows).highlighted
        if at is not None and at < len(self._shown):
            self.play(self._shown[at])

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self.play(self._shown[event.option_index])

    def play(self, case: Case) -> None:
        """Runs a recording."""
        from kubectl_netdebug.tui.played import Played
        from kubectl_netdebug.tui.screens.run import RunScreen

        try:
            recording = case.read()
        except (BadRecording, OSError) as problem:
            host(self).tell(str(problem))
            return
        place = f"demo: {recording.case.get('title', case.name)}"
        self.app.push_screen(RunScreen(recording.question, Played(recording, self._pace), place=place))
