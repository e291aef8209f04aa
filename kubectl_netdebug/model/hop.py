"""Hops: the places a packet passes, in the order in which it passes them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Hop(StrEnum):
    """A place on the path. Order of definition is the order of the path."""

    SOURCE = "source"
    """The client's Pod, or this machine."""
    PROXY = "proxy"
    """Proxy variables of the client, and the proxy itself."""
    RESOLVER = "resolver"
    """`/etc/resolv.conf` of the client, against what it should be."""
    DNS_SERVICE = "dns-service"
    """The cluster's DNS Service with its endpoints, Pods and configuration."""
    NAME_SERVERS = "name-servers"
    """Each name server of the client, and each replica behind it, over UDP and TCP."""
    CLUSTER_NAMES = "cluster-names"
    """Names of the cluster, such as that of the API Service."""
    NAME = "name"
    """The name that was asked about, with the client's search list."""
    OUTSIDE_NAMES = "outside-names"
    """Names outside the cluster, and the servers they are forwarded to."""
    DNS_SPEED = "dns-speed"
    """Many tries: how many are lost, and after how long."""
    ROUTES = "routes"
    """Routes and local ports in the client's network namespace."""
    NODE = "node"
    """The Node object: is it ready, and does its configuration agree with that of its neighbours?"""
    NODE_AGENTS = "node-agents"
    """The Pods that make a node's network: kube-proxy, the Pod network's agent, CNI files and address management."""
    NODE_KERNEL = "node-kernel"
    """Kernel settings, connection tracking, the neighbour table."""
    NODE_FILTERS = "node-filters"
    """Packet filters on the node: foreign rules, policies of chains."""
    NODE_LINKS = "node-links"
    """Bridges, bridge ports and the Pods' links."""
    FABRIC = "fabric"
    """Routes and tunnels between nodes."""
    PROXY_RULES = "proxy-rules"
    """kube-proxy on the node: is it there, and do its rules agree with the EndpointSlices?"""
    ENTRY_OBJECT = "entry-object"
    """The Ingress or the Gateway with its routes."""
    CONTROLLER = "controller"
    """The program that serves the Ingress or Gateway."""
    API_SERVICE = "api-service"
    """Service `default/kubernetes` and its endpoints."""
    SERVICE = "service"
    ENDPOINTS = "endpoints"
    POD = "pod"
    SOCKET = "socket"
    EGRESS_POLICY = "egress-policy"
    """Policies that isolate the client's Pod."""
    INGRESS_POLICY = "ingress-policy"
    """Policies that isolate the destination's Pods."""
    BACKENDS = "backends"
    """Each Pod of the destination directly."""
    OWN_ADDRESS = "own-address"
    """The Pod by its own address."""
    ADDRESS = "address"
    """The Service's address; in other flows, the destination's."""
    ENTRY = "entry"
    SIZE = "size"
    """Whether large packets pass as small ones do."""
    TLS = "tls"
    PROTOCOL = "protocol"
    AUTHENTICATION = "authentication"
    """Whether the API server takes the Pod's token."""
    AUTHORIZATION = "authorization"
    """Whether its ServiceAccount may do what the Pod does."""
    API_EXTENSIONS = "api-extensions"
    """What the API server itself calls: webhooks, aggregated APIs, kubelets."""
    SPEED = "speed"
    """Which phase of an answer takes how long."""

    @property
    def order(self) -> int:
        """Position on the path; smaller is earlier."""
        return _ORDER[self]


_ORDER = {hop: place for place, hop in enumerate(Hop)}


class State(StrEnum):
    """How a hop came out."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    ERROR = "error"


@dataclass(frozen=True)
class Outcome:
    """What a hop's own facts say: its state and, in one short line, the value that matters."""

    state: State
    saw: str
    counts: tuple[int, int] | None = None
    """(good, all) where the hop is about several things, such as backends."""


NOT_REACHED = "not reached"
"""How the words of a hop begin that was skipped because an earlier one failed."""


def passed(saw: str, counts: tuple[int, int] | None = None) -> Outcome:
    """The hop works."""
    return Outcome(State.PASS, saw, counts)


def warned(saw: str, counts: tuple[int, int] | None = None) -> Outcome:
    """The hop works for a part of the traffic."""
    return Outcome(State.WARN, saw, counts)


def failed(saw: str, counts: tuple[int, int] | None = None) -> Outcome:
    """The hop is broken."""
    return Outcome(State.FAIL, saw, counts)


def skipped(why: str) -> Outcome:
    """The hop does not apply, or was not looked at; `why` says which."""
    return Outcome(State.SKIPPED, why)


def unknown(why: str) -> Outcome:
    """The hop matters and could not be judged."""
    return Outcome(State.UNKNOWN, why)
