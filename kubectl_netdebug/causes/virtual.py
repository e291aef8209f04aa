"""Connects by a Service's own address, as its clients make them."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_pod, ports_asked
from kubectl_netdebug.causes.reach import tried
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.service import ServicePort
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.outcome import Attempt
from kubectl_netdebug.net.outcome import Outcome as End

TRIES = 3
"""Connects to a virtual address whose backends all behave alike."""

MOST_TRIES = 16
"""Connects to a virtual address in one run."""


def virtual_attempts(look: Look, asked: Question) -> tuple[tuple[ServicePort, Attempt], ...]:
    """Several connects to each port of the Service's address, side by side. The Service has an address."""
    service = look(asks.the_service(asked))
    if service is None or not service.address:
        return ()
    client = client_pod(look, asked)
    wanted = [(port, attempt) for port in ports_asked(service, asked) for attempt in range(_tries(look, asked))]
    tries = look.all(
        [asks.connect(client, service.address, port.port, port.protocol, attempt) for port, attempt in wanted]
    )
    return tuple((port, attempt) for (port, _), attempt in zip(wanted, tries, strict=True))


def _tries(look: Look, asked: Question) -> int:
    """More where some backends answer and others do not: a few could all meet the dead ones."""
    telling = [attempt for _, attempt in tried(look, asked) if attempt.outcome is not End.SILENT]
    mixed = len({attempt.outcome.connected for attempt in telling}) == 2
    return min(MOST_TRIES, TRIES * len(telling)) if mixed else TRIES
