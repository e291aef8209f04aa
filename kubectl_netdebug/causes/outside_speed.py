"""How long each phase of a connection to the outside takes, over many tries."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.backends_reach import counter
from kubectl_netdebug.causes.outside_way import (
    connects,
    handshake,
    port_of,
    proxied,
    proxy_address,
    request,
    tried_outside,
)
from kubectl_netdebug.causes.resolving import resolve
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.address import is_address
from kubectl_netdebug.net.outcome import Attempt

SOME, MANY = 8, 20
"""Connects that give a first impression, and those that show how many are lost where one was late."""

COUNTERS = "/proc/net/netstat"

SLOW = 1000.0
"""Milliseconds to the first byte after which a server counts as slow."""

QUICK = 3.0
"""So many times shorter has everything before the first byte to be for the network (and this machine) to be well."""

SYN_AGAIN = "TCPSynRetrans"

REPEATED = 900.0
"""Milliseconds after which the first packet of a connection must have been sent again: that happens after 1 s."""


@dataclass(frozen=True)
class Speed:
    """The phases in milliseconds, None for one that does not occur. `connects` are many attempts at one address."""

    dns: float | None
    connects: tuple[Attempt, ...]
    tls: float | None
    first_byte: float | None
    sent_again: int = 0
    """By how many first packets the Pod's counter of repeated ones rose in that time."""
    overflowed: int = 0
    """How many connections a full queue of the server's Pod turned away in that time."""

    @property
    def lossy(self) -> bool:
        """Packets got lost on the way: connects were late or failed, and the kernel did send packets again.

        A connect that is merely late says nothing: the machine may be busy. Nor do packets that arrived before a full
        queue: then the program does not take its connections.
        """
        return bool(self.sent_again) and bool(self.lost + self.repeated) and not self.overflowed

    @property
    def full(self) -> bool:
        """Connects were late or failed because the program does not take its connections."""
        return bool(self.overflowed) and bool(self.lost + self.repeated)

    @property
    def slow(self) -> bool:
        """The server is what is slow: its first byte takes long, and all before it much less."""
        before = max(self.connect, self.tls or 0.0)
        return self.first_byte is not None and self.first_byte >= max(SLOW, QUICK * before)

    @property
    def tries(self) -> int:
        """How many connects there were."""
        return len(self.connects)

    @property
    def lost(self) -> int:
        """Connects that did not come about although others did."""
        return sum(1 for a in self.connects if not a.outcome.connected)

    @property
    def repeated(self) -> int:
        """Connects whose first packet was lost once or more."""
        return sum(1 for a in self.connects if a.outcome.connected and a.milliseconds >= REPEATED)

    @property
    def quick(self) -> int:
        """Connects without loss."""
        return self.tries - self.lost - self.repeated

    @property
    def connect(self) -> float:
        """The middle one of the connects that came about."""
        times = sorted(a.milliseconds for a in self.connects if a.outcome.connected)
        return times[len(times) // 2] if times else 0.0

    @property
    def words(self) -> str:
        """For people, the phases in their order."""
        if self.lossy:
            quanta = sorted({round(a.milliseconds / 1000) for a in self.connects if a.milliseconds >= REPEATED})
            after = ", ".join(f"{seconds} s" for seconds in quanta)
            again = f"{self.sent_again} first packets sent again"
            return f"{self.lost + self.repeated} of {self.tries} connects lost packets ({after}; {again})"
        if self.full:
            late = self.lost + self.repeated
            return f"{late} of {self.tries} connects were late or failed: a full queue turned {self.overflowed} away"
        phases = [
            f"{name} {value:.0f} ms"
            for name, value in (
                ("DNS", self.dns),
                ("connect", self.connect),
                ("TLS", self.tls),
                ("first byte", self.first_byte),
            )
            if value is not None
        ]
        return ", ".join(phases) + f"; {self.tries} connects"


def measured(look: Look, asked: Question) -> Speed | None:
    """The phases of a request as the client makes it; None where nothing accepts."""
    client = client_pod(look, asked)
    setting = proxied(look, asked)
    if setting is not None:
        place = (proxy_address(look, client, setting.proxy), setting.proxy.port)
    else:
        good = [address for address, a in tried_outside(look, asked) if a.outcome.connected]
        place = (good[0] if good else "", port_of(asked))
    if not place[0]:
        return None
    said, shaken = request(look, asked), handshake(look, asked) if asked.scheme == "https" else None
    look.foresee(*(ask for ask in (said, shaken) if ask is not None))
    burst = many_connects(look, client, *place)
    reply = look.if_known(said) if said else None
    secured = look.if_known(shaken) if shaken else None
    return Speed(
        dns=_dns(look, asked) if setting is None else None,
        connects=burst.attempts,
        tls=secured.milliseconds if secured and secured.speaks_tls else None,
        first_byte=reply.first_byte if reply and reply.answered else None,
        sent_again=burst.sent_again,
    )


@dataclass(frozen=True)
class Burst:
    """Connects to one address, and what the kernels counted meanwhile."""

    attempts: tuple[Attempt, ...]
    sent_again: int = 0
    overflowed: int = 0


def many_connects(look: Look, client: Pod, address: str, port: int, server: Pod | None = None) -> Burst:
    """Some connects, more where one was late or failed; `server` is the Pod there, whose queue is then watched."""
    before = _repeated(look, client, 0)
    tried = [attempt for _, attempt in connects(look, client, [(address, port)], SOME)]
    if all(attempt.milliseconds < REPEATED and attempt.outcome.connected for attempt in tried):
        return Burst(tuple(tried))
    full_before = _overflows(look, server, 2)
    tried = [attempt for _, attempt in connects(look, client, [(address, port)], MANY)]
    after, full_after = _repeated(look, client, 1), _overflows(look, server, 3)
    return Burst(tuple(tried), max(0, after - before), max(0, full_after - full_before))


def _repeated(look: Look, client: Pod, again: int) -> int:
    return counter(look.if_known(asks.file_in(client, COUNTERS, again=again)) or "", "TcpExt", SYN_AGAIN)


def _overflows(look: Look, server: Pod | None, again: int) -> int:
    text = look.if_known(asks.file_in(server, COUNTERS, again=again)) if server else ""
    return counter(text or "", "TcpExt", "ListenOverflows")


def _dns(look: Look, asked: Question) -> float | None:
    """The slowest of the questions that a resolver sends for the name, up to the one that decides."""
    if is_address(asked.host):
        return None
    found = resolve(look, client_pod(look, asked), asked.host)
    return max((answer.milliseconds for _, answer in found.tried), default=None)
