"""A Pod that was asked for by its name: it does not exist, or nothing in it listens on the port."""

from __future__ import annotations

import re

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.outside_reach import PORT_CLOSED
from kubectl_netdebug.causes.reach import closed, effect_on, tried
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.starting import MESH_PORTS, still_starting
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question

POD_MISSING = Cause(
    code="pod-not-found",
    title="There is no such Pod",
    says="There is no Pod {pod} in namespace {namespace}{instead}.",
    means="Nothing can be reached under that name or its old address: Pods are replaced, not moved.",
    symptom="An address that worked before a rollout times out or leads to another Pod.",
    apart="A Pod that crashes or waits is there and says so.",
    mend="Use the Service before it rather than a Pod's name or address.",
)


@explains(Hop.POD, POD_MISSING)
def pod_missing(look: Look, asked: Question) -> Finding | None:
    """The name is taken by nobody; a Pod of the same workload is named where there is one."""
    if not asked.pod or look(asks.pod_named(asked.namespace, asked.pod)) is not None:
        return None
    near = _successor(asked.pod, [pod.name for pod in look(asks.pods_in(asked.namespace))])
    return POD_MISSING.confirmed(
        at=ObjectRef("Pod", asked.namespace, asked.pod),
        pod=asked.pod,
        namespace=asked.namespace,
        instead=f"; {near} has taken its place" if near else "",
        saw=f"the API server knows no Pod {asked.namespace}/{asked.pod}",
    )


def _successor(name: str, names: list[str]) -> str:
    """A Pod whose name begins alike, as those of one Deployment or DaemonSet do."""
    for stem in (re.sub(r"-[a-z0-9]{5}$", "", name), re.sub(r"-[a-z0-9]{8,10}-[a-z0-9]{5}$", "", name)):
        if stem and stem != name:
            found = next((other for other in sorted(names) if other.startswith(f"{stem}-")), "")
            if found:
                return found
    return ""


@explains(Hop.SOCKET, PORT_CLOSED)
def pod_port_closed(look: Look, asked: Question) -> Finding | None:
    """Nothing in the Pod holds the port, and its application does run."""
    if not asked.pod:
        return None
    for refusing in closed(look, asked):
        if refusing.on_port or still_starting(look, asked, refusing):
            continue
        running = all(c.state == "running" for c in refusing.pod.containers)
        others = sorted({s.port for s in refusing.elsewhere if s.port not in MESH_PORTS})
        other_protocol = {s.protocol for s in refusing.listening if s.port == refusing.backend.port}
        if not running:
            continue
        said = f" (it accepts on {', '.join(map(str, others[:4]))})" if others else ""
        said = f" over {refusing.backend.protocol}, but over {other_protocol.pop()}" if other_protocol else said
        return PORT_CLOSED.confirmed(
            at=refusing.pod.at,
            target=f"Pod {refusing.pod.name} ({refusing.backend.address}:{refusing.backend.port})",
            elsewhere=said,
            effect=effect_on(tried(look, asked)),
            saw=f"listening in {refusing.pod.name}: {refusing.seen}",
        )
    return None
