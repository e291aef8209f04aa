"""Diagnoses every recording again: today's causes must lead from the recorded facts to what was injected."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubectl_netdebug.cli.replay import diagnose_recording
from kubectl_netdebug.engine.recording import Recording
from kubectl_netdebug.report.data import as_json, as_yaml
from kubectl_netdebug.report.style import Style
from kubectl_netdebug.report.text import render

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("*.json.gz"))

SECRETS = {
    "a JSON web token": re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}"),
    "a private key": re.compile(r"PRIVATE KEY"),
    # Names of events have the same shape.
    "a bootstrap token": re.compile(r"(?<!\"name\":\")\b[a-z0-9]{6}\.[a-z0-9]{16}\b"),
    "a bearer token": re.compile(r"[Bb]earer [A-Za-z0-9._~+/-]{8,}"),
}
ENVIRONMENT_MAY_SHOW = {
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "kubernetes_service_host",
    "kubernetes_service_port",
}

each_recording = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.removesuffix(".json.gz"))


@each_recording
def test_the_verdict_is_what_was_injected(path: Path) -> None:
    recording = Recording.from_bytes(path.read_bytes())
    expected = recording.case["expect"]
    result = diagnose_recording(recording, strict=True)

    assert result.verdict.state == expected["state"], result.verdict.headline
    codes = [cause.code for cause in result.causes]
    if expected.get("code") is None:
        assert set(codes) <= set(expected.get("also", ()))
        return
    assert codes[:1] == [expected["code"]]
    if expected.get("object"):  # some faults are no single object's, such as a rule on every node
        assert _object(result.causes[0].object) == expected["object"]
    assert set(codes[1:]) <= set(expected.get("also", ()))


@each_recording
def test_writing_it_again_changes_nothing(path: Path) -> None:
    recording = Recording.from_bytes(path.read_bytes())

    # The text may differ: facts have got more fields since some recordings were made.
    assert Recording.from_bytes(recording.to_bytes()) == recording


@each_recording
def test_it_holds_no_secret(path: Path) -> None:
    text = gzip.decompress(path.read_bytes()).decode()

    assert [what for what, pattern in SECRETS.items() if pattern.search(text)] == []
    assert list(revealed(json.loads(text))) == []


@each_recording
@pytest.mark.parametrize("style", [Style(), Style(60, colour=True), Style(ascii_only=True)], ids=repr)
def test_it_can_be_drawn(path: Path, style: Style) -> None:
    result = diagnose_recording(Recording.from_bytes(path.read_bytes()))

    for wide in (False, True):
        text = render(result, style, wide=wide)
        assert result.question.service in text.splitlines()[0]
        assert all(cause.code in text for cause in result.causes)
    assert json.loads(as_json(result))["verdict"]["headline"] == result.verdict.headline
    assert result.verdict.state in as_yaml(result)


def test_secrets_would_be_seen() -> None:
    pod = {
        "env": [{"name": "A", "value": "s3cret"}, {"name": "NO_PROXY", "value": "x"}, {"name": "B", "value": "<value>"}]
    }

    assert list(revealed({"facts": [{"items": [pod]}]})) == ["environment variable A"]
    assert list(revealed({"kind": "Secret", "data": {"a": "aGk=", "b": None}})) == ["Secret key a"]
    assert SECRETS["a JSON web token"].search("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlIn0.c2ln")


def revealed(value: Any) -> Iterator[str]:
    """What stands in the clear and should not."""
    if isinstance(value, list):
        for item in value:
            yield from revealed(item)
    if isinstance(value, dict):
        if value.get("kind") == "Secret":
            yield from (f"Secret key {k}" for k, v in (value.get("data") or {}).items() if v is not None)
        if isinstance(value.get("env"), list):
            yield from (f"environment variable {name}" for name in _shown_variables(value["env"]))
        for item in value.values():
            yield from revealed(item)


def _shown_variables(variables: list[Any]) -> Iterator[str]:
    for variable in variables:
        name, shown = variable.get("name", ""), variable.get("value")
        if shown not in (None, "", "<value>") and name.lower() not in ENVIRONMENT_MAY_SHOW:
            yield name


def _object(at: Any) -> str:
    return f"{at.kind}/{at.name}"
