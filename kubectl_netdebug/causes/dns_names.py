"""The name that was asked about: what the client gets for it, and where it belongs."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.dns_client import Resolver, cluster_domain, resolver_of
from kubectl_netdebug.causes.dns_tried import servers_tried
from kubectl_netdebug.causes.resolving import Resolution, resolve
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.address import is_address


def looked_up(look: Look, asked: Question) -> Resolution | None:
    """What the client's resolver gets for the name; None where no name was asked about."""
    resolver = resolver_of(look, asked)
    if resolver is None or not asked.host or is_address(asked.host):
        return None
    look(asks.may_probe())
    servers_tried(look, asked)  # asked in the same breath
    return resolve(look, resolver.pod, asked.host)


def belongs_to_cluster(look: Look, asked: Question) -> bool:
    """Whether the name is one of the cluster: by its end, by what it resolved to, or because it has too few dots."""
    resolver = resolver_of(look, asked)
    if resolver is None:
        return False
    domain = cluster_domain(look, resolver.conf)
    found = looked_up(look, asked)
    full = found.full if found and found.full else asked.host
    plain = full.rstrip(".").lower()
    return (
        plain == domain
        or plain.endswith(f".{domain}")
        or "." not in plain
        or named_service(asked, resolver, domain) is not None
    )


def named_service(asked: Question, resolver: Resolver, domain: str) -> tuple[str, str, str] | None:
    """(namespace, Service, what stands before it) where the name is written like that of a Service, else None.

    `web` is of the client's namespace; `web.shop` could as well be a name outside, so the second label decides nothing
    by itself and the caller has to look whether there is such a Service.
    """
    plain = asked.host.rstrip(".").lower()
    for end in (f".svc.{domain}", ".svc"):
        if plain.endswith(end):
            labels = plain.removesuffix(end).split(".")
            if len(labels) < 2:
                return None
            return labels[-1], labels[-2], ".".join(labels[:-2])
    if "." not in plain and plain:
        return resolver.pod.namespace, plain, ""
    return None


def places_meant(look: Look, asked: Question) -> tuple[tuple[str, str, str], ...]:
    """(namespace, Service, what stands before it) of each Service that the name could be written for."""
    resolver = resolver_of(look, asked)
    if resolver is None or not asked.host or is_address(asked.host):
        return ()
    named = named_service(asked, resolver, cluster_domain(look, resolver.conf))
    labels = asked.host.rstrip(".").lower().split(".")
    if named is not None:
        return (named,)
    if not 2 <= len(labels) <= 3:
        return ()
    return (
        (labels[-1], labels[-2], ".".join(labels[:-2])),
        (resolver.pod.namespace, labels[-1], ".".join(labels[:-1])),
    )


def service_meant(look: Look, asked: Question) -> tuple[Service, str] | None:
    """The Service of the cluster that the name is written for, and what stands before its name; None: there is none."""
    places = places_meant(look, asked)
    found = look.all([asks.service_named(namespace, name) for namespace, name, _ in places])
    return next(((s, before) for s, (_, _, before) in zip(found, places, strict=True) if s is not None), None)
