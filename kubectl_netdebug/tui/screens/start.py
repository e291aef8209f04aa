"""The first screen: what is broken? And what looks broken in this namespace right now."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Footer, OptionList
from textual.widgets.option_list import Option

from kubectl_netdebug.cli.target import service_question
from kubectl_netdebug.model.hop import State
from kubectl_netdebug.tui.desk import Desk
from kubectl_netdebug.tui.host import host
from kubectl_netdebug.tui.outlook import Outlook
from kubectl_netdebug.tui.screens.base import Page
from kubectl_netdebug.tui.triage import SITUATIONS, Answers
from kubectl_netdebug.tui.widgets import Rows, Words, content
from kubectl_netdebug.tui.words import ACCENT, FAINT, STATE_STYLES, STRONG, Line, Part, cut, harmless, padded

MOST_TROUBLES = 40


def outlook_lines(outlook: Outlook | None, width: int) -> list[Line]:
    """The lower half: one line a Service that looks broken, then how many do not."""
    if outlook is None:
        return [(Part("  looking …", FAINT),)]
    if outlook.problem:
        return [(Part(cut(f"! {harmless(outlook.problem)}", width), STATE_STYLES[State.WARN]),)]
    lines: list[Line] = []
    for trouble in outlook.troubles[:MOST_TROUBLES]:
        state = State.FAIL if trouble.bad else State.WARN
        glyph = "✗" if trouble.bad else "!"
        name = padded(f"svc/{trouble.service}", 26)
        room = width - 30
        lines.append(
            (Part(f"{glyph} ", STATE_STYLES[state]), Part(f"{name} "), Part(cut(harmless(trouble.says), room), FAINT))
        )
    fine = len(outlook.services) - len(outlook.troubles)
    whole = "" if outlook.complete else " of the first 500"
    if outlook.services:
        has = "Service has all its" if fine == 1 and not whole else "Services have all their"
        lines.append((Part(f"✓ {fine}{whole} {has} endpoints", FAINT),))
    else:
        lines.append((Part("  no Services here; N goes to another namespace", FAINT),))
    return lines


class StartScreen(Page[None]):
    """Choose by number, or go straight to what looks broken."""

    HELP = (
        "Choose what is broken; you are asked for the rest. Below stands what looks broken in this namespace: n goes "
        "there, enter looks into it. Nothing is probed before you were asked."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(n), f"choose({n - 1})", show=False, id=f"start.{n}") for n in range(1, len(SITUATIONS) + 1)),
        Binding("enter", "nothing", "choose", id="start.choose"),
        Binding("n", "trouble", "what looks broken", id="start.trouble"),
        Binding("N", "namespace", "namespace", id="start.namespace"),
        Binding("f5", "look", "look again", id="start.look"),
    ]

    @dataclass
    class Looked(Message):
        """A look at the namespace is there."""

        about: str
        """The namespace."""
        place: str
        outlook: Outlook

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.outlook: Outlook | None = None
        self._place = ""
        self.explained = ""

    def compose(self) -> ComposeResult:
        yield Words(id="top")
        yield Words(id="question")
        yield Rows(id="situations")
        yield Words(id="now")
        yield Rows(id="troubles")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Everything that needs no cluster stands at once."""
        self._draw()
        rows = self.query_one("#situations", Rows)
        rows.highlighted = 0
        rows.focus()
        self.action_look()

    def resized(self) -> None:
        """Wraps anew."""
        self._draw()

    def on_screen_resume(self) -> None:
        """Back from a run: what was mended is no longer broken."""
        if self.outlook is not None:
            self.action_look()

    def _draw(self) -> None:
        width = max(30, self.size.width - 2)
        top: Line = (Part("netdebug  ", ACCENT), Part(cut(self._place or "…", width - 12), STRONG))
        self.query_one("#top", Words).show([top])
        said: list[Line] = [(Part("What is broken?", STRONG),)]
        if self.explained:
            said = [(Part(cut(harmless(self.explained), width), ACCENT),), (Part("So what is broken?", STRONG),)]
        self.query_one("#question", Words).show(said)
        rows = self.query_one("#situations", Rows)
        at = rows.highlighted
        rows.clear_options()
        for number, each in enumerate(SITUATIONS, 1):
            way = Part(cut(each.way, max(0, width - 52)), FAINT)
            rows.add_option(Option(content([(Part(f"{number}  ", ACCENT), Part(padded(each.title, 46)), way)])))
        rows.highlighted = at if at is not None else 0
        self.query_one("#now", Words).show([(Part("In this namespace right now", STRONG),)])
        self._draw_troubles(width)

    def _draw_troubles(self, width: int) -> None:
        rows = self.query_one("#troubles", Rows)
        at = rows.highlighted
        lines = outlook_lines(self.outlook, width)
        count = len(self.outlook.troubles[:MOST_TROUBLES]) if self.outlook else 0
        rows.clear_options()
        rows.add_options([Option(content([line]), disabled=number >= count) for number, line in enumerate(lines)])
        rows.can_focus = bool(count)
        if count:
            rows.highlighted = min(at or 0, count - 1)

    # --- what is known of the cluster -------------------------------------------------------------------------------

    def action_look(self) -> None:
        """Reads on a thread; nobody waits for it."""
        threading.Thread(target=self._look, name="look", daemon=True).start()

    def _look(self) -> None:
        namespace, place = "", self._place
        try:
            namespace, place = self.desk.namespace, self.desk.place
            outlook = self.desk.look_around()
        except Exception as problem:  # whatever it is, the screen stays and says so
            outlook = Outlook(problem=str(problem) or type(problem).__name__)
        self.post_message(self.Looked(namespace, place, outlook))

    @on(Looked)
    def _looked(self, event: Looked) -> None:
        if event.about and event.about != self.desk.namespace:
            return  # another one was entered meanwhile
        self._place, self.outlook = event.place, event.outlook
        self._draw()

    def action_namespace(self) -> None:
        """To another namespace."""
        from kubectl_netdebug.tui.screens.namespace import NamespaceScreen

        self.app.push_screen(NamespaceScreen(self.desk), self._enter)

    def _enter(self, namespace: str | None) -> None:
        if namespace:
            self.desk.enter(namespace)
            self.outlook, self.explained, self._place = None, "", ""
            self._draw()
            self.action_look()

    # --- choosing ---------------------------------------------------------------------------------------------------

    def action_choose(self, index: int) -> None:
        """By number."""
        from kubectl_netdebug.tui.screens.ask import go_on

        self.query_one("#situations", Rows).highlighted = index
        go_on(self, self, Answers(SITUATIONS[index]))

    def action_nothing(self) -> None:
        """Enter is the lists' own key; it stands here for the footer."""

    def action_trouble(self) -> None:
        """To the Services that look broken."""
        rows = self.query_one("#troubles", Rows)
        if not rows.can_focus:
            host(self).tell("Nothing looks broken here at first sight.")
        elif rows.has_focus:
            rows.action_cursor_down()
        else:
            rows.focus()

    @on(OptionList.OptionSelected, "#situations")
    def _situation(self, event: OptionList.OptionSelected) -> None:
        self.action_choose(event.option_index)

    @on(OptionList.OptionSelected, "#troubles")
    def _trouble(self, event: OptionList.OptionSelected) -> None:
        from kubectl_netdebug.tui.screens.run import RunScreen

        assert self.outlook is not None
        service = self.outlook.troubles[event.option_index].service
        question = service_question(service, self.desk.namespace, None)
        self.app.push_screen(RunScreen(question, self.desk.backing(), place=self._place, limit=self.desk.limit))

    @property
    def place(self) -> str:
        """Where we are."""
        return self._place
