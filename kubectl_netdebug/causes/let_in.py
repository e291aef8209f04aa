"""Whether clients outside are let in and answered, so that nothing inside needs to be tried."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import incoming_asks as ask
from kubectl_netdebug.causes.doors import Door, node_doors, outer_addresses
from kubectl_netdebug.causes.fronts import connects, knocks
from kubectl_netdebug.causes.incoming import inner, is_incoming, way
from kubectl_netdebug.causes.schemes import HTTP, declared_scheme
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.service import Service, ServicePort
from kubectl_netdebug.model.question import Question, SourceKind
from kubectl_netdebug.net.outcome import Attempt
from kubectl_netdebug.net.spoken import HttpReply

AGAIN = (1, 2)
"""Further connects to each way in: one of several backends may be the bad one."""


@dataclass(frozen=True)
class Ways:
    """What this machine meets at a Service's own ways in. `typed_node_port`: the person uses a node port."""

    doors: tuple[Door, ...]
    outer: tuple[tuple[str, ServicePort, Attempt], ...]
    typed_node_port: bool

    @property
    def lost_outer(self) -> tuple[tuple[str, ServicePort, Attempt], ...]:
        """Load-balancer and external addresses that do not answer."""
        return tuple(each for each in self.outer if not each[2].outcome.connected)

    @property
    def open_doors(self) -> tuple[Door, ...]:
        """Node ports that let this machine in."""
        return tuple(door for door in self.doors if door.opens)


def ways_of(look: Look, asked: Question) -> Ways:
    """One try at everything; `asked` is the question about the Service itself, as it was typed."""
    inside = inner(look, asked) or asked
    typed = bool(asked.service and inside.port != asked.port)
    return Ways(node_doors(look, inside), () if typed else outer_addresses(look, inside), typed)


def owes_an_answer(service: Service, door: Door) -> bool:
    """Under the policy Local a node without a backend of its own drops clients on purpose."""
    return door.local or service.external_policy != "Local"


def let_in(look: Look, asked: Question) -> bool:
    """Everything that should answer does, several times where several backends take turns."""
    if not is_incoming(asked):
        return False
    if not asked.service and not _by_address(look, asked):
        every = knocks(look, asked)
        return bool(every) and all(k.reply is not None and k.reply.answered and k.reply.status < 500 for k in every)
    ways = ways_of(look, asked)
    tried = (*(d.attempt for d in ways.doors), *(a for _, _, a in ways.outer))
    if not tried or not all(attempt.outcome.connected for attempt in tried):
        return False
    places = [(d.address, d.port.node_port) for d in ways.doors] + [(a, p.port) for a, p, _ in ways.outer]
    again = [outcome for number in AGAIN for outcome in connects(look, asked, places[:8], number)]
    if not all(attempt.outcome.connected for attempt in again):
        return False
    reply = reply_of(look, ways)
    return reply is None or reply.answered


def _by_address(look: Look, asked: Question) -> bool:
    """A URL that names an address of a Service."""
    found = way(look, asked)
    return found.service is not None and found.ingress is None and found.route is None


def reply_of(look: Look, ways: Ways) -> HttpReply | None:
    """What a way in answers to a plain request, where its port is declared to speak HTTP."""
    for address, number, port in plain_places(ways):
        if declared_scheme(port) == HTTP:
            return look.if_known(ask.http_from_here(address, number))
    return None


def plain_places(ways: Ways) -> list[tuple[str, int, ServicePort]]:
    """Every address and port that let this machine in."""
    return [
        *((address, port.port, port) for address, port, attempt in ways.outer if attempt.outcome.connected),
        *((door.address, door.port.node_port, door.port) for door in ways.open_doors),
    ]


def from_outside(asked: Question) -> bool:
    """Whether this machine is the client."""
    return asked.source.kind is SourceKind.OUTSIDE or not asked.source.name
