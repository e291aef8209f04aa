"""VXLAN between nodes: entries that are missing or of another machine, and outer packets that do not arrive."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.fabric_tunnel import Tunnel, announced_by, tunnel_of
from kubectl_netdebug.causes.fabric_view import LOST, address_of, directions
from kubectl_netdebug.causes.node_asks import moved, node_as_client
from kubectl_netdebug.causes.on_node import mend_on_node
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix
from kubectl_netdebug.model.facts import Ask, NodeText
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.interfaces import read_packets
from kubectl_netdebug.net.moved import Moved, MovedRule

KUBELET_PORT = 10250

FDB_MISSING = Cause(
    code="vxlan-fdb-missing",
    title="A node does not know where another node's tunnel is",
    says="Node {here} has no {what} for {there} on {device}.",
    means="Its packets for the Pods of {there} are not sent at all; the other way may work.",
    symptom="Pods of two nodes do not reach each other, although routes, ports and firewalls are right.",
    apart="With a blocked port the packets leave the node; without the entry nothing leaves.",
    mend="Restart the Pod network's agent on the node, which writes the entries; until then add them by hand.",
    explains=(
        *LOST,
        "overlay-port-blocked",
    ),
)


@explains(Hop.FABRIC, FDB_MISSING, When.ALWAYS)
def fdb_missing(look: Look, asked: Question) -> Finding | None:
    """The route leads into a tunnel whose neighbour or forwarding entry is not there, and the device does not learn."""
    for way in directions(look, asked):
        tunnel = tunnel_of(look, way)
        if tunnel is None or tunnel.complete:
            continue
        lacking = f"forwarding entry (fdb) for {tunnel.mac}" if tunnel.mac else f"neighbour entry for {tunnel.gateway}"
        return FDB_MISSING.confirmed(
            at=ObjectRef("Node", "", way.here.name),
            here=way.here.name,
            there=way.there.name,
            device=tunnel.device.name,
            what=lacking,
            saw=(f"{way.here.name}: route to {way.target} by {tunnel.device.name}, no {lacking}", *way.seen),
            fixes=_write_entries(look, tunnel),
        )
    return None


VTEP_STALE = Cause(
    code="vxlan-vtep-stale",
    title="A node's tunnel entries are of a machine that is no more",
    says="Node {here} holds {held} for {there}, whose tunnel device has {real}.",
    means="Tunnelled packets for the Pods of {there} arrive at the wrong machine, or are dropped there for their MAC.",
    symptom="Pods of one node are unreachable from others, often after it was restarted, cloned or replaced.",
    apart="The outer packets do leave and may even arrive; the addresses in the entries tell.",
    mend="Restart the Pod network's agent on that node; keep systemd from changing its MAC (MACAddressPolicy=none).",
    explains=(*LOST, "overlay-port-blocked", "vxlan-fdb-missing"),
)


@explains(Hop.FABRIC, VTEP_STALE, When.ALWAYS)
def vtep_stale(look: Look, asked: Question) -> Finding | None:
    """The entries name another MAC or another machine than the far device has."""
    for way in directions(look, asked):
        tunnel = tunnel_of(look, way)
        if tunnel is None or not tunnel.complete or tunnel.right:
            continue
        by_mac = bool(tunnel.right_mac) and tunnel.mac != tunnel.right_mac
        held, real = (tunnel.mac, tunnel.right_mac) if by_mac else (tunnel.remote, tunnel.right_remote)
        # What was announced is what everybody holds: then the device itself has changed.
        changed = by_mac and tunnel.real_mac != tunnel.announced.mac == tunnel.mac
        guilty = way.there.name if changed else way.here.name
        source = f"{way.there.name}: {tunnel.device.name} has {real}" if tunnel.real_mac else "annotation"
        return VTEP_STALE.confirmed(
            at=ObjectRef("Node", "", guilty),
            here=way.here.name,
            there=way.there.name,
            held=held,
            real=real,
            saw=(
                f"{way.here.name}: {tunnel.gateway} is {tunnel.mac} at {tunnel.remote} on {tunnel.device.name}",
                f"{source}; announced: {tunnel.announced.mac or 'nothing'} at {tunnel.announced.address or '?'}",
                *way.seen,
            ),
            fixes=_restore(look, tunnel) if changed else _write_entries(look, tunnel),
        )
    return None


def _restore(look: Look, tunnel: Tunnel) -> tuple[Fix, ...]:
    """The announced MAC for the far device; its neighbour entries went with the old one, so one of them too."""
    there, device = tunnel.way.there, tunnel.device
    own = announced_by(look, tunnel.way.here.name)
    gateway = next((a for a in device.plain_addresses if "." in a), "")
    line = f"ip link set dev {device.name} address {tunnel.announced.mac}"
    if own.mac and gateway:
        line += f" && ip neigh replace {gateway} lladdr {own.mac} dev {device.name} nud permanent"
    return (mend_on_node(look, there.name, "give the device the MAC that it announced", "sh", "-c", line),)


def _write_entries(look: Look, tunnel: Tunnel) -> tuple[Fix, ...]:
    mac, remote = tunnel.right_mac, tunnel.right_remote
    if not mac or not remote:
        return ()
    device = tunnel.device.name
    line = (
        f"ip neigh replace {tunnel.gateway} lladdr {mac} dev {device} nud permanent && "
        f"bridge fdb replace {mac} dev {device} dst {remote}"
    )
    return (mend_on_node(look, tunnel.way.here.name, "write the entries by hand", "sh", "-c", line),)


PORT_BLOCKED = Cause(
    code="overlay-port-blocked",
    title="The overlay's port is blocked between nodes",
    says="UDP {port} (VXLAN) from {sender} to {receiver} is dropped{by}.",
    means="Pods of these nodes cannot reach each other: their packets travel inside UDP {port}, which does not arrive.",
    symptom="Same node works, across nodes times out, for every Pod and port; the nodes themselves reach each other.",
    apart="With a missing route nothing leaves encapsulated; a policy lets nodes and some Pods through.",
    mend="Admit the UDP port of the overlay (8472 with flannel) between all nodes, in the nodes' own filters and in "
    "the cloud's security groups.",
    explains=(*LOST, "foreign-iptables-drop", "foreign-nft-drop", "overlay-mtu"),
)


@explains(Hop.FABRIC, PORT_BLOCKED, When.ALWAYS)
def port_blocked(look: Look, asked: Question) -> Finding | None:
    """A rule for that port counts our packets; or they leave by one tunnel device and none come out of the other."""
    for way in directions(look, asked):
        trouble = way.trouble
        tunnel = tunnel_of(look, way) if trouble is not None and not way.back and trouble.lost else None
        if trouble is None or trouble.client.pod is None or tunnel is None or not _sound(look, asked, tunnel):
            continue
        found = _dropping_rule(look, tunnel, trouble.client.pod) or _lost_between(look, tunnel, trouble.client.pod)
        if found is None:
            continue
        sender, receiver, rule, saw = found
        guilty = rule[0] if rule else receiver
        return PORT_BLOCKED.confirmed(
            at=ObjectRef("Node", "", guilty),
            port=tunnel.port,
            sender=sender,
            receiver=receiver,
            by=f" by a rule on {guilty}: {rule[1].rule}" if rule else " on the way",
            saw=(*saw, *way.seen),
            fix=_admit(look, guilty, tunnel.port, rule[1] if rule else None),
        )
    return None


def _sound(look: Look, asked: Question, tunnel: Tunnel) -> bool:
    """The entries of both directions are right, so that packets are sent to where they belong."""
    both = [tunnel_of(look, w) for w in directions(look, asked) if w.trouble == tunnel.way.trouble]
    return tunnel.right and all(other is None or other.right for other in both)


Blocked = tuple[str, str, tuple[str, MovedRule] | None, tuple[str, ...]]
"""(sender, receiver, (node, rule) where one was seen, what was seen)."""


def _tries(look: Look, tunnel: Tunnel, client: Pod) -> list[Moved | None]:
    """What moves on the near and on the far node while the client tries again."""
    trouble = tunnel.way.trouble
    assert trouble is not None
    nodes = (tunnel.way.here.name, tunnel.way.there.name)
    return look.all_known([moved(n, client, trouble.address, trouble.port, trouble.protocol) for n in nodes])


def _dropping_rule(look: Look, tunnel: Tunnel, client: Pod) -> Blocked | None:
    here, there = tunnel.way.here.name, tunnel.way.there.name
    _packets(look, tunnel, "before")
    for node, found in zip((there, here), reversed(_tries(look, tunnel, client)), strict=True):
        for rule in found.rules if found else ():
            words = rule.rule.replace('"', " ").split()
            if str(tunnel.port) not in words or not {"DROP", "REJECT", "drop", "reject"} & {*words}:
                continue
            # A rule for incoming packets is on the receiver, one for outgoing packets on the sender.
            outgoing = rule.chain.upper() in ("OUTPUT", "POSTROUTING")
            other = here if node == there else there
            sender, receiver = (node, other) if outgoing else (other, node)
            seen = f"{node}: {rule.packets} packets met '{rule.rule}' ({rule.source} {rule.table}) during our connects"
            return sender, receiver, (node, rule), (seen,)
    return None


def _lost_between(look: Look, tunnel: Tunnel, client: Pod) -> Blocked | None:
    """By the packet counters of the two devices: what leaves one must come out of the other."""
    here, there = tunnel.way.here.name, tunnel.way.there.name
    before = _packets(look, tunnel, "before")
    attempts = sum(len(found.attempts) for found in _tries(look, tunnel, client) if found)
    after = _packets(look, tunnel, "after")
    if before is None or after is None or not attempts or not _reachable(look, tunnel):
        return None
    (sent, back_in), (came, back_out) = (
        (now[1] - then[1], now[0] - then[0]) if index == 0 else (now[0] - then[0], now[1] - then[1])
        for index, (then, now) in enumerate(zip(before, after, strict=True))
    )
    device = tunnel.device.name
    if sent >= attempts > came:
        seen = f"{device} of {here} sent {sent} packets, {device} of {there} received {came}, in {attempts} connects"
        return here, there, None, (seen,)
    if came >= attempts and back_out >= attempts > back_in:
        seen = f"{device} of {there} sent {back_out} packets, {device} of {here} received {back_in}"
        return there, here, None, (seen,)
    return None


def _packets(look: Look, tunnel: Tunnel, when: str) -> list[tuple[int, int]] | None:
    """(received, sent) packets of the device on the near and on the far node, before or after the connects."""
    again = {"before": 1, "after": 2}[when]
    nodes = (tunnel.way.here.name, tunnel.way.there.name)
    found = look.all_known(
        [Ask(NodeText(node, "interfaces", again=again), lambda v: read_packets(str(v or ""))) for node in nodes]
    )
    counts = [each.get(tunnel.device.name) if each else None for each in found]
    known = [count for count in counts if count is not None]
    return known if len(known) == len(counts) else None


def _reachable(look: Look, tunnel: Tunnel) -> bool:
    """The near node itself reaches the far one by TCP: an answer, be it a refusal."""
    client = node_as_client(look, tunnel.way.here.name)
    if client is None:
        return False
    attempt = look.if_known(asks.connect(client, address_of(tunnel.way.there), KUBELET_PORT))
    return attempt is not None and not attempt.outcome.lost


def _admit(look: Look, node: str, port: int, rule: MovedRule | None) -> Fix:
    if rule is not None and rule.source.startswith("iptables") and rule.rule.startswith("-A "):
        program = "iptables" if rule.source == "iptables" else "iptables-legacy"
        line = f"{program} -t {rule.table} -D {rule.rule.removeprefix('-A ')}"
        return mend_on_node(look, node, "delete the rule", "sh", "-c", line)
    return mend_on_node(
        look,
        node,
        "admit the port on the receiving node",
        *("iptables", "-I", "INPUT", "-p", "udp", "--dport", str(port), "-j", "ACCEPT"),
        not_pasteable="what drops it is between the nodes, or in another filter: an ACCEPT here cannot overrule it",
    )
