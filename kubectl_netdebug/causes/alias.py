"""ExternalName Services: nothing but a name that leads to another name, which has to resolve and to be served there."""

from __future__ import annotations

import difflib
from dataclasses import replace

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.alias_path import (
    Resolved,
    absolute,
    alias_asked,
    resolve,
    spoken_to_target,
    tried_target,
)
from kubectl_netdebug.causes.backends import client_pod, ports_asked
from kubectl_netdebug.causes.destinations import HIJACK, claimant, hijacked
from kubectl_netdebug.causes.handmade import slice_manifest
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, apply, kubectl, patch
from kubectl_netdebug.model.finding import Cause, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.service import Service, ServicePort
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.address import family_of
from kubectl_netdebug.net.certificate import covers
from kubectl_netdebug.net.outcome import Outcome as End
from kubectl_netdebug.net.resolvconf import ResolvConf
from kubectl_netdebug.net.spoken import TlsAnswer

MOST_SUFFIXES = 4
"""Entries of a search list that are tried to find out what a short name was meant to be."""

IS_ADDRESS = Cause(
    code="externalname-is-ip",
    title="externalName holds an address instead of a name",
    says="externalName of Service {service} is the address {address}; DNS can only lead a name to a name.",
    means="The name of the Service does not resolve (NXDOMAIN), so clients fail before they send a packet.",
    symptom="The name of an ExternalName Service does not resolve although the machine behind it is well.",
    apart="With externalname-target-dead the value is a name, which the name servers do not know.",
    mend="Make it a Service without selector, and list the address in an EndpointSlice.",
)


@explains(Hop.NAME, IS_ADDRESS)
def externalname_is_ip(look: Look, asked: Question) -> Finding | None:
    """The value of externalName reads as an address."""
    service = alias_asked(look, asked)
    if service is None or not family_of(service.external_name):
        return None
    return IS_ADDRESS.confirmed(
        at=service.field("spec.externalName"),
        service=service.name,
        address=service.external_name,
        fix=_pin(service, service.external_name, ports_asked(service, asked)),
        saw=f"spec.externalName of Service {service.name}: {service.external_name}",
    )


def _pin(service: Service, address: str, asked_ports: tuple[ServicePort, ...]) -> Fix:
    """Service and EndpointSlice in one command; changing the type drops externalName and brings a ClusterIP."""
    ports = service.ports or asked_ports or (ServicePort(0, "", 80, "TCP", "", 0, ""),)
    spec_ports = [
        {
            **({"name": p.name} if p.name else {}),
            "port": p.port,
            "protocol": p.protocol,
            "targetPort": p.target_number or p.port,
        }
        for p in ports
    ]
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": service.name, "namespace": service.namespace},
        "spec": {"type": "ClusterIP", "selector": None, "ports": spec_ports},
    }
    fixed = slice_manifest(replace(service, ports=ports), (address,), family_of(address))
    both = {"apiVersion": "v1", "kind": "List", "items": [body, fixed]}
    guessed = "" if service.ports or asked_ports else "put the port that clients use in place of 80"
    title = f"give the Service an address of its own that leads to {address}"
    return Fix(title, apply(both, service.namespace), Risk.REVERSIBLE, guessed)


TARGET_DEAD = Cause(
    code="externalname-target-dead",
    title="The name behind an ExternalName Service does not resolve",
    says="Service {service} is an alias of {target}, which does not resolve ({rcode}).",
    means="Clients get no address for the Service and fail before they send a packet.",
    symptom="The name of an ExternalName Service does not resolve: NXDOMAIN, SERVFAIL or no address.",
    apart="Names of the cluster resolve at the same name server; where they fail too, DNS itself is at fault.",
    mend="Correct spec.externalName; it must be a full name, since search lists do not apply to it.",
)


@explains(Hop.NAME, TARGET_DEAD)
def externalname_target_dead(look: Look, asked: Question) -> Finding | None:
    """The name server works and does not know the target."""
    service = alias_asked(look, asked)
    if service is None or family_of(service.external_name):
        return None
    client = client_pod(look, asked)
    resolved = resolve(look, client, service)
    if resolved is None or resolved.address or not resolved.conf.cluster_domain:
        return None
    control = f"kubernetes.default.svc.{resolved.conf.cluster_domain}."
    target, well_known = look.all(
        [asks.lookup(client, resolved.server, name) for name in (absolute(service.external_name), control)]
    )
    if not well_known.addresses or target.addresses or not target.answered:
        return None
    found = TARGET_DEAD.confirmed if target.rcode in ("NXDOMAIN", "NOERROR") else TARGET_DEAD.possible
    return found(
        at=service.field("spec.externalName"),
        service=service.name,
        target=service.external_name,
        rcode=target.words,
        fixes=_other_target(look, client, service, resolved),
        saw=(
            f"{service.external_name} asked at {resolved.server}: {target.words}",
            f"{control} asked at {resolved.server}: {well_known.words}",
        ),
    )


def _other_target(look: Look, client: Pod, service: Service, resolved: Resolved) -> tuple[Fix, ...]:
    better = _with_suffix(look, client, service, resolved) or _nearest_service(look, service, resolved.conf)
    if better:
        return (_lead_to(service, better),)
    return (_lead_to(service, "NAME", "put the target's real name in place of NAME"),)


def _lead_to(service: Service, name: str, not_pasteable: str = "") -> Fix:
    body = {"spec": {"externalName": name}}
    return Fix(f"lead to {name}", patch("service", service.name, body, service.namespace), not_pasteable=not_pasteable)


