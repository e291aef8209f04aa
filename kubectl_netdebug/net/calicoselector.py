"""Calico's selector expressions: `app == 'web' && has(tier) && zone in {'a', 'b'}`."""

from __future__ import annotations

import re
from collections.abc import Mapping

_TOKEN = re.compile(
    r"\s*(?:(?P<op>&&|\|\||==|!=|!|\(|\)|\{|\}|,)|(?P<text>'[^']*'|\"[^\"]*\")|(?P<word>[\w./-]+(?:\(\))?))\s*"
)
MOST = 4096


class Unreadable(ValueError):
    """An expression of another language than this one."""


def selects(expression: str, labels: Mapping[str, str]) -> bool:
    """Whether an expression holds for these labels; an empty one always does. Raises Unreadable."""
    if not expression.strip():
        return True
    reader = _Reader(_tokens(expression), labels)
    value = reader.either()
    if reader.left:
        raise Unreadable(f"unexpected {reader.left[0]!r}")
    return value


def _tokens(expression: str) -> list[str]:
    if len(expression) > MOST:
        raise Unreadable("longer than a selector is")
    found, place = [], 0
    while place < len(expression):
        match = _TOKEN.match(expression, place)
        if match is None or match.end() == place:
            raise Unreadable(f"unexpected {expression[place : place + 10]!r}")
        found.append(match[0].strip())
        place = match.end()
    return found


class _Reader:
    """A recursive descent over the tokens; both sides of `&&` and `||` are always read."""

    def __init__(self, tokens: list[str], labels: Mapping[str, str]) -> None:
        self.left = tokens
        self._labels = labels
        self._depth = 0

    def either(self) -> bool:
        value = self._all()
        while self._is("||"):
            other = self._all()
            value = value or other
        return value

    def _all(self) -> bool:
        value = self._not()
        while self._is("&&"):
            other = self._not()
            value = value and other
        return value

    def _not(self) -> bool:
        negated = False
        while self._is("!"):
            negated = not negated
        return self._term() is not negated

    def _term(self) -> bool:
        if self._is("("):
            self._depth += 1
            if self._depth > 50:
                raise Unreadable("too deeply nested")
            value = self.either()
            self._want(")")
            self._depth -= 1
            return value
        word = self._take()
        if word == "all()":
            return True
        if word == "global()":
            return "projectcalico.org/namespace" not in self._labels
        if word == "has":
            self._want("(")
            key = self._take()
            self._want(")")
            return key in self._labels
        return self._comparison(word)

    def _comparison(self, key: str) -> bool:
        value = self._labels.get(key)
        match self._take():
            case "==":
                return value == self._text()
            case "!=":
                return value != self._text()
            case "in":
                return value in self._set()
            case "not":
                self._want("in")
                return value not in self._set()
            case "contains":
                wanted = self._text()
                return value is not None and wanted in value
            case "starts":
                self._want("with")
                return value is not None and value.startswith(self._text())
            case "ends":
                self._want("with")
                return value is not None and value.endswith(self._text())
        raise Unreadable(f"no comparison of {key}")

    def _set(self) -> set[str]:
        self._want("{")
        found: set[str] = set()
        while not self._is("}"):
            found.add(self._text())
            self._is(",")
        return found

    def _text(self) -> str:
        word = self._take()
        if word[:1] not in ("'", '"'):
            raise Unreadable(f"{word} is no text")
        return word[1:-1]

    def _take(self) -> str:
        if not self.left:
            raise Unreadable("it ends too early")
        return self.left.pop(0)

    def _is(self, token: str) -> bool:
        if self.left and self.left[0] == token:
            self.left.pop(0)
            return True
        return False

    def _want(self, token: str) -> None:
        if self._take() != token:
            raise Unreadable(f"no {token}")
