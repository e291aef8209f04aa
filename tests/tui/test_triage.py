"""The guided questions: what is asked when, and which question comes of it."""

from __future__ import annotations

import pytest

from kubectl_netdebug.cli.exits import UsageProblem
from kubectl_netdebug.model.question import FlowName, SourceKind
from kubectl_netdebug.tui.outlook import Entry, Outlook, Trouble, narrowed
from kubectl_netdebug.tui.screens.ask import entries_for
from kubectl_netdebug.tui.screens.start import outlook_lines
from kubectl_netdebug.tui.triage import SITUATIONS, Answers, Need, from_message, preview, situation
from kubectl_netdebug.tui.words import plain

PORTS = {"web": ("80", "443"), "one": ("80",)}


def answered(word: str, **given: str) -> Answers:
    answers = Answers(situation(word))
    for need, answer in given.items():
        answers = answers.with_answer(Need[need.upper()], answer)
    return answers


@pytest.mark.parametrize(
    ("word", "given", "flow", "destination"),
    [
        ("outside", {"to": "web", "port": "443"}, FlowName.OUTSIDE_TO_POD, "service/web"),
        ("pod", {"from": "deploy/cart", "to": "web", "port": ""}, FlowName.POD_TO_POD, "service/web"),
        ("pod", {"from": "deploy/cart", "to": "pod/web-0:80"}, FlowName.POD_TO_POD, "pod/web-0"),
        (
            "away",
            {"from": "deploy/cart", "address": "https://example.com"},
            FlowName.POD_TO_OUTSIDE,
            "host/example.com",
        ),
        ("self", {"from": "deploy/cart"}, FlowName.POD_TO_ITSELF, "self"),
        ("names", {"from": "deploy/cart", "name": ""}, FlowName.DNS, "any"),
        ("names", {"from": "deploy/cart", "name": "example.com"}, FlowName.DNS, "host/example.com"),
        ("api", {"from": "deploy/cart"}, FlowName.API, "api"),
        ("node", {"node": "node-1"}, FlowName.NODE, "node/node-1"),
        ("not sure", {"to": "one"}, FlowName.SERVICE, "service/one"),
    ],
)
def test_answers_make_a_question(word: str, given: dict[str, str], flow: FlowName, destination: str) -> None:
    answers = answered(word, **given)

    assert answers.next_need(PORTS) is None
    question = answers.question("shop")
    assert question.flow is flow
    assert question.kind_and_name == destination
    if "from" in given:
        assert (question.source.kind, question.source.name) == (SourceKind.DEPLOYMENT, "cart")


def test_every_need_is_asked_for_in_order_and_a_single_port_is_not() -> None:
    assert answered("pod").next_need(PORTS) is Need.FROM
    assert answered("pod", **{"from": "deploy/cart"}).next_need(PORTS) is Need.TO
    assert answered("pod", **{"from": "deploy/cart", "to": "web"}).next_need(PORTS) is Need.PORT
    assert answered("pod", **{"from": "deploy/cart", "to": "one"}).next_need(PORTS) is None
    assert answered("not sure", to="web:80").next_need(PORTS) is None


def test_words_that_name_nothing_are_refused() -> None:
    with pytest.raises(UsageProblem):
        answered("pod", **{"from": "deploy/cart", "to": "no such/thing/at/all"}).question("shop")


@pytest.mark.parametrize(
    ("message", "word", "need", "far"),
    [
        ("lookup api.example.com on 10.96.0.10:53: no such host", "names", Need.NAME, "api.example.com"),
        ("dial tcp 93.184.216.34:443: i/o timeout", "away", Need.ADDRESS, "93.184.216.34:443"),
        ("Get http://orders.shop.svc:80/: connection refused", "pod", Need.TO, "http://orders.shop.svc:80"),
    ],
)
def test_an_error_message_chooses_the_branch(message: str, word: str, need: Need, far: str) -> None:
    understood = from_message(message)

    assert isinstance(understood, Answers)
    assert understood.situation.word == word
    assert understood.given[need] == far
    assert understood.explained
    assert understood.next_need({}) is Need.FROM


def test_a_message_that_leaves_it_open_is_explained() -> None:
    assert "nothing listens there" in str(from_message("connection refused"))


def test_every_situation_says_what_will_run() -> None:
    assert all(preview(each) for each in SITUATIONS if each.word != "message")


def test_the_list_is_narrowed_and_broken_services_come_first() -> None:
    outlook = Outlook(
        services=(Entry("alpha", "ClusterIP"), Entry("web", "ClusterIP")),
        troubles=(Trouble("web", "no endpoints", bad=True),),
    )
    entries = entries_for(Need.TO, answered("not sure"), outlook)

    assert [entry.word for entry in entries] == ["web", "alpha"]
    assert [entry.word for entry in narrowed(entries, "AL")] == ["alpha"]
    assert narrowed(entries, "nothing like it") == []


def test_the_outlook_in_words() -> None:
    outlook = Outlook(
        services=(Entry("alpha"), Entry("web")), troubles=(Trouble("web", "0 of 3 endpoints ready · Crash", bad=True),)
    )

    assert plain(outlook_lines(outlook, 80)).splitlines() == [
        "✗ svc/web                    0 of 3 endpoints ready · Crash",
        "✓ 1 Service has all its endpoints",
    ]
    assert "looking" in plain(outlook_lines(None, 80))
    assert "not allowed" in plain(outlook_lines(Outlook(problem="not allowed"), 80))
