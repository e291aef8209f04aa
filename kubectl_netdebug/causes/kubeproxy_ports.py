"""What kube-proxy's rules say of node ports, of masquerading, and of a Pod's traffic to itself."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes import kubeproxy_asks as ask
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.itself import MASQ_MISSING, broken_loop, loop_effect
from kubectl_netdebug.causes.kubeproxy_log import with_config
from kubectl_netdebug.causes.kubeproxy_view import proxies
from kubectl_netdebug.causes.node_asks import node_text
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.node import Node
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.service import Service, ServicePort
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net import proxy_iptables, proxy_nft
from kubectl_netdebug.net.moved import conntrack_counters
from kubectl_netdebug.net.outcome import Attempt
from kubectl_netdebug.net.proxyrules import General, Mode, is_address

MOST_NODES = 4


@dataclass(frozen=True)
class AtPort:
    """A client that fails at a node port on an address of a node, and what the node serves instead.

    `works` is a connect to the same port at the node's main address.
    """

    client: Pod
    node: Node
    service: Service
    port: ServicePort
    address: str
    attempt: Attempt
    works: Attempt
    general: General


def _at_port(look: Look, asked: Question) -> AtPort | None:
    """The question is about an address and a node port; that address fails, and another of the same node works."""
    if asked.flow is not FlowName.POD_TO_OUTSIDE or not is_address(asked.host) or not asked.port.isdecimal():
        return None
    served = [(s, p) for s in look(asks.services_in("")) for p in s.ports if str(p.node_port) == asked.port]
    if not served:
        return None
    client = client_pod(look, asked)
    attempt = look(asks.connect(client, asked.host, int(asked.port)))
    node = _owner(look, client, asked.host) if not attempt.outcome.connected else None
    if node is None or asked.host == node.internal_ip:
        return None
    works = look(asks.connect(client, node.internal_ip, int(asked.port)))
    rules = ask.rules_on(look, node.name, ())
    nft = proxy_nft.general(rules.listed) if rules.listed is not None else None
    tables = proxy_iptables.general(rules.saved) if rules.saved is not None else None
    general = nft if nft is not None and nft.present else tables
    if general is None or not general.present or not works.outcome.connected:
        return None
    service, port = served[0]
    return AtPort(client, node, service, port, asked.host, attempt, works, general)


def _owner(look: Look, client: Pod, address: str) -> Node | None:
    """The node that has an address: the client's own for loopback, else the one that lists it."""
    nodes = look(asks.nodes())
    if address.startswith("127."):
        return next((n for n in nodes if n.name == client.node), None) if client.host_network else None
    known = next((n for n in nodes if any(a == address for _, a in n.addresses)), None)
    if known is not None:
        return known
    some = sorted(nodes, key=lambda n: (n.name != client.node, n.name))[:MOST_NODES]
    texts = look.all_known([node_text(n.name, "addresses") for n in some])
    return next((n for n, text in zip(some, texts, strict=True) if text and f'"{address}"' in text), None)


LIMITED = Cause(
    code="nodeport-addresses-limited",
    title="Node ports are not served on that address of the node",
    says="Node port {port} of Service {service} is not served on {address} of {node}: kube-proxy serves node ports on "
    "{served} alone.",
    means="Clients that use another address of the node are refused or get no answer.",
    symptom="A node port works on one address of a node and not on another of the same node.",
    apart="A firewall drops it for some clients on the same address; here the node's own rules leave the address out.",
    mend="Use an address that is served, or list the range of the other one in nodePortAddresses (the nftables mode "
    "serves the node's primary address alone by default).",
    explains=("dest-port-closed", "egress-firewall"),
)


@explains(Hop.ADDRESS, LIMITED)
def addresses_limited(look: Look, asked: Question) -> Finding | None:
    """The address is one of the node and stands not in what its rules serve; the main one works."""
    found = _at_port(look, asked)
    served = found.general.node_port_addresses if found else ()
    if found is None or not served or found.address in served or found.address.startswith("127."):
        return None
    return LIMITED.confirmed(
        at=ObjectRef("Node", "", found.node.name, _where(found.general)),
        port=found.port.node_port,
        service=f"{found.service.namespace}/{found.service.name}",
        address=found.address,
        node=found.node.name,
        served=", ".join(served[:4]),
        saw=_seen(found),
        fix=_widen(look, found.address),
    )


def _where(general: General) -> str:
    return "set nodeport-ips" if general.mode is Mode.NFTABLES else "chain KUBE-SERVICES"


def _seen(found: AtPort) -> tuple[str, ...]:
    port = found.port.node_port
    served = ", ".join(found.general.node_port_addresses[:4]) or "all addresses but loopback"
    return (
        f"{found.client.name} → {found.address}:{port}: {found.attempt.words}",
        f"{found.client.name} → {found.node.internal_ip}:{port}: {found.works.words}",
        f"{found.node.name}, mode {found.general.mode.value}: node ports on {served}",
    )


def _widen(look: Look, address: str) -> Fix:
    """Has kube-proxy serve node ports on that address as well."""
    config = look.if_known(ask.config())
    wanted = f"{address}/{128 if ':' in address else 32}"
    show = Fix(
        "serve node ports there as well",
        kubectl("edit", "configmap", ask.NAME, namespace=ask.NAMESPACE),
        Risk.DISRUPTIVE,
        not_pasteable=f"add {wanted} to nodePortAddresses and restart kube-proxy",
    )
    daemonset = look.if_known(ask.daemonset_named())
    if config is None or not config.text or config.node_port_addresses or not daemonset:
        return show
    return with_config(f'{config.text.rstrip()}\nnodePortAddresses: ["primary", "{wanted}"]\n', show.title)


