"""A Pod and the Services that lead to it: what became of connects to its own address and to theirs."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import Backend, backends, behind_services, client_pod, in_use
from kubectl_netdebug.causes.backends_reach import counter
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.outcome import Attempt

FOR_EACH = 8
"""Connects for each backend of a Service: so seldom is one of three never chosen that it does not matter."""

MOST_CONNECTS = 48
MOST_OTHERS = 6
SNMP = "/proc/net/snmp"
OWN_TRIES = 3


@dataclass(frozen=True)
class Loop:
    """The client's Pod behind one port of a Service, with what connects there came to.

    `others` are connects from the client to the other backends directly. `returned` says how many packets came in at
    the Pod meanwhile without being taken: its own ones that came back with an address that no Pod accepts.
    """

    client: Pod
    service: Service
    backend: Backend
    attempts: tuple[Attempt, ...]
    others: tuple[tuple[Backend, Attempt], ...]
    returned: int

    @property
    def backends(self) -> int:
        """How many stand behind the port, the client included."""
        return len(self.others) + 1

    @property
    def good(self) -> int:
        """Connects that came about."""
        return sum(1 for a in self.attempts if a.outcome.connected)

    @property
    def lost(self) -> int:
        """Connects to which nothing came back."""
        return sum(1 for a in self.attempts if a.outcome.lost)

    @property
    def others_work(self) -> bool:
        """Every other backend accepts from this Pod."""
        return all(a.outcome.connected for _, a in self.others)

    @property
    def place(self) -> str:
        """`Service web (10.96.3.4:80)`."""
        return f"Service {self.service.name} ({self.service.address}:{self.backend.service_port.port})"


def own_address(look: Look, asked: Question) -> tuple[tuple[Backend, Attempt], ...]:
    """Connects of the Pod to its own address, on the ports on which Services lead to it."""
    client = client_pod(look, asked)
    own = list({(b.address, b.port, b.protocol): b for _, b in behind_services(look, asked)}.values())
    wanted = [b for b in own for _ in range(OWN_TRIES)]
    tries = look.all([asks.connect(client, b.address, b.port, b.protocol, n) for b in own for n in range(OWN_TRIES)])
    return tuple(zip(wanted, tries, strict=True))


def loops(look: Look, asked: Question) -> tuple[Loop, ...]:
    """Many connects by each Service that has an address and gives this Pod its traffic. TCP alone."""
    client = client_pod(look, asked)
    wanted = [
        (service, backend, _others(look, asked, service, backend))
        for service, backend in behind_services(look, asked)
        if service.address and backend.protocol == "TCP" and (backend.endpoint.ready or service.publish_not_ready)
    ]
    if not wanted:
        return ()
    before = look.if_known(asks.file_in(client, SNMP)) or ""
    asked_for = [
        asks.connect(client, s.address, b.service_port.port, b.protocol, n)
        for s, b, others in wanted
        for n in range(_tries(others))
    ]
    direct = [asks.connect(client, o.address, o.port, o.protocol) for _, _, others in wanted for o in others]
    results = look.all([*asked_for, *direct])
    after = look.if_known(asks.file_in(client, SNMP, again=1)) or ""
    returned = _untaken(after) - _untaken(before) if before and after else 0
    met, beside = list(results[: len(asked_for)]), list(results[len(asked_for) :])
    found = []
    for service, backend, others in wanted:
        mine = [met.pop(0) for _ in range(_tries(others))]
        theirs = [beside.pop(0) for _ in others]
        pairs = tuple(zip(others, theirs, strict=True))
        found.append(Loop(client, service, backend, tuple(mine), pairs, max(0, returned)))
    return tuple(found)


def _tries(others: tuple[Backend, ...]) -> int:
    return min(MOST_CONNECTS, FOR_EACH * (len(others) + 1))


def _others(look: Look, asked: Question, service: Service, backend: Backend) -> tuple[Backend, ...]:
    """The other backends in use behind the same port."""
    slices = [each for each in look(asks.slices_in(service.namespace)) if each.service == service.name]
    client = client_pod(look, asked)
    every = in_use(backends(service, slices, Question(asked.flow, service.namespace, service.name)))
    same = [b for b in every if b.service_port == backend.service_port and b.address not in (client.ip, *client.ips)]
    return tuple(same[:MOST_OTHERS])


def _untaken(snmp: str) -> int:
    """Packets that came in and were not delivered, ever."""
    return counter(snmp, "Ip", "InReceives") - counter(snmp, "Ip", "InDelivers")
