"""Who talks to whom when a Pod talks to something outside: the client with each address, or with its proxy."""

from __future__ import annotations

from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.conversation import Conversation, Party
from kubectl_netdebug.causes.outside_way import TRIES, Tried, addresses_of, connects, port_of, proxied, proxy_address
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.address import is_address
from kubectl_netdebug.net.outcome import Attempt


def outside_conversations(look: Look, asked: Question) -> tuple[Conversation, ...]:
    """The connections that leave the client's Pod for the sake of this destination."""
    client = client_pod(look, asked)
    setting = proxied(look, asked)
    if setting is None:
        addresses, port = addresses_of(look, asked), port_of(asked)
    else:
        address = proxy_address(look, client, setting.proxy)
        addresses, port = (address,) if address else (), setting.proxy.port
    tried = connects(look, client, [(address, port) for address in addresses], TRIES)
    return tuple(
        Conversation(Party(client.ip, client), Party(address), port, "TCP", _best(tried, address))
        for address in addresses
        if is_address(address)
    )


def _best(tried: Tried, address: str) -> Attempt:
    """The attempt that says most: a connect where there was one."""
    return min((a for place, a in tried if place == address), key=lambda a: (not a.outcome.connected, a.milliseconds))
