"""The way of a Pod to something outside: the proxy that it is told to use, the addresses, and how connecting went."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.protocol import MESH_CONTAINERS
from kubectl_netdebug.causes.resolving import resolve
from kubectl_netdebug.model.facts import Ask
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Container, Pod
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.net.address import is_address
from kubectl_netdebug.net.noproxy import Proxy, leaves_out, read_proxy
from kubectl_netdebug.net.outcome import Attempt
from kubectl_netdebug.net.spoken import HttpReply, TlsAnswer

TRIES = 3
"""Connects to each address."""

MOST_ADDRESSES = 4

TLS_PORTS = (443, 6443, 8443)
"""Ports that speak TLS where no scheme was typed."""

Tried = tuple[tuple[str, Attempt], ...]
"""Addresses, each with one attempt; an address stands as often as it was tried."""


@dataclass(frozen=True)
class Setting:
    """A proxy that a container's variables name for the URL. `used`: NO_PROXY does not leave the destination out."""

    container: Container
    variable: str
    proxy: Proxy
    exclusions: str
    used: bool

    def __str__(self) -> str:
        return f"{self.variable}={self.proxy.scheme}://{self.proxy}"


def is_outside(asked: Question) -> bool:
    """Whether the question is about something outside, by whatever name."""
    return asked.flow is FlowName.POD_TO_OUTSIDE and bool(asked.host)


def port_of(asked: Question) -> int:
    """The port as a number; 0 for a name, which means nothing outside the cluster."""
    return int(asked.port) if asked.port.isdecimal() else 0


def setting_of(client: Pod, asked: Question) -> Setting | None:
    """The proxy of the first container that names one for this scheme; plain connections use none."""
    if asked.scheme not in ("http", "https"):
        return None
    for container in client.containers:
        if container.name in MESH_CONTAINERS:
            continue
        for wanted in (f"{asked.scheme}_proxy", "all_proxy"):
            for name, value in container.env.items():
                proxy = read_proxy(value) if name.lower() == wanted and value else None
                if proxy:
                    values = [v for n, v in container.env.items() if n.lower() == "no_proxy" and v]
                    spared = any(leaves_out(value, asked.host, port_of(asked)) for value in values)
                    return Setting(container, name, proxy, ",".join(values), not spared)
    return None


def proxied(look: Look, asked: Question) -> Setting | None:
    """The proxy that the client uses for this URL, or None."""
    setting = setting_of(client_pod(look, asked), asked)
    return setting if setting and setting.used else None


def proxy_address(look: Look, client: Pod, proxy: Proxy) -> str:
    """The proxy's address as the client resolves its name; '' where it does not resolve."""
    if is_address(proxy.host):
        return proxy.host
    return next(iter(resolve(look, client, proxy.host).addresses), "")


def addresses_of(look: Look, asked: Question) -> tuple[str, ...]:
    """Where the client goes for the name: /etc/hosts first, then its name server; an address is its own."""
    if is_address(asked.host):
        return (asked.host,)
    client = client_pod(look, asked)
    pinned = tuple(address for address, names in client.host_aliases if asked.host in names)
    return (pinned[:1] or resolve(look, client, asked.host).addresses)[:MOST_ADDRESSES]


def tried_outside(look: Look, asked: Question) -> Tried:
    """Several connects to each address of the destination, side by side."""
    port = port_of(asked)
    return connects(look, client_pod(look, asked), [(a, port) for a in addresses_of(look, asked)])


def connects(look: Look, client: Pod, places: list[tuple[str, int]], tries: int = TRIES) -> Tried:
    """That many connects to each place."""
    results = look.all(connect_asks(client, places, tries))
    addresses = [address for address, _ in places for _ in range(tries)]
    return tuple(zip(addresses, results, strict=True))


def connect_asks(client: Pod, places: list[tuple[str, int]], tries: int) -> list[Ask[Attempt]]:
    """The facts behind `connects`."""
    return [asks.connect(client, a, port, attempt=attempt) for a, port in places for attempt in range(tries)]


def none_connected(tried: Tried) -> bool:
    """Something was tried and nothing accepted."""
    return bool(tried) and not any(attempt.outcome.connected for _, attempt in tried)


def wants_tls(asked: Question) -> bool:
    """Whether the destination is expected to speak TLS."""
    return asked.scheme == "https" or (not asked.scheme and port_of(asked) in TLS_PORTS)


def server_name(asked: Question) -> str:
    """What stands in the greeting: names alone may."""
    return "" if is_address(asked.host) else asked.host


def _through(look: Look, asked: Question) -> tuple[str, str] | None:
    """(host to connect to, proxy as ADDRESS:PORT or ''); None where there is no address."""
    client = client_pod(look, asked)
    setting = proxied(look, asked)
    if setting is None:
        tried = tried_outside(look, asked)
        good = next((address for address, attempt in tried if attempt.outcome.connected), "")
        return (good, "") if good else None
    address = proxy_address(look, client, setting.proxy)
    return (asked.host, f"{address}:{setting.proxy.port}") if address else None


def handshake(look: Look, asked: Question) -> Ask[TlsAnswer] | None:
    """The TLS handshake as the client would do it, by its proxy where it has one; None where nothing accepts."""
    way = _through(look, asked)
    if way is None:
        return None
    return asks.tls(client_pod(look, asked), way[0], port_of(asked), server_name(asked), via=way[1])


def request(look: Look, asked: Question, *, attempt: int = 0, padding: int = 0) -> Ask[HttpReply] | None:
    """The request as the client would make it; None where nothing accepts or no scheme was typed."""
    way = _through(look, asked)
    if way is None or not asked.scheme:
        return None
    standard = port_of(asked) == {"http": 80, "https": 443}[asked.scheme]
    named = server_name(asked) if asked.scheme == "https" or standard or is_address(asked.host) else ""
    header = named or ("" if is_address(asked.host) else f"{asked.host}:{asked.port}")
    return asks.http(
        client_pod(look, asked),
        way[0],
        port_of(asked),
        asked.path or "/",
        scheme=asked.scheme,
        host_header=header,
        attempt=attempt,
        via=way[1],
        padding=padding,
    )
