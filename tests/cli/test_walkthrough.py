"""The guided questions, answered through a pipe."""

from __future__ import annotations

import pytest

from kubectl_netdebug.cli.walkthrough import situation_of
from kubectl_netdebug.net.complaint import understand
from tests.cli import world
from tests.cli.conftest import Program
from tests.kube.fakeapi import FakeApi, status


def test_defaults_lead_to_the_first_service(program: Program, healthy: FakeApi) -> None:
    ran = program.run("--probe", "never", typed="\n\n")

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("✓ the configuration of web is complete")
    assert "$ kubectl netdebug service web -n default" in ran.stderr


def test_numbers_and_names_are_taken(program: Program, healthy: FakeApi) -> None:
    ran = program.run("--probe", "never", typed="2\npod/web-1\nweb\n")

    assert "$ kubectl netdebug path pod/web-1 svc/web -n default" in ran.stderr
    assert "What is broken?" in ran.stderr
    assert "What is broken?" not in ran.stdout


def test_what_is_not_in_a_list_is_asked_again(program: Program, healthy: FakeApi) -> None:
    ran = program.run("--probe", "never", typed="99\nnonsense\n8\nweb\n")

    assert ran.returncode == 0
    assert ran.stderr.count("is not in the list") == 2


def test_three_answers_that_fit_nothing(program: Program, healthy: FakeApi) -> None:
    ran = program.run(typed="x\ny\nz\n")

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[-1].startswith("netdebug: three answers")


@pytest.mark.parametrize("typed", ["", "2\n", "7\n"])
def test_the_answers_end(program: Program, healthy: FakeApi, typed: str) -> None:
    ran = program.run(typed=typed)

    assert (ran.returncode, ran.stdout) == (2, "")
    assert "no more answers" in ran.stderr


def test_services_that_may_not_be_listed_can_be_typed(program: Program, healthy: FakeApi) -> None:
    healthy.on(world.SERVICES, status(403, "no"))
    ran = program.run("--probe", "never", typed="8\nweb\n")

    assert ran.returncode == 0
    assert "$ kubectl netdebug service web -n default" in ran.stderr


def test_an_error_message_chooses_the_question(program: Program, healthy: FakeApi) -> None:
    message = "dial tcp 10.0.0.1:80: connect: connection refused"
    ran = program.run("--probe", "never", typed=f"message\n{message}\n\n")

    assert "Something answered and said no" in ran.stderr
    assert "10.0.0.1 is Service web in namespace default." in ran.stderr


def test_typed_escape_sequences_are_not_echoed(program: Program, healthy: FakeApi) -> None:
    ran = program.run("--probe", "never", typed="\x1b[31mred\n\n\n")

    assert "\x1b" not in ran.stderr


@pytest.mark.parametrize(
    ("message", "situation", "far"),
    [
        ("lookup orders on 10.96.0.10:53: no such host", "names", "orders"),
        ('Get "https://example.com/x": x509: certificate has expired', "away", "https://example.com:443"),
        ("connect ECONNREFUSED 10.0.0.5:5432", "away", "10.0.0.5:5432"),
        ("dial tcp [2001:db8::1]:443: i/o timeout", "away", "[2001:db8::1]:443"),
        ("Failed to connect to orders port 8080: Connection refused", "pod", "orders:8080"),
        ('pods is forbidden: User "x" cannot list', "api", ""),
        ("it does not work", "", ""),
    ],
)
def test_what_a_message_leaves_no_doubt_about(message: str, situation: str, far: str) -> None:
    assert situation_of(understand(message)) == (situation, far)
