"""The ways in which an API server, or what stands before it, fails a caller."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tests.failures.recorded import Call, RecordedApi, not_found
from tests.kube.fakeapi import Asked, Behaviour, Wire, answer, cut, drip, drop, garbage, hang, status

MEGABYTE = 1024 * 1024
HUGE = 80 * MEGABYTE
"""More than the program takes of one answer."""


class When(StrEnum):
    """Which calls are harmed."""

    THIS = "this call"
    """Each time it is made, retries too."""
    ONCE = "once"
    """The first time only: the program asks again, or does without."""
    ONWARD = "from here on"
    """It and everything that begins after it."""


@dataclass(frozen=True)
class Harm:
    """One way to fail. `flags` are typed with the question, so that waiting is short; `limit` is theirs in seconds."""

    name: str
    behave: Behaviour
    when: tuple[When, ...] = (When.THIS,)
    flags: tuple[str, ...] = ("--timeout", "10")
    limit: float = 10.0
    says_gone: bool = False
    """The server claims that there is no such object, which may be a cause by itself."""
    asked_again: bool = False
    """Where it happens once, the program waits and asks again, so nothing may be missing in the end."""


def _missing(asked: Asked, wire: Wire) -> bool | None:
    return not_found(asked)(asked, wire)


def _huge(asked: Asked, wire: Wire) -> bool:
    """A body without an end that is written as fast as it is read."""
    wire.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"100000\r\n" + b" " * MEGABYTE + b"\r\n"
    for _ in range(HUGE // MEGABYTE):
        if wire.released.is_set():
            break
        wire.write(chunk)
    return False


_BOMB = gzip.compress(b'{"items": ["' + b"x" * HUGE + b'"]}', 1)
_LOGIN = b"<!DOCTYPE html><html><body><h1>Sign in to continue</h1></body></html>"

_WAITING = ("--request-timeout", "1", "--timeout", "4")

_BOTH = (When.THIS, When.ONWARD)

HARMS = (
    Harm("401", status(401, "Unauthorized"), _BOTH),
    Harm("403", status(403, "forbidden: not for you"), _BOTH),
    Harm("404", _missing, _BOTH, says_gone=True),
    Harm("409", status(409, "the object has been modified")),
    Harm("410", status(410, "too old resource version"), (When.THIS, When.ONCE)),
    Harm("429, come back in an hour", status(429, "slow down", {"Retry-After": "3600"})),
    Harm("429, come back in a second", status(429, "slow down", {"Retry-After": "1"}), (When.ONCE,), asked_again=True),
    Harm("500", status(500, "etcdserver: request timed out"), _BOTH),
    Harm("503", status(503, "the server is currently unable to handle the request"), tuple(When), asked_again=True),
    Harm("hangs", hang, _BOTH, flags=_WAITING, limit=4),
    Harm("a byte now and then", drip, flags=_WAITING, limit=4),
    Harm("closes the connection", drop, tuple(When)),
    Harm("cuts the body", cut, tuple(When)),
    Harm("no HTTP", garbage, _BOTH),
    Harm("a login page", answer(_LOGIN, headers={"Content-Type": "text/html"})),
    Harm("JSON of another shape", answer([1, {"kind": None}])),
    Harm("a huge body", _huge),
    Harm("a huge body, packed", answer(_BOMB, headers={"Content-Encoding": "gzip"})),
)

VANISHES = "objects vanish once seen"
"""The one disturbance that is no answer: what stood in a call's answer exists no more for later calls."""


def harmed(api: RecordedApi, harm: Harm, at: Call, when: When) -> Callable[[Call], Behaviour | None]:
    """What a server does to each call."""
    lock = threading.Lock()
    begun = False

    def decide(call: Call) -> Behaviour | None:
        nonlocal begun
        with lock:
            first = call == at and not begun
            begun = begun or call == at
        struck = {When.THIS: call == at, When.ONCE: first, When.ONWARD: begun}[when]
        if struck and harm.says_gone:
            api.gone.add(call.path.rpartition("/")[2])
        return harm.behave if struck else None

    return decide


def disturb(api: RecordedApi, harm: Harm | None, at: Call, when: When) -> None:
    """Sets a server up; without a harm, objects vanish."""
    if harm is None:
        api.vanishing = at
    else:
        api.harm = harmed(api, harm, at, when)
