"""The guided questions on screen, with a namespace that stands still and a recording as the cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from kubectl_netdebug.engine.source import Job
from kubectl_netdebug.model.facts import FactKey, Price
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.tui.outlook import Entry, Outlook, Trouble
from kubectl_netdebug.tui.played import Played
from kubectl_netdebug.tui.run import Backing, ClosableSource
from kubectl_netdebug.tui.screens.ask import AskScreen
from kubectl_netdebug.tui.screens.consent import ConsentScreen
from kubectl_netdebug.tui.screens.run import RunScreen
from kubectl_netdebug.tui.screens.start import StartScreen
from tests.tui.stage import Stage, on_stage, recording

FAULT = "service-selector-mismatch"
PROBED = "loopback-bind"


class Asking(Played):
    """A recording whose probes need a yes."""

    def open(self, question: Question, ask: Callable[[str], bool]) -> ClosableSource:
        return _Asks(super().open(question, ask), ask)


class _Asks:
    def __init__(self, source: ClosableSource, ask: Callable[[str], bool]) -> None:
        self._source, self._ask, self._asked = source, ask, False

    def plan(self, keys: Iterable[FactKey]) -> list[Job]:
        keys = list(keys)
        if not self._asked and any(key.price is Price.POD for key in keys):
            self._asked = True
            self._ask("To connect from Pod shop/[bold]cart\x1b[2J, one container is added to it.")
        return self._source.plan(keys)

    def close(self) -> None:
        self._source.close()


class StandIn:
    """A cluster that answers from a recording."""

    limit = 60.0

    def __init__(self, name: str, backing: type[Played] = Played) -> None:
        self._recorded = recording(name)
        self._backing = backing
        self.namespace = self._recorded.question.namespace
        self.place = "prod · ns shop"
        self.wait = threading.Event()
        self.wait.set()
        self.problem = ""

    def look_around(self) -> Outlook:
        self.wait.wait(10)
        if self.problem:
            raise OSError(self.problem)
        service = self._recorded.question.service
        return Outlook(
            services=(Entry("alpha", "ClusterIP"), Entry(service, "ClusterIP")),
            workloads=(Entry("deploy/cart", "3 of 3 ready"), Entry("pod/client", "1 of 1 ready")),
            nodes=(Entry("node-1"),),
            ports={service: ("80", "443"), "alpha": ("80",)},
            troubles=(Trouble(service, "no endpoints", bad=True),),
        )

    def namespaces(self) -> tuple[str, ...]:
        if self.problem:
            raise OSError(self.problem)
        return ("kube-system", self.namespace, "shop-two")

    def enter(self, namespace: str) -> None:
        self.namespace = namespace

    def aimed(self, question: Question) -> Question:
        return question

    def backing(self) -> Backing:
        return self._backing(self._recorded, 0)


def test_the_first_screen_does_not_wait_for_the_cluster() -> None:
    desk = StandIn(FAULT)
    desk.wait.clear()

    async def play(stage: Stage) -> None:
        assert "What is broken?" in stage.text
        assert "looking" in stage.text
        desk.wait.set()
        await stage.sees("no endpoints")
        await stage.sees("prod · ns shop")

    on_stage(lambda: StartScreen(desk), play)


def test_from_what_looks_broken_to_the_fix_in_three_keys() -> None:
    async def play(stage: Stage) -> None:
        await stage.sees("no endpoints")
        await stage.press("n", "enter")
        screen = stage.app.screen
        assert isinstance(screen, RunScreen)
        stage.screen = screen
        # The stand-in's recording is of another port: the question decides, and the cause is the same.
        await stage.over()
        await stage.press("c")
        await stage.sees("The fix")
        assert "set selector" in stage.app.clipboard

    on_stage(lambda: StartScreen(StandIn(FAULT)), play)


def test_three_questions_back_and_forth() -> None:
    async def play(stage: Stage) -> None:
        await stage.sees("no endpoints")
        await stage.press("2")
        await stage.sees("From which Pod?")
        assert "This will run" in stage.text
        await stage.press(*"cli")
        await stage.sees("pod/client")
        assert "deploy/cart" not in stage.text
        await stage.press("enter")
        await stage.sees("To which Service?")
        assert "from pod/client" in stage.text
        await stage.press("enter")
        await stage.sees("To which port?")
        assert isinstance(stage.top(), AskScreen)
        await stage.press("escape", "escape")
        await stage.sees("From which Pod?")
        assert "cli" in stage.text
        await stage.press("enter", "enter", "enter")
        await stage.sees("pod/client → svc/")
        assert isinstance(stage.top(), RunScreen)

    on_stage(lambda: StartScreen(StandIn(FAULT)), play)


def test_an_error_message_leads_to_the_branch() -> None:
    async def play(stage: Stage) -> None:
        await stage.press("8")
        await stage.sees("What does it say?")
        await stage.press(*"no such host x.example.com")
        await stage.press("enter")
        await stage.sees("this is DNS")
        await stage.press("escape")
        await stage.sees("What does it say?")

    on_stage(lambda: StartScreen(StandIn(FAULT)), play)


def test_words_that_name_nothing_are_told_in_place() -> None:
    async def play(stage: Stage) -> None:
        await stage.press("3")
        await stage.press("enter")
        await stage.press(*"nonsense://x", "enter")
        await stage.sees("are spoken")
        assert isinstance(stage.top(), AskScreen)

    on_stage(lambda: StartScreen(StandIn(FAULT)), play)


def test_a_cluster_that_cannot_be_reached_is_told_in_place() -> None:
    desk = StandIn(FAULT)
    desk.problem = "connection refused [/nope]"

    async def play(stage: Stage) -> None:
        await stage.sees("connection refused [/nope]")
        assert "What is broken?" in stage.text

    on_stage(lambda: StartScreen(desk), play)


def consent(keys: tuple[str, ...]) -> list[bool]:
    given: list[bool] = []

    class Noted(Asking):
        def open(self, question: Question, ask: Callable[[str], bool]) -> ClosableSource:
            def noted(text: str) -> bool:
                given.append(ask(text))
                return given[-1]

            return super().open(question, noted)

    async def play(stage: Stage) -> None:
        await stage.sees("needs your consent")
        assert isinstance(stage.top(), ConsentScreen)
        assert "[bold]cart␛[2J" in stage.text
        await stage.press(*keys)
        await stage.over()

    recorded = recording(PROBED)
    on_stage(lambda: RunScreen(recorded.question, Noted(recorded, 0)), play)
    return given


def test_consent_is_asked_for_and_enter_alone_is_no() -> None:
    assert consent(("y",)) == [True]
    assert consent(("enter",)) == [False]


def test_leaving_while_consent_is_asked_for_says_no() -> None:
    given: list[bool] = []

    class Noted(Asking):
        def open(self, question: Question, ask: Callable[[str], bool]) -> ClosableSource:
            return super().open(question, lambda text: given.append(ask(text)) or False)  # type: ignore[func-returns-value]

    async def play(stage: Stage) -> None:
        await stage.sees("needs your consent")
        await stage.press("ctrl+q")

    recorded = recording(PROBED)
    app = on_stage(lambda: RunScreen(recorded.question, Noted(recorded, 0)), play)
    (screen,) = app.opened
    screen.run._closed.wait(10)
    screen.run.close()
    assert given == [False]
    assert screen.run.is_closed
