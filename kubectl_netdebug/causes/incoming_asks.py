"""Facts about ways in from outside: Ingresses, Gateways, and what this machine meets, with their words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.model.facts import (
    Ask,
    HttpFromHere,
    LocalNetworks,
    LookupFromHere,
    Object,
    Objects,
    SourceFromHere,
    TlsFromHere,
)
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.gateway import Gateway, HttpRoute, read_gateway, read_route
from kubectl_netdebug.model.objects.ingress import Ingress, IngressClass, read_class, read_ingress
from kubectl_netdebug.model.objects.pod import Pod, read_pod
from kubectl_netdebug.net.spoken import HttpReply, TlsAnswer, read_reply, read_tls

INGRESSES = "ingresses.networking.k8s.io"
CLASSES = "ingressclasses.networking.k8s.io"
GATEWAYS = "gateways.gateway.networking.k8s.io"
GATEWAY_CLASSES = "gatewayclasses.gateway.networking.k8s.io"
ROUTES = "httproutes.gateway.networking.k8s.io"
GRANTS = "referencegrants.gateway.networking.k8s.io"


def ingress_named(namespace: str, name: str) -> Ask[Ingress | None]:
    """An Ingress, or None."""

    def says(found: Ingress | None) -> str:
        if found is None:
            return f"no Ingress {namespace}/{name}"
        where = ", ".join(found.addresses) or "no address"
        return f"Ingress {namespace}/{name}: class {found.class_name or found.class_annotation or 'none'}, {where}"

    return Ask(Object(INGRESSES, namespace, name), read_ingress, says)


def ingresses_in(namespace: str) -> Ask[tuple[Ingress, ...]]:
    """The Ingresses of a namespace ('' for all), the first 500."""
    return Ask(Objects(INGRESSES, namespace), lambda v: tuple(i for i in map(read_ingress, asks.items(v)) if i))


def ingress_classes() -> Ask[tuple[IngressClass, ...]]:
    """The classes of the cluster."""

    def says(found: tuple[IngressClass, ...]) -> str:
        return "IngressClasses: " + (", ".join(f"{c.name} ({c.controller})" for c in found) or "none")

    return Ask(Objects(CLASSES), lambda v: tuple(c for c in map(read_class, asks.items(v)) if c), says)


def gateway_named(namespace: str, name: str) -> Ask[Gateway | None]:
    """A Gateway, or None."""
    return Ask(Object(GATEWAYS, namespace, name), read_gateway)


def gateways_in(namespace: str) -> Ask[tuple[Gateway, ...]]:
    """The Gateways of a namespace ('' for all), the first 500."""
    return Ask(Objects(GATEWAYS, namespace), lambda v: tuple(g for g in map(read_gateway, asks.items(v)) if g))


def routes_in(namespace: str) -> Ask[tuple[HttpRoute, ...]]:
    """The HTTPRoutes of a namespace ('' for all), the first 500."""
    return Ask(Objects(ROUTES, namespace), lambda v: tuple(r for r in map(read_route, asks.items(v)) if r))


def gateway_class(name: str) -> Ask[Mapping[str, Any] | None]:
    """A GatewayClass as plain data, or None."""
    return asks.raw_object(GATEWAY_CLASSES, "", name)


def pods_called(names: tuple[str, ...]) -> Ask[tuple[Pod, ...]]:
    """Pods of the whole cluster that bear one of these names as the label that charts give to their programs."""
    labels = f"app.kubernetes.io/name in ({','.join(names)})"
    return Ask(Objects("pods", labels=labels), lambda v: tuple(map(read_pod, asks.items(v))))


def workloads_called(kind: str, names: tuple[str, ...]) -> Ask[list[Mapping[str, Any]]]:
    """Deployments or DaemonSets of the whole cluster with such a label."""
    return Ask(Objects(f"{kind}.apps", labels=f"app.kubernetes.io/name in ({','.join(names)})"), asks.items)


def http_from_here(
    address: str, port: int, *, scheme: str = "http", host: str = "", path: str = "/", announced: bool = False,
    attempt: int = 0,
) -> Ask[HttpReply]:  # fmt: skip
    """One GET from this machine."""
    name = f" (Host: {host})" if host else ""
    first = " with a PROXY line before it" if announced else ""
    return Ask(
        HttpFromHere(address, port, scheme, host, path or "/", announced, attempt),
        read_reply,
        lambda a: f"GET {scheme} {path or '/'} from this machine at {address}:{port}{name}{first}: {a.words}",
    )


def tls_from_here(address: str, port: int, name: str = "") -> Ask[TlsAnswer]:
    """One TLS handshake from this machine; nothing is verified."""
    return Ask(
        TlsFromHere(address, port, name), read_tls, lambda a: f"TLS from this machine at {address}:{port}: {a.words}"
    )


@dataclass(frozen=True)
class Found:
    """What this machine's resolver made of a name; `error` says why there are no addresses."""

    addresses: tuple[str, ...]
    error: str


def lookup_from_here(name: str) -> Ask[Found]:
    """A name, as programs on this machine resolve it."""
    return Ask(
        LookupFromHere(name),
        lambda v: Found(tree.strings(v, "addresses"), tree.text(v, "error")),
        lambda f: f"{name} is {', '.join(f.addresses) or f.error} on this machine",
    )


@dataclass(frozen=True)
class OwnAddress:
    """An address of this machine, with the length of its network's prefix."""

    interface: str
    address: str
    prefix: int


def own_addresses() -> Ask[tuple[OwnAddress, ...]]:
    """The addresses of this machine's interfaces."""

    def read(value: Any) -> tuple[OwnAddress, ...]:
        return tuple(
            OwnAddress(tree.text(e, "interface"), tree.text(e, "address"), tree.number(e, "prefix"))
            for e in tree.entries(value, "addresses")
        )

    return Ask(LocalNetworks(), read)


def source_from_here(address: str) -> Ask[str]:
    """The address that this machine sends from to reach another."""
    return Ask(
        SourceFromHere(address),
        lambda v: tree.text(v, "source"),
        lambda s: f"this machine sends to {address} from {s or 'nowhere'}",
    )
