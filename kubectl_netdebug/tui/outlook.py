"""What a namespace looks like right now: what can be chosen, what is broken at first sight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MOST = 500
"""Entries of a list."""


@dataclass(frozen=True)
class Entry:
    """Something that can be chosen: the word that stands for it, and what is told beside it."""

    word: str
    about: str = ""


@dataclass(frozen=True)
class Trouble:
    """A Service that looks broken; `bad` where nothing of it is ready."""

    service: str
    says: str
    bad: bool


@dataclass(frozen=True)
class Outlook:
    """One look at a namespace. `problem` says in a sentence why there is none."""

    services: tuple[Entry, ...] = ()
    workloads: tuple[Entry, ...] = ()
    nodes: tuple[Entry, ...] = ()
    ports: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Each Service's ports."""
    troubles: tuple[Trouble, ...] = ()
    complete: bool = True
    problem: str = ""


def narrowed(entries: tuple[Entry, ...], typed: str) -> list[Entry]:
    """Those that have all typed words in their name; a name that begins so comes first."""
    words = typed.lower().split()
    found = [entry for entry in entries if all(word in entry.word.lower() for word in words)]
    if words:
        found.sort(key=lambda e: not e.word.lower().rpartition("/")[2].startswith(words[0]))
    return found[:MOST]
