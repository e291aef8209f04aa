"""Gateways and HTTP routes: what their controller says of them, or that none says anything."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes import incoming_asks as ask
from kubectl_netdebug.causes.incoming import is_incoming, routes_of, way
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, apply, json_patch, kubectl
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.gateway import Gateway, HttpRoute, Parent, RouteBackend, State, states_of
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.webroute import hostnames_meet

NOT_PROGRAMMED = Cause(
    code="gateway-not-programmed",
    title="The Gateway is not put into effect",
    says="Gateway {gateway} is not in effect: {why}.",
    means="No listener of it takes connections, so none of its routes works.",
    symptom="The Gateway has no address, and all of its hosts fail.",
    apart="With one route that is not accepted, other routes of the Gateway work.",
    mend="Do what the condition says; without any condition, install the controller or correct gatewayClassName.",
    explains=("httproute-unattached",),
)

UNATTACHED = Cause(
    code="httproute-unattached",
    title="The route is not attached to a Gateway",
    says="HTTPRoute {route} is not attached: {why}.",
    means="The Gateway answers 404 for its hosts and paths.",
    symptom="404 for the hosts of one route, while other routes of the Gateway work.",
    apart="With a Gateway that is not programmed, all routes fail.",
    mend="Correct parentRefs, hostnames, or the listener's allowedRoutes.",
)

NO_GRANT = Cause(
    code="referencegrant-missing",
    title="The backend is in another namespace, which does not permit the reference",
    says="HTTPRoute {route} of namespace {home} sends to Service {backend} in namespace {target}, which has no "
    "ReferenceGrant for that.",
    means="The Gateway answers 500 to every request of the rule.",
    symptom="500 from the Gateway for one route; the Service works inside the cluster.",
    apart="A backend that does not exist has the reason BackendNotFound instead of RefNotPermitted.",
    mend="Create a ReferenceGrant in the Service's namespace.",
    explains=("httproute-unattached",),
)

WAITING = ("Pending", "Waiting", "NotReconciled")


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a Gateway or a route, in one line, and where."""

    saw: str
    at: ObjectRef


def gateway_trouble(look: Look, asked: Question) -> Trouble | None:
    """The first condition that says no, or the want of any."""
    gateway = way(look, asked).gateway
    if gateway is None:
        return None
    cls = look.if_known(ask.gateway_class(gateway.class_name))
    if cls is None and look.why_unknown(ask.gateway_class(gateway.class_name)) is None:
        return Trouble(f"GatewayClass {gateway.class_name} does not exist", gateway.at.at("spec.gatewayClassName"))
    refused = _refused(states_of(tree.dig(cls, "status")))
    if refused is not None:
        return Trouble(
            f"GatewayClass {gateway.class_name}: {refused.said}", ObjectRef("GatewayClass", "", gateway.class_name)
        )
    refused = _refused(gateway.states) or _refused(tuple(s for ls in gateway.listeners for s in ls.states))
    if refused is not None:
        return Trouble(refused.said, gateway.at)
    told = {s.type for s in gateway.states if s.status == "True" and s.current}
    if not told & {"Accepted", "Programmed", "Ready"}:
        return Trouble(f"no controller says anything about it (class {gateway.class_name})", gateway.at)
    return None


def _refused(states: tuple[State, ...]) -> State | None:
    """A current condition that says no and is not about one that waits for a first look."""
    return next(
        (
            s
            for s in states
            if s.type in ("Accepted", "Programmed", "ResolvedRefs") and s.status == "False" and s.reason not in WAITING
        ),
        None,
    )


@explains(Hop.ENTRY_OBJECT, NOT_PROGRAMMED)
def not_programmed(look: Look, asked: Question) -> Finding | None:
    """In the controller's own words, or because there is no controller to say any."""
    gateway = way(look, asked).gateway if is_incoming(asked) else None
    trouble = gateway_trouble(look, asked) if gateway else None
    if gateway is None or trouble is None:
        return None
    return NOT_PROGRAMMED.confirmed(
        at=trouble.at,
        gateway=gateway.name,
        why=trouble.saw,
        saw=(trouble.saw, f"addresses of the Gateway: {', '.join(gateway.addresses) or 'none'}"),
        fix=_other_class(look, gateway)
        or Fix(
            "see what its controller says",
            kubectl("describe", "gateway", gateway.name, namespace=gateway.namespace),
            Risk.READ_ONLY,
        ),
    )


def _other_class(look: Look, gateway: Gateway) -> Fix | None:
    """The class that exists, where the one named does not."""
    classes = look.if_known(asks.objects_in(ask.GATEWAY_CLASSES, "")) or []
    names = [tree.text(c, "metadata", "name") for c in classes if not _refused(states_of(tree.dig(c, "status")))]
    if gateway.class_name in names or not names:
        return None
    close = difflib.get_close_matches(gateway.class_name, names, n=1, cutoff=0.6)
    better = close[0] if close else names[0]
    operation = {"op": "replace", "path": "/spec/gatewayClassName", "value": better}
    return Fix(
        f"use the class {better}",
        json_patch("gateway", gateway.name, [operation], gateway.namespace),
        not_pasteable="" if close or len(names) == 1 else "which class is meant is a guess",
    )


