"""Every function of `net` that reads text or plain data is fed with noise: it answers, or raises what it documents.

Functions are found by their annotations, so a new parser is covered the moment it is written. Inputs are texts of real
nodes, cut and mixed with odd words. `make fuzz` runs 100,000 of them for each function.
"""

from __future__ import annotations

import collections.abc
import importlib
import inspect
import json
import os
import pkgutil
import random
import string
import time
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_netdebug import net
from kubectl_netdebug.engine.recording import Recording
from kubectl_netdebug.net.calicoselector import Unreadable
from tests.contract.repository import ROOT

EXAMPLES = 25
FUZZ = int(os.environ.get("FUZZ") or 0)
"""Inputs for each function, without hypothesis, whose own work takes ten times as long as a parser's."""
SECONDS = 1.0
"""Processor time for one input of a few kilobytes: what is not linear takes much longer."""

DOCUMENTED: Mapping[str, tuple[type[Exception], ...]] = {"calicoselector.selects": (Unreadable,)}

ENGINES = {"clusterpolicy", "proxy_expected", "proxy_iptables", "proxy_nft", "iproute_table"}
"""Modules that judge what others have read, and read no text themselves."""

SEEDS = (
    *("kube-proxy-rules-flushed", "kube-proxy-rules-flushed-nft", "vxlan-neighbour-missing", "node-foreign-nft-drop"),
    *("cni-config-invalid", "ipam-leaked", "dns-loop", "outside-cert-expired", "api-rbac-403", "np-pod-label"),
)
_WORDS = (
    *(
        "",
        " ",
        "\t",
        "\n",
        "-",
        "--",
        ":",
        "::",
        "/",
        "0",
        "-1",
        "9" * 400,
        "0x",
        "1e999",
        "NaN",
        "null",
        "{",
        "}",
        "[",
        "]",
    ),
    *(
        '"',
        "'",
        "\\",
        "%",
        "=",
        "==",
        "!",
        "&&",
        "||",
        "(",
        ")",
        "has(",
        "in {",
        "\x00",
        "\x1b[2J",
        "\u202e",
        "\ud800",
        "٣",
    ),
    *("10.0.0.0/33", "::/129", "255.255.255.256", "-A", "-j", "-m", "!", "COMMIT", "*filter", "table", "chain", "{ }"),
)


def _modules() -> list[ModuleType]:
    return [importlib.import_module(f"{net.__name__}.{info.name}") for info in pkgutil.iter_modules(net.__path__)]


def _short(function: Callable[..., Any]) -> str:
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__}"


def _readers() -> dict[str, Callable[..., Any]]:
    """Public functions all of whose parameters are text or plain data."""
    found: dict[str, Callable[..., Any]] = {}
    for module in _modules():
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_") and _takes_plain_data(function):
                found[_short(function)] = function
    return found


def _takes_plain_data(function: Callable[..., Any]) -> bool:
    hints = typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters
    return bool(parameters) and all(_maker(hints.get(name)) for name in parameters)


Maker = Callable[[random.Random], Any]


def _maker(hint: Any) -> Maker | None:
    """What makes a value of a type; None for a type that only our own code makes."""
    if hint in _MAKERS:
        return _MAKERS[hint]
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if isinstance(hint, UnionType) or origin is typing.Union:
        makers = [maker for maker in map(_maker, arguments) if maker]
        return (lambda dice: dice.choice(makers)(dice)) if makers else None
    if origin in (collections.abc.Iterable, collections.abc.Sequence, list, tuple) and arguments[0] is str:
        build = tuple if origin is tuple else list
        return lambda dice: build(_text(dice).splitlines())
    if origin in (collections.abc.Mapping, dict) and arguments == (str, str):
        return lambda dice: {key: _text(dice) for key in ("tcp", "tcp6", "udp", "nft", "iptables", _word(dice))}
    return None


def _text(dice: random.Random) -> str:
    kind = dice.randrange(10)
    if kind == 0:
        return "".join(
            chr(dice.choice((dice.randrange(0x80), dice.randrange(0x110000)))) for _ in range(dice.randrange(60))
        )
    if kind == 1:
        return json.dumps(_data(dice))
    lines = dice.choice(_texts())
    begin = dice.randrange(len(lines))
    taken = lines[begin : begin + dice.randrange(1, 25)]
    for _ in range(dice.randrange(4)):
        at = dice.randrange(len(taken))
        words = taken[at].split(" ")
        words[dice.randrange(len(words))] = _word(dice)
        taken[at] = " ".join(words)
    text = "".join(taken)[:4000]
    return text[dice.randrange(len(text)) :] if kind == 2 and text else text


