from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.engine import recording
from kubectl_netdebug.engine.recording import BadRecording, Recording
from kubectl_netdebug.model.facts import FactKey, answer_from_json, answer_to_json
from kubectl_netdebug.model.question import FlowName, Question, Source, SourceKind
from tests.unit.anything import KINDS, answers, json_values, keys
from tests.unit.flows import QUESTION

sources = st.builds(Source, st.sampled_from(SourceKind), st.text(), st.text())
questions = st.builds(Question, st.sampled_from(FlowName), st.text(), st.text(), st.text(), st.text(), sources)
recordings = st.builds(
    Recording,
    questions,
    st.dictionaries(keys(), answers, max_size=5),
    st.text(),
    st.integers(0, 10_000).map(lambda milliseconds: milliseconds / 1000),
    st.dictionaries(st.text(), st.text(), max_size=3),
    st.lists(st.text(), max_size=3).map(tuple),
    st.lists(st.dictionaries(st.text(), json_values, max_size=2), max_size=2).map(tuple),
    st.dictionaries(st.text(), json_values, max_size=2),
)
EMPTY = Recording(QUESTION, {}, "2026-01-01T00:00:00Z", 1.0)


@given(recordings)
def test_a_recording_comes_back_as_it_was(original: Recording) -> None:
    content = original.to_bytes()
    again = Recording.from_bytes(content)

    assert again == original
    assert list(again.facts) == list(original.facts), "in the same order"
    assert again.to_bytes() == content


@given(keys())
def test_a_key_comes_back_as_it_was_and_finds_its_fact(key: FactKey) -> None:
    again = FactKey.from_json(json.loads(json.dumps(key.to_json())))

    assert again == key
    assert hash(again) == hash(key)
    assert {key: 1}[again] == 1


@given(answers)
def test_an_answer_comes_back_as_it_was(answer: Any) -> None:
    assert answer_from_json(json.loads(json.dumps(answer_to_json(answer)))) == answer


def test_every_kind_of_fact_is_tried() -> None:
    assert {"Object", "Objects", "Connect", "Sockets", "Now", "MayProbe"} <= {kind.__name__ for kind in KINDS}


@pytest.mark.parametrize(
    "data", [{"fact": "Telepathy"}, {}, {"fact": None}, {"fact": "Now", "extra": 1}, {"fact": "Object", "verb": "x"}]
)
def test_keys_that_this_version_does_not_know(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"unknown kind|has no fields"):
        FactKey.from_json(data)


def packed(**changes: Any) -> bytes:
    data = json.loads(gzip.decompress(EMPTY.to_bytes())) | changes
    return gzip.compress(json.dumps({k: v for k, v in data.items() if v != "left out"}).encode())


def fact(key: Any = None, answer: Any = None) -> list[Any]:
    return [{"key": key or {"fact": "Now"}, "answer": answer or {"value": 1}}]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x1f\x8b",
        b"not gzip at all",
        gzip.compress(b""),
        gzip.compress(b"\xff\xfe"),
        gzip.compress(b"[1, 2]"),
        gzip.compress(b'"netdebug-recording/v1"'),
        gzip.compress(b"[" * 100_000),
        EMPTY.to_bytes()[:-1],
        EMPTY.to_bytes()[:30],
        EMPTY.to_bytes()[:30] + b"X" + EMPTY.to_bytes()[31:],
        packed(format="netdebug-recording/v2"),
        packed(format=["netdebug-recording/v1"]),
        packed(question="left out"),
        packed(question=[]),
        packed(question={"flow": "sideways"}),
        packed(facts={"a": 1}),
        packed(facts=[1]),
        packed(facts=fact(key={"fact": "Telepathy"})),
        packed(facts=fact(key={"fact": "Object", "resource": {}, "namespace": "", "name": ""})),
        packed(facts=fact(key={"fact": "Object"})),
        packed(facts=fact(key="Now")),
        packed(facts=fact(answer={"why": "no such reason", "says": ""})),
        packed(facts=fact(answer={"ms": 1})),
        packed(facts=fact(answer={"value": 1, "ms": "long"})),
        packed(facts=fact(answer=5)),
        packed(seconds="long"),
        packed(seconds=10**400),
        packed(versions=["1"]),
        packed(clusterFlags=5),
        packed(changes=[5]),
        packed(case=7),
    ],
    ids=lambda content: "file",
)
def test_files_that_are_no_recordings_are_refused_in_a_sentence(content: bytes) -> None:
    with pytest.raises(BadRecording) as refused:
        Recording.from_bytes(content)

    assert str(refused.value).startswith("This ")


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    for content in (noise, gzip.compress(noise), EMPTY.to_bytes()[:40] + noise):
        with pytest.raises(BadRecording):
            Recording.from_bytes(content)


@given(
    st.sampled_from(["question", "facts", "startedAt", "seconds", "versions", "clusterFlags", "changes", "case"]),
    json_values,
)
def test_any_value_in_any_field_is_read_or_refused(name: str, value: Any) -> None:
    try:
        read = Recording.from_bytes(packed(**{name: value}))
    except BadRecording:
        return
    assert Recording.from_bytes(read.to_bytes()) == read


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "LARGEST", 100_000)
    bomb = gzip.compress(b" " * 10_000_000)
    unpacked = []

    class Watched:
        def __init__(self, **options: Any) -> None:
            self._real = zlib.decompressobj(**options)

        def decompress(self, content: bytes, most: int) -> bytes:
            text = self._real.decompress(content, most)
            unpacked.append(len(text))
            return text

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    class Zlib:
        error = zlib.error
        decompressobj = Watched

    monkeypatch.setattr(recording, "zlib", Zlib)
    with pytest.raises(BadRecording, match="more than"):
        Recording.from_bytes(bomb)

    assert unpacked == [100_000]
