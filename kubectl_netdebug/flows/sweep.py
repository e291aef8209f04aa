"""The parts of the trees that configuration alone decides, for scans: what is looked at, and by which steps.

A scan has no client and tries no connection. So it takes only the steps whose outcome the API tells, and only the
causes behind those: a cause that explains why a connection fails says nothing where none was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.api_extensions import unavailable_apis
from kubectl_netdebug.causes.catalogue import explanations
from kubectl_netdebug.causes.handmade import is_api
from kubectl_netdebug.causes.ingress_tls import certificate_trouble
from kubectl_netdebug.causes.loadbalancer import pending
from kubectl_netdebug.causes.webhook import failing_webhooks
from kubectl_netdebug.flows import api, front_steps, names, node, service
from kubectl_netdebug.model.hop import Hop, Outcome, State, failed, passed, skipped, warned
from kubectl_netdebug.model.look import Look, Suspended, Unestablished
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import Explanation, Flow, Step, When
from kubectl_netdebug.net.address import is_address


class About(StrEnum):
    """What one judgement of a scan is about."""

    SERVICE = "Service"
    BALANCER = "load balancer"
    INGRESS = "Ingress"
    GATEWAY = "Gateway"
    ROUTE = "HTTPRoute"
    NODE = "Node"
    AGENTS = "network agents of the node"
    NAMES = "cluster DNS"
    API = "API server"
    CREATION = "creation of Pods"


@dataclass(frozen=True)
class Subject:
    """One object to judge, as the question that a person would ask about it."""

    about: About
    question: Question
    name: str

    @property
    def title(self) -> str:
        """For people: `Service shop/web`."""
        home = f"{self.question.namespace}/" if self.about in _IN_NAMESPACES else ""
        return f"{self.about} {home}{self.name}".rstrip()


_IN_NAMESPACES = (About.SERVICE, About.BALANCER, About.INGRESS, About.GATEWAY, About.ROUTE)

NEEDS_A_CLIENT = frozenset({"session-affinity-skew", "rollout-resets", "np-not-enforced", "cluster-policy-deny"})
"""Codes at these hops that judge traffic, not configuration."""


@cache
def sweep_flow(about: About) -> Flow:
    """The steps for a kind of object, with the causes that its configuration can prove."""
    return Flow(tuple(_STEPS[about]), tuple(_fitting(_STEPS[about], _AS_WRITTEN.get(about, ()))))


def _fitting(steps: Iterable[Step], as_written: tuple[str, ...]) -> Iterable[Explanation]:
    hops = {step.hop for step in steps}
    for each in explanations():
        if each.find.__name__ in as_written:
            yield replace(each, when=When.ALWAYS)
        elif each.hop in hops - _AS_WRITTEN_HOPS and each.cause.code not in NEEDS_A_CLIENT:
            yield each


def _nothing_to_try(look: Look, asked: Question) -> Outcome:
    return skipped("configuration alone")


def _balancer(look: Look, asked: Question) -> Outcome:
    found = look(asks.the_service(asked))
    if found is None or found.type != "LoadBalancer":
        return skipped("no load balancer is asked for")
    return failed("it waits for an address") if pending(found) else passed("it has an address")


def _certificate(look: Look, asked: Question) -> Outcome:
    trouble = certificate_trouble(look, asked)
    return failed(trouble.why) if trouble else passed("the Secrets of its certificates are there")


def _extensions(look: Look, asked: Question) -> Outcome:
    down = unavailable_apis(look)
    return warned(f"{down[0].name} is not available") if down else passed("every aggregated API is available")


def _creation(look: Look, asked: Question) -> Outcome:
    failing = next(iter(failing_webhooks(look, asked.namespace)), None)
    return failed(f"webhook {failing.name} fails") if failing else passed("no webhook fails")


_STEPS: dict[About, tuple[Step, ...]] = {
    About.SERVICE: (
        Step(Hop.SERVICE, "Service", service.service_there),
        Step(Hop.NAME, "name", _nothing_to_try, essential=False),
        Step(Hop.ENDPOINTS, "endpoints", service.endpoints, after=(Hop.SERVICE,)),
        Step(
            *(Hop.POD, "Pods", service.pods),
            after=(Hop.SERVICE, Hop.ENDPOINTS),
            follow_failures=True,
            essential=False,
        ),
        Step(Hop.ADDRESS, "Service address", _nothing_to_try, essential=False),
    ),
    About.BALANCER: (Step(Hop.ENTRY, "load balancer", _balancer),),
    About.INGRESS: (
        Step(Hop.ENTRY_OBJECT, "Ingress", front_steps.entry_object),
        Step(Hop.CONTROLLER, "controller", front_steps.controller, after=(Hop.ENTRY_OBJECT,), essential=False),
        Step(Hop.TLS, "certificate", _certificate, essential=False),
    ),
    About.GATEWAY: (Step(Hop.ENTRY_OBJECT, "Gateway", front_steps.entry_object),),
    About.ROUTE: (Step(Hop.ENTRY_OBJECT, "HTTPRoute", front_steps.entry_object),),
    About.NODE: (
        Step(Hop.NODE, "Node", node.node_object),
        Step(Hop.FABRIC, "ranges and addresses", _nothing_to_try, essential=False),
    ),
    About.AGENTS: (
        Step(Hop.NODE_AGENTS, "network agents", node.agents, essential=False),
        Step(Hop.PROXY_RULES, "kube-proxy", _nothing_to_try, essential=False),
    ),
    About.NAMES: (Step(Hop.DNS_SERVICE, "DNS Service", names.dns_service_step),),
    About.API: (
        Step(Hop.API_SERVICE, "API Service", api.service_step),
        Step(Hop.API_EXTENSIONS, "extensions", _extensions, essential=False),
    ),
    About.CREATION: (Step(Hop.API_EXTENSIONS, "creation of Pods", _creation, essential=False),),
}

_AS_WRITTEN: dict[About, tuple[str, ...]] = {
    About.SERVICE: ("externalname_is_ip", "slice_backend_is_a_service"),
}
"""Functions whose hops are not judged here and that need nothing but what is written."""

_AS_WRITTEN_HOPS = frozenset({Hop.NAME, Hop.ADDRESS})


def evidently_well(service: Mapping[str, Any], slices: Iterable[Mapping[str, Any]]) -> bool:
    """Whether raw objects show at a glance what nearly all Services are: every endpoint ready, on every port.

    Anything out of the ordinary is not evident and is left to `leaves_a_question`. It reads no views, because making
    them for tens of thousands of endpoints would cost most of a scan.
    """
    spec = service.get("spec")
    if not isinstance(spec, Mapping) or not spec.get("selector") or spec.get("type") == "ExternalName":
        return False
    wanted = _port_names(spec.get("ports"))
    listed = False
    for each in slices:
        endpoints = each.get("endpoints")
        if not wanted or _port_names(each.get("ports")) != wanted or not isinstance(endpoints, list):
            return False
        if each.get("addressType") not in (spec.get("ipFamilies") or ()):
            return False
        for endpoint in endpoints:
            if not endpoint.get("addresses") or (endpoint.get("conditions") or {}).get("ready") is not True:
                return False
            listed = True
    return listed


def _port_names(ports: Any) -> set[tuple[str, str]]:
    """The names and protocols that tie a slice's ports to a Service's."""
    if not isinstance(ports, list):
        return set()
    return {(tree.text(port, "name"), tree.text(port, "protocol") or "TCP") for port in ports}


def leaves_a_question(look: Look, asked: Question) -> bool:
    """Whether a Service is worth more than a glance at it and its slices: nothing else is read before this says so."""
    try:
        found, slices = look.together(asks.the_service(asked), asks.slices_of(asked))
        if found is None or is_api(found):
            return False
        if found.is_alias:
            return is_address(found.external_name)
        if not found.ports:
            return False  # a headless name without ports: there is nothing that could be matched
        outcome = service.endpoints(look, asked)
    except Suspended:
        return True
    except Unestablished:
        return False
    if outcome.state is not State.PASS or not found.selector:
        return True
    families = found.ip_families or ("IPv4", "IPv6")
    own = [each for each in slices if each.endpoints and each.address_type in families]
    if not any(endpoint.ready for each in own for endpoint in each.endpoints):
        return True  # only Pods that are being deleted serve
    return any(each.port_for(port.name, port.protocol) is None for each in own for port in found.ports)
