"""A load balancer that never comes: no controller, another class, a refusal, no node to send to."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes import incoming_asks as ask
from kubectl_netdebug.causes.incoming import inner, is_incoming
from kubectl_netdebug.causes.let_in import from_outside, ways_of
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl, patch
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look, Unestablished
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.event import Event
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question

SETTLE = 8.0
"""Seconds that a controller may take for its first event about a new Service."""

EXCLUDE_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"

PROGRAMS = (
    *("metallb", "kube-vip", "cloud-controller-manager", "aws-load-balancer-controller", "openelb", "purelb"),
    *("cilium", "cilium-operator", "porter", "ovh-cloud-controller-manager", "hcloud-cloud-controller-manager"),
)
"""Label app.kubernetes.io/name of programs that hand out load-balancer addresses."""

CLASSES = {
    "service.k8s.aws/nlb": "aws-load-balancer-controller",
    "metallb.io/metallb": "metallb",
    "kube-vip.io/kube-vip-class": "kube-vip",
    "io.cilium/l2-announcer": "cilium-operator",
    "io.cilium/bgp-control-plane": "cilium-operator",
}

ENSURED = ("EnsuringLoadBalancer", "EnsuredLoadBalancer", "IPAllocated", "nodeAssigned", "AllocationFailed")
REFUSED = ("SyncLoadBalancerFailed", "CreatingLoadBalancerFailed", "UnAvailableLoadBalancer", "AllocationFailed")


def asked_about_balancer(look: Look, asked: Question) -> Service | None:
    """The Service, where a client outside is to use its load balancer."""
    if not asked.service or not is_incoming(asked) or not from_outside(asked):
        return None
    service = look(asks.the_service(asked))
    if service is None or service.type != "LoadBalancer" or _node_port_typed(look, asked):
        return None
    return service


def _node_port_typed(look: Look, asked: Question) -> bool:
    inside = inner(look, asked)
    return inside is not None and inside.port != asked.port


def pending(service: Service) -> bool:
    """No address and no name was given to it."""
    return not service.load_balancer_ips and not service.load_balancer_names


def events_of(look: Look, service: Service) -> tuple[Event, ...]:
    """What controllers said about the Service within the last hour."""
    return look.if_known(asks.events_about("Service", service.namespace, service.name)) or ()


def programs_here(look: Look) -> tuple[str, ...]:
    """The known load-balancer controllers that run in the cluster."""
    pods = look.if_known(ask.pods_called(PROGRAMS)) or ()
    cloud = look.if_known(asks.pods_in("kube-system")) or ()
    named = {p.labels.get("app.kubernetes.io/name", "") for p in pods if not p.finished and not p.deleting}
    named |= {"cloud-controller-manager" for p in cloud if "cloud-controller-manager" in p.name and not p.deleting}
    named |= {"klipper (svclb)" for p in cloud if p.name.startswith("svclb-") and not p.deleting}
    return tuple(sorted(named - {""}))


def _by_node_ports(service: Service) -> Fix:
    return Fix(
        "use node ports instead of a load balancer",
        patch("service", service.name, {"spec": {"type": "NodePort", "loadBalancerClass": None}}, service.namespace),
    )


def _open_doors(look: Look, asked: Question) -> bool | None:
    """Whether node ports let this machine in; None where it may not try."""
    try:
        return bool(ways_of(look, asked).open_doors)
    except Unestablished:
        return None


def _effect(look: Look, asked: Question) -> Effect:
    return Effect.DEGRADES if _open_doors(look, asked) else Effect.BREAKS


_DOORS = {True: "let clients in", False: "do not let this machine in", None: "were not tried"}


def _settled(look: Look, service: Service) -> bool:
    raw = look(asks.raw_object("services", service.namespace, service.name))
    created = tree.when(raw, "metadata", "creationTimestamp")
    return created is not None and (look(asks.now()) - created).total_seconds() > SETTLE


NO_CONTROLLER = Cause(
    code="lb-pending-no-controller",
    title="No load-balancer controller serves this cluster",
    says="Service {service} waits for a load balancer, and nothing in this cluster makes any.",
    means="It never gets an address of its own; its node ports {doors}.",
    symptom="EXTERNAL-IP stays <pending>, without any event about a load balancer.",
    apart="A controller that fails says so in events (SyncLoadBalancerFailed).",
    mend="Install a controller (a cloud's own, MetalLB, kube-vip), or use NodePort or an Ingress.",
)


@explains(Hop.ENTRY, NO_CONTROLLER)
def no_controller(look: Look, asked: Question) -> Finding | None:
    """No address after a while, no event about one, and no program that is known to hand them out."""
    service = asked_about_balancer(look, asked)
    if service is None or not pending(service) or service.load_balancer_class or not _settled(look, service):
        return None
    if any(e.reason in (*ENSURED, *REFUSED) for e in events_of(look, service)) or programs_here(look):
        return None
    others = [s for s in look.if_known(asks.services_in("")) or () if s.type == "LoadBalancer" and not pending(s)]
    found = NO_CONTROLLER.likely if others else NO_CONTROLLER.confirmed
    return found(
        at=service.field("spec.type"),
        service=service.name,
        doors=_DOORS[_open_doors(look, asked)],
        effect=_effect(look, asked),
        saw="no address, no event about a load balancer, and no Pod of a known load-balancer controller",
        fix=_by_node_ports(service),
    )


CLASS_MISMATCH = Cause(
    code="lb-class-mismatch",
    title="No controller serves the Service's loadBalancerClass",
    says="loadBalancerClass {cls} of Service {service} is served by nobody here{known}.",
    means="Every controller leaves a Service alone whose class is not its own, so it never gets an address.",
    symptom="EXTERNAL-IP stays <pending> for this Service, while other Services get addresses.",
    apart="Without a class, the cluster's default controller would take it.",
    mend="Make the Service anew without loadBalancerClass, or install the controller of the class: the field cannot be "
    "changed.",
)


@explains(Hop.ENTRY, CLASS_MISMATCH)
def class_mismatch(look: Look, asked: Question) -> Finding | None:
    """A class is set, nobody said a word about the Service, and the class's controller is not here."""
    service = asked_about_balancer(look, asked)
    if service is None or not pending(service) or not service.load_balancer_class or not _settled(look, service):
        return None
    if any(e.reason in (*ENSURED, *REFUSED) for e in events_of(look, service)):
        return None
    here = programs_here(look)
    if CLASSES.get(service.load_balancer_class) in here:
        return None
    return CLASS_MISMATCH.confirmed(
        at=service.field("spec.loadBalancerClass"),
        cls=service.load_balancer_class,
        service=service.name,
        known=f" (running: {', '.join(here)})" if here else "",
        effect=_effect(look, asked),
        saw=f"no address and no event; load-balancer controllers that run: {', '.join(here) or 'none known'}",
        fix=_by_node_ports(service),
    )


