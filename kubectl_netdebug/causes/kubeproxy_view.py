"""kube-proxy on the nodes that a question is about: what runs, what its rules do, and what they should do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes import kubeproxy_asks as ask
from kubectl_netdebug.causes.api_view import about_api, dialled_by, door_of, vip_tries
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.concerned import everything_tried
from kubectl_netdebug.causes.dns_client import resolver_of
from kubectl_netdebug.causes.dns_tried import dns_service
from kubectl_netdebug.causes.itself_view import loops
from kubectl_netdebug.causes.kubeproxy_asks import Config, Rules
from kubectl_netdebug.causes.virtual import virtual_attempts
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Effect, ObjectRef
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.node import Node
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.service import PROXY_NAME_LABEL, Service
from kubectl_netdebug.model.objects.slices import EndpointSlice
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.net import ipvs, proxy_iptables, proxy_nft
from kubectl_netdebug.net.outcome import Attempt
from kubectl_netdebug.net.proxy_expected import Where, expected
from kubectl_netdebug.net.proxy_process import Program
from kubectl_netdebug.net.proxyrules import (
    Difference,
    Expected,
    General,
    Kind,
    Mode,
    PortRules,
    ServicePorts,
    compare,
    ports_of,
)

MOST_SERVICES = 24
"""Services whose rules are compared when a node is asked about as such."""

SETTLED = timedelta(seconds=20)
"""After a change of endpoints, kube-proxy is given this long."""

ZONE = "topology.kubernetes.io/zone"
REPLACEMENTS = {
    "cilium": "Cilium",
    "kube-router": "kube-router",
    "ovnkube-node": "OVN-Kubernetes",
    "antrea-agent": "Antrea",
    "anetd": "GKE Dataplane V2",
}
"""DaemonSets by name that may stand in for kube-proxy."""


@dataclass(frozen=True)
class Subject:
    """A Service to judge on a node.

    `tried` are the connects that were made to its address; none when a node is asked about as such.
    """

    node: str
    service: Service
    slices: tuple[EndpointSlice, ...]
    ports: ServicePorts
    tried: tuple[Attempt, ...] = ()

    @property
    def failed(self) -> tuple[Attempt, ...]:
        """The connects that did not come about."""
        return tuple(a for a in self.tried if not a.outcome.connected)

    @property
    def seen(self) -> str:
        """`10.96.0.1 from node-1: 3 of 3 connects fail (timed out)`, or ''."""
        if not self.failed:
            return ""
        words = ", ".join(sorted({a.words for a in self.failed}))
        share = f"{len(self.failed)} of {len(self.tried)} connects fail"
        return f"{self.service.address} from {self.node}: {share} ({words})"


@dataclass(frozen=True)
class ProxyOn:
    """kube-proxy on one node, and the Services to judge there."""

    node: Node
    subjects: tuple[Subject, ...]
    asked_by_name: bool
    """The node itself is what was asked about."""
    program: Program | None
    pod: Pod | None
    daemonset: bool
    config: Config | None
    rules: Rules
    replaced_by: str

    @property
    def at(self) -> ObjectRef:
        """The node as the object to mend."""
        return ObjectRef("Node", "", self.node.name)

    @property
    def ports(self) -> ServicePorts:
        """All Service ports to judge."""
        return tuple(p for s in self.subjects for p in s.ports)

    @property
    def wanted(self) -> bool:
        """Whether kube-proxy is meant to run there."""
        return (self.daemonset or self.config is not None) and not self.replaced_by

    @property
    def mode(self) -> Mode | None:
        """The mode that it works in: by its own word, its arguments, its configuration; None where nothing tells."""
        process = self.program.process if self.program else None
        said = (self.program.mode if self.program else "") or (process.argument("proxy-mode") if process else "")
        if not said and self.config is not None:
            said = self.config.mode or "iptables"
        return Mode(said) if said in tuple(Mode) else None

    @property
    def runs(self) -> bool | None:
        """Whether its process is there; None where that is not known."""
        if self.program is None:
            return None
        return self.program.process is not None or self.program.embedded or self.program.answers

    @property
    def hangs(self) -> str:
        """How its process is there and does nothing; '' where it works or is not there."""
        process = self.program.process if self.program else None
        if process is None or self.program is None:
            return ""
        if process.stopped:
            return f"its process {process.pid} is stopped (state {process.state})"
        return ""

    def general(self, mode: Mode) -> General | None:
        """What stands on the node of a mode; None where that could not be read."""
        rules, v6 = self.rules, all(p.ipv6 for p in self.ports) and bool(self.ports)
        match mode:
            case Mode.IPTABLES:
                return proxy_iptables.general(rules.saved) if rules.saved is not None and not v6 else None
            case Mode.NFTABLES:
                return proxy_nft.general(rules.listed, v6) if rules.listed is not None else None
            case Mode.IPVS:
                return ipvs.general(rules.servers) if rules.servers is not None else None

    def rules_of(self, subject: Subject, mode: Mode) -> tuple[PortRules, ...]:
        """What the rules of a mode do with a Service; nothing where they could not be read."""
        rules, found = self.rules, []
        for port in subject.ports:
            if mode is Mode.IPTABLES and rules.saved is not None and not port.ipv6:
                found.append(proxy_iptables.port_rules(rules.saved, port))
            elif mode is Mode.NFTABLES and rules.listed is not None:
                found.append(proxy_nft.port_rules(rules.listed, port))
            elif mode is Mode.IPVS and rules.servers is not None:
                found.append(ipvs.port_rules(rules.servers, port))
        return tuple(found)

    def differences(self, subject: Subject, mode: Mode, node: str = "") -> tuple[Difference, ...]:
        """Where the rules differ from what the slices ask for on this node (or as if it were another)."""
        where = Where(node or self.node.name, self.node.labels.get(ZONE, ""))
        return tuple(
            difference
            for rules in self.rules_of(subject, mode)
            for difference in compare(
                rules, _judged(expected(subject.service, rules.port, subject.slices, where), mode)
            )
        )

    def effect(self, subjects: tuple[Subject, ...] = ()) -> Effect:
        """Whether anything of what was tried by these Services still works."""
        tried = [a for s in subjects or self.subjects for a in s.tried]
        return Effect.DEGRADES if any(a.outcome.connected for a in tried) else Effect.BREAKS

    @property
    def seen(self) -> tuple[str, ...]:
        """The failed connects, in words."""
        return tuple(filter(None, (s.seen for s in self.subjects[:2])))

    def restart(self) -> Fix:
        """Has kube-proxy of this node start anew."""
        command = kubectl(
            *("delete", "pod", "-l", ask.LABEL, f"--field-selector=spec.nodeName={self.node.name}"),
            namespace=ask.NAMESPACE,
        )
        note = "" if self.pod else "kube-proxy is no Pod there: restart it on the node"
        return Fix(f"restart kube-proxy of {self.node.name}", command, Risk.DISRUPTIVE, not_pasteable=note)


def _judged(every: tuple[Expected, ...], mode: Mode) -> tuple[Expected, ...]:
    """The ways in that can be judged: node ports in ipvs mode hang on the node's addresses."""
    return tuple(e for e in every if not (mode is Mode.IPVS and e.kind is Kind.NODE_PORT))


