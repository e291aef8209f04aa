"""Node ports and host ports: one node that drops, and ports that another took."""

from __future__ import annotations

import re

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import backends_asked, can_host_probe, in_use
from kubectl_netdebug.causes.doors import Door
from kubectl_netdebug.causes.incoming import inner, is_incoming
from kubectl_netdebug.causes.let_in import from_outside, owes_an_answer, ways_of
from kubectl_netdebug.causes.owners import is_patchable, owner_of
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When

KUBELET_PORT = 10250

FIREWALLED = Cause(
    code="nodeport-firewalled",
    title="A firewall drops the node port on a node",
    says="Node port {port} of Service {service} is dropped on its way to {node}, which this machine reaches otherwise.",
    means="Clients that come in by {node} time out; {working} lets them in.",
    symptom="The node port times out on some nodes or from outside, and works elsewhere.",
    apart="Without a backend of its own a node drops under externalTrafficPolicy Local; a dead kube-proxy refuses.",
    mend="Open the port on the node (firewalld, nftables, iptables) or in the cloud's security group; kube-proxy in "
    "nftables mode never opens it for you.",
)


@explains(Hop.ENTRY, FIREWALLED)
def firewalled(look: Look, asked: Question) -> Finding | None:
    """Lost again and again on one node that owes an answer, is reached on another port and reaches the backends."""
    question = inner(look, asked)
    if not is_incoming(asked) or not from_outside(asked) or question is None:
        return None
    service = look(asks.the_service(question))
    doors = ways_of(look, asked).doors if service else ()
    if service is None or not any(door.opens for door in doors):
        return None
    lost = [d for d in doors if owes_an_answer(service, d) and d.attempt.outcome.lost]
    for door in lost[:2]:
        again = look.all([asks.connect_from_here(door.address, door.port.node_port, n) for n in (1, 2, 3)])
        kubelet = look(asks.connect_from_here(door.address, KUBELET_PORT))
        if not all(a.outcome.lost for a in again) or kubelet.outcome.lost:
            continue
        inside = _reaches_backends(look, question, door)
        if inside is False:
            continue
        found = FIREWALLED.likely if inside else FIREWALLED.possible
        working = next(d for d in doors if d.opens)
        return found(
            at=ObjectRef("Node", "", door.node.name),
            port=door.port.node_port,
            service=service.name,
            node=door.node.name,
            working=working.node.name,
            effect=Effect.DEGRADES,
            saw=(
                f"this machine → {door.label}, four times: {door.attempt.words}",
                f"this machine → {door.address}:{KUBELET_PORT}, the kubelet there: {kubelet.words}",
                f"this machine → {working.label}: {working.attempt.words}",
            ),
            fix=Fix(
                f"look for the rule on {door.node.name}",
                kubectl(
                    *("debug", f"node/{door.node.name}", "-it", "--profile=sysadmin", "--image=busybox", "--"),
                    *("chroot", "/host", "nft", "list", "ruleset"),
                ),
                Risk.DISRUPTIVE,
                not_pasteable="which rule drops it is seen on the node alone",
            ),
        )
    return None


def _reaches_backends(look: Look, asked: Question, door: Door) -> bool | None:
    """Whether a Pod on that node reaches every backend; None where no Pod there can be asked."""
    if look.if_known(asks.may_probe()) is None:
        return None
    here = [p for p in look(asks.pods_in(asked.namespace)) if p.node == door.node.name and can_host_probe(p)]
    used = [b for b in in_use(backends_asked(look, asked)) if b.service_port == door.port][:8]
    used = [b for b in used if b.service_port == door.port]
    client = next((p for p in here if not p.host_network), None)
    if client is None or not used:
        return None
    tries = look.all_known([asks.connect(client, b.address, b.port) for b in used if b.pod != client.name])
    known = [a for a in tries if a is not None]
    return all(a.outcome.connected for a in known) if known else None


HOSTPORT_CONFLICT = Cause(
    code="hostport-conflict",
    title="The Pod's hostPort is taken on every node that fits",
    says="{pod} is not scheduled: its hostPort {ports} is taken on every fitting node{by}.",
    means="Only one Pod of a node can have a host port, so no further one can be placed.",
    symptom="The Pod stays Pending, with \"didn't have free ports\" in the scheduler's message.",
    apart="Other reasons of the scheduler are named in its message.",
    mend="Use another hostPort, none at all (a Service does not need it), or no more replicas than nodes.",
    explains=("pod-unscheduled", "endpoints-not-ready"),
)

_NO_PORTS = re.compile(r"(\d+) node\(s\) didn't have free ports")


@explains(Hop.POD, HOSTPORT_CONFLICT, When.ALWAYS)
def hostport_conflict(look: Look, asked: Question) -> Finding | None:
    """In the scheduler's words."""
    service = look(asks.the_service(asked)) if asked.service else None
    if service is None or not service.selector:
        return None
    pods = look(asks.pods_selected_by(service))
    waiting = next((p for p in pods if _refused(p) and _host_ports(p)), None)
    if waiting is None:
        return None
    owner = owner_of(look, waiting)
    holders = _holders(look, waiting)
    ports = ", ".join(str(port) for port in sorted(_host_ports(waiting)))
    return HOSTPORT_CONFLICT.confirmed(
        at=owner.at("spec.template.spec.containers[0].ports") if is_patchable(owner) else waiting.at,
        pod=waiting.name,
        ports=ports,
        by=f" (by {', '.join(p.name for p in holders[:3])})" if holders else "",
        effect=Effect.DEGRADES if any(p.ready for p in pods) else Effect.BREAKS,
        saw=waiting.conditions["PodScheduled"].message,
        fix=_fewer(look, owner, pods),
    )


def _fewer(look: Look, owner: ObjectRef, pods: tuple[Pod, ...]) -> Fix | None:
    """As many replicas as found a place, where there is one at all."""
    placed = [p for p in pods if p.node and not p.deleting]
    if owner.kind not in ("Deployment", "StatefulSet") or not placed:
        return None
    return Fix(
        "keep to the replicas that found a node",
        kubectl("scale", owner.short, f"--replicas={len(placed)}", namespace=owner.namespace),
    )


def _refused(pod: Pod) -> bool:
    condition = pod.conditions.get("PodScheduled")
    return not pod.node and not pod.deleting and condition is not None and bool(_NO_PORTS.search(condition.message))


def _host_ports(pod: Pod) -> set[int]:
    return {p.host_port for c in pod.containers for p in c.ports if p.host_port}


def _holders(look: Look, waiting: Pod) -> list[Pod]:
    """Pods of the namespace that have one of the ports; others may as well."""
    wanted = _host_ports(waiting)
    return [p for p in look.if_known(asks.pods_in(waiting.namespace)) or () if p.node and _host_ports(p) & wanted]
