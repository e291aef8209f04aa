"""A program of a node that listens on a port which the node gives to a Service."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.kubeproxy_asks import rules_on
from kubectl_netdebug.causes.node_asks import sysctls
from kubectl_netdebug.causes.node_listeners import listeners, whose
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, json_patch
from kubectl_netdebug.model.finding import Cause, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.node import Node
from kubectl_netdebug.model.objects.service import Service, ServicePort
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net import proxy_iptables, proxy_nft
from kubectl_netdebug.net.listening import Held
from kubectl_netdebug.net.proxyrules import General, Kind, Mode, PortRules, Verdict, ports_of

FORWARDERS = (
    *("kube-proxy", "k3s", "k3s-server", "k3s-agent", "rke2", "hyperkube", "kubelite", "cilium-agent", "cilium-envoy"),
    *("kube-router", "ovnkube", "antrea-agent"),
)
"""Programs that serve node ports themselves: older versions of kube-proxy hold a socket on each of them."""

CHOSEN = "net/ipv4/ip_local_port_range"
RESERVED = "net/ipv4/ip_local_reserved_ports"
NODE_PORTS = range(30000, 32768)

HOST_CONFLICT = Cause(
    code="nodeport-host-conflict",
    title="A program of the node listens on a Service's node port",
    says="{process} listens on port {port} of {node}, which is the node port of Service {service}: who connects there "
    "{gets}.",
    means="The node's rules for Services come before its own sockets, so nobody from outside the program's own "
    "loopback reaches it on that port.",
    symptom="A daemon on a node answers as another program does, or refuses, although it runs and listens.",
    apart="A firewall on the node drops packets; here they arrive, at the Service. kube-proxy itself may hold such a "
    "port open, which is no conflict.",
    mend="Give the Service another node port or the program another port, outside of the range of node ports. Where "
    "the kernel chose the port, reserve node ports with net.ipv4.ip_local_reserved_ports.",
    # The kernel sends few refusals a second, so that a refused port may look like a silent one.
    explains=("dest-port-closed", "egress-firewall"),
)


@dataclass(frozen=True)
class Clash:
    """A socket of the node's, and the Service that the node gives its port to. `verdict` is what the rules do."""

    node: Node
    held: Held
    service: Service
    port: ServicePort
    verdict: Verdict
    text: str


@explains(Hop.PROXY_RULES, HOST_CONFLICT, When.ALWAYS)
def on_the_node(look: Look, asked: Question) -> Finding | None:
    """Every socket of a node that is asked about, against the node ports of all Services."""
    if asked.flow is not FlowName.NODE:
        return None
    node = look.if_known(asks.node_named(asked.node))
    return _finding(look, node, _clash(look, node, None)) if node else None


@explains(Hop.ADDRESS, HOST_CONFLICT, When.ALWAYS)
def asked_by_pod(look: Look, asked: Question) -> Finding | None:
    """The one port of a node that a Pod connects to."""
    return _at_door(look, asked) if asked.flow is FlowName.POD_TO_OUTSIDE else None


@explains(Hop.ENTRY, HOST_CONFLICT, When.ALWAYS)
def asked_from_outside(look: Look, asked: Question) -> Finding | None:
    """The one port of a node that this machine connects to."""
    return _at_door(look, asked) if asked.flow is FlowName.OUTSIDE_TO_POD else None


def _at_door(look: Look, asked: Question) -> Finding | None:
    if not asked.port.isdecimal() or look.if_known(asks.may_look_at_nodes()) is None:
        return None
    nodes = look.if_known(asks.nodes()) or ()
    node = next((n for n in nodes if any(asked.host == address for _, address in n.addresses)), None)
    return _finding(look, node, _clash(look, node, int(asked.port))) if node else None


def _clash(look: Look, node: Node, wanted: int | None) -> Clash | None:
    """The first socket whose port kube-proxy's rules on the node give to a Service that leads elsewhere."""
    services = look.if_known(asks.services_everywhere()) or ()
    doors = {
        (port.protocol, port.node_port): (service, port)
        for service in services
        if service.type in ("NodePort", "LoadBalancer")
        for port in service.ports
        if port.node_port and (wanted is None or (port.protocol == "TCP" and port.node_port == wanted))
    }
    if not doors:
        return None
    for held in look.if_known(listeners(node.name)) or ():
        found = doors.get((held.socket.protocol, held.socket.port))
        # Without a process the kernel listens, or somebody who cannot be seen from here.
        if found is None or not held.pid or held.process in FORWARDERS or _leads_back(look, node, *found):
            continue
        served = _served(look, node, held, *found)
        if served is not None:
            return served
    return None


