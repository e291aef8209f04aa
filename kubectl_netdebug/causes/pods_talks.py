"""Who talks to whom when a Pod talks to another Pod, directly or through a Service."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.conversation import Conversation, Party
from kubectl_netdebug.causes.reach import tried
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question


def pod_conversations(look: Look, asked: Question) -> tuple[Conversation, ...]:
    """The client with the Pod on every port that is asked about, or with each Pod of the Service."""
    attempts = tried(look, asked)
    client = client_pod(look, asked)
    names = sorted({backend.pod for backend, _ in attempts if backend.pod})
    pods = look.all([asks.pod_named(asked.namespace, name) for name in names])
    by_name = {pod.name: pod for pod in pods if pod is not None}
    service = look(asks.the_service(asked)) if asked.service else None
    return tuple(
        Conversation(
            Party(client.ip, client),
            Party(backend.address, by_name.get(backend.pod)),
            backend.port,
            backend.protocol,
            attempt,
            service.address if service else "",
        )
        for backend, attempt in attempts
    )
