"""Connects by a Service's own address, as its clients make them."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_pod, ports_asked
from kubectl_netdebug.causes.reach import tried
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.service import Service, ServicePort
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.outcome import Attempt
from kubectl_netdebug.net.outcome import Outcome as End

TRIES = 3
"""Connects to a virtual address that leads to one backend."""

EACH = 4
"""Connects for each backend behind the address: one rule among n that leads nowhere is then met in 98 of 100 runs."""

MOST_TRIES = 24
"""Connects to one port of a virtual address in one run."""


def virtual_attempts(look: Look, asked: Question) -> tuple[tuple[ServicePort, Attempt], ...]:
    """Several connects to each port of the Service's address, side by side. The Service has an address.

    Those beyond the first few may be missing: a recording of an older version holds less of them.
    """
    service = look(asks.the_service(asked))
    if service is None or not service.address:
        return ()
    client = client_pod(look, asked)
    numbered = [(port, n) for port in ports_asked(service, asked) for n in range(_tries(look, asked, service, port))]
    wanted = [(port, n, asks.connect(client, service.address, port.port, port.protocol, n)) for port, n in numbered]
    look.foresee(*(ask for _, _, ask in wanted))
    made = [(port, look(ask) if n < TRIES else look.if_known(ask)) for port, n, ask in wanted]
    return tuple((port, attempt) for port, attempt in made if attempt is not None)


def _tries(look: Look, asked: Question, service: Service, port: ServicePort) -> int:
    """More where the address leads to several backends that tell anything: a few connects could all meet the same."""
    if service.affinity != "None":
        return TRIES
    telling = {
        backend.address
        for backend, attempt in tried(look, asked)
        if backend.service_port == port and attempt.outcome is not End.SILENT
    }
    return min(MOST_TRIES, EACH * len(telling)) if len(telling) > 1 else TRIES