def _leads_back(look: Look, node: Node, service: Service, port: ServicePort) -> bool:
    """Whether the Service leads to that very port of the node: then both answer the same."""
    own = {address for _, address in node.addresses}
    slices = look.if_known(asks.slices_for(service.namespace, service.name)) or ()
    return any(
        address in own and any(p.port == port.node_port for p in each.ports)
        for each in slices
        for endpoint in each.endpoints
        for address in endpoint.addresses
    )


def _served(look: Look, node: Node, held: Held, service: Service, port: ServicePort) -> Clash | None:
    """Whether rules on the node take connections to where the socket listens."""
    ports = tuple(p for p in ports_of(service) if p.node_port == port.node_port and p.protocol == port.protocol)
    rules = rules_on(look, node.name, ports)
    for proxied in ports:
        if proxied.ipv6 and held.socket.address == "0.0.0.0":
            continue
        judged: list[tuple[PortRules, General]] = []
        if rules.listed is not None:
            judged.append((proxy_nft.port_rules(rules.listed, proxied), proxy_nft.general(rules.listed, proxied.ipv6)))
        if rules.saved is not None and not proxied.ipv6:
            judged.append((proxy_iptables.port_rules(rules.saved, proxied), proxy_iptables.general(rules.saved)))
        for found, general in judged:
            way = found.way(Kind.NODE_PORT)
            if way is None or way.verdict is Verdict.NONE or not general.present or general.broken:
                continue
            if _reaches(node, held, general):
                rule = way.text[0] if way.text else f"{general.mode.value}: {way.label}"
                return Clash(node, held, service, port, way.verdict, rule)
    return None


def _reaches(node: Node, held: Held, general: General) -> bool:
    """Whether an address that the socket listens on is one on which the rules serve node ports."""
    if held.socket.loopback:
        return general.loopback and general.mode is Mode.IPTABLES
    addresses = [address for _, address in node.addresses if held.socket.reachable_at(address)]
    served = general.node_port_addresses
    return any(not served or address in served for address in addresses)


def _finding(look: Look, node: Node, clash: Clash | None) -> Finding | None:
    if clash is None:
        return None
    name = f"{clash.service.namespace}/{clash.service.name}"
    holder = whose(clash.held, look.if_known(asks.pods_on(node.name)) or ())
    return HOST_CONFLICT.confirmed(
        at=clash.service.field(f"spec.ports[{clash.port.index}].nodePort"),
        process=holder,
        port=clash.port.node_port,
        node=node.name,
        service=name,
        gets="gets the Service instead" if clash.verdict is Verdict.BALANCE else "is turned away in the Service's name",
        effect=Effect.DEGRADES,
        saw=(f"{node.name}: {clash.held.socket} is held by {holder}", clash.text, *_chosen(look, node, clash)),
        fixes=_fixes(look, node, clash),
    )


def _chosen(look: Look, node: Node, clash: Clash) -> tuple[str, ...]:
    """That the kernel may have chosen the port by itself."""
    settings = look.if_known(sysctls(node.name, CHOSEN, RESERVED)) or {}
    low, _, high = settings.get(CHOSEN, "").replace("\t", " ").partition(" ")
    if not (low.isdecimal() and high.strip().isdecimal()) or settings.get(RESERVED):
        return ()
    if not int(low) <= clash.port.node_port <= int(high):
        return ()
    return (f"{node.name}: the kernel gives out ports {low} to {high.strip()} by itself, this one among them",)


def _fixes(look: Look, node: Node, clash: Clash) -> tuple[Fix, ...]:
    services = look.if_known(asks.services_everywhere()) or ()
    taken = {port.node_port for service in services for port in service.ports}
    taken |= {service.health_check_port for service in services}
    taken |= {held.socket.port for held in look.if_known(listeners(node.name)) or ()}
    near = range(clash.port.node_port + 1, NODE_PORTS.stop)
    free = (
        next((p for p in (*near, *NODE_PORTS) if p not in taken), None) if clash.port.node_port in NODE_PORTS else None
    )
    if free is None:
        return ()
    operation = {"op": "replace", "path": f"/spec/ports/{clash.port.index}/nodePort", "value": free}
    command = json_patch("service", clash.service.name, [operation], clash.service.namespace)
    return (
        Fix(f"give the Service another node port, {free}; its clients have to use that one", command, Risk.DISRUPTIVE),
    )
