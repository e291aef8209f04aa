"""The app itself: what is the same on every screen, and how it begins and ends."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App, SystemCommand
from textual.binding import ActiveBinding, Binding, BindingType
from textual.events import Event, InputEvent
from textual.keys import format_key
from textual.screen import Screen
from textual.theme import ThemeProvider

from kubectl_netdebug.tui import clipboard, hangup, settings
from kubectl_netdebug.tui.screens.base import Palette
from kubectl_netdebug.tui.screens.texts import TextScreen
from kubectl_netdebug.tui.settings import Remembered
from kubectl_netdebug.tui.words import Line, Part, labelled, padded

if TYPE_CHECKING:
    from kubectl_netdebug.tui.screens.run import RunScreen

THEME = "textual-dark"
SIMPLE_THEME = "ansi-dark"
"""For terminals of 16 colours, and without colours: nothing but the terminal's own."""


class NetdebugApp(App[int]):
    """Screens are pushed on each other; the first one stays below."""

    CSS_PATH = "app.tcss"
    TITLE = "kubectl netdebug"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "interrupt", "stop", show=False, priority=True, id="app.interrupt"),
        Binding("ctrl+q", "quit", "quit", show=False, priority=True, id="app.quit-anyway"),
        Binding("q", "quit", "quit", id="app.quit"),
        Binding("question_mark,f1", "help", "help", id="app.help", key_display="?"),
        Binding("comma,f2", "settings", "settings", show=False, id="app.settings", key_display=","),
        Binding("colon", "command_palette", "commands", show=False, id="app.commands"),
        Binding("ctrl+z", "suspend_process", "suspend", show=False, id="app.suspend"),
    ]

    def __init__(self, first: Callable[[], Screen[None]], remembered: Remembered | None = None) -> None:
        super().__init__()
        self._first = first
        self.remembered = remembered or Remembered()
        self.finished: list[RunScreen] = []
        """Every run that came to a result, in order; the last one is told in the scrollback."""
        self.opened: list[RunScreen] = []
        """Every run screen that was opened: what their runs made is removed at the end, whatever happened."""
        self._interrupted = False
        self._remembering = False

    # --- begin and end ----------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """The theme, the keys, the first screen."""
        self.theme = self._theme()
        if self.remembered.now.keys:
            self.set_keymap(dict(self.remembered.now.keys))
        self._listen_to_signals()
        self.push_screen(self._first())
        self._remembering = True
        self.call_after_refresh(lambda: threading.Thread(target=_load_the_rest, name="load", daemon=True).start())

    def _theme(self) -> str:
        if os.environ.get("NO_COLOR") or _few_colours():
            return SIMPLE_THEME
        wanted = os.environ.get("TEXTUAL_THEME") or self.remembered.now.theme
        return wanted if wanted in self.available_themes else THEME

    def _listen_to_signals(self) -> None:
        import asyncio

        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and threading.current_thread() is threading.main_thread():
                with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
                    asyncio.get_running_loop().add_signal_handler(number, self.exit, 130)
        if not self.is_headless:
            loop = asyncio.get_running_loop()
            hangup.watch(partial(loop.call_soon_threadsafe, self.exit, 130))

    def watch_theme(self, theme: str) -> None:
        """A theme that was chosen is remembered; one that the terminal dictates is not."""
        if self._remembering and theme != self.remembered.now.theme:
            self.remembered.change(theme=theme)

    def ran(self, screen: RunScreen) -> None:
        """A run came to its end."""
        if screen in self.finished:
            self.finished.remove(screen)
        self.finished.append(screen)

    def go_back(self) -> None:
        """To the screen below; from the first one, nowhere."""
        if len(self.screen_stack) > 2:
            self.pop_screen()
        else:
            self.tell("This is the first screen: q quits.")

    # --- for all screens --------------------------------------------------------------------------------------------

    def tell(self, text: str) -> None:
        """A sentence at the edge, for some seconds."""
        self.notify(text, markup=False, timeout=4)

    def copy(self, text: str, *, quietly: bool = False) -> str:
        """To the clipboard; returns what can be said about it. The terminal never says whether it took it."""
        env = clipboard.environment()
        tool = clipboard.local_tool(env)
        if tool:
            threading.Thread(target=clipboard.copy_locally, args=(text, tool), daemon=True).start()
        sequence = clipboard.osc52(text, env)
        if sequence and self._driver is not None and not self.is_headless:
            self._driver.write(sequence)
        self._clipboard = text
        said = f"given to {tool[0]}" if tool else "sent to the terminal's clipboard"
        if not sequence and not tool:
            said = "too long for the terminal's clipboard: w writes it into a file"
        if not quietly:
            self.tell(said[:1].upper() + said[1:])
        return said

    # --- keys -------------------------------------------------------------------------------------------------------

    def action_interrupt(self) -> None:
        """Ctrl+C: copies what is selected, else stops what runs; the second time it leaves."""
        selected = self.screen.get_selected_text()
        if selected:
            self.copy(selected)
            self.screen.clear_selection()
            return
        stopped = [each for each in self.opened if each in self.screen_stack and each.interrupt()]
        if self._interrupted and not stopped:
            self.exit(130)
            return
        self._interrupted = True
        self.tell("Stopped. Ctrl+C again leaves." if stopped else "Ctrl+C again leaves; q does too.")

    def action_command_palette(self) -> None:
        """All verbs, to be found by typing."""
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def action_settings(self) -> None:
        """What is remembered, to be changed."""
        from kubectl_netdebug.tui.screens.settings import SettingsScreen

        if not isinstance(self.screen, SettingsScreen):
            self.push_screen(SettingsScreen(self.remembered))

    def search_themes(self) -> None:
        """The themes, to be found by typing."""
        self.push_screen(Palette(providers=[ThemeProvider], placeholder="Which theme?"))

    async def on_event(self, event: Event) -> None:
        """What is typed while it leaves would open screens that are never built."""
        if not (self._exit and isinstance(event, InputEvent)):
            await super().on_event(event)

    async def action_quit(self) -> None:
        """Leaves at once; nothing is waited for."""
        self.exit(0)

    def action_help(self) -> None:
        """The keys of this screen and what they do."""
        screen = self.screen
        if isinstance(screen, TextScreen):
            return
        keys = [(self.get_key_display(b.binding), b.binding.description or b.binding.action) for b in _bindings(screen)]
        words = str(getattr(screen, "HELP", "") or "")

        def lines(width: int) -> list[Line]:
            text = [*labelled("", words, width, hang=0), ()]
            for key, does in keys:
                text.append((Part(padded(key, 16), "bold"), Part(does)))
            where = settings.place()
            return [*text, (), *labelled("", f"Settings are remembered in {where}; , shows them.", width, hang=0)]

        self.push_screen(TextScreen("Help", lines))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The same verbs as by key, for the command palette."""
        for each in _bindings(screen):
            binding = each.binding
            if binding.description and each.enabled and each.node is screen:
                yield SystemCommand(
                    binding.description.capitalize(),
                    f"key {format_key(binding.key)}",
                    lambda action=binding.action, node=each.node: self.call_later(node.run_action, action),
                )
        yield SystemCommand("Settings", "theme, consent, images, keys", self.action_settings)
        yield SystemCommand("Theme", "dark, light, 16 colours …", self.action_change_theme)
        yield SystemCommand("Help", "the keys of this screen", self.action_help)
        yield SystemCommand("Quit", "leave", self.action_quit)


def _bindings(screen: Screen[Any]) -> list[ActiveBinding]:
    """Each action once, the screen's own first."""
    seen: set[str] = set()
    found = []
    for each in screen.active_bindings.values():
        if each.binding.action not in seen and (each.node is screen or each.binding.id):
            seen.add(each.binding.action)
            found.append(each)
    return sorted(found, key=lambda each: each.node is not screen)


def _load_the_rest() -> None:
    """What the next screens need, all causes among it: loaded once the first one stands."""
    import importlib

    for name in ("tui.screens.run", "tui.screens.ask", "tui.played"):
        importlib.import_module(f"kubectl_netdebug.{name}")


def _few_colours() -> bool:
    """A terminal that says it has 16 colours or fewer."""
    term = os.environ.get("TERM", "")
    rich = os.environ.get("COLORTERM", "") in ("truecolor", "24bit") or "256" in term or "direct" in term
    return not rich and (term in ("xterm", "linux", "screen", "vt100", "vt220", "ansi") or "16color" in term)
