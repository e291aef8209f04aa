"""Names that nobody has: the servers answer, and all say that there is no such name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.dns_client import Resolver, asks_cluster, cluster_domain, resolver_of
from kubectl_netdebug.causes.dns_cluster import PORT
from kubectl_netdebug.causes.dns_kubernetes import POD_NAME
from kubectl_netdebug.causes.dns_names import looked_up, named_service, places_meant
from kubectl_netdebug.causes.dns_outside import forward_for
from kubectl_netdebug.causes.dns_state import cluster_dns, config
from kubectl_netdebug.causes.dns_tried import MOST_SERVERS, servers_tried
from kubectl_netdebug.causes.owners import owner_of
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.resolving import Resolution
from kubectl_netdebug.causes.service import namespace_is_missing
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.facts import Ask
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.spoken import DnsAnswer

NO_SUCH_NAME = Cause(
    code="dns-no-such-name",
    title="The name does not exist",
    says="There is no name {name}: {servers} says NXDOMAIN{why}{closest}.",
    means="Clients in {pod} that use this name are told at once that there is no such host{private}.",
    symptom="One name fails at once with 'no such host' or 'Name or service not known', while others resolve.",
    apart="Where DNS itself is broken, other names fail too, or the answer is SERVFAIL or none at all.",
    mend="Correct the name in the client, or make what it should lead to. A private zone needs a server block in the "
    "Corefile that forwards it to its own server.",
)

NXDOMAIN = "NXDOMAIN"


@explains(Hop.NAME, NO_SUCH_NAME)
def dns_no_such_name(look: Look, asked: Question) -> Finding | None:
    """The server answers for other names and denies this one, asked again too; the name is that of no Service."""
    resolver, found = resolver_of(look, asked), looked_up(look, asked)
    if resolver is None or found is None or not found.tried or POD_NAME.match(asked.host):
        return None
    domain = cluster_domain(look, resolver.conf)
    counting = _counting(asked, resolver, found, domain)
    if not counting or not _denied((*found.tried, *found.also), counting) or not _serves(look, asked, resolver):
        return None
    places = places_meant(look, asked)
    sure = named_service(asked, resolver, domain) is not None
    wanted = [asks.service_named(namespace, name) for namespace, name, _ in places]
    known = look.all_known(wanted)
    if sure:
        look.all(wanted)  # without them nothing can be said about a name of the cluster
    if any(service is not None for service in known):
        return None
    others = _elsewhere(look, asked, resolver, found)
    again = [asks.lookup(resolver.pod, resolver.first, name, transport="UDP", attempt=1) for name in counting]
    answers = look.all([*again, *(ask for _, ask in others)])
    later, elsewhere = answers[: len(again)], answers[len(again) :]
    if any(a.addresses for a in answers) or any(a.rcode != NXDOMAIN for a in later):
        return None
    why, nearest = _among_services(look, resolver, places, domain, asked) if places else ("", "")
    shown = [name.rstrip(".") for name in counting]
    return NO_SUCH_NAME.confirmed(
        at=owner_of(look, resolver.pod),
        name=asked.host,
        servers=f"name server {resolver.first}",
        why=f", and {why}" if why else "",
        closest=f"; closest: {nearest}" if nearest else "",
        pod=f"Pod {resolver.pod.name}",
        private="" if sure or why else "; if others resolve it, it is in a zone that this server is not told about",
        saw=(
            f"{resolver.first}, asked twice: {', '.join(shown[:4])}: NXDOMAIN",
            *(f"{server}: {answer.words}" for (server, _), answer in zip(others, elsewhere, strict=True)),
        ),
        fix=_ask_about(nearest, resolver) if nearest else None,
    )


def _counting(asked: Question, resolver: Resolver, found: Resolution, domain: str) -> tuple[str, ...]:
    """The absolute names that decide: those of the cluster for a name of it, else the name as it is."""
    if named_service(asked, resolver, domain) is None:
        return tuple(name for name, _ in found.tried if name == f"{asked.host.rstrip('.')}.")
    own = tuple(name for name, _ in found.tried if name.lower().endswith(f".{domain}."))
    return own or tuple(name for name, _ in found.tried)


def _denied(answers: Iterable[tuple[str, DnsAnswer]], counting: tuple[str, ...]) -> bool:
    """Nothing has an address, and those that count do not exist, whatever type of record is asked for."""
    answers = tuple(answers)
    return not any(a.addresses for _, a in answers) and all(
        a.rcode == NXDOMAIN for name, a in answers if name in counting
    )


def _serves(look: Look, asked: Question, resolver: Resolver) -> bool:
    """The first name server is in order: the cluster's gives the name of the API an address."""
    answers = [a for tried in servers_tried(look, asked)[:1] for a in tried.udp]
    if asks_cluster(look, resolver):
        return any(a.addresses for a in answers)
    return any(a.answered for a in answers)