def proxies(look: Look, asked: Question) -> tuple[ProxyOn, ...]:
    """kube-proxy on the node asked about, or on the client's where a connect by a Service's address failed."""
    subjects = subjects_of(look, asked)
    if not subjects and asked.flow is not FlowName.NODE:
        return ()
    name = asked.node if asked.flow is FlowName.NODE else subjects[0].node
    node = look(asks.node_named(name))
    if node is None:
        return ()
    ports = tuple(p for s in subjects for p in s.ports)
    look.foresee(ask.program_on(name), ask.config(), ask.proxy_pods(), ask.daemonset_named(), asks.pods_on(name))
    rules = ask.rules_on(look, name, ports)
    program = look.if_known(ask.program_on(name))
    daemonset = look.if_known(ask.daemonset_named())
    config, pods = look.if_known(ask.config()), look.if_known(ask.proxy_pods()) or ()
    own = [p for p in pods if p.node == name and not p.finished]
    return (
        ProxyOn(
            node=node,
            subjects=subjects,
            asked_by_name=asked.flow is FlowName.NODE,
            program=program,
            pod=min(own, key=lambda p: (p.deleting, p.name), default=None),
            daemonset=bool(daemonset),
            config=config,
            rules=rules,
            replaced_by=_replacement(look, name, program),
        ),
    )


