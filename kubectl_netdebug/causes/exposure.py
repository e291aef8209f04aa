"""A Service that nothing leads to from outside."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes import incoming_asks as ask
from kubectl_netdebug.causes.incoming import inner, is_incoming, way
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, patch
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question

NOT_EXPOSED = Cause(
    code="service-not-exposed",
    title="The Service has an address inside the cluster alone",
    says="Service {service} is of type {type}, which nothing leads to from outside{instead}.",
    means="Clients outside have no address that they could use; clients inside are served.",
    symptom="The address that `kubectl get service` shows cannot be reached from outside.",
    apart="A Service of type NodePort or LoadBalancer has ways in that can be tried.",
    mend="Use the Ingress or Gateway that leads to it, or make it a NodePort or LoadBalancer Service.",
)


@explains(Hop.ENTRY, NOT_EXPOSED)
def not_exposed(look: Look, asked: Question) -> Finding | None:
    """By its type; an Ingress that leads to it is named."""
    if not is_incoming(asked) or not asked.service:
        return None
    question = inner(look, asked)
    service = look(asks.the_service(question)) if question else None
    if service is None or way(look, asked).ingress or service.type not in ("ClusterIP", "") or service.external_ips:
        return None
    ingresses = look.if_known(ask.ingresses_in(service.namespace)) or ()
    leading = [i.name for i in ingresses if any(p.service == service.name for p in i.paths)]
    fix = Fix(
        "open a port on every node",
        patch("service", service.name, {"spec": {"type": "NodePort"}}, service.namespace),
    )
    return NOT_EXPOSED.confirmed(
        at=service.field("spec.type"),
        service=service.name,
        type=service.type,
        instead=f"; Ingress {leading[0]} does lead to it: ask for ing/{leading[0]}" if leading else "",
        fix=fix if not service.headless else None,
    )
