"""How long each phase of a connection to a Pod takes, over many tries."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import Backend, client_pod
from kubectl_netdebug.causes.outside_speed import Speed, many_connects
from kubectl_netdebug.causes.reach import tried
from kubectl_netdebug.causes.talk import path_at
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import FlowName, Question


def speed_of_pod(look: Look, asked: Question) -> Speed | None:
    """The phases of a request to the first port that accepts; None where none does or no Pod was asked about."""
    backend = accepting(look, asked)
    if backend is None:
        return None
    client = client_pod(look, asked)
    server = look.if_known(asks.pod_named(asked.namespace, backend.pod))
    burst = many_connects(look, client, backend.address, backend.port, server)
    path = path_at(look, asked, backend)
    reply = look.if_known(asks.http(client, backend.address, backend.port, path)) if path is not None else None
    first_byte = reply.first_byte if reply and reply.answered else None
    return Speed(None, burst.attempts, None, first_byte, burst.sent_again, burst.overflowed)


def accepting(look: Look, asked: Question) -> Backend | None:
    """The Pod on the first TCP port that accepts, rather one that speaks HTTP."""
    if asked.flow is not FlowName.POD_TO_POD or not asked.pod:
        return None
    good = [b for b, a in tried(look, asked) if a.outcome.connected and b.protocol == "TCP"]
    return min(good, key=lambda b: path_at(look, asked, b) is None, default=None)