LOOPBACK = Cause(
    code="nodeport-localhost-nft",
    title="Node ports are not served on loopback",
    says="Node port {port} of Service {service} is not served on {address}: mode {mode} has none there.",
    means="Programs on the node that use localhost and a node port are refused; the node's own address works.",
    symptom="`curl 127.0.0.1:NODEPORT` on a node fails, often since kube-proxy's mode was changed to nftables.",
    apart="Where the node's own address fails as well, the Service or its backends are at fault.",
    mend="Use the node's address, or better the Service's name.",
    explains=("dest-port-closed", "egress-firewall"),
)


@explains(Hop.ADDRESS, LOOPBACK)
def on_loopback(look: Look, asked: Question) -> Finding | None:
    """The node asks itself by loopback, fails, and is let in by its own address."""
    found = _at_port(look, asked) if asked.host.startswith("127.") else None
    if found is None or found.general.loopback:
        return None
    return LOOPBACK.confirmed(
        at=ObjectRef("Node", "", found.node.name, _where(found.general)),
        port=found.port.node_port,
        service=f"{found.service.namespace}/{found.service.name}",
        address=found.address,
        mode=found.general.mode.value,
        saw=_seen(found),
        fix=Fix(
            "use the node's own address",
            kubectl("get", "node", found.node.name, "-o", "wide"),
            Risk.READ_ONLY,
        ),
    )


@explains(Hop.PROXY_RULES, MASQ_MISSING, When.ALWAYS)
def not_masqueraded(look: Look, asked: Question) -> Finding | None:
    """A Pod that does not reach itself, on a node whose rules do not masquerade that."""
    loop = broken_loop(look, asked)
    if loop is None:
        return None
    for proxy in proxies(look, asked):
        mode = proxy.mode
        general = proxy.general(mode) if mode else None
        if general is None or not general.present:
            continue
        if mode is Mode.IPTABLES and proxy.rules.saved is not None:
            marked = proxy_iptables.self_marked(proxy.rules.saved, loop.backend.address)
        elif mode is Mode.NFTABLES and proxy.rules.listed is not None:
            marked = proxy_nft.self_masqueraded(proxy.rules.listed, loop.backend.address, loop.backend.port)
        else:
            marked = None
        lacks = [b for b in general.broken if "POST" in b.upper() or "masquerad" in b]
        if not general.masquerades and mode is Mode.IPTABLES:
            lacks.append("the rule MASQUERADE in chain KUBE-POSTROUTING, or KUBE-MARK-MASQ")
        if marked is False:
            lacks.append(f"the rule for {loop.backend.address} itself")
        if not lacks:
            continue
        return MASQ_MISSING.confirmed(
            at=proxy.at,
            pod=loop.client.name,
            place=loop.place,
            count=f"{loop.lost} of {len(loop.attempts)}",
            effect=loop_effect(loop),
            saw=(f"missing among kube-proxy's rules on {proxy.node.name}: {'; '.join(lacks)}", *proxy.seen),
            fix=proxy.restart(),
        )
    return None


SNAT_RACE = Cause(
    code="snat-race-no-random-fully",
    title="Masquerading picks ports in order, and connections clash",
    says="On {node} {rule} masquerades without random ports, and {count} new connections were dropped for it while we "
    "looked (insert_failed).",
    means="Connections that start at the same moment get the same source port, and the first packet of one is dropped: "
    "it comes about after 1, 3 or 7 s.",
    symptom="Some connects to outside take 1, 3 or 7 s longer, the more the busier the node is.",
    apart="A full connection table drops as well, and says so in the kernel's log.",
    mend="Use --random-fully (nft: fully-random) for masquerading: newer versions of the CNI plugin and iptables do.",
)


@explains(Hop.PROXY_RULES, SNAT_RACE, When.ALWAYS)
def snat_race(look: Look, asked: Question) -> Finding | None:
    """The kernel's counter grows between two readings, and a rule that masquerades Pods is an old one."""
    if asked.flow is not FlowName.NODE:
        return None
    for proxy in proxies(look, asked):
        rules = proxy.rules.saved.rules if proxy.rules.saved else ()
        old = [
            r for r in rules if r.target == "MASQUERADE" and not r.option("--random-fully") and not r.option("--random")
        ]
        if not old:
            continue
        before = conntrack_counters(look(node_text(proxy.node.name, "conntrack")))
        after = conntrack_counters(look(node_text(proxy.node.name, "conntrack", again=1)))
        name = "conntrack.insert_failed"
        more = after.get(name, 0) - before.get(name, after.get(name, 0))
        if more <= 0:
            continue
        return SNAT_RACE.likely(
            at=proxy.at.at(f"chain {old[0].chain}"),
            node=proxy.node.name,
            rule=f"a rule of chain {old[0].chain}",
            count=more,
            effect=Effect.DEGRADES,
            saw=(old[0].text, f"insert_failed of {proxy.node.name}: {before.get(name, 0)}, then {after.get(name, 0)}"),
            fix=Fix(
                "masquerade with random ports",
                kubectl("get", "pods", "-A", "-o", "wide", f"--field-selector=spec.nodeName={proxy.node.name}"),
                Risk.REVERSIBLE,
                not_pasteable="the rule is written by the CNI plugin or by kube-proxy, which have to be newer",
            ),
        )
    return None