def _word(dice: random.Random) -> str:
    return dice.choice(_WORDS) if dice.random() < 0.7 else "".join(dice.choices(string.printable, k=dice.randrange(12)))


def _data(dice: random.Random, depth: int = 3) -> Any:
    kind = dice.randrange(9 if depth else 6)
    if kind < 6:
        return (None, True, dice.randrange(-9, 99999), dice.random() * 1e9, _word(dice), _word(dice))[kind]
    if kind == 6:
        return [_data(dice, depth - 1) for _ in range(dice.randrange(4))]
    return {dice.choice(_keys()): _data(dice, depth - 1) for _ in range(dice.randrange(6))}


_MAKERS: Mapping[Any, Maker] = {
    str: _text,
    bytes: lambda dice: (
        _text(dice).encode("utf-8", "replace") if dice.random() < 0.5 else dice.randbytes(dice.randrange(99))
    ),
    int: lambda dice: dice.choice((0, 1, 80, 65535, -1, dice.randrange(10**6))),
    bool: lambda dice: dice.random() < 0.5,
    Any: _data,
}


@cache
def _texts() -> tuple[list[str], ...]:
    """What nodes, Pods and logs have said in recordings, in lines with their ends."""
    found: list[str] = []
    for name in SEEDS:
        recording = Recording.from_bytes((ROOT / "tests" / "cases" / f"{name}.json.gz").read_bytes())
        values = [getattr(known, "value", None) for known in recording.facts.values()]
        found += [value[:20_000] for value in values if isinstance(value, str) and value]
    assert len(found) > 20
    return tuple(text.splitlines(keepends=True) for text in found)


@cache
def _keys() -> tuple[str, ...]:
    recording = Recording.from_bytes((ROOT / "tests" / "cases" / "api-rbac-403.json.gz").read_bytes())
    names = {str(key) for known in recording.facts.values() for key in _keys_of(getattr(known, "value", None))}
    return tuple(sorted(names))


def _keys_of(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from _keys_of(inner)
    if isinstance(value, list):
        for inner in value:
            yield from _keys_of(inner)


READERS = _readers()


@pytest.mark.parametrize("name", sorted(READERS))
def test_noise_is_read_or_refused_as_documented(name: str) -> None:
    function = READERS[name]
    hints = typing.get_type_hints(function)
    makers: Sequence[Maker] = [
        typing.cast(Maker, _maker(hints[each])) for each in inspect.signature(function).parameters
    ]

    def feed(seed: int) -> None:
        dice = random.Random(seed)
        arguments = [make(dice) for make in makers]
        began = time.thread_time()
        try:
            answer = function(*arguments)
            if isinstance(answer, collections.abc.Iterator):
                list(answer)
        except DOCUMENTED.get(name, ()):
            pass
        except Exception as defect:
            raise AssertionError(f"{name}{tuple(arguments)!r}, seed {seed}") from defect
        assert time.thread_time() - began < SECONDS, f"{name}{tuple(arguments)!r}, seed {seed}"

    if FUZZ:
        first = random.SystemRandom().randrange(2**60)
        for seed in range(first, first + FUZZ):
            feed(seed)
    else:
        settings(max_examples=EXAMPLES)(given(st.integers(0, 2**62))(feed))()


def test_every_module_that_reads_is_covered() -> None:
    covered = {name.partition(".")[0] for name in READERS}
    modules = {module.__name__.rpartition(".")[2] for module in _modules()}

    assert modules - covered == ENGINES


def test_what_is_called_a_reader_is_covered() -> None:
    """A function called `read_…` or `parse_…` that takes something else than plain data would slip through."""
    readers = {
        f"{path.stem}.{line.split('(')[0].removeprefix('def ')}"
        for path in Path(net.__path__[0]).glob("*.py")
        for line in path.read_text().splitlines()
        if line.startswith(("def read_", "def parse_"))
    }

    assert readers <= READERS.keys()


def test_a_defect_would_be_seen() -> None:
    """The texts reach deep enough to trip a reader that trusts its input."""

    def trusting(text: str) -> int:
        return int(text.split(" ")[1])

    def read_all() -> None:
        for seed in range(200):
            trusting(_text(random.Random(seed)))

    with pytest.raises((ValueError, IndexError)):
        read_all()
