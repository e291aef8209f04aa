"""A Pod that fails to reach itself by its own Service, while everybody else does."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import behind_services, client_pod
from kubectl_netdebug.causes.itself_view import Loop, loops, own_address
from kubectl_netdebug.causes.outside_routes import ROUTES_FILE
from kubectl_netdebug.causes.owners import owner_of
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.net.procroute import read_routes

HAIRPIN_OFF = Cause(
    code="hairpin-off",
    title="The Pod's bridge port does not send packets back to it",
    says="{pod} does not reach itself by {place}: {count} connects are lost, and its packets never come back to it.",
    means="Whenever the Service chooses the Pod that asks, the connection times out: the bridge of {node} does not "
    "send a packet back through the port by which it came (hairpin mode is off).",
    symptom="A Pod's calls of its own Service time out, 1 in N with N replicas; all others reach it.",
    apart="With masquerading missing the packets do come back and the Pod's kernel drops them; where other Pods of the "
    "node fail as well, bridge-nf is off.",
    mend="Set hairpinMode: true in the bridge's CNI configuration on the node and make its Pods again.",
)

MASQ_MISSING = Cause(
    code="hairpin-masq-missing",
    title="A Pod's traffic to itself is not masqueraded",
    says="{pod} does not reach itself by {place}: {count} connects are lost, and their packets come back "
    "with the Pod's own address as the sender.",
    means="The Pod's kernel drops packets that claim to come from itself, so whenever the Service chooses the Pod "
    "that asks, the connection times out.",
    symptom="A Pod's calls of its own Service time out, 1 in N with N replicas; all others reach it.",
    apart="With hairpin mode off the packets never come back to the Pod.",
    mend="Restart the node's kube-proxy, which writes these rules anew; look for a tool that clears its mark.",
)


@explains(Hop.ADDRESS, HAIRPIN_OFF)
def hairpin_off(look: Look, asked: Question) -> Finding | None:
    """Only the choice of the Pod itself fails, its packets stay away, and it stands on a bridge."""
    loop = broken_loop(look, asked)
    if loop is None or _came_back(loop) or not _on_a_bridge(look, loop):
        return None
    show = kubectl("get", "pod", loop.client.name, "-o", "wide", namespace=loop.client.namespace)
    note = "on the node: bridge link set dev VETH hairpin on; lasting: hairpinMode in its CNI configuration"
    return HAIRPIN_OFF.likely(
        at=ObjectRef("Node", "", loop.client.node),
        pod=loop.client.name,
        node=loop.client.node,
        place=loop.place,
        count=f"{loop.lost} of {len(loop.attempts)}",
        effect=loop_effect(loop),
        saw=(*_seen(loop), f"packets that came in and were not taken meanwhile: {loop.returned}"),
        fix=Fix("switch hairpin mode on for the Pod's port, on its node", show, Risk.REVERSIBLE, note),
    )


@explains(Hop.ADDRESS, MASQ_MISSING)
def hairpin_masq_missing(look: Look, asked: Question) -> Finding | None:
    """Only the choice of the Pod itself fails, and as many packets come back untaken; or there is no bridge."""
    loop = broken_loop(look, asked)
    if loop is None or not (_came_back(loop) or not _on_a_bridge(look, loop)):
        return None
    restart = kubectl("rollout", "restart", "daemonset/kube-proxy", namespace="kube-system")
    return MASQ_MISSING.likely(
        at=ObjectRef("Node", "", loop.client.node),
        pod=loop.client.name,
        node=loop.client.node,
        place=loop.place,
        count=f"{loop.lost} of {len(loop.attempts)}",
        effect=loop_effect(loop),
        saw=(*_seen(loop), f"packets that came in and were not taken meanwhile: {loop.returned}"),
        fix=Fix(
            "have kube-proxy write its rules anew",
            restart,
            Risk.DISRUPTIVE,
            not_pasteable="it may run otherwise than as a DaemonSet; only that of the one node is wanted",
        ),
    )


def broken_loop(look: Look, asked: Question) -> Loop | None:
    """A Service through which the Pod reaches all but itself. Its own address and the other backends work directly."""
    if asked.flow is not FlowName.POD_TO_ITSELF or not all(a.outcome.connected for _, a in own_address(look, asked)):
        return None
    for loop in loops(look, asked):
        alone = not loop.others
        share = loop.lost * loop.backends / max(1, len(loop.attempts))
        if not loop.lost or not loop.others_work or not 0.4 <= share <= 2.0:
            continue
        if loop.good or (alone and _proxy_works(look, asked)):
            return loop
    return None


def _proxy_works(look: Look, asked: Question) -> bool:
    """Another Service, that of the API server, answers this Pod at its address: the rules of the node are there."""
    client = client_pod(look, asked)
    service = look.if_known(asks.service_named("default", "kubernetes"))
    if service is None or not service.address or not service.ports:
        return False
    attempt = look.if_known(asks.connect(client, service.address, service.ports[0].port))
    return attempt is not None and attempt.outcome.connected


def _came_back(loop: Loop) -> bool:
    """At least as many packets came in untaken as connects were lost."""
    return loop.returned >= loop.lost


def _on_a_bridge(look: Look, loop: Loop) -> bool:
    """The Pod's gateway is an address of its own network, as with a bridge; with a cable to the node it is not."""
    if loop.client.host_network:
        return False
    routes = read_routes(look.if_known(asks.file_in(loop.client, ROUTES_FILE)) or "")
    on_link = [r for r in routes if not r.gateway and not r.default]
    return not routes or any(r.network.prefixlen < 31 for r in on_link)


