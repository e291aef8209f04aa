"""The run: every check live, the verdict as soon as it is certain, the fix one key away."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.message import Message
from textual.widgets import Footer, OptionList
from textual.widgets.option_list import Option

from kubectl_netdebug.model.question import Question
from kubectl_netdebug.tui import chain, compare, detail, pages, rows, tables
from kubectl_netdebug.tui.host import host
from kubectl_netdebug.tui.run import Backing, Run
from kubectl_netdebug.tui.screens.base import Page
from kubectl_netdebug.tui.screens.consent import ConsentScreen
from kubectl_netdebug.tui.screens.texts import TextScreen
from kubectl_netdebug.tui.state import RunState, Stage
from kubectl_netdebug.tui.widgets import Pane, Rows, Words, content
from kubectl_netdebug.tui.words import Line

TICK = 0.2
"""Seconds between two looks at the clocks of what runs."""

SETTLE = 0.1
"""Seconds in which what comes from the run's threads is collected and drawn together: keys come first."""

WIDE = 110
"""Columns from which on list and detail stand side by side."""


class Reply:
    """An answer that a thread waits for. Who leaves the screen answers no."""

    def __init__(self) -> None:
        self._given = threading.Event()
        self._yes = False

    def give(self, yes: bool) -> None:
        """The first answer counts."""
        if not self._given.is_set():
            self._yes = yes
            self._given.set()

    def wait(self) -> bool:
        """Blocks until there is an answer."""
        self._given.wait()
        return self._yes


