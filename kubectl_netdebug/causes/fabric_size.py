"""Packets that are too large for the way: connections come about, small requests pass, and large ones hang."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import Backend, client_pod
from kubectl_netdebug.causes.fabric_view import Machine, address_of, machine_of, nodes_by_name
from kubectl_netdebug.causes.on_node import on_node
from kubectl_netdebug.causes.outside_way import is_outside, port_of, request, tried_outside
from kubectl_netdebug.causes.reach import tried
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.talk import path_at
from kubectl_netdebug.model.command import Fix
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.links import Link
from kubectl_netdebug.net.spoken import HttpReply

LARGER = 2800
"""Bytes by which a request is made longer: it then fills at least one packet, on any usual link."""

MOST = 3
"""Far nodes to which a large request is sent in one run."""


@dataclass(frozen=True)
class Sized:
    """A small and a large request to one place; `again` is the large one once more where the first got no answer."""

    place: str
    backend: Backend | None
    small: HttpReply
    large: HttpReply
    again: HttpReply | None = None

    @property
    def stuck(self) -> bool:
        """The small one is answered, the large one never."""
        return self.small.answered and self.large.nothing and self.again is not None and self.again.nothing


def sized_backends(look: Look, asked: Question) -> tuple[Sized, ...]:
    """One backend of each far node that speaks HTTP, with a small and a large request."""
    client = client_pod(look, asked)
    chosen: dict[str, tuple[Backend, str]] = {}
    for backend, attempt in tried(look, asked):
        node = backend.endpoint.node
        if not attempt.outcome.connected or backend.protocol != "TCP" or not node or node == client.node:
            continue
        path = path_at(look, asked, backend) if node not in chosen else None
        if path is not None:
            chosen[node] = (backend, path)
    wanted = list(chosen.values())[:MOST]
    small = look.all_known([asks.http(client, b.address, b.port, path) for b, path in wanted])
    speaking = [(b, path, reply) for (b, path), reply in zip(wanted, small, strict=True) if reply and reply.answered]
    large = look.all_known([asks.http(client, b.address, b.port, path, padding=LARGER) for b, path, _ in speaking])
    found = []
    for (backend, path, first), second in zip(speaking, large, strict=True):
        if second is None:
            continue
        again = asks.http(client, backend.address, backend.port, path, padding=LARGER, attempt=1)
        third = look.if_known(again) if second.nothing else None
        found.append(Sized(backend.label, backend, first, second, third))
    return tuple(found)


def sized_outside(look: Look, asked: Question) -> tuple[Sized, ...]:
    """The same for a place outside; nothing where no scheme was typed or nothing connects."""
    first = request(look, asked) if is_outside(asked) else None
    second, third = request(look, asked, padding=LARGER), request(look, asked, padding=LARGER, attempt=1)
    if first is None or second is None or third is None:
        return ()
    small = look.if_known(first)
    large = look.if_known(second) if small is not None and small.answered else None
    if small is None or large is None:
        return ()
    return (
        Sized(f"{asked.host}:{port_of(asked)}", None, small, large, look.if_known(third) if large.nothing else None),
    )


def sizes(look: Look, asked: Question) -> tuple[Sized, ...]:
    """Whichever fits the question."""
    return sized_outside(look, asked) if is_outside(asked) else sized_backends(look, asked)


OVERLAY_MTU = Cause(
    code="overlay-mtu",
    title="Packets between nodes are larger than the way takes",
    says="From {client} ({mtu}) to {there} large packets are lost{narrow}, and no word about it comes back.",
    means="Connections come about and small requests pass; TLS handshakes, uploads and large answers hang.",
    symptom="Small requests work, large ones hang for ever, between Pods of different nodes only.",
    apart="A slow application is slow on the same node too; a blocked port loses the first packet already.",
    mend="Set the Pod network's MTU to what the way takes (less the overlay's headers), and make the Pods again.",
)


@explains(Hop.SIZE, OVERLAY_MTU)
def overlay_mtu(look: Look, asked: Question) -> Finding | None:
    """A large request hangs twice; on the client's node, the device towards there takes less than Pods may send."""
    if is_outside(asked):
        return None
    client = client_pod(look, asked)
    for sized in sizes(look, asked):
        if not sized.stuck or sized.backend is None:
            continue
        there = sized.backend.endpoint.node
        narrow = _narrow(look, client, there, sized.backend.address)
        mtu = (look.if_known(asks.file_in(client, "/sys/class/net/eth0/mtu")) or "").strip()
        make = OVERLAY_MTU.confirmed if narrow else OVERLAY_MTU.likely
        clamp = ("-t", "mangle", "-A", "FORWARD", "-p", "tcp", "--tcp-flags", "SYN,RST", "SYN", "-j", "TCPMSS")
        guilty = narrow[0] if narrow else client.node
        return make(
            at=ObjectRef("Node", "", guilty),
            client=f"{client.name}",
            mtu=f"MTU {mtu}" if mtu.isdecimal() else "its MTU",
            there=sized.backend.label,
            narrow=f": {narrow[1]}" if narrow else " on the way",
            effect=Effect.DEGRADES,
            saw=_seen(sized),
            fix=Fix(
                "until then, have connections agree on smaller packets",
                on_node(look, guilty, "iptables", *clamp, "--clamp-mss-to-pmtu"),
                not_pasteable="" if narrow and guilty == client.node else "where it gets narrow was not found",
            ),
        )
    return None


