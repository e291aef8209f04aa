"""A Pod in the node's own network whose port another program of the node holds."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.node_listeners import is_of, listeners, whose
from kubectl_netdebug.causes.owners import template_path
from kubectl_netdebug.causes.pod_log import in_use_line, one_port_each, port_in
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.trouble import container_path, ending, keeps_ending, serving, worst
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Container, Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When

PORT_CLASH = Cause(
    code="hostnetwork-port-clash",
    title="The port of a host-network Pod is taken on its node",
    says="Container {container} of {whose} wants port {port} of {node}, which {holder} holds.",
    means="A Pod with hostNetwork shares the ports of its node with all that runs there: who comes second fails.",
    symptom="A Pod with hostNetwork keeps exiting with 'address already in use' on some nodes, or on all.",
    apart="Two containers of one Pod that want the same port are both in that Pod; here the port is held by a program "
    "of the node or by another Pod.",
    mend="Give one of the two another port, stop the program if it is a leftover, or do without hostNetwork.",
    explains=("pod-crashloop", "endpoints-not-ready", "readiness-probe-wrong", "backend-partly-dead"),
)


@explains(Hop.POD, PORT_CLASH, When.ALWAYS)
def host_port_clash(look: Look, asked: Question) -> Finding | None:
    """Its log says that the address is in use, and a process on the node that is not its own listens on that port."""
    now = look(asks.now())

    def crashes(pod: Pod) -> Container | None:
        if not pod.host_network or not pod.node:
            return None
        return next((c for c in serving(pod) if ending(c) and keeps_ending(c, now)), None)

    trouble = worst(look, asked, crashes)
    if trouble is None:
        return None
    pod, container = trouble.pod, trouble.container
    line = in_use_line(look, pod, container)
    port = port_in(line, container) if line else 0
    if not port:
        return None
    found = [h for h in look.if_known(listeners(pod.node)) or () if h.socket.port == port]
    # A container of the same Pod is port-clash-in-pod's affair, or its own child.
    if not found or any(is_of(held, pod) for held in found):
        return None
    held = min(found, key=lambda h: (not h.socket.wildcard, h.socket.protocol != "TCP"))
    holder = whose(held, look.if_known(asks.pods_on(pod.node)) or ())
    return PORT_CLASH.confirmed(
        at=trouble.owner.at(template_path(trouble.owner, container_path(pod, container))),
        container=container.name,
        whose=trouble.whose,
        port=port,
        node=pod.node,
        holder=holder,
        effect=trouble.effect,
        saw=(
            f"{pod.name}/{container.name} wrote: {line}",
            f"{pod.node}: {held.socket} is held by {holder}",
        ),
        fixes=one_port_each(look, trouble),
    )