class RunScreen(Page[None]):
    """One question and its runs."""

    HELP = (
        "Each row is a check on the path of the packet, in its order. The pane shows what was checked and seen, what "
        "it means, and the command that mends it. Nothing in the cluster is changed by any key here."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy_fix", "copy fix", id="run.copy"),
        Binding("r", "again", "again", id="run.again"),
        Binding("e,enter", "evidence", "evidence", id="run.evidence", key_display="e"),
        Binding("x", "explain", "explain", id="run.explain"),
        Binding("w", "write", "report", id="run.write"),
        Binding("s", "stop_check", "stop check", id="run.stop"),
        Binding("p", "repeat_check", "repeat check", id="run.repeat", show=False),
        Binding("n", "problem(1)", "next problem", id="run.next", show=False),
        Binding("N", "problem(-1)", "previous problem", id="run.previous", show=False),
        Binding("t", "transcript", "transcript", id="run.transcript", show=False),
        Binding("v", "backends", "connections", id="run.backends", show=False),
        Binding("d", "difference", "before and after", id="run.difference", show=False),
        Binding("a", "fold", "all checks", id="run.fold", show=False),
        Binding("C", "copy_report", "copy report", id="run.copy-report", show=False),
        Binding("tab", "app.focus_next", "other pane", id="run.pane", show=False),
        Binding("escape,b,h,left", "back", "back", id="run.back", key_display="esc"),
    ]

    class Changed(Message):
        """The run has something new to show."""

    @dataclass
    class Asked(Message):
        """The run's thread waits for a person."""

        text: str
        reply: Reply

    def __init__(self, question: Question, backing: Backing, *, place: str = "", limit: float = 60.0) -> None:
        super().__init__()
        self.question = question
        self._backing = backing
        self._place = place
        self._limit = limit
        self._told = threading.Event()
        self._pending: list[Reply] = []
        self._evidence = False
        self._everything = False
        self._moved = False
        self._announced = False
        self._shown: list[int] = []
        self.before: RunState | None = None
        self.run = self._new_run()

    # --- drawing ----------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield Words(id="top")
        yield Words(id="chain")
        yield Words(id="verdict")
        with Container(id="body"):
            yield Rows(id="hops")
            with Pane(id="detail"):
                yield Words(id="detail-words")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """The run begins when the screen stands."""
        self.query_one(Rows).focus()
        host(self).opened.append(self)
        self.run.start()
        self.set_interval(TICK, self._tick)

    def resized(self) -> None:
        """Everything is wrapped anew."""
        self.set_class(self.size.width >= WIDE, "wide")
        self.set_class(self.size.height < 30, "low")
        self._draw()
        self.call_after_refresh(self._draw)

    def _tick(self) -> None:
        state = self.run.snapshot()
        if not state.is_over:
            self.run.enforce_limit()
            self._draw()

    @on(Changed)
    def _news(self) -> None:
        self.set_timer(SETTLE, self._draw_news)

    def _draw_news(self) -> None:
        self._told.clear()
        self._draw()

    def _tell(self) -> None:
        """From any thread; what comes before it was drawn is drawn together."""
        if not self._told.is_set():
            self._told.set()
            self.post_message(self.Changed())

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        state = self.run.snapshot()
        width = max(20, self.size.width - 2)
        self.query_one("#top", Words).show([rows.top_line(state, width, self._place)])
        self.query_one("#chain", Words).show(chain.chain_lines(state, width))
        self.query_one("#verdict", Words).show(rows.verdict_lines(state, width, 2 if self.size.height < 30 else 3))
        self.set_class(state.is_over, "over")
        self._draw_rows(state)
        self._draw_detail(state)
        if state.is_over and not self._announced:
            self._announced = True
            self.refresh_bindings()
            # The list is lower from now on, and the pane higher.
            self.call_after_refresh(self._draw)
            self.call_after_refresh(self.query_one(Rows).scroll_to_highlight)
            host(self).ran(self)

    def _draw_rows(self, state: RunState) -> None:
        hops = self.query_one(Rows)
        width = max(20, (hops.size.width or self.size.width) - 2)
        shown = rows.shown_checks(state, everything=self._everything)
        hidden = len(state.checks) - len(shown)
        prompts = [content([rows.check_row(state.checks[index], state, width)]) for index in shown]
        if hidden:
            prompts.append(content([rows.folded_row(hidden, width)]))
        if shown != self._shown or hops.option_count != len(prompts):
            kept = self._selected_index()
            hops.clear_options()
            hops.add_options([Option(prompt) for prompt in prompts])
            self._shown = shown
            if kept in shown:
                hops.highlighted = shown.index(kept)
        else:
            for number, prompt in enumerate(prompts):
                if hops.get_option_at_index(number).prompt != prompt:
                    hops.replace_option_prompt_at_index(number, prompt)
        if not self._moved:
            self._follow(state)

    def _follow(self, state: RunState) -> None:
        """Until the person moves, the row to look at is the broken one, else what runs."""
        wanted = rows.broken_index(state)
        if wanted is None:
            wanted = next((n for n, check in enumerate(state.checks) if check.stage is Stage.RUNNING), None)
        if wanted is None and state.is_over:
            wanted = next((n for n in reversed(self._shown)), None)
        if wanted in self._shown:
            hops = self.query_one(Rows)
            place = self._shown.index(wanted)
            if hops.highlighted != place:
                with self.prevent(OptionList.OptionHighlighted):
                    hops.highlighted = place

    def _selected_index(self) -> int | None:
        at = self.query_one(Rows).highlighted
        return self._shown[at] if at is not None and at < len(self._shown) else None

    def _draw_detail(self, state: RunState) -> None:
        pane = self.query_one(Pane)
        width = max(20, (pane.size.width or self.size.width) - 2)
        index = self._selected_index()
        lines: list[Line] = []
        if index is not None:
            lines = detail.detail_lines(state.checks[index], state, width, evidence=self._evidence)
        if state.is_over:
            if self.before is not None:
                lines = [*compare.compare_lines(self.before, state, width), (), *lines]
            lines += pages.after_lines(state, width)
        self.query_one("#detail-words", Words).show(lines, at_least=pane.size.height)

    @on(OptionList.OptionHighlighted, "#hops")
    def _highlighted(self) -> None:
        self._moved = self._moved or self.query_one(Rows).has_focus
        self.query_one(Pane).scroll_home(animate=False)
        self._draw_detail(self.run.snapshot())

    @on(OptionList.OptionSelected, "#hops")
    def _selected(self) -> None:
        if self._selected_index() is None:
            self.action_fold()
        else:
            self.action_evidence()

    # --- running ----------------------------------------------------------------------------------------------------

    def _new_run(self, known: object = None) -> Run:
        return Run(
            self.question,
            self._backing,
            known=known,  # type: ignore[arg-type]
            limit=self._limit,
            changed=self._tell,
            ask=self._ask,
        )

    def _ask(self, text: str) -> bool:
        """On the run's thread."""
        reply = Reply()
        self._pending.append(reply)
        self.post_message(self.Asked(text, reply))
        return reply.wait()

    @on(Asked)
    def _asked(self, event: Asked) -> None:
        def answered(yes: bool | None) -> None:
            event.reply.give(bool(yes))

        self.app.push_screen(ConsentScreen(event.text), answered)

    def interrupt(self) -> bool:
        """Stops the run; False where nothing runs that was not stopped before."""
        state = self.run.snapshot()
        self.run.stop()
        self._release()
        return not state.is_over and not state.stopped

    def _release(self) -> None:
        for reply in self._pending:
            reply.give(False)
        self._pending.clear()

    def abandon(self) -> None:
        """Stops without waiting for anything; what was made in the cluster is removed by the run's own thread."""
        self.run.stop("the screen was left")
        self._release()

    def _restart(self, known: object = None) -> None:
        state = self.run.snapshot()
        if not state.is_over:
            host(self).tell("It still runs: ctrl+c stops it.")
            return
        self.before = state if state.result else self.before
        self._moved = self._announced = self._evidence = False
        self.run = self._new_run(known)
        self.run.start()
        self.refresh_bindings()
        self._draw()

    # --- keys -------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that do nothing now are not shown."""
        over = self.run.snapshot().is_over
        if action == "stop_check":
            return not over
        if action in ("again", "write", "copy_fix"):
            return over
        return True

    def action_again(self) -> None:
        """The same question from the start; what it said before stays beside it."""
        self._restart()

    def action_repeat_check(self) -> None:
        """This check alone, with what the others saw."""
        index = self._selected_index()
        if index is not None:
            self._restart(self.run.facts_without(self.run.snapshot().checks[index].step.hop))

    def action_stop_check(self) -> None:
        """Gives up the check under the cursor, else whatever runs longest."""
        state = self.run.snapshot()
        index = self._selected_index()
        running = [check for check in state.checks if check.stage is Stage.RUNNING]
        wanted = (
            [state.checks[index]] if index is not None and state.checks[index].stage is Stage.RUNNING else running[:1]
        )
        if not wanted or not self.run.cancel(wanted[0].step.hop):
            host(self).tell("Nothing to stop here: this check does not wait for anything.")

    def action_evidence(self) -> None:
        """Facts and the commands that show the same, in the pane."""
        self._evidence = not self._evidence
        self._draw_detail(self.run.snapshot())

    def action_fold(self) -> None:
        """All hops, or those that were looked at."""
        self._everything = not self._everything
        self._draw()

    def action_problem(self, step: int) -> None:
        """To the next hop that did not pass."""
        state = self.run.snapshot()
        bad = [number for number, index in enumerate(self._shown) if state.checks[index].is_bad]
        at = self.query_one(Rows).highlighted or 0
        later = [n for n in bad if (n > at if step > 0 else n < at)]
        ahead = later if step > 0 else later[::-1]
        wanted = ahead or (bad if step > 0 else bad[::-1])
        if wanted:
            self._moved = True
            self.query_one(Rows).highlighted = wanted[0]

    def action_explain(self) -> None:
        """What the catalogue knows of the code that was found here."""
        state = self.run.snapshot()
        index = self._selected_index()
        causes = detail.causes_at(state.checks[index], state.result) if index is not None else []
        causes = causes or list(state.result.causes if state.result else ())
        if causes:
            code = causes[0].code
            self.app.push_screen(TextScreen(code, lambda width: pages.explanation(code, width)))
        else:
            host(self).tell("No cause was found, so there is nothing to explain.")

    def action_transcript(self) -> None:
        """Everything that was asked of the cluster."""
        self.app.push_screen(TextScreen("Transcript", lambda width: pages.transcript(self.run.snapshot(), width)))

    def action_backends(self) -> None:
        """Every connection that was tried."""

        def lines(width: int) -> list[Line]:
            return tables.table_lines(tables.tried(self.run.snapshot().facts), width) or [pages.NO_CONNECTION]

        self.app.push_screen(TextScreen("Connections", lines))

    def action_difference(self) -> None:
        """Before and after side by side."""
        before = self.before
        if before is None:
            host(self).tell("r runs it again; then both stand side by side.")
            return
        self.app.push_screen(
            TextScreen(
                "Before and after",
                lambda width: compare.compare_lines(before, self.run.snapshot(), width, everything=True),
            )
        )

    def action_copy_fix(self) -> None:
        """The command that mends it: to the clipboard, and on a line of its own."""
        state = self.run.snapshot()
        index = self._selected_index()
        fix = detail.fix_at(state.checks[index] if index is not None else None, state.result)
        if fix is None:
            host(self).tell("There is no command to copy.")
            return
        said = host(self).copy(fix.command, quietly=True)
        self.app.push_screen(TextScreen("The fix", lambda width: pages.fix_page(fix, said, width), to_copy=fix.command))

    def action_copy_report(self) -> None:
        """The whole result as markdown."""
        state = self.run.snapshot()
        if state.result and state.is_over:
            from kubectl_netdebug.report.markdown import as_markdown

            host(self).copy(as_markdown(state.result))

    def action_write(self) -> None:
        """A file: markdown, JSON or recording."""
        from kubectl_netdebug.tui.screens.save import SaveScreen

        if self.run.recordable:
            self.app.push_screen(SaveScreen(self.run))

    def action_back(self) -> None:
        """To where this run was chosen; answers are kept there."""
        self.abandon()
        host(self).go_back()
