"""The Service object itself: it exists, where the client looks for it, with the port that the client uses."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import ports_asked
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, json_patch, kubectl
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.service import Service, ServicePort
from kubectl_netdebug.model.question import Question

SERVICE_MISSING = Cause(
    code="service-missing",
    title="The Service does not exist",
    says="There is no Service {service} in namespace {namespace}{closest}.",
    means="The name does not resolve (NXDOMAIN), so clients fail before they send a packet.",
    symptom="The name does not resolve: NXDOMAIN, 'no such host', 'Name or service not known'.",
    apart="Other names of the cluster resolve; where they fail too, DNS itself is at fault.",
    mend="Correct the name in the client, or create the Service in front of the workload.",
)


@explains(Hop.SERVICE, SERVICE_MISSING)
def service_missing(look: Look, asked: Question) -> Finding | None:
    """The Service is not there; names close to it are."""
    if not asked.service or look(asks.the_service(asked)) is not None:
        return None
    if namespace_is_missing(look, asked.namespace):
        return _no_namespace(look, asked)
    elsewhere = look.if_known(asks.services_in("")) or ()
    if any(service.name == asked.service for service in elsewhere):
        return None  # it lives in another namespace: service-wrong-namespace
    here = look.if_known(asks.services_in(asked.namespace)) or ()
    close = difflib.get_close_matches(asked.service, [s.name for s in here], n=3, cutoff=0.5)
    return SERVICE_MISSING.confirmed(
        at=ObjectRef("Service", asked.namespace, asked.service),
        service=asked.service,
        namespace=asked.namespace,
        closest=f"; closest: {', '.join(close)}" if close else "",
        fixes=(_ask_about(close[0], asked.port, asked.namespace),) if close else _expose(look, asked, here),
    )


def namespace_is_missing(look: Look, name: str) -> bool:
    """Whether there is no such namespace; False where that may not be read."""
    namespace = asks.raw_object("namespaces", "", name)
    return look.if_known(namespace) is None and look.why_unknown(namespace) is None


def _ask_about(service: str, port: str, namespace: str) -> Fix:
    destination = f"{service}:{port}" if port else service
    command = kubectl("netdebug", "service", destination, namespace=namespace)
    return Fix(f"use {destination} in the client; ask about it", command, Risk.READ_ONLY)


def _no_namespace(look: Look, asked: Question) -> Finding:
    services = look.if_known(asks.services_in("")) or ()
    names = sorted({service.namespace for service in services})
    close = difflib.get_close_matches(asked.namespace, names, n=3, cutoff=0.5)
    owners = [s.namespace for s in services if s.name == asked.service]
    meant = next((name for name in close if name in owners), owners[0] if len(owners) == 1 else "")
    listing = Fix("list the namespaces", kubectl("get", "namespaces"), Risk.READ_ONLY)
    return SERVICE_MISSING.confirmed(
        at=ObjectRef("Namespace", "", asked.namespace),
        service=asked.service,
        namespace=asked.namespace,
        closest=", because there is no such namespace" + (f"; closest: {', '.join(close)}" if close else ""),
        fixes=(_ask_about(asked.service, asked.port, meant),) if meant else (listing,),
        saw=f"namespace {asked.namespace}: not found",
    )


def _expose(look: Look, asked: Question, services: tuple[Service, ...]) -> tuple[Fix, ...]:
    """Putting a Service in front of the one Deployment that is meant: of the same name, or the only one without any."""
    deployments = look.if_known(asks.objects_in("deployments.apps", asked.namespace)) or []
    bare = [d for d in deployments if not any(_serves(s, d) for s in services)]
    named = [d for d in bare if tree.text(d, "metadata", "name") == asked.service]
    meant = named or bare
    if len(meant) != 1:
        return ()
    deployment = tree.text(meant[0], "metadata", "name")
    containers = tree.entries(meant[0], "spec", "template", "spec", "containers")
    declared = [tree.number(p, "containerPort") for c in containers for p in tree.entries(c, "ports")]
    if not declared:
        return ()
    port = asked.port if asked.port.isdecimal() else "80"
    target = port if int(port) in declared else str(declared[0])
    command = kubectl(
        *("expose", "deployment", deployment, f"--name={asked.service}", f"--port={port}", f"--target-port={target}"),
        namespace=asked.namespace,
    )
    return (Fix(f"create the Service in front of Deployment {deployment}", command),)


def _serves(service: Service, deployment: Mapping[str, Any]) -> bool:
    labels = tree.labels(deployment, "spec", "template", "metadata", "labels")
    return bool(service.selector) and all(labels.get(k) == v for k, v in service.selector.items())


SERVICE_PORT_UNDECLARED = Cause(
    code="service-port-undeclared",
    title="The port in use is not one of the Service's ports",
    says="Service {service} does not declare port {port}; it serves {declared}.",
    means="Connections to that port time out (kube-proxy in iptables mode) or are refused (nftables mode).",
    symptom="The Service's address times out or refuses on the port in use, while its declared port answers.",
    apart="A declared port of the same Service works, so endpoints and kube-proxy are well.",
    mend="Use the declared port in the client, or declare the port in the Service.",
)


@explains(Hop.SERVICE, SERVICE_PORT_UNDECLARED)
def service_port_undeclared(look: Look, asked: Question) -> Finding | None:
    """The port that was typed is none of the Service's."""
    service = look(asks.the_service(asked))
    if service is None or not asked.port or ports_asked(service, asked):
        return None
    declared = ", ".join(map(str, service.ports)) or "none"
    meant = _meant(look, service, asked)
    hint = f"; {asked.port} is the Pods' port behind {meant.port}" if meant and asked.port.isdecimal() else ""
    use = (_ask_about(service.name, str(meant.port), asked.namespace),) if meant else ()
    return SERVICE_PORT_UNDECLARED.confirmed(
        at=service.field("spec.ports"),
        service=service.name,
        port=asked.port,
        declared=declared + hint,
        fixes=(*use, *_declare_port(service, asked, meant)),
        saw=f"spec.ports of Service {service.name}: {declared}",
    )


