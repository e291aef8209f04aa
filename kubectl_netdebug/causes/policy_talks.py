"""The connections that policies are asked about, for each flow: who really talks to whom behind all addresses."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import MOST_BACKENDS, Backend, backends, client_named, client_pod, in_use
from kubectl_netdebug.causes.conversation import Conversation, Party
from kubectl_netdebug.model.look import Look, Unestablished
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.net.address import family_of

Talks = Callable[[Look, Question], tuple[Conversation, ...]]

_ELSEWHERE = {
    FlowName.DNS: ("dns_talks", "dns_conversations"),
    FlowName.API: ("api_talks", "api_conversations"),
    FlowName.POD_TO_OUTSIDE: ("outside_talks", "outside_conversations"),
    FlowName.OUTSIDE_TO_POD: ("incoming_talks", "incoming_conversations"),
    FlowName.POD_TO_POD: ("pods_talks", "pod_conversations"),
}
"""Which module of this package says who talks in a flow; imported when it is asked for."""


def conversations(look: Look, asked: Question) -> tuple[Conversation, ...]:
    """Every connection of the question; none where there is nobody to talk to."""
    if asked.flow is FlowName.SERVICE:
        return service_conversations(look, asked)
    if asked.flow not in _ELSEWHERE:
        return ()
    return _elsewhere(*_ELSEWHERE[asked.flow])(look, asked)


def names_first(look: Look, asked: Question) -> tuple[Conversation, ...]:
    """The client's name lookups, for flows that are not about names: most clients need them before anything else."""
    try:
        return _elsewhere(*_ELSEWHERE[FlowName.DNS])(look, asked)
    except Unestablished:
        return ()


def _elsewhere(module: str, function: str) -> Talks:
    found = importlib.import_module(f"kubectl_netdebug.causes.{module}")
    return cast(Talks, getattr(found, function))


def service_conversations(look: Look, asked: Question) -> tuple[Conversation, ...]:
    """The client with each backend in use; a client that nobody named and that cannot be chosen is left unknown."""
    service, slices = look.together(asks.the_service(asked), asks.slices_of(asked))
    if service is None or service.is_alias:
        return ()
    everything = backends(service, slices, asked)
    used = (in_use(everything) or everything)[:MOST_BACKENDS]
    client, may_try = client_of(look, asked)
    pods = _pods_behind(look, service, used)
    attempts = (
        look.all_known([asks.connect(client, b.address, b.port, b.protocol) for b in used])
        if client is not None and may_try
        else [None] * len(used)
    )
    return tuple(
        Conversation(
            client=Party(address_for(client, b.address), client) if client else Party(""),
            server=Party(b.address, pods.get(b.address)),
            port=b.port,
            protocol=b.protocol,
            attempt=attempt,
            via=service.address,
        )
        for b, attempt in zip(used, attempts, strict=True)
    )


def client_of(look: Look, asked: Question) -> tuple[Pod | None, bool]:
    """The client, and whether anything can be tried from it: the one to probe from, else the one that was named."""
    if look.if_known(asks.may_probe()):
        try:
            return client_pod(look, asked), True
        except Unestablished:
            pass
    try:
        return client_named(look, asked), False
    except Unestablished:
        return None, False


def address_for(pod: Pod, other: str) -> str:
    """The Pod's address of the same family as the other end's."""
    family = family_of(other)
    return next((ip for ip in pod.ips if family_of(ip) == family), pod.ip)


def _pods_behind(look: Look, service: Service, used: tuple[Backend, ...]) -> dict[str, Pod]:
    """The Pods by the addresses of the backends."""
    if service.selector:
        selected = look(asks.pods_selected_by(service))
        found: list[Pod | None] = [*selected]
    else:
        names = sorted({b.pod for b in used if b.pod})
        found = look.all([asks.pod_named(service.namespace, name) for name in names])
    here = [pod for pod in found if pod is not None and not pod.finished]
    return {ip: pod for pod in here for ip in (*pod.ips, pod.ip) if ip}
