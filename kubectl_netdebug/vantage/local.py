"""Facts from the machine that runs this program: the outside client."""

from __future__ import annotations

import errno
import socket
import time

from kubectl_netdebug.model.facts import (
    Answer,
    ConnectFromHere,
    Known,
    LocalNetworks,
    LookupFromHere,
    SourceFromHere,
)
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
    except OSError as problem:
        outcome, detail = outcome_of(problem), "" if isinstance(problem, TimeoutError) else str(problem)
    milliseconds = round((time.monotonic() - began) * 1000, 1)
    return Known({"outcome": outcome.value, "ms": milliseconds, "detail": detail})


def outcome_of(problem: OSError) -> Outcome:
    """How a connect ended that raised this."""
    if isinstance(problem, TimeoutError):
        return Outcome.TIMED_OUT
    if isinstance(problem, socket.gaierror):
        return Outcome.NAME_ERROR
    return _ERRORS.get(problem.errno or 0, Outcome.OTHER)


def lookup(key: LookupFromHere) -> Answer:
    """The addresses of a name by the system's resolver, hosts file included."""
    try:
        found = socket.getaddrinfo(key.name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as problem:
        return Known({"addresses": [], "error": _NAMES.get(problem.errno or 0, str(problem))})
    except (OSError, ValueError) as problem:
        return Known({"addresses": [], "error": str(problem)})
    return Known({"addresses": list(dict.fromkeys(str(entry[4][0]) for entry in found)), "error": ""})


_NAMES = {socket.EAI_NONAME: "no such name", socket.EAI_AGAIN: "no name server answers", socket.EAI_FAIL: "failed"}


def networks(key: LocalNetworks) -> Answer:
    """The addresses of the interfaces, with the length of their prefix."""
    import psutil

    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    found = [
        {"interface": name, "address": entry.address.partition("%")[0], "prefix": _length(entry.netmask)}
        for name, entries in psutil.net_if_addrs().items()
        for entry in entries
        if name in up and name != "lo" and entry.family in (socket.AF_INET, socket.AF_INET6)
    ]
    return Known({"addresses": found})


def _length(mask: str | None) -> int:
    """The number of leading ones of a netmask of either family; 0 where there is none."""
    import ipaddress

    try:
        return bin(int(ipaddress.ip_address(mask or "0.0.0.0"))).count("1")
    except ValueError:
        return 0


def source(key: SourceFromHere) -> Answer:
    """Asks the kernel alone: connecting a UDP socket sends nothing."""
    family = socket.AF_INET6 if ":" in key.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as unused:
        try:
            unused.connect((key.address, 9))
            return Known({"source": str(unused.getsockname()[0])})
        except OSError:
            return Known({"source": ""})
