from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.net.text import sanitise, sanitise_json

ANY_TEXT = st.text(alphabet=st.characters(codec=None, exclude_categories=()), max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(ANY_TEXT)
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    shown = sanitise(text)
    assert all(unicodedata.category(char) not in ("Cc", "Cs") for char in shown if char not in "\n\t")
    assert not any(unicodedata.bidirectional(char) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI") for char in shown)
    shown.encode("utf-8")


@given(ANY_TEXT)
def test_sanitising_twice_changes_nothing_more(text: str) -> None:
    assert sanitise(sanitise(text)) == sanitise(text)


@given(ANY_TEXT, st.integers(min_value=0, max_value=80))
def test_length_is_bound(text: str, most: int) -> None:
    assert len(sanitise(text, most)) <= most


@pytest.mark.parametrize("text", ["", "web", "two\nlines\tand a tab", "größe 東京 🚀", "a…b ✓ ─▶"])
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert sanitise(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "␛[31mred"),
        ("bell\x07", "bell␇"),
        ("\x7f", "␡"),
        ("\x9b2J", "\\u{009B}2J"),
        ("a\u202eb", "a\\u{202E}b"),
        ("zero\u200bwidth", "zero\\u{200B}width"),
        ("line\u2028end", "line\\u{2028}end"),
        ("\ud800", "\\u{D800}"),
        ("cr\rlf", "cr␍lf"),
    ],
)
def test_substitutes_are_visible(text: str, shown: str) -> None:
    assert sanitise(text) == shown


def test_cut_text_says_so() -> None:
    assert sanitise("abcdef", 4) == "abc…"


@given(JSON)
def test_json_keeps_its_shape(value: Any) -> None:
    def check(raw: Any, clean: Any) -> None:
        assert type(raw) is type(clean)
        if isinstance(raw, str):
            assert clean == sanitise(raw)
        elif isinstance(raw, list):
            assert len(raw) == len(clean)
            for one, other in zip(raw, clean, strict=True):
                check(one, other)
        elif isinstance(raw, dict):
            assert {sanitise(key) for key in raw} == set(clean)
        else:
            assert raw == clean

    check(value, sanitise_json(value))


def test_json_input_is_not_touched() -> None:
    value = {"a": ["\x1b"]}
    sanitise_json(value)
    assert value == {"a": ["\x1b"]}


def test_depth_is_no_limit() -> None:
    value: Any = "\x1b"
    for _ in range(50_000):
        value = [value]
    clean = sanitise_json(value)
    for _ in range(50_000):
        clean = clean[0]
    assert clean == "␛"