def _with_suffix(look: Look, client: Pod, service: Service, resolved: Resolved) -> str:
    """The full name of a target that was written as if the search list applied to it."""
    if service.external_name.endswith(".") or service.external_name.count(".") >= resolved.conf.ndots:
        return ""
    names = [f"{service.external_name}.{suffix}" for suffix in resolved.conf.search[:MOST_SUFFIXES]]
    answers = look.all_known([asks.lookup(client, resolved.server, absolute(name)) for name in names])
    return next((name for name, a in zip(names, answers, strict=True) if a and a.addresses), "")


def _nearest_service(look: Look, service: Service, conf: ResolvConf) -> str:
    """For a target inside the cluster: the Service whose name is the likest."""
    ending = f".svc.{conf.cluster_domain}"
    target = service.external_name.rstrip(".")
    if not target.endswith(ending) or target.removesuffix(ending).count(".") != 1:
        return ""
    name, namespace = target.removesuffix(ending).split(".")
    own = (service.namespace, service.name)
    there = [s for s in look.if_known(asks.services_in("")) or () if (s.namespace, s.name) != own]
    same = [s for s in there if s.name == name]
    if len(same) == 1:
        return f"{name}.{same[0].namespace}{ending}"
    close = difflib.get_close_matches(name, [s.name for s in there if s.namespace == namespace], n=1, cutoff=0.6)
    return f"{close[0]}.{namespace}{ending}" if close else ""


HOST_MISMATCH = Cause(
    code="externalname-host-mismatch",
    title="The target of an ExternalName Service expects its own name or port",
    says="{target}, to which Service {service} leads, {why}.",
    means="An alias changes neither the name that clients send along nor the port; the target turns such clients away.",
    symptom="Through the Service clients get 404, 421 or a certificate error; the target's own name and port work.",
    apart="The same request succeeds with the target's own name or port.",
    mend="Use the target's own name and port in the client, or put a gateway before it that rewrites the Host.",
)


@explains(Hop.ADDRESS, HOST_MISMATCH)
def externalname_port_mapped(look: Look, asked: Question) -> Finding | None:
    """The Service's port is closed at the target, the port to which it seems to be mapped is open."""
    service = alias_asked(look, asked)
    if service is None:
        return None
    mapped = [
        (port, port.target_number)
        for port, attempt in tried_target(look, asked)
        if attempt.outcome in (End.REFUSED, End.TIMED_OUT) and port.target_number not in (None, port.port)
    ]
    if not mapped:
        return None
    client = client_pod(look, asked)
    resolved = resolve(look, client, service)
    port, number = mapped[0]
    if resolved is None or number is None:
        return None
    if not look(asks.connect(client, resolved.address, number, port.protocol)).outcome.connected:
        return None
    return HOST_MISMATCH.confirmed(
        at=service.field(f"spec.ports[{port.index}]"),
        target=service.external_name,
        service=service.name,
        why=f"answers on port {number}, not on {port.port}: an alias maps no ports",
        fix=_pin(service, resolved.address, ports_asked(service, asked)),
        saw=f"{resolved.address}:{number} connects, {resolved.address}:{port.port} does not",
    )


@explains(Hop.PROTOCOL, HOST_MISMATCH)
def externalname_host_mismatch(look: Look, asked: Question) -> Finding | None:
    """The target answers its own name and turns the Service's name away."""
    service = alias_asked(look, asked)
    spoken = spoken_to_target(look, asked)
    if service is None or spoken is None or not spoken.turned_away:
        return None
    client = client_pod(look, asked)
    reply = spoken.reply
    if isinstance(reply, TlsAnswer):
        names = list(reply.certificate.all_names) if reply.certificate else []
        why = f"shows a certificate for {', '.join(names[:3])}, not for the name of the Service"
        known = covers(names, service.external_name)
        effect = Effect.DEGRADES  # a client may well verify against the target's name
        found = HOST_MISMATCH.likely
    else:
        own = look(asks.http(client, spoken.address, spoken.port.port, host_header=service.external_name))
        why = f"answers {reply.words} to the name of the Service and {own.words} to its own"
        known = own.answered and own.status < 400
        effect = Effect.BREAKS
        found = HOST_MISMATCH.confirmed
    if not known:
        return None
    use = kubectl("set", "env", "deployment/CLIENT", f"HOST={service.external_name}", namespace=service.namespace)
    return found(
        at=service.field("spec.externalName"),
        target=service.external_name,
        service=service.name,
        why=why,
        effect=effect,
        fix=Fix(
            f"let clients use {service.external_name} itself",
            use,
            not_pasteable="CLIENT and the variable that names the host are those of your client",
        ),
    )


@explains(Hop.ADDRESS, HIJACK, When.ALWAYS)
def target_hijacked(look: Look, asked: Question) -> Finding | None:
    """The alias resolves to an address and port that a Service of the cluster claims."""
    service = alias_asked(look, asked)
    tried = tried_target(look, asked) if service else ()
    if service is None or not tried:
        return None
    resolved = resolve(look, client_pod(look, asked), service)
    for port, attempt in tried if resolved else ():
        assert resolved is not None
        thief = claimant(look, service, resolved.address, port.port, port.protocol)
        if thief is not None:
            works = attempt.outcome.connected
            return hijacked(look, service, thief, resolved.address, port.port, works=works)
    return None
