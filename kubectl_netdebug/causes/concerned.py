"""Which connections failed, and which nodes they pass: what every cause on a node starts from."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.api_view import door_of, vip_tries
from kubectl_netdebug.causes.backends import backends_asked, client_pod, in_use
from kubectl_netdebug.causes.conversation import Party
from kubectl_netdebug.causes.dns_client import resolver_of
from kubectl_netdebug.causes.dns_talks import over_udp
from kubectl_netdebug.causes.dns_tried import dns_service, servers_tried
from kubectl_netdebug.causes.itself_view import loops, own_address
from kubectl_netdebug.causes.policy_talks import conversations
from kubectl_netdebug.causes.virtual import virtual_attempts
from kubectl_netdebug.model.look import Look, Unestablished
from kubectl_netdebug.model.objects.node import Node
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.net.address import is_address
from kubectl_netdebug.net.outcome import Attempt

DNS_PORT = 53
MOST_NODES = 4
"""Nodes that are looked at in one run, beside the client's."""


@dataclass(frozen=True)
class Trouble:
    """A connection that failed, between two Pods or by a Service's address.

    `server` is the Pod or address behind; for a Service's address that balances over several, `server.pod` is None and
    `address` the Service's own. `node` names are '' where they are not known or the party is outside.
    """

    client: Party
    client_node: str
    server: Party
    server_node: str
    address: str
    port: int
    protocol: str
    attempt: Attempt
    virtual: bool = False

    @property
    def lost(self) -> bool:
        """Nothing came back, as when packets are dropped."""
        return self.attempt.outcome.lost

    @property
    def across(self) -> bool:
        """Between two different nodes that are known."""
        return bool(self.client_node and self.server_node) and self.client_node != self.server_node

    @property
    def label(self) -> str:
        """`cart → web-1 (10.0.0.7:80)`."""
        who = self.client.pod.name if self.client.pod else self.client.address or "client"
        whom = f"{self.server.pod.name} " if self.server.pod else ""
        return f"{who} → {whom}({self.address}:{self.port}/{self.protocol})"


def troubles(look: Look, asked: Question) -> tuple[Trouble, ...]:
    """The connections of the question that did not come about; none for a question about a node itself."""
    return tuple(t for t in everything_tried(look, asked) if not t.attempt.outcome.connected)


def working(look: Look, asked: Question) -> tuple[Trouble, ...]:
    """Those that did come about, for comparison."""
    return tuple(t for t in everything_tried(look, asked) if t.attempt.outcome.connected)


def everything_tried(look: Look, asked: Question) -> tuple[Trouble, ...]:
    """Every connection that was tried, with the nodes at its ends."""
    if asked.flow is FlowName.NODE or look.if_known(asks.may_probe()) is None:
        return ()
    nodes = look.if_known(asks.nodes()) or ()
    try:
        return (*_direct(look, asked, nodes), *_virtual(look, asked), *_by_name_server(look, asked))
    except Unestablished:
        return ()


def nodes_concerned(look: Look, asked: Question) -> tuple[str, ...]:
    """The nodes worth a look: the one asked about, else those that failed connections pass, the client's first."""
    if asked.flow is FlowName.NODE:
        return (asked.node,)
    failed = troubles(look, asked)
    clients = dict.fromkeys(t.client_node for t in failed if t.client_node)
    servers = dict.fromkeys(t.server_node for t in failed if t.server_node and t.server_node not in clients)
    return (*clients, *list(servers)[:MOST_NODES])


def _direct(look: Look, asked: Question, nodes: tuple[Node, ...]) -> tuple[Trouble, ...]:
    if asked.flow is FlowName.POD_TO_ITSELF:
        client = client_pod(look, asked)
        me = Party(client.ip, client)
        return tuple(
            Trouble(me, client.node, me, client.node, b.address, b.port, b.protocol, attempt)
            for b, attempt in own_address(look, asked)
        )
    return tuple(
        Trouble(
            client=talk.client,
            client_node=_node_of(talk.client, nodes),
            server=talk.server,
            server_node=_node_of(talk.server, nodes),
            address=talk.server.address,
            port=talk.port,
            protocol=talk.protocol,
            attempt=talk.attempt,
        )
        for talk in conversations(look, asked)
        if talk.attempt is not None
    )


def _virtual(look: Look, asked: Question) -> tuple[Trouble, ...]:
    """Connects by Service addresses. Behind one with a single backend, that backend's node is the other end."""
    if asked.flow is FlowName.POD_TO_ITSELF:
        return tuple(
            Trouble(
                Party(loop.client.ip, loop.client),
                loop.client.node,
                Party(loop.service.address),
                loop.client.node if loop.backends == 1 else "",
                loop.service.address,
                loop.backend.service_port.port,
                loop.backend.protocol,
                attempt,
                virtual=True,
            )
            for loop in loops(look, asked)
            for attempt in loop.attempts
        )
    if asked.flow is FlowName.API:
        return _to_the_api(look, asked)
    if not asked.service or asked.flow not in (FlowName.SERVICE, FlowName.POD_TO_POD):
        return ()
    service = look(asks.the_service(asked))
    if service is None or not service.address or service.headless or service.is_alias:
        return ()
    used = in_use(backends_asked(look, asked))
    if not used:
        return ()
    client = client_pod(look, asked)
    behind = {b.endpoint.node for b in used}
    far = behind.pop() if len(behind) == 1 else ""
    return tuple(
        Trouble(
            Party(client.ip, client),
            client.node,
            Party(service.address),
            far,
            service.address,
            port.port,
            port.protocol,
            attempt,
            virtual=True,
        )
        for port, attempt in virtual_attempts(look, asked)
    )


def _to_the_api(look: Look, asked: Question) -> tuple[Trouble, ...]:
    client, door = client_pod(look, asked), door_of(look)
    me = Party(client.ip, client)
    return tuple(
        Trouble(me, client.node, Party(door.address), "", door.address, door.port, "TCP", attempt, virtual=True)
        for attempt in vip_tries(look, client, door)
    )


def _by_name_server(look: Look, asked: Question) -> tuple[Trouble, ...]:
    """Questions to the cluster's DNS by its Service's address, where names are a part of the question."""
    named = asked.flow is FlowName.DNS or (asked.flow is FlowName.POD_TO_OUTSIDE and not is_address(asked.host))
    resolver = resolver_of(look, asked) if named else None
    if resolver is None or dns_service(look, resolver) is None:
        return ()
    me, node, address = Party(resolver.pod.ip, resolver.pod), resolver.pod.node, resolver.first
    found = []
    for tried in servers_tried(look, asked):
        if tried.server != address:
            continue
        attempts = [("UDP", over_udp(tried)), ("TCP", tried.tcp)]
        found += [
            Trouble(me, node, Party(address), "", address, DNS_PORT, protocol, attempt, virtual=True)
            for protocol, attempt in attempts
            if attempt is not None
        ]
    return tuple(found)


def _node_of(party: Party, nodes: tuple[Node, ...]) -> str:
    """Where a party stands; '' for what is outside."""
    if party.pod is not None:
        return party.pod.node
    return next((n.name for n in nodes if any(address == party.address for _, address in n.addresses)), "")
