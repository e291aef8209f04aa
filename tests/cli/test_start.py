"""Starts that cannot come to a verdict: words, files, servers and credentials that do not do."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.cli import world
from tests.cli.conftest import Program
from tests.kube.fakeapi import FakeApi, hang, status


def _a_sentence(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if not line.startswith("warning: ")]
    assert len(lines) == 1
    assert lines[0].startswith("netdebug: ")
    return lines[0]


def test_no_kubeconfig_at_all(program: Program) -> None:
    ran = program.run("service", "web")

    assert (ran.returncode, ran.stdout) == (3, "")
    assert "kubeconfig" in _a_sentence(ran.stderr).lower()


def test_a_kubeconfig_that_is_not_there(program: Program) -> None:
    ran = program.run("service", "web", "--kubeconfig", "nowhere")

    assert (ran.returncode, ran.stdout) == (3, "")
    assert "nowhere" in _a_sentence(ran.stderr)


def test_a_kubeconfig_that_is_something_else(program: Program, tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"\x00\x01\xff{[")
    ran = program.run("service", "web", "--kubeconfig", "odd")

    assert ran.returncode == 3
    assert "odd" in _a_sentence(ran.stderr)


def test_a_context_that_is_not_there(program: Program, api: FakeApi) -> None:
    ran = program.run("service", "web", "--context", "nope")

    assert (ran.returncode, ran.stdout) == (3, "")
    assert "'nope'" in _a_sentence(ran.stderr)
    assert "fake" in ran.stderr
    assert api.asked == []


@pytest.mark.parametrize("words", [["service", "web"], ["access"]], ids=" ".join)
def test_a_dead_server(program: Program, api: FakeApi, words: list[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        ran = program.run(*words, "--server", f"http://127.0.0.1:{unused.getsockname()[1]}")

    assert (ran.returncode, ran.stdout) == (3, "")
    assert "refuses connections" in _a_sentence(ran.stderr)


def test_a_certificate_of_an_authority_that_nobody_knows(program: Program) -> None:
    with FakeApi(tls=True) as server, FakeApi(tls=True) as other:
        program.aim(server, **{"certificate-authority-data": _base64(other.authority.pem)})
        ran = program.run("service", "web")

    assert (ran.returncode, ran.stdout) == (3, "")
    assert "certificate" in _a_sentence(ran.stderr)


def test_an_expired_token(program: Program, api: FakeApi) -> None:
    api.require = lambda asked: False
    ran = program.run("service", "web")

    assert (ran.returncode, ran.stdout) == (3, "")
    assert "credential" in _a_sentence(ran.stderr)


def test_a_server_that_never_answers_anything(program: Program, healthy: FakeApi) -> None:
    for path in (world.SERVICE, world.SLICES, world.POLICIES):
        healthy.on(path, hang)
    ran = program.run("service", "web", "--timeout", "1")

    assert (ran.returncode, ran.stdout) == (3, "")
    assert "1 s" in _a_sentence(ran.stderr)


def test_a_server_that_is_ill(program: Program, healthy: FakeApi) -> None:
    """It answers, so it is reached; but nothing can be told."""
    for path in (world.SERVICE, world.SLICES, world.PODS):
        healthy.on(path, status(500, "etcdserver: request timed out"))
    ran = program.run("service", "web")

    assert ran.returncode == 4
    assert "etcdserver: request timed out" in " ".join(ran.stdout.split())


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["service"],
        ["service", "a", "b"],
        ["service", "web", "--nonsense"],
        ["service", "web", "--prob", "never"],
        ["service", "web", "-o", "xml"],
        ["service", "web", "--probe", "maybe"],
        ["service", "web", "--timeout", "soon"],
        ["service", "web", "--allow", "everything"],
        ["service", "web", "--read-only", "--probe", "always"],
        ["service", "web", "--record", "/nonexistent/file"],
        ["service", "web", "--record", "."],
        ["service", "web", "--from", "deploy/a/b/c"],
        ["service", "web", "-n", "Not A Namespace"],
        ["service", ""],
        ["service", ":80"],
        ["service", "web:"],
        ["service", "web:0"],
        ["service", "web:65536"],
        ["service", "web; rm -rf /"],
        ["service", "$(reboot)"],
        ["service", "`id`"],
        ["service", "../../secrets/x"],
        ["service", "web\nweb"],
        ["service", "\x1b]0;owned\x07"],
        ["service", "a" * 300],
        ["path", "pod/a"],
        ["path", "pod/a", "example.com"],
        ["path", "pod/a", "https://me:secret@example.com"],
        ["path", "node/one", "self"],
        ["path", "pod/a", "svc/web:65536"],
        ["path", "outside", "self"],
        ["dns", "pod/a", "exa mple"],
        ["dns", "outside"],
        ["api", "deploy/a/b/c"],
        ["api", "\x1b[2J"],
        ["service", "web", "--from", "pod/\x1b[2J"],
        ["explain", "no-such-code\x1b[2J"],
        ["demo", "no-such-case\x1b[2J"],
        ["replay", "no-such-file"],
    ],
    ids=lambda words: " ".join(words)[:40].encode("unicode_escape").decode() or "nothing",
)
def test_words_that_make_no_sense(program: Program, api: FakeApi, words: list[str]) -> None:
    ran = program.run(*words)

    assert (ran.returncode, ran.stdout) == (2, "")
    sentence = _a_sentence(ran.stderr)
    assert len(sentence) < 500
    assert sentence.isprintable()
    assert api.asked == []


def test_help_does_not_need_a_cluster(program: Program) -> None:
    for words in (["--help"], ["service", "-h"], ["--version"], ["explain", "--list"], ["demo", "--help"]):
        ran = program.run(*words)

        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout


def test_version_names_both_sides(program: Program, api: FakeApi) -> None:
    api.on("/version", lambda asked, wire: wire.answer(200, b'{"gitVersion": "v1.99.0"}'))
    ran = program.run("version")
    del program.env["KUBECONFIG"]
    alone = program.run("version")

    assert (ran.returncode, alone.returncode) == (0, 0)
    assert ran.stdout.splitlines()[1] == "Kubernetes v1.99.0 (context fake)"
    assert alone.stdout.splitlines() == ran.stdout.splitlines()[:1]


def _base64(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()
