"""Facts from the machine that runs this program: the outside client."""

from __future__ import annotations

import errno
import socket
import time

from kubectl_netdebug.model.facts import Answer, ConnectFromHere, Known
from kubectl_netdebug.net.outcome import Outcome

CONNECT_SECONDS = 2.0

_ERRORS = {
    errno.ECONNREFUSED: Outcome.REFUSED,
    errno.EHOSTUNREACH: Outcome.HOST_UNREACHABLE,
    errno.ENETUNREACH: Outcome.NET_UNREACHABLE,
    errno.ETIMEDOUT: Outcome.TIMED_OUT,
    errno.ECONNRESET: Outcome.RESET,
    errno.EPERM: Outcome.NOT_PERMITTED,
    errno.EACCES: Outcome.NOT_PERMITTED,
    errno.EADDRNOTAVAIL: Outcome.NO_LOCAL_ADDRESS,
}


def connect(key: ConnectFromHere) -> Answer:
    """One TCP connect, closed at once."""
    began = time.monotonic()
    outcome, detail = Outcome.CONNECTED, ""
    try:
        socket.create_connection((key.host, key.port), timeout=CONNECT_SECONDS).close()
    except TimeoutError:
        outcome = Outcome.TIMED_OUT
    except socket.gaierror as problem:
        outcome, detail = Outcome.NAME_ERROR, str(problem)
    except OSError as problem:
        outcome, detail = _ERRORS.get(problem.errno or 0, Outcome.OTHER), str(problem)
    milliseconds = round((time.monotonic() - began) * 1000, 1)
    return Known({"outcome": outcome.value, "ms": milliseconds, "detail": detail})