def _elsewhere(look: Look, asked: Question, resolver: Resolver, found: Resolution) -> list[tuple[str, Ask[DnsAnswer]]]:
    """The same question to the Pod's other servers, and for names outside to those that CoreDNS asks."""
    name = f"{asked.host.rstrip('.')}."
    others = [(server, PORT) for server in found.conf.nameservers[1:MOST_SERVERS]]
    dns = cluster_dns(look, asked)
    forward = forward_for(config(look, dns), name) if dns else None
    if forward is not None and "." in asked.host.rstrip("."):
        others += forward.targets[:2]
    return [(server, asks.lookup(resolver.pod, server, name, transport="UDP", port=port)) for server, port in others]


def _among_services(
    look: Look, resolver: Resolver, places: tuple[tuple[str, str, str], ...], domain: str, asked: Question
) -> tuple[str, str]:
    """Why there is none of that name, and the likest name of a Service, as the client would write it."""
    namespace, name, before = places[0]
    everywhere = look.if_known(asks.services_in(""))
    services = everywhere if everywhere is not None else look.if_known(asks.services_in(namespace)) or ()
    sure = named_service(asked, resolver, domain) is not None
    missing = namespace_is_missing(look, namespace)
    if not sure and missing and not _alike(namespace, (s.namespace for s in services if s.name == name)):
        return "", ""  # a name outside, as far as anybody can tell
    nearest = nearest_service(services, namespace, name)
    why = f"there is no namespace {namespace}" if missing else f"namespace {namespace} has no Service {name}"
    if nearest is None:
        return why, ""
    close, there = nearest
    words = [before, close] if before else [close]
    full = asked.host.rstrip(".").lower().endswith(f".{domain}")
    if there != resolver.pod.namespace or full or not sure:
        words.append(there)
    return why, ".".join((*words, "svc", domain) if full else words)


def nearest_service(services: Iterable[Service], namespace: str, name: str) -> tuple[str, str] | None:
    """(name, namespace) of the Service that was probably meant: the same name elsewhere, else nearly the same there."""
    services = tuple(services)
    spaces = [s.namespace for s in services if s.name == name]
    likely = _alike(namespace, spaces) or (spaces[0] if len(spaces) == 1 else "")
    if likely:
        return name, likely
    close = _alike(name, (s.name for s in services if s.namespace == namespace))
    return (close, namespace) if close else None


def _alike(word: str, words: Iterable[str]) -> str:
    """The likest of the words, or ''."""
    return next(iter(difflib.get_close_matches(word, sorted({*words}), n=1, cutoff=0.6)), "")


def _ask_about(name: str, resolver: Resolver) -> Fix:
    command = kubectl("netdebug", "dns", f"pod/{resolver.pod.name}", name, namespace=resolver.pod.namespace)
    return Fix(f"use {name} in the client; ask about it", command, Risk.READ_ONLY)