def _narrow(look: Look, client: Pod, there: str, address: str) -> tuple[str, str] | None:
    """(node, words) where a device on the way takes less than the Pods' links of the client's node do."""
    near, far = machine_of(look, client.node), machine_of(look, there)
    widest = (
        max((link.mtu for link in near.links if link.kind == "veth" and _of_pods(near, link)), default=0) if near else 0
    )
    if near is None or not widest:
        return None
    for machine, target in ((near, address), (far, client.ip)):
        device = _device(machine, target) if machine else None
        below = _below(machine, device) if machine and device else None
        if machine is None or device is None:
            continue
        if device.mtu < widest:
            return machine.name, f"{device.name} of {machine.name} takes {device.mtu} bytes, Pods send {widest}"
        if device.vxlan is not None and below is not None and device.mtu + HEADERS > below.mtu:
            saw = f"{device.name} of {machine.name} sends {device.mtu} + {HEADERS} bytes by {below.name} of {below.mtu}"
            return machine.name, saw
    peer = nodes_by_name(look).get(there)
    out = _device(near, address_of(peer)) if peer else None
    into = (
        _device(far, address_of(nodes_by_name(look)[client.node]))
        if far and client.node in nodes_by_name(look)
        else None
    )
    if out is not None and into is not None and into.mtu < min(widest, out.mtu):
        return there, f"{into.name} of {there} takes {into.mtu} bytes, {out.name} of {client.node} {out.mtu}"
    return None


HEADERS = 50
"""Bytes that VXLAN adds over IPv4."""


def _of_pods(machine: Machine, link: Link) -> bool:
    """A Pod's link: a port of a bridge, or the device of a route to one address."""
    routed = any(r.device == link.name and r.network.prefixlen == 32 and r.table == "main" for r in machine.routes)
    return bool(link.master) or routed


def _device(machine: Machine | None, address: str) -> Link | None:
    route = machine.plainly(address).route if machine and address else None
    return machine.link(route.device) if machine and route is not None else None


def _below(machine: Machine, device: Link) -> Link | None:
    return machine.link(device.vxlan.device) if device.vxlan else None


PMTU_OUTSIDE = Cause(
    code="pmtu-blackhole-outside",
    title="Large packets to a place outside are lost",
    says="Large packets from {client} to {place} are lost on the way, and no word about it comes back.",
    means="Connections come about; TLS handshakes, uploads or downloads hang.",
    symptom="One site hangs after the connection was made, while others work.",
    apart="A server that dislikes long requests says so or closes; with a firewall no connection comes about.",
    mend="Admit ICMP type 3 code 4 on the way, or have connections agree on smaller packets (MSS clamping).",
)


@explains(Hop.SIZE, PMTU_OUTSIDE)
def pmtu_outside(look: Look, asked: Question) -> Finding | None:
    """A large request to a place outside hangs twice, a small one is answered."""
    if not is_outside(asked):
        return None
    client = client_pod(look, asked)
    for sized in sizes(look, asked):
        if not sized.stuck:
            continue
        address = next((a for a, attempt in tried_outside(look, asked) if attempt.outcome.connected), "")
        clamp = "-p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1200"
        line = "; ".join(f"iptables -t mangle -A FORWARD {end} {address} {clamp}" for end in ("-d", "-s"))
        return PMTU_OUTSIDE.likely(
            at=ObjectRef("Host", "", asked.host),
            client=client.name,
            place=sized.place,
            effect=Effect.DEGRADES,
            saw=_seen(sized),
            fix=Fix("have connections agree on smaller packets", on_node(look, client.node, "sh", "-c", line)),
        )
    return None


def _seen(sized: Sized) -> tuple[str, ...]:
    return (f"a small request to {sized.place}: {sized.small.words}", f"{LARGER} bytes longer: no answer, twice")
