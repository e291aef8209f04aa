"""What a person types: Services, sources, flags, durations; and the exit codes they get."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.cli.arguments import cluster_flags, kube_flags, parse
from kubectl_netdebug.cli.diagnose import consent_for, verify_command
from kubectl_netdebug.cli.exits import Exit, UsageProblem, exit_for
from kubectl_netdebug.cli.progress import Progress
from kubectl_netdebug.cli.target import read_source, service_question
from kubectl_netdebug.model.question import Question, Source, SourceKind
from kubectl_netdebug.model.result import VerdictState

NAME = re.compile(r"[a-z0-9.-]{1,253}")
shell_like = st.text(alphabet="web80:/.-_;|&$()`'\"\\ \n\t\x1b\x00*?~#é\u202e", max_size=12)
words = (
    st.text() | shell_like | st.sampled_from(["a" * 10_000, "web:" + "9" * 5000, "web:٣", "svc/svc/web", "-n", "--"])
)


@given(words, words, st.none() | words)
def test_any_words_make_a_question_or_a_usage_problem(written: str, namespace: str, source: str | None) -> None:
    refused = ""
    try:
        question = service_question(written, namespace, source)
    except UsageProblem as problem:
        refused = str(problem)
    if refused:
        assert refused.isprintable()
        assert len(refused) < 500
        return
    assert NAME.fullmatch(question.service)
    assert NAME.fullmatch(question.namespace)
    assert question.port == "" or re.fullmatch(r"\d{1,9}|[a-z0-9-]{1,63}", question.port)
    assert not question.source.name or NAME.fullmatch(question.source.name)


@given(st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True), st.integers(1, 65535))
def test_names_and_ports_are_taken_as_they_are(name: str, port: int) -> None:
    question = service_question(f"{name}:{port}", "shop", None)

    assert (question.service, question.port, question.namespace) == (name, str(port), "shop")
    assert question.source == Source()


@pytest.mark.parametrize(
    ("written", "service", "namespace", "port"),
    [
        ("web", "web", "shop", ""),
        ("web:http", "web", "shop", "http"),
        ("svc/web", "web", "shop", ""),
        ("service/web:80", "web", "shop", "80"),
        ("services/web", "web", "shop", ""),
        ("web.other", "web", "other", ""),
        ("web.other:80", "web", "other", "80"),
        ("web.other.svc", "web", "other", ""),
        ("web.other.svc.cluster.local:80", "web", "other", "80"),
    ],
)
def test_ways_to_write_a_service(written: str, service: str, namespace: str, port: str) -> None:
    question = service_question(written, "shop", None)

    assert (question.service, question.namespace, question.port) == (service, namespace, port)


@pytest.mark.parametrize(
    ("written", "source"),
    [
        (None, Source()),
        ("", Source()),
        ("cart", Source(SourceKind.POD, "shop", "cart")),
        ("pod/cart", Source(SourceKind.POD, "shop", "cart")),
        ("po/cart", Source(SourceKind.POD, "shop", "cart")),
        ("deploy/cart", Source(SourceKind.DEPLOYMENT, "shop", "cart")),
        ("deployment/cart", Source(SourceKind.DEPLOYMENT, "shop", "cart")),
        ("sts/cart", Source(SourceKind.STATEFULSET, "shop", "cart")),
        ("ds/cart", Source(SourceKind.DAEMONSET, "shop", "cart")),
        ("job/cart", Source(SourceKind.JOB, "shop", "cart")),
        ("other/pod/cart", Source(SourceKind.POD, "other", "cart")),
    ],
)
def test_ways_to_write_a_source(written: str | None, source: Source) -> None:
    assert read_source(written, "shop") == source


@given(st.from_regex(r"[a-z][a-z0-9-]{0,9}[a-z0-9]", fullmatch=True), st.sampled_from(["shop", "other"]))
def test_the_command_that_asks_again_asks_the_same(name: str, namespace: str) -> None:
    import shlex

    question = Question(
        service_question("web", "shop", None).flow, "shop", "web", "80", source=Source(SourceKind.POD, namespace, name)
    )
    kubectl, netdebug, *argv = shlex.split(verify_command(question, ("--context", "a b")))
    args = parse(argv)

    assert (kubectl, netdebug, args.context) == ("kubectl", "netdebug", "a b")
    assert service_question(args.target, args.namespace, args.source) == question


@given(st.lists(st.text() | st.sampled_from(["service", "web", "-n", "--context", "-o", "json", "--probe", "demo"])))
def test_any_arguments_are_parsed_or_a_usage_problem(argv: list[str]) -> None:
    if {"-h", "--help", "--version"} & set(argv):
        return
    try:
        args = parse(argv)
    except UsageProblem:
        return
    assert hasattr(args, "command")


@pytest.mark.parametrize(
    "argv",
    [
        ["-n", "shop", "--context=prod", "--as", "me", "-o", "json", "service", "web"],
        ["service", "web", "-n", "shop", "--context=prod", "--as", "me", "-o", "json"],
        ["-n", "shop", "service", "--context", "prod", "web", "--as=me", "-ojson"],
        ["-n", "wrong", "service", "web", "-n", "shop", "--context=prod", "--as", "me", "-o", "json"],
    ],
)
def test_flags_stand_before_and_behind_the_command(argv: list[str]) -> None:
    args = parse(argv)
    flags = kube_flags(args)

    assert (flags.namespace, flags.context, flags.as_user, args.output) == ("shop", "prod", "me", "json")


def test_flags_that_may_be_repeated() -> None:
    args = parse(["--as-group", "a", "service", "web", "--as", "me", "--as-group", "b", "--as-group", "c"])

    assert set(kube_flags(args).as_groups) >= {"b", "c"}


def test_flags_that_were_not_given_are_not_there() -> None:
    assert kube_flags(parse(["service", "web"])) == kube_flags(parse(["demo"]))
    assert set(vars(kube_flags(parse(["service", "web"]))).values()) == {None, (), False}


@pytest.mark.parametrize(
    ("written", "seconds"), [("5", 5.0), ("5s", 5.0), ("1m30s", 90.0), ("1.5h", 5400.0), ("250ms", 0.25), ("0", 0.0)]
)
def test_durations(written: str, seconds: float) -> None:
    args = parse(["service", "web", "--timeout", written, "--request-timeout", written])

    assert args.timeout == pytest.approx(seconds)
    assert kube_flags(args).request_timeout == pytest.approx(seconds)


@pytest.mark.parametrize("written", ["", "soon", "-5", "5x", "1e9", "inf", "nan", "5 5", "9" * 100])
def test_what_is_no_duration(written: str) -> None:
    with pytest.raises(UsageProblem, match=r"duration|expected one argument"):
        parse(["service", "web", f"--timeout={written}"])


def test_commands_to_copy_carry_the_flags_that_chose_the_cluster() -> None:
    args = parse(
        ["service", "web", "--kubeconfig", "my file", "--server", "https://x", "--token", "secret", "-n", "shop"]
    )

    assert cluster_flags(args, "prod") == ("--kubeconfig", "my file", "--server", "https://x", "--context", "prod")
    assert cluster_flags(parse(["service", "web"]), "") == ()


@pytest.mark.parametrize(
    ("flags", "allowed", "forbidden"),
    [
        ([], False, ""),
        (["--probe", "always"], True, ""),
        (["--probe", "never"], False, "--probe never"),
        (["--read-only"], False, "--read-only"),
        (["--read-only", "--allow", "ephemeral"], False, "--read-only"),
        (["--allow", "ephemeral"], True, ""),
    ],
)
def test_what_flags_allow(flags: list[str], allowed: bool, forbidden: str) -> None:
    consent = consent_for(parse(["service", "web", *flags]), Progress())

    assert (consent.allowed, consent.forbidden) == (allowed, forbidden)


def test_exit_codes_say_the_verdict() -> None:
    wanted: dict[VerdictState, Any] = {
        VerdictState.HEALTHY: 0,
        VerdictState.FAULTY: 1,
        VerdictState.PARTIAL: 1,
        VerdictState.INCONCLUSIVE: 4,
    }
    assert {state: int(exit_for(state)) for state in VerdictState} == wanted
    assert {code.name: int(code) for code in Exit} == {
        "HEALTHY": 0,
        "FAULT": 1,
        "USAGE": 2,
        "UNREACHABLE": 3,
        "INCONCLUSIVE": 4,
        "INTERRUPTED": 130,
    }
