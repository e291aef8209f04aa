"""Connection tracking of a node: a table that is full takes no new connection."""

from __future__ import annotations

from kubectl_netdebug.causes.concerned import Trouble
from kubectl_netdebug.causes.node_asks import moved, node_view
from kubectl_netdebug.causes.node_view import TRACKED, TRACKED_MOST, about_node, at, concerned, effect, kernel, lines
from kubectl_netdebug.causes.node_view import lost_at as lost_on
from kubectl_netdebug.causes.on_node import mend_on_node
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.moved import conntrack_counters

NEARLY = 0.9
"""A table this full may have been full a moment ago."""

FULL = 0.98

CONNTRACK_FULL = Cause(
    code="conntrack-full",
    title="The node's connection tracking table is full",
    says="Node {node} tracks {count} connections of at most {most}{dropped}.",
    means="First packets of new connections are dropped there while connections that exist go on.",
    symptom="New connections time out now and then or always, old ones live; all Pods of the node and itself.",
    apart="With colliding source ports of SNAT the table is far from full, and insert_failed rises.",
    mend="Raise net.netfilter.nf_conntrack_max (kube-proxy: conntrack.maxPerCore), and find what opens so many.",
    explains=(
        *("egress-firewall", "egress-masquerade-missing", "overlay-port-blocked"),
        *("service-name-unresolved", "api-vip-not-programmed", "kubelet-10250-blocked"),
    ),
)


@explains(Hop.NODE_KERNEL, CONNTRACK_FULL, When.ALWAYS)
def conntrack_full(look: Look, asked: Question) -> Finding | None:
    """Nearly as many entries as may be, and drops that rise with our own connects; for a node as such, the number."""
    for node in concerned(look, asked):
        settings = look.if_known(kernel(node)) or {}
        count, most = _number(settings.get(TRACKED)), _number(settings.get(TRACKED_MOST))
        if not most or count < NEARLY * most:
            continue
        harmed = lost_on(look, asked, node)
        if about_node(asked):
            counters = look.if_known(node_view(node, "conntrack", conntrack_counters)) or {}
            dropped, sure = counters.get("conntrack.drop", 0), count >= FULL * most
            said = f", and has dropped {dropped} packets for that since it started" if dropped else ""
            if not sure or not dropped:
                continue
        else:
            dropped = _dropped(look, node, harmed)
            said = f"; {dropped} packets were dropped for that while the connection was tried" if dropped else ""
            if not harmed or not (dropped or count >= FULL * most):
                continue
        return (CONNTRACK_FULL.confirmed if dropped else CONNTRACK_FULL.likely)(
            at=at(node),
            node=node,
            count=count,
            most=most,
            dropped=said,
            effect=effect(look, asked),
            saw=(f"{node}: nf_conntrack_count = {count}, nf_conntrack_max = {most}", *lines(harmed)),
            fix=mend_on_node(
                look,
                node,
                "let it track twice as many (until the next start; kube-proxy sets it from conntrack.maxPerCore)",
                *("sysctl", "-w", f"net.netfilter.nf_conntrack_max={most * 2}"),
            ),
        )
    return None


def _dropped(look: Look, node: str, harmed: tuple[Trouble, ...]) -> int:
    """Packets that the table dropped while one of the lost connections was tried again."""
    again = next((t for t in harmed if t.client.pod is not None), None)
    if again is None or again.client.pod is None:
        return 0
    found = look.if_known(moved(node, again.client.pod, again.address, again.port, again.protocol))
    return found.counters.get("conntrack.drop", 0) if found else 0


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0
