"""Who talks to whom when a Pod calls the API server, for everything that judges connections one by one."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.api_view import client_of, door_of
from kubectl_netdebug.causes.conversation import Conversation, Party
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question


def api_conversations(look: Look, asked: Question) -> tuple[Conversation, ...]:
    """The client to each API server behind `default/kubernetes`; without attempts where probing is not allowed."""
    client = client_of(look, asked)
    if client is None:
        return ()
    door = door_of(look)
    via = f"{door.address}:{door.port}" if door.address else ""
    tries = look.all_known([asks.connect(client, host, port) for host, port in door.endpoints])
    return tuple(
        Conversation(Party(client.ip, client), Party(host), port, "TCP", attempt, via)
        for (host, port), attempt in zip(door.endpoints, tries, strict=True)
    )
