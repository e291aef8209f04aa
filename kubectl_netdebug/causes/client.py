"""What the client does before it sends a packet: the name it looks up, and what /etc/hosts says of it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import backends, client_named, ports_asked
from kubectl_netdebug.causes.owners import is_patchable, owner_of, template_path
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.service import namespace_is_missing
from kubectl_netdebug.model.command import Fix, Risk, json_patch, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When

HOSTS_OVERRIDE = Cause(
    code="hosts-override",
    title="/etc/hosts of the client pins the name to another address",
    says="hostAliases of {owner} pin {name} to {pinned}, but Service {service} is at {real}.",
    means="/etc/hosts is read before DNS is asked, so this client never uses the Service's own address.",
    symptom="One client reaches an old address or nothing at all, while every other client is well.",
    apart="A DNS server asked from the same Pod gives the right address.",
    mend="Take the entry out of hostAliases, or correct its address.",
)


@explains(Hop.SOURCE, HOSTS_OVERRIDE, When.ALWAYS)
def hosts_override(look: Look, asked: Question) -> Finding | None:
    """The client's Pod spec pins a name of the Service to an address that is not the Service's."""
    client = client_named(look, asked)
    if client is None or not client.host_aliases:
        return None
    service, slices = look.together(asks.the_service(asked), asks.slices_of(asked))
    if service is None or service.is_alias:
        return None
    right = {*service.cluster_ips, *service.load_balancer_ips, *service.external_ips} - {"None", ""}
    if service.headless or all(p.target_number == p.port for p in ports_asked(service, asked)):
        right |= {b.address for b in backends(service, slices, asked)}
    pin = _first_wrong_pin(client, service, right)
    if pin is None or _is_sidecar_door(pin.address):
        return None
    return _pinned(look, asked, client, service, pin, right)


@dataclass(frozen=True)
class _Pin:
    """One name in one entry of hostAliases."""

    index: int
    address: str
    name: str
    alone: bool
    """No name that means anything else stands in the entry."""


def names_of(service: Service, client: Pod) -> tuple[str, ...]:
    """How a client can call a Service, without what depends on the cluster's domain."""
    long = f"{service.name}.{service.namespace}"
    short = (service.name,) if client.namespace == service.namespace else ()
    return (*short, long, f"{long}.svc")


def _first_wrong_pin(client: Pod, service: Service, right: Iterable[str]) -> _Pin | None:
    """/etc/hosts is read from its top, so the first entry for a name decides."""
    names = names_of(service, client)
    accepted = set(right)
    decided: set[str] = set()
    for index, (address, pinned) in enumerate(client.host_aliases):
        ours = [n for n in pinned if n in names or n.startswith(f"{names[-1]}.")]
        for name in ours:
            if address not in accepted and name not in decided:
                return _Pin(index, address, name, len(ours) == len(pinned))
            decided.add(name)
    return None


