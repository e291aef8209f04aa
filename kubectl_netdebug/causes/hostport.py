"""A host port that nothing on the node makes."""

from __future__ import annotations

from dataclasses import replace

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.cni_view import confs, programs
from kubectl_netdebug.causes.hostport_way import HostPort, host_port_asked, host_ports_on
from kubectl_netdebug.causes.node_asks import node_as_client, node_view
from kubectl_netdebug.causes.on_node import mend_on_node
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.cni_conf import Conf, used, with_portmap

MOST_PORTS = 4
"""Host ports of a node that are tried in one run."""

NO_PORTMAP = Cause(
    code="hostport-no-portmap",
    title="The node's network configuration has no plugin for host ports",
    says="hostPort {port} of Pod {pod} is not served on {node}: no plugin in {file} is told of host ports.",
    means="The Pod runs and answers by its own address, and its hostPort is ignored without a word.",
    symptom="A hostPort is refused on its node while the Pod is Running and Ready.",
    apart="A Pod that does not listen refuses at its own address as well; where a firewall drops the port, the node "
    "itself gets through.",
    mend="Add the plugin portmap with the capability portMappings to the list of plugins, and make the Pods again: "
    "host ports are made when a Pod starts. Where an agent writes the file, its settings are the place.",
    explains=("dest-port-closed", "egress-firewall"),
)


@explains(Hop.ENTRY, NO_PORTMAP)
def from_outside(look: Look, asked: Question) -> Finding | None:
    """This machine is not let in by the host port."""
    place = host_port_asked(look, asked) if asked.flow is FlowName.OUTSIDE_TO_POD else None
    return _judged(look, place, Effect.BREAKS) if place else None


@explains(Hop.ADDRESS, NO_PORTMAP)
def from_a_pod(look: Look, asked: Question) -> Finding | None:
    """A Pod is not let in by the host port."""
    place = host_port_asked(look, asked) if asked.flow is FlowName.POD_TO_OUTSIDE else None
    return _judged(look, place, Effect.BREAKS) if place else None


@explains(Hop.NODE_AGENTS, NO_PORTMAP, When.ALWAYS)
def on_the_node(look: Look, asked: Question) -> Finding | None:
    """A host port of one of the node's Pods."""
    node = look.if_known(asks.node_named(asked.node)) if asked.flow is FlowName.NODE else None
    places = host_ports_on(look, node)[:MOST_PORTS] if node else ()
    return next((f for place in places if (f := _judged(look, place, Effect.DEGRADES))), None)


def _judged(look: Look, place: HostPort, effect: Effect) -> Finding | None:
    """No plugin is told of host ports; the node reaches the Pod by its own address, and not by the host port."""
    node, pod, port = place.node.name, place.pod, place.port
    found = look.if_known(confs(node))
    conf = used(found) if found else None
    if conf is None or conf.wrong or conf.maps_ports:
        return None
    myself = node_as_client(look, node)
    if myself is None:
        return None
    direct, mapped = look.all_known(
        [asks.connect(myself, pod.ip, port.port), asks.connect(myself, place.address, port.host_port)]
    )
    if direct is None or mapped is None or not direct.outcome.connected or mapped.outcome.connected:
        return None
    return NO_PORTMAP.confirmed(
        at=ObjectRef("Node", "", node, conf.path),
        port=port.host_port,
        pod=f"{pod.namespace}/{pod.name}",
        node=node,
        file=conf.path,
        effect=effect,
        saw=(
            f"{conf.path}: {', '.join(conf.plugins)}; none with the capability portMappings",
            f"{node} itself → {pod.ip}:{port.port}, the Pod: {direct.words}",
            f"{node} itself → {place.place}: {mapped.words}",
        ),
        fix=_add(look, place, conf),
    )


def _add(look: Look, place: HostPort, conf: Conf) -> Fix:
    node, pod = place.node.name, place.pod
    wanted = look(node_view(node, "cni-conf", lambda text: with_portmap(text, conf.path)))
    present = look.if_known(programs(node)) or ()
    if not wanted or not any(p.runs and p.path.endswith("/portmap") for p in present):
        why = "its content is not known in full here" if conf.is_list else "it has to become a list of plugins first"
        if present and not any(p.path.endswith("/portmap") for p in present):
            why = "the program portmap has to be installed first, beside the other plugins"
        return mend_on_node(look, node, "add portmap to the file", "vi", conf.path, not_pasteable=why)
    write = mend_on_node(look, node, "", "sh", "-c", f"cat > {conf.path} <<'EOF'\n{wanted}\nEOF").command
    again = kubectl("delete", "pod", pod.name, namespace=pod.namespace)
    note = "" if pod.owner_kind else "nobody makes the Pod again but you"
    title = "add portmap to the file, and have the Pod made again (an agent that writes the file may undo it)"
    return Fix(title, replace(write, then=(*write.then, again)), Risk.DISRUPTIVE, note)
