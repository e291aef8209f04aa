"""Packets that a node takes for forged since they come by another way than it would answer by."""

from __future__ import annotations

from kubectl_netdebug.causes.concerned import Trouble
from kubectl_netdebug.causes.fabric_view import Machine, machine_of
from kubectl_netdebug.causes.node_asks import moved, sysctls
from kubectl_netdebug.causes.node_view import STRICT_ALL, about_node, at, concerned, effect, kernel, lines
from kubectl_netdebug.causes.node_view import lost_at as lost_on
from kubectl_netdebug.causes.on_node import mend_on_node
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.moved import Moved

COUNTER = "TcpExt.IPReversePathFilter"

RP_FILTER = Cause(
    code="rp-filter-strict",
    title="The node drops packets that come by another way than it would answer by",
    says="On node {node} {dropped} packets failed the strict check of their source (rp_filter) while {what} was tried.",
    means="The answer, or the request, comes in at another device than the node's own route to its sender leads to.",
    symptom="Some connections between machines with two ways between them vanish; no rule drops them.",
    apart="A packet filter counts its drops in a rule; these are counted in IPReversePathFilter.",
    mend="Set rp_filter to 2 (loose) on the device where they come in, or make both ways the same.",
    explains=("egress-firewall", "egress-masquerade-missing", "overlay-port-blocked", "node-route-wrong"),
)


@explains(Hop.NODE_KERNEL, RP_FILTER, When.ALWAYS)
def rp_filter(look: Look, asked: Question) -> Finding | None:
    """The counter rises by at least one for each of our connects, and a device has the strict check."""
    if about_node(asked):
        return None
    for node in concerned(look, asked):
        again = next((t for t in lost_on(look, asked, node) if t.client.pod is not None), None)
        if again is None:
            continue
        found = _tried(look, node, again)
        rose = found.counters.get(COUNTER, 0) if found else 0
        if found is None or rose < len(found.attempts) or any(a.outcome.connected for a in found.attempts):
            continue
        strict = _strict(look, node, again)
        if not strict:
            continue
        devices = " ".join(f"net.ipv4.conf.{device}.rp_filter=2" for device in strict).split()
        return RP_FILTER.confirmed(
            at=at(node),
            node=node,
            dropped=rose,
            what=again.label,
            effect=effect(look, asked),
            saw=(f"{node}: strict (rp_filter = 1) on {', '.join(strict)}", *lines((again,))),
            fix=mend_on_node(
                look,
                node,
                "make the check loose there (until the next start; a file in /etc/sysctl.d keeps it)",
                *("sysctl", "-w", *devices),
            ),
        )
    return None


def _tried(look: Look, node: str, again: Trouble) -> Moved | None:
    assert again.client.pod is not None
    return look.if_known(moved(node, again.client.pod, again.address, again.port, again.protocol))


def _strict(look: Look, node: str, again: Trouble) -> tuple[str, ...]:
    """Devices with the strict check by which the far end's packets may come, other than the route back to it."""
    machine = machine_of(look, node)
    if machine is None:
        return ()
    far = again.client.address if again.server_node == node else again.server.address
    devices = [link.name for link in machine.links if link.carrier and not link.master and link.name != "lo"]
    names = {f"net/ipv4/conf/{device}/rp_filter": device for device in devices}
    of_each, of_all = look.if_known(sysctls(node, *names)) or {}, look.if_known(kernel(node)) or {}
    both = of_all.get(STRICT_ALL, "0")
    strict = [names[name] for name, value in of_each.items() if name in names and max(value, both) == "1"]
    back = _back(machine, far)
    return tuple(device for device in strict if device != back)


def _back(machine: Machine, far: str) -> str:
    route = machine.decides(far).route
    return route.device if route else ""