def loop_effect(loop: Loop) -> Effect:
    """Everything, or the share that chance sends to the Pod itself."""
    return Effect.DEGRADES if loop.good else Effect.BREAKS


def _seen(loop: Loop) -> tuple[str, ...]:
    own = f"{loop.client.name} reaches itself at {loop.backend.address}:{loop.backend.port}"
    by = f"by {loop.place}: {loop.good} of {len(loop.attempts)} connects"
    others = ", ".join(b.pod or b.address for b, _ in loop.others)
    beside = f"the other backends ({others}) accept from it directly" if others else "it is the only backend"
    return own, by, beside


NOT_BEHIND = Cause(
    code="self-not-a-backend",
    title="No Service leads to the Pod",
    says="{pod} is behind no Service of namespace {namespace}: {why}.",
    means="There is no Service by which it could reach itself; names of Services lead to other Pods or to nothing.",
    symptom="A Pod expects to find itself behind a Service and finds others, or a refusal.",
    apart="A Pod that is not Ready stands in the slices, marked as not ready.",
    mend="Give the Pod the labels of the Service's selector, or select the Pod's labels.",
)


@explains(Hop.SERVICE, NOT_BEHIND)
def not_behind(look: Look, asked: Question) -> Finding | None:
    """No slice of any Service of the namespace has the Pod's address."""
    if asked.flow is not FlowName.POD_TO_ITSELF or behind_services(look, asked):
        return None
    client = client_pod(look, asked)
    services = [s for s in look(asks.services_in(client.namespace)) if s.selector]
    shared = [(len(set(s.selector.items()) & set(client.labels.items())), s) for s in services]
    best = max(shared, key=lambda pair: pair[0], default=(0, None))
    near = best[1] if best[0] else None
    missing = sorted(set(near.selector.items()) - set(client.labels.items())) if near else []
    lacks = ", ".join(f"{k}={v}" for k, v in missing)
    why = (
        f"for Service {near.name} it lacks the label {lacks}" if near and missing else "no selector matches its labels"
    )
    labels = ", ".join(f"{k}={v}" for k, v in sorted(client.labels.items())[:5]) or "none"
    owner = owner_of(look, client)
    return NOT_BEHIND.confirmed(
        at=owner.at("metadata.labels" if owner.kind == "Pod" else "spec.template.metadata.labels"),
        pod=client.name,
        namespace=client.namespace,
        why=why,
        saw=f"labels of {client.name}: {labels}; {len(services)} Services with a selector there",
    )