PROVIDER_ERROR = Cause(
    code="lb-provider-error",
    title="The load balancer's provider refuses",
    says="The provider does not make a load balancer for Service {service}: {message}",
    means="It has no address until that is settled; its controller tries again by itself.",
    symptom="EXTERNAL-IP stays <pending>, with warnings in the Service's events.",
    apart="Without a controller there are no events about a load balancer at all.",
    mend="Do what the message says: quota, subnet tags, permissions of the cluster's account.",
)


@explains(Hop.ENTRY, PROVIDER_ERROR)
def provider_error(look: Look, asked: Question) -> Finding | None:
    """The controller's last word about the Service is a failure."""
    service = asked_about_balancer(look, asked)
    if service is None or not pending(service):
        return None
    said = [
        e for e in events_of(look, service) if e.reason in (*ENSURED, *REFUSED) and e.reason != "EnsuringLoadBalancer"
    ]
    if not said or said[-1].reason not in ("SyncLoadBalancerFailed", "CreatingLoadBalancerFailed"):
        return None
    message = said[-1].message.removeprefix("Error syncing load balancer: ").strip()[:300]
    return PROVIDER_ERROR.confirmed(
        at=service.at,
        service=service.name,
        message=message,
        effect=_effect(look, asked),
        saw=f"event {said[-1].reason} ×{said[-1].count}: {message}",
        fix=Fix(
            "see the events",
            kubectl("describe", "service", service.name, namespace=service.namespace),
            Risk.READ_ONLY,
            not_pasteable="what has to be done at the provider stands in the message",
        ),
    )


NO_NODES = Cause(
    code="lb-no-nodes",
    title="No node may be sent to by load balancers",
    says="The load balancer of Service {service} has no node to send to: {why}.",
    means="Its address answers nobody, or is refused at once.",
    symptom="The load balancer has no targets; node ports work.",
    apart="With failing health checks the nodes are targets, and unhealthy.",
    mend="Take the label " + EXCLUDE_LABEL + " off the nodes that should serve.",
)


@explains(Hop.ENTRY, NO_NODES)
def no_nodes(look: Look, asked: Question) -> Finding | None:
    """Every node that is ready carries the label that keeps load balancers away."""
    service = asked_about_balancer(look, asked)
    if service is None:
        return None
    outer = ways_of(look, asked).outer
    if any(attempt.outcome.connected for _, _, attempt in outer):
        return None
    ready = [n for n in look(asks.nodes()) if n.ready]
    kept = [n for n in ready if EXCLUDE_LABEL in n.labels]
    if not ready or len(kept) < len(ready):
        return None
    said = next((e for e in events_of(look, service) if e.reason == "UnAvailableLoadBalancer"), None)
    if said is None and pending(service) and not programs_here(look):
        return None
    return NO_NODES.confirmed(
        at=ObjectRef("Node", "", kept[0].name, f"metadata.labels[{EXCLUDE_LABEL}]"),
        service=service.name,
        why=f"all {len(ready)} ready nodes carry the label {EXCLUDE_LABEL}",
        effect=_effect(look, asked),
        saw=(f"{', '.join(n.name for n in kept[:4])} are excluded", *([f"event: {said.message}"] if said else [])),
        fix=Fix(
            f"let load balancers send to {kept[0].name}", kubectl("label", "node", kept[0].name, f"{EXCLUDE_LABEL}-")
        ),
    )