def _is_sidecar_door(address: str) -> bool:
    """A pin to the Pod itself is how a local proxy is put in front of a name, on purpose."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _pinned(look: Look, asked: Question, client: Pod, service: Service, pin: _Pin, right: set[str]) -> Finding:
    owner = owner_of(look, client)
    saw = [f"spec.hostAliases[{pin.index}] of {client.name}: {pin.address} {pin.name}"]
    ports = ports_asked(service, asked)
    may = look.if_known(asks.may_probe())
    if may and ports:
        attempt = look.if_known(asks.connect(client, pin.address, ports[0].port, ports[0].protocol))
        if attempt:
            saw.append(f"{client.name} → {pin.address}:{ports[0].port}: {attempt.words}")
    return HOSTS_OVERRIDE.confirmed(
        at=owner.at(template_path(owner, f"hostAliases[{pin.index}]")),
        owner=f"{owner.kind} {owner.name}",
        name=pin.name,
        pinned=pin.address,
        service=service.name,
        real=", ".join(service.cluster_ips) if service.address else (", ".join(sorted(right)[:3]) or "no address"),
        saw=saw,
        fix=_unpin(owner, client, pin),
    )


def _unpin(owner: ObjectRef, client: Pod, pin: _Pin) -> Fix:
    if not is_patchable(owner):
        return Fix(
            "make the Pod again without the entry",
            kubectl("get", "pod", client.name, "-o", "yaml", namespace=client.namespace),
            Risk.READ_ONLY,
        )
    base = f"/spec/template/spec/hostAliases/{pin.index}"
    if pin.alone:
        operation: dict[str, object] = {"op": "remove", "path": base}
    else:
        place = client.host_aliases[pin.index][1].index(pin.name)
        operation = {"op": "remove", "path": f"{base}/hostnames/{place}"}
    command = json_patch(owner.kind.lower(), owner.name, [operation], owner.namespace)
    return Fix(f"take {pin.name} out of hostAliases", command)


WRONG_NAMESPACE = Cause(
    code="service-wrong-namespace",
    title="The Service lives in another namespace",
    says="There is no Service {service} in namespace {here}; it lives in {there}.",
    means="A short name is looked up in the client's own namespace, so {service} does not resolve there; "
    "{service}.{first} does.",
    symptom="The short name does not resolve (NXDOMAIN), while the name with its namespace does.",
    apart="Other short names resolve in the same Pod; where they all fail, its search list is broken.",
    mend="Call the Service by NAME.NAMESPACE, or give it an alias in the client's namespace.",
    explains=("service-missing",),
)


@explains(Hop.SERVICE, WRONG_NAMESPACE)
def wrong_namespace(look: Look, asked: Question) -> Finding | None:
    """The name does not exist here and does exist elsewhere."""
    if not asked.service or look(asks.the_service(asked)) is not None or namespace_is_missing(look, asked.namespace):
        return None
    elsewhere = [s for s in look(asks.services_in("")) if s.name == asked.service and s.namespace != asked.namespace]
    fitting = [s for s in elsewhere if not asked.port or ports_asked(s, asked)] or elsewhere
    if not fitting:
        return None
    namespaces = sorted(s.namespace for s in fitting)
    found = WRONG_NAMESPACE.confirmed if len(namespaces) == 1 else WRONG_NAMESPACE.likely
    more = f" and {len(namespaces) - 3} more" if len(namespaces) > 3 else ""
    return found(
        at=ObjectRef("Service", asked.namespace, asked.service),
        service=asked.service,
        here=asked.namespace,
        there=", ".join(namespaces[:3]) + more,
        first=namespaces[0],
        effect=Effect.BREAKS,
        saw=f"Services named {asked.service}: in {', '.join(namespaces[:3])}{more}, none in {asked.namespace}",
        fixes=_call_it_right(look, asked, namespaces, fitting[0]),
    )


def _call_it_right(look: Look, asked: Question, namespaces: list[str], service: Service) -> tuple[Fix, ...]:
    domain = cluster_domain(look)
    target = f"{asked.service}.{namespaces[0]}.svc.{domain}"
    choose = f"several namespaces have it: {', '.join(namespaces)}" if len(namespaces) > 1 else ""
    alias = Fix(
        f"let the short name lead to {target}",
        kubectl(
            *("create", "service", "externalname", asked.service, f"--external-name={target}"),
            *(f"--tcp={port.port}" for port in service.ports if port.protocol == "TCP"),
            namespace=asked.namespace,
        ),
        not_pasteable=choose,
    )
    client = client_named(look, asked)
    owner = owner_of(look, client) if client else None
    if owner is None or not is_patchable(owner):
        return (alias,)
    rename = Fix(
        "or give the client the whole name",
        kubectl("set", "env", owner.short, f"VARIABLE={asked.service}.{namespaces[0]}", namespace=owner.namespace),
        not_pasteable="which setting of the client holds the name is its own affair",
    )
    return (alias, rename)


def cluster_domain(look: Look) -> str:
    """The cluster's DNS domain as CoreDNS is told it; `cluster.local` where that cannot be read."""
    corefile = look.if_known(asks.raw_object("configmaps", "kube-system", "coredns"))
    match = re.search(r"^\s*kubernetes\s+([a-z0-9][-a-z0-9.]*)", tree.text(corefile, "data", "Corefile"), re.M)
    return match[1].strip(".") if match else "cluster.local"
