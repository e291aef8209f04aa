"""Which Pods make fair clients: one that policies keep out on purpose would tell nothing about the Service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubectl_netdebug.causes import asks
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.policy import Direction, NetworkPolicy
from kubectl_netdebug.net.networkpolicy import End, Packet, decide

MOST_CLIENTS = 100
MOST_SERVERS = 8

Place = tuple[str, int, str]
"""Address, port and protocol of a backend."""


def shut_out(look: Look, namespace: str, clients: Iterable[Pod], places: Iterable[Place]) -> frozenset[str]:
    """The names of those Pods of a namespace that its policies keep from some of these places; none where unknown."""
    policies = look.if_known(asks.policies_in(namespace))
    if not policies:
        return frozenset()
    labels = look.if_known(asks.labels_of_namespace(namespace))
    if labels is None:
        return frozenset()
    here = {pod.ip: pod for pod in look.if_known(asks.pods_in(namespace)) or () if not pod.host_network}
    servers = [(here[address], port, protocol) for address, port, protocol in places if address in here][:MOST_SERVERS]
    return frozenset(
        client.name
        for client in list(clients)[:MOST_CLIENTS]
        if not all(_admitted(policies, labels, client, *server) for server in servers)
    )


def _admitted(
    policies: tuple[NetworkPolicy, ...], labels: Mapping[str, str], client: Pod, server: Pod, port: int, protocol: str
) -> bool:
    packet = Packet(_end(client, labels), _end(server, labels), port, protocol)
    return all(decide(direction, packet, policies).allowed for direction in Direction)


def _end(pod: Pod, labels: Mapping[str, str]) -> End:
    if pod.host_network:
        return End(pod.ip, name=pod.name, node=pod.node)
    return End(pod.ip, pod.namespace, pod.name, pod.labels, labels, pod.ports, pod.node)