def _replacement(look: Look, node: str, program: Program | None) -> str:
    if program is not None and program.process is None and program.replaced_by:
        return program.replaced_by
    if program is not None and program.process is not None:
        return ""
    owners = {p.owner_name for p in look.if_known(asks.pods_on(node)) or () if p.owner_kind == "DaemonSet"}
    named = [REPLACEMENTS[name] for name in sorted(owners) if name in REPLACEMENTS]
    return named[0] if named and "kube-proxy" not in owners else ""


def subjects_of(look: Look, asked: Question) -> tuple[Subject, ...]:
    """The Services whose address failed a client of the question, on that client's node; all for a node itself.

    Services that another proxy has been given, or that have no address, are none of kube-proxy's.
    """
    if asked.flow is FlowName.NODE:
        return _everything(look, asked.node)
    found = []
    for service, slices, tried in _tried(look, asked):
        if any(not a.outcome.connected for a in tried) and PROXY_NAME_LABEL not in service.labels:
            client = client_pod(look, asked)
            ports = ports_of(service)
            if client.node and ports:
                found.append(Subject(client.node, service, slices, ports, tried))
    return tuple(found)


_Tried = tuple[Service, tuple[EndpointSlice, ...], tuple[Attempt, ...]]


def _tried(look: Look, asked: Question) -> list[_Tried]:
    """The Services whose address was tried, with the outcomes."""
    if look.if_known(asks.may_probe()) is None:
        return []
    if about_api(asked):
        client, door = client_pod(look, asked), door_of(look)
        if door.service is None or dialled_by(client, door).overridden:
            return []
        slices = look(asks.slices_for(door.service.namespace, door.service.name))
        return [(door.service, slices, tuple(vip_tries(look, client, door)))]
    if asked.flow is FlowName.POD_TO_ITSELF:
        every = loops(look, asked)
        return [
            (loop.service, look(asks.slices_for(loop.service.namespace, loop.service.name)), loop.attempts)
            for loop in every
        ]
    if asked.flow in (FlowName.DNS, FlowName.POD_TO_OUTSIDE):
        return _name_servers(look, asked)
    if not asked.service or asked.flow not in (FlowName.SERVICE, FlowName.POD_TO_POD):
        return []
    service, slices = look.together(asks.the_service(asked), asks.slices_of(asked))
    if service is None or not service.address:
        return []
    return [(service, slices, tuple(attempt for _, attempt in virtual_attempts(look, asked)))]


def _name_servers(look: Look, asked: Question) -> list[_Tried]:
    """The cluster's DNS by its Service's address, where names are a part of the question."""
    tried = tuple(t.attempt for t in everything_tried(look, asked) if t.virtual)
    resolver = resolver_of(look, asked) if tried else None
    service = dns_service(look, resolver) if resolver else None
    if service is None:
        return []
    return [(service, look(asks.slices_for(service.namespace, service.name)), tried)]


def _everything(look: Look, node: str) -> tuple[Subject, ...]:
    """The first Services of the cluster, the API server's before all."""
    services = look(asks.services_in(""))
    proxied = [s for s in services if ports_of(s) and PROXY_NAME_LABEL not in s.labels]
    proxied.sort(key=lambda s: ((s.namespace, s.name) != ("default", "kubernetes"), s.namespace, s.name))
    chosen = proxied[:MOST_SERVICES]
    slices = look.all([asks.slices_for(s.namespace, s.name) for s in chosen])
    return tuple(Subject(node, service, each, ports_of(service)) for service, each in zip(chosen, slices, strict=True))


def settled(look: Look, subject: Subject) -> bool:
    """Whether the endpoints of a Service have been as they are for long enough."""
    changed = look.if_known(ask.last_change(subject.service.namespace, subject.service.name))
    return changed is None or look(asks.now()) - changed > SETTLED
