"""One question a screen: type or choose, go back without losing anything, see what will run."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer, Input, OptionList
from textual.widgets.option_list import Option

from kubectl_netdebug.cli.exits import UsageProblem
from kubectl_netdebug.model.hop import State
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.tui.outlook import MOST, Entry, Outlook, narrowed
from kubectl_netdebug.tui.screens.base import Page
from kubectl_netdebug.tui.screens.run import RunScreen
from kubectl_netdebug.tui.screens.start import StartScreen
from kubectl_netdebug.tui.triage import Answers, Need, from_message, preview
from kubectl_netdebug.tui.widgets import Rows, Words, content
from kubectl_netdebug.tui.words import (
    ACCENT,
    FAINT,
    STATE_STYLES,
    STRONG,
    Line,
    Part,
    cut,
    harmless,
    padded,
    sanitised_lines,
)


@dataclass(frozen=True)
class Asking:
    """How a need is asked for."""

    question: str
    why: str
    hint: str
    free: bool
    """Whether words that are not in the list are taken."""


ASKING = {
    Need.FROM: Asking(
        "From which Pod?", "the one whose connection fails", "type a part of a name, or NS/pod/NAME", True
    ),
    Need.TO: Asking(
        "To which Service?", "the one that does not answer", "a name, NAME:PORT, pod/NAME:PORT or a URL", True
    ),
    Need.PORT: Asking("To which port?", "of those that the Service declares", "a number", True),
    Need.ADDRESS: Asking(
        "To what?", "the address as the application has it", "https://NAME, NAME:PORT, ADDRESS:PORT", True
    ),
    Need.NAME: Asking("Which name?", "nothing for names in general", "a name such as api.example.com", True),
    Need.NODE: Asking("Which node?", "looking at it needs a consent of its own", "type a part of its name", True),
    Need.MESSAGE: Asking("What does it say?", "paste the line; it is read here and goes nowhere", "paste", True),
}


def entries_for(need: Need, answers: Answers, outlook: Outlook | None) -> tuple[Entry, ...]:
    """What can be chosen, the default first."""
    if outlook is None:
        return ()
    match need:
        case Need.FROM:
            return outlook.workloads
        case Need.TO:
            bad = {trouble.service: trouble.says for trouble in outlook.troubles}
            named = [
                Entry(e.word, f"{bad[e.word]} · {e.about}" if e.word in bad else e.about) for e in outlook.services
            ]
            return tuple(sorted(named, key=lambda e: e.word not in bad))
        case Need.PORT:
            ports = outlook.ports.get(answers.given.get(Need.TO, "").removeprefix("svc/"), ())
            return (Entry("all of them"), *(Entry(port) for port in ports))
        case Need.NAME:
            return (Entry("names in general", "what every Pod needs"),)
        case Need.NODE:
            return outlook.nodes
    return ()


class AskScreen(Page[None]):
    """Asks for one need. The screens below keep what was answered there."""

    HELP = (
        "Type to narrow the list; enter takes the row under the cursor, or what you typed where no row fits. "
        "Esc goes back; what was answered stays."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "choose", priority=True, id="ask.take"),
        Binding("tab", "default", "not sure: the default", priority=True, id="ask.default"),
        Binding("escape", "back", "back", priority=True, id="ask.back"),
        Binding("down", "down", show=False, priority=True, id="ask.down"),
        Binding("up", "up", show=False, priority=True, id="ask.up"),
        Binding("pagedown", "page(1)", show=False, priority=True, id="ask.page-down"),
        Binding("pageup", "page(-1)", show=False, priority=True, id="ask.page-up"),
    ]

    def __init__(self, start: StartScreen, answers: Answers, need: Need) -> None:
        super().__init__()
        self._start = start
        self._answers = answers
        self.need = need
        self._shown: list[Entry] = []
        self._known: Outlook | None = None
        self._wrong = ""

    def compose(self) -> ComposeResult:
        yield Words(id="top")
        yield Words(id="question")
        yield Input(placeholder=ASKING[self.need].hint, id="answer", compact=True)
        yield Rows(id="entries")
        yield Words(id="preview")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """The list may still be on its way: the screen looks for it."""
        self.query_one(Rows).can_focus = False
        self.query_one(Input).focus()
        self._draw()
        self._fill()
        self.set_interval(0.2, self._arrived)

    def resized(self) -> None:
        """Wraps anew."""
        self._draw()
        self._fill()

    def _arrived(self) -> None:
        if self._start.outlook is not self._known:
            self._fill()
            self._draw()

    def _draw(self) -> None:
        width = max(30, self.size.width - 2)
        asking = ASKING[self.need]
        crumbs = "".join(f" ▸ {what} {answer or 'any'}" for what, answer in self._answers.crumbs())
        top: Line = (
            Part("netdebug  ", ACCENT),
            Part(self._answers.situation.way, STRONG),
            Part(cut(harmless(f"{crumbs} ▸ {self.need.value}?"), width - 12 - len(self._answers.situation.way)), FAINT),
        )
        self.query_one("#top", Words).show([top])
        lines: list[Line] = []
        if self._answers.explained:
            lines += sanitised_lines(self._answers.explained, width, ACCENT)
        lines.append((Part(f"{asking.question}   ", STRONG), Part(asking.why, FAINT)))
        if self._wrong:
            lines += sanitised_lines(self._wrong, width, STATE_STYLES[State.FAIL])
        if self._known is not None and not self._known.complete:
            lines.append((Part(f"The first {MOST} are listed; of the others, type the whole name.", FAINT),))
        self.query_one("#question", Words).show(lines)
        titles = preview(self._answers.situation)
        said: list[Line] = []
        if titles:
            text = f"This will run {len(titles)} checks: {' · '.join(titles)}."
            said = sanitised_lines(text, width, FAINT)[:3]
            said += sanitised_lines("Reads come first. You are asked before anything is added to a Pod.", width, FAINT)
        self.query_one("#preview", Words).show(said)

    def _fill(self) -> None:
        self._known = self._start.outlook
        entries = entries_for(self.need, self._answers, self._known)
        self._shown = narrowed(entries, self.query_one(Input).value)
        width = max(30, self.size.width - 4)
        rows = self.query_one(Rows)
        rows.clear_options()
        rows.add_options(
            [
                Option(
                    content(
                        [(Part(padded(harmless(e.word), 34)), Part(" " + cut(harmless(e.about), width - 36), FAINT))]
                    )
                )
                for e in self._shown
            ]
        )
        rows.highlighted = 0 if self._shown else None
        if self._known is None and self.need not in (Need.MESSAGE, Need.ADDRESS):
            rows.add_option(
                Option(
                    content([(Part("looking …", FAINT),)]),
                )
            )
            rows.disable_option_at_index(0)

    @on(Input.Changed)
    def _typed(self) -> None:
        self._wrong = ""
        self._fill()
        self._draw()

    def action_down(self) -> None:
        """The keys of the list, whatever has the focus."""
        self.query_one(Rows).action_cursor_down()

    def action_up(self) -> None:
        """One up."""
        self.query_one(Rows).action_cursor_up()

    def action_page(self, pages: int) -> None:
        """A screenful."""
        self.query_one(Rows).turn(pages)

    def action_back(self) -> None:
        """To the question before."""
        self.dismiss()

    def action_default(self) -> None:
        """Not sure: the first that there is."""
        entries = entries_for(self.need, self._answers, self._known)
        if entries:
            self._answer(entries[0].word)
        else:
            self._is_wrong("There is nothing to choose a default from.")

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self._answer(self._shown[event.option_index].word)

    def action_take(self) -> None:
        """The row under the cursor, else what was typed."""
        typed = self.query_one(Input).value.strip()
        at = self.query_one(Rows).highlighted
        exact = typed and ("/" in typed or ":" in typed)
        if self._shown and at is not None and at < len(self._shown) and not exact:
            self._answer(self._shown[at].word)
        elif typed:
            self._answer(typed)
        else:
            self._is_wrong("Type a name first." if self.need is not Need.MESSAGE else "Paste the message first.")

    def _is_wrong(self, says: str) -> None:
        self._wrong = says
        self._draw()

    def _answer(self, word: str) -> None:
        word = "" if word in ("all of them", "names in general") else word
        if self.need is Need.MESSAGE:
            understood = from_message(word)
            if isinstance(understood, str):
                self._start.explained = understood
                self.dismiss()
                self._start.call_after_refresh(self._start._draw)
                return
            self._proceed(understood)
        else:
            self._proceed(self._answers.with_answer(self.need, word))

    def _proceed(self, answers: Answers) -> None:
        try:
            go_on(self, self._start, answers)
        except UsageProblem as problem:
            self._is_wrong(str(problem))


def go_on(screen: Screen[None], start: StartScreen, answers: Answers) -> None:
    """Asks for the next need, or runs. Raises UsageProblem for answers that make no question."""
    need = answers.next_need(start.outlook.ports if start.outlook else {})
    if need is not None:
        screen.app.push_screen(AskScreen(start, answers, need))
        return
    question = answers.question(start.desk.namespace)
    app = screen.app

    def aim() -> None:
        try:
            aimed = start.desk.aimed(question)
        except Exception:  # the run itself will say what is wrong with the cluster
            aimed = question
        app.call_later(run, aimed)

    def run(aimed: Question) -> None:
        app.push_screen(RunScreen(aimed, start.desk.backing(), place=start.place, limit=start.desk.limit))

    if question.host:
        threading.Thread(target=aim, name="aim", daemon=True).start()
    else:
        run(question)
