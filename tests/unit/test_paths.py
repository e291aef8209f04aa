"""What is typed behind `path`, `dns` and `api`."""

from __future__ import annotations

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.cli.arguments import parse
from kubectl_netdebug.cli.diagnose import verify_command
from kubectl_netdebug.cli.exits import UsageProblem
from kubectl_netdebug.cli.target import api_question, dns_question, path_question, service_question
from kubectl_netdebug.engine.recording import question_from_json, question_to_json
from kubectl_netdebug.model.question import FlowName, Question, Source, SourceKind

CART = Source(SourceKind.POD, "shop", "cart")

odd = st.text(alphabet="web80:/.-_;|&$()[]@%?#`'\"\\ \n\x1bé\u202e", max_size=14)
words = st.text() | odd | st.sampled_from(["https://", "http://[::1", "tcp://x:99999", "a" * 5000, "svc/", "a/b/c/d"])


@given(words, words)
def test_any_words_make_a_question_or_a_usage_problem(source: str, destination: str) -> None:
    refused = ""
    try:
        question = path_question(source, destination, "shop")
    except UsageProblem as problem:
        refused = str(problem)
    if refused:
        assert refused.isprintable()
        assert len(refused) < 600
        return
    assert question_from_json(question_to_json(question)) == question
    assert question.port == "" or re.fullmatch(r"\d{1,9}|[a-z0-9-]{1,63}", question.port)


@pytest.mark.parametrize(
    ("destination", "question"),
    [
        ("svc/web", Question(FlowName.POD_TO_POD, "shop", "web")),
        ("web:80", Question(FlowName.POD_TO_POD, "shop", "web", "80")),
        ("other/svc/web:http", Question(FlowName.POD_TO_POD, "other", "web", "http")),
        ("svc/web.other:80", Question(FlowName.POD_TO_POD, "other", "web", "80")),
        ("web.other.svc.cluster.local:80", Question(FlowName.POD_TO_POD, "other", "web", "80")),
        ("http://web.other.svc/x", Question(FlowName.POD_TO_POD, "other", "web", "80", scheme="http", path="/x")),
        ("pod/b:8080", Question(FlowName.POD_TO_POD, "shop", pod="b", port="8080")),
        ("pod/b", Question(FlowName.POD_TO_POD, "shop", pod="b")),
        (
            "https://example.com",
            Question(FlowName.POD_TO_OUTSIDE, "shop", host="example.com", port="443", scheme="https"),
        ),
        (
            "http://example.com:8080/a?b=c",
            Question(FlowName.POD_TO_OUTSIDE, "shop", host="example.com", port="8080", scheme="http", path="/a?b=c"),
        ),
        ("example.com:5432", Question(FlowName.POD_TO_OUTSIDE, "shop", host="example.com", port="5432")),
        ("tcp://db.example.com:5432", Question(FlowName.POD_TO_OUTSIDE, "shop", host="db.example.com", port="5432")),
        ("203.0.113.10:80", Question(FlowName.POD_TO_OUTSIDE, "shop", host="203.0.113.10", port="80")),
        ("[2001:db8::1]:80", Question(FlowName.POD_TO_OUTSIDE, "shop", host="2001:db8::1", port="80")),
        (
            "https://[2001:db8::1]/",
            Question(FlowName.POD_TO_OUTSIDE, "shop", host="2001:db8::1", port="443", scheme="https", path="/"),
        ),
        ("ing/front", Question(FlowName.OUTSIDE_TO_POD, "shop", ingress="front")),
        ("gateway/front", Question(FlowName.OUTSIDE_TO_POD, "shop", gateway="front")),
        ("self", Question(FlowName.POD_TO_ITSELF, "shop")),
        ("api", Question(FlowName.API, "shop")),
    ],
)
def test_ways_to_write_a_destination(destination: str, question: Question) -> None:
    from dataclasses import replace

    asked = path_question("pod/cart", destination, "shop")

    assert asked == replace(question, source=CART)


@pytest.mark.parametrize(
    ("destination", "flow", "kind"),
    [
        ("svc/web", FlowName.OUTSIDE_TO_POD, "service/web"),
        ("https://shop.example.com/cart", FlowName.OUTSIDE_TO_POD, "host/shop.example.com"),
        ("ing/front", FlowName.OUTSIDE_TO_POD, "ingress/front"),
    ],
)
def test_from_outside(destination: str, flow: FlowName, kind: str) -> None:
    asked = path_question("outside", destination, "shop")

    assert (asked.flow, asked.kind_and_name, asked.source) == (flow, kind, Source(SourceKind.OUTSIDE))


@pytest.mark.parametrize(
    ("source", "destination", "says"),
    [
        ("pod/cart", "example.com", "which port"),
        ("pod/cart", "ftp://example.com", "http, https and tcp"),
        ("pod/cart", "https://me:secret@example.com", "user or password"),
        ("pod/cart", "https://example.com:99999", "no URL"),
        ("pod/cart", "tcp://example.com", "which port"),
        ("pod/cart", "example.com:0", "out of range"),
        ("pod/cart", "deploy/web:80", "svc/NAME"),
        ("node/node-1", "self", "from a node"),
        ("node/node-1", "api", "from a node"),
        ("thing/cart", "svc/web", "pod/NAME"),
        ("outside", "self", "from outside"),
        ("outside", "pod/b:80", "from outside"),
        ("pod/cart", "https://exa mple.com", "neither a host name"),
    ],
)
def test_what_is_neither_source_nor_destination(source: str, destination: str, says: str) -> None:
    with pytest.raises(UsageProblem) as problem:
        path_question(source, destination, "shop")
    assert says in str(problem.value)
    assert "secret" not in str(problem.value)


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("pod/cart", "svc/web:80"),
        ("other/deploy/cart", "other/svc/web"),
        ("pod/cart", "pod/b:8080"),
        ("pod/cart", "https://example.com/a?b=c"),
        ("pod/cart", "http://web.other.svc/x"),
        ("pod/cart", "http://[2001:db8::1]:8080/x"),
        ("pod/cart", "203.0.113.10:80"),
        ("pod/cart", "[2001:db8::1]:80"),
        ("outside", "svc/web:80"),
        ("outside", "ing/front"),
        ("pod/cart", "gateway/front"),
        ("pod/cart", "self"),
    ],
)
def test_the_command_that_asks_again_asks_the_same(source: str, destination: str) -> None:
    question = path_question(source, destination, "shop")
    args = parse(shlex.split(verify_command(question, ("--context", "a b")))[2:])

    assert args.command == "path"
    assert path_question(args.client, args.target, args.namespace) == question


def test_the_command_that_asks_again_for_names_and_the_api() -> None:
    for question in (
        dns_question("deploy/cart", "example.com", "shop"),
        dns_question("other/pod/cart", None, "shop"),
        api_question("pod/cart", "shop"),
        path_question("pod/cart", "api", "shop"),
    ):
        args = parse(shlex.split(verify_command(question, ()))[2:])
        again = (
            dns_question(args.client, args.name, args.namespace)
            if args.command == "dns"
            else api_question(args.client, args.namespace)
        )
        assert again == question


@pytest.mark.parametrize("name", ["", ".", "a b", "-x", "a" * 64 + ".com", "a." * 200, "exa\nmple"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(UsageProblem):
        dns_question("pod/cart", name, "shop")


def test_a_service_from_outside_is_asked_from_this_machine() -> None:
    question = service_question("web", "shop", "outside")

    assert question.flow is FlowName.OUTSIDE_TO_POD
    assert question.source.kind is SourceKind.OUTSIDE
