"""The Service object itself: it exists, where the client looks for it, with the port that the client uses."""

from __future__ import annotations

import difflib

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import live_pods, ports_asked
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, json_patch, kubectl
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
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
    if look(asks.the_service(asked)) is not None:
        return None
    namespace = look.if_known(asks.raw_object("namespaces", "", asked.namespace))
    elsewhere = look.if_known(asks.services_in("")) or ()
    if any(service.name == asked.service for service in elsewhere):
        return None  # it lives in another namespace: service-wrong-namespace
    here = [s.name for s in elsewhere if s.namespace == asked.namespace] or [
        s.name for s in look.if_known(asks.services_in(asked.namespace)) or ()
    ]
    close = difflib.get_close_matches(asked.service, here, n=3, cutoff=0.5)
    if namespace is None and look.why_unknown(asks.raw_object("namespaces", "", asked.namespace)) is None:
        return _no_namespace(look, asked)
    return SERVICE_MISSING.confirmed(
        at=ObjectRef("Service", asked.namespace, asked.service),
        service=asked.service,
        namespace=asked.namespace,
        closest=f"; closest: {', '.join(close)}" if close else "",
        fixes=(
            Fix(
                f"ask about {close[0]}", kubectl("get", "service", close[0], namespace=asked.namespace), Risk.READ_ONLY
            ),
        )
        if close
        else _expose(look, asked),
    )


def _no_namespace(look: Look, asked: Question) -> Finding:
    names = [ns for ns in _namespaces(look) if ns]
    close = difflib.get_close_matches(asked.namespace, names, n=3, cutoff=0.5)
    return SERVICE_MISSING.confirmed(
        at=ObjectRef("Namespace", "", asked.namespace),
        service=asked.service,
        namespace=asked.namespace,
        closest=", because there is no such namespace" + (f"; closest: {', '.join(close)}" if close else ""),
        fixes=(Fix("list the namespaces", kubectl("get", "namespaces"), Risk.READ_ONLY),),
    )


def _namespaces(look: Look) -> list[str]:
    services = look.if_known(asks.services_in("")) or ()
    return sorted({service.namespace for service in services})


def _expose(look: Look, asked: Question) -> tuple[Fix, ...]:
    """Putting a Service in front of the Deployment of the same name, where there is one with a declared port."""
    deployment = look.if_known(asks.raw_object("deployments.apps", asked.namespace, asked.service))
    pods = live_pods(look.if_known(asks.pods_in(asked.namespace)) or ())
    ports = [port.port for pod in pods if pod.name.startswith(asked.service + "-") for port in pod.ports]
    if deployment is None or not ports:
        return ()
    port = asked.port if asked.port.isdecimal() else "80"
    command = kubectl(
        "expose", "deployment", asked.service, f"--port={port}", f"--target-port={ports[0]}", namespace=asked.namespace
    )
    return (Fix(f"create the Service in front of Deployment {asked.service}", command),)


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
    if service is None or service.is_alias or service.headless or not asked.port or ports_asked(service, asked):
        return None
    declared = ", ".join(map(str, service.ports))
    return SERVICE_PORT_UNDECLARED.confirmed(
        at=service.field("spec.ports"),
        service=service.name,
        port=asked.port,
        declared=declared,
        fixes=_declare_port(asked),
        saw=f"spec.ports of Service {service.name}: {declared}",
    )


def _declare_port(asked: Question) -> tuple[Fix, ...]:
    if not asked.port.isdecimal():
        return ()
    entry = {"name": f"port-{asked.port}", "port": int(asked.port), "targetPort": int(asked.port), "protocol": "TCP"}
    command = json_patch(
        "service", asked.service, [{"op": "add", "path": "/spec/ports/-", "value": entry}], asked.namespace
    )
    return (Fix(f"declare port {asked.port} (if the Pods listen on it)", command),)