# --- routes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RouteTrouble(Trouble):
    """The same for a route, with the parent reference that it is about."""

    route: HttpRoute
    parent: Parent | None


def route_trouble(look: Look, asked: Question) -> RouteTrouble | None:
    """Why the route of the question, or of the Gateway's the first that fails, is not attached."""
    found = way(look, asked)
    routes = [found.route] if found.route and not asked.gateway else []
    if asked.gateway and found.gateway is not None:
        routes = [*routes_of(look, found.gateway)]
    for route in routes:
        for parent in route.parents:
            why = _unattached(look, route, parent)
            if why:
                return RouteTrouble(why, route.at.at(f"spec.parentRefs[{parent.index}]"), route, parent)
    return None


def _unattached(look: Look, route: HttpRoute, parent: Parent) -> str:
    if parent.kind != "Gateway":
        return ""
    gateway = look.if_known(ask.gateway_named(parent.namespace, parent.name))
    if gateway is None:
        gone = look.why_unknown(ask.gateway_named(parent.namespace, parent.name)) is None
        return f"its parent, Gateway {parent.namespace}/{parent.name}, does not exist" if gone else ""
    refused = _refused(parent.states)
    if refused is not None:
        return f"Gateway {gateway.name} says {refused.said}"
    if parent.states:
        return ""
    listeners = [ls for ls in gateway.listeners if not parent.section or ls.name == parent.section]
    if not listeners:
        has = ", ".join(ls.name for ls in gateway.listeners)
        return f"Gateway {gateway.name} has no listener {parent.section} (it has {has})"
    if gateway.namespace != route.namespace and all(ls.from_namespaces == "Same" for ls in listeners):
        return f"the listeners of Gateway {gateway.name} take routes of their own namespace alone"
    if route.hostnames and not any(hostnames_meet(ls.hostname, h) for ls in listeners for h in route.hostnames):
        return f"none of its hostnames is one of the listeners of Gateway {gateway.name}"
    return ""


@explains(Hop.ENTRY_OBJECT, UNATTACHED)
def unattached(look: Look, asked: Question) -> Finding | None:
    """The Gateway's controller refused it, or its parent reference names nothing, so that nobody says anything."""
    trouble = route_trouble(look, asked) if is_incoming(asked) else None
    if trouble is None or "RefNotPermitted" in trouble.saw:
        return None
    return UNATTACHED.confirmed(
        at=trouble.at, route=trouble.route.name, why=trouble.saw, saw=trouble.saw, fix=_right_parent(look, trouble)
    )


def _right_parent(look: Look, trouble: RouteTrouble) -> Fix | None:
    """The Gateway or listener whose name is nearest to the one that names nothing."""
    parent = trouble.parent
    if parent is None:
        return None
    gateway = look.if_known(ask.gateway_named(parent.namespace, parent.name))
    if gateway is None:
        names = [g.name for g in look.if_known(ask.gateways_in(parent.namespace)) or ()]
        field, written = "name", parent.name
    else:
        names = [ls.name for ls in gateway.listeners]
        field, written = "sectionName", parent.section
    close = difflib.get_close_matches(written, names, n=1, cutoff=0.6) or (names if len(names) == 1 else [])
    if not close or close[0] == written or not written:
        return None
    operation = {"op": "replace", "path": f"/spec/parentRefs/{parent.index}/{field}", "value": close[0]}
    return Fix(
        f"attach it to {close[0]}",
        json_patch("httproute", trouble.route.name, [operation], trouble.route.namespace),
    )


@explains(Hop.ENTRY_OBJECT, NO_GRANT)
def no_grant(look: Look, asked: Question) -> Finding | None:
    """The controller says RefNotPermitted, and no grant of the target's namespace covers the reference."""
    trouble = route_trouble(look, asked) if is_incoming(asked) else None
    if trouble is None or "RefNotPermitted" not in trouble.saw:
        return None
    route = trouble.route
    away = [b for rule in route.rules for b in rule.backends if b.namespace != route.namespace]
    lacking = next((b for b in away if not _granted(look, route, b)), None)
    if lacking is None:
        return None
    grant = {
        "apiVersion": "gateway.networking.k8s.io/v1beta1",
        "kind": "ReferenceGrant",
        "metadata": {"name": f"{route.namespace}-to-{lacking.name}", "namespace": lacking.namespace},
        "spec": {
            "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": route.namespace}],
            "to": [{"group": "", "kind": "Service", "name": lacking.name}],
        },
    }
    return NO_GRANT.confirmed(
        at=route.at.at(lacking.where),
        route=route.name,
        home=route.namespace,
        backend=lacking.name,
        target=lacking.namespace,
        saw=trouble.saw,
        fix=Fix("permit the reference", apply(grant)),
    )


def _granted(look: Look, route: HttpRoute, backend: RouteBackend) -> bool:
    grants = look.if_known(asks.objects_in(ask.GRANTS, backend.namespace)) or []
    return any(
        any(
            tree.text(f, "kind") == "HTTPRoute" and tree.text(f, "namespace") == route.namespace
            for f in tree.entries(grant, "spec", "from")
        )
        and any(
            tree.text(t, "kind") == "Service" and tree.text(t, "name") in ("", backend.name)
            for t in tree.entries(grant, "spec", "to")
        )
        for grant in grants
    )