def _meant(look: Look, service: Service, asked: Question) -> ServicePort | None:
    """The declared port that was probably meant: that in front of the number typed, or that of the likest name."""
    if not asked.port.isdecimal():
        names = [port.name for port in service.ports if port.name]
        close = difflib.get_close_matches(asked.port, names, n=1, cutoff=0.5)
        by_name = next((port for port in service.ports if close and port.name == close[0]), None)
        return by_name or (service.ports[0] if len(service.ports) == 1 else None)
    slices = look.if_known(asks.slices_of(asked)) or ()
    for port in service.ports:
        behind = {found.port for each in slices if (found := each.port_for(port.name, port.protocol))}
        if int(asked.port) in (*behind, port.target_number):
            return port
    return None


def _declare_port(service: Service, asked: Question, meant: ServicePort | None) -> tuple[Fix, ...]:
    """The typed number as one more port; several ports must all be named, so a nameless one gets a name first."""
    if not asked.port.isdecimal():
        return ()
    like = meant or (service.ports[0] if len(service.ports) == 1 else None)
    number = int(asked.port)
    entry = {
        "name": f"port-{number}",
        "port": number,
        "targetPort": (like.target_number or like.target) if like else number,
        "protocol": asked.protocol or (like.protocol if like else "TCP"),
    }
    naming = [
        {"op": "add", "path": f"/spec/ports/{port.index}/name", "value": f"port-{port.port}"}
        for port in service.ports
        if not port.name
    ]
    where = {"op": "add", "path": "/spec/ports/-" if service.ports else "/spec/ports"}
    operation = {**where, "value": entry if service.ports else [entry]}
    command = json_patch("service", service.name, [*naming, operation], service.namespace)
    title = f"declare port {number} in front of the Pods' port {entry['targetPort']}"
    if naming and not service.selector:
        return (Fix(title, command, not_pasteable="its hand-made slices must get the same port names"),)
    return (Fix(title, command),)
