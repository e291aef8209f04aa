"""Rules that were meant to admit a connection and miss it: by a label, a port, a protocol, a block, or their shape."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.policy_fix import (
    more_peers,
    more_ports,
    peer_entry,
    selector,
    single,
)
from kubectl_netdebug.causes.policy_found import found, on_mistake, similar
from kubectl_netdebug.causes.policy_judge import NAMESPACE_NAME
from kubectl_netdebug.causes.policy_near import Mistake, Reading
from kubectl_netdebug.model.command import Fix, patch
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.policy import Direction
from kubectl_netdebug.model.question import Question

LOST = ("backend-partly-dead", "nodeport-firewalled")
"""What a connection that a policy drops looks like from outside."""

NAMESPACE_LABEL = Cause(
    code="np-namespace-label",
    title="The policy selects a namespace by a label that the namespace does not bear",
    says="{policy} admits namespaces with {wanted}, and namespace {namespace} does not bear that label.",
    means="The rule that is meant for {peer} does not recognise it, so {subject} stays closed to it.",
    symptom="Traffic between two namespaces times out although a policy seems to admit it.",
    apart="Within the namespace the same connection works.",
    mend="Select the namespace by kubernetes.io/metadata.name, which every namespace bears, or label it.",
    explains=LOST,
)


@on_mistake(NAMESPACE_LABEL, Mistake.NAMESPACE_LABEL)
def namespace_label(look: Look, asked: Question, reading: Reading) -> Finding | None:
    """Only labels of the other end's namespace differ."""
    miss = reading.miss
    if miss is None or miss.nearest_peer.peer is None:
        return None
    pods = miss.nearest_peer.peer.pods
    namespace = reading.judged.decision.peer.namespace
    entry = {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: namespace}}}
    if pods is not None and pods.requirements:
        entry["podSelector"] = selector(pods.requirements)
    fix = more_peers(miss.policy, miss.rule, _direction(reading), [entry], f"admit namespace {namespace} by its name")
    wanted = [d.requirement for d in miss.nearest_peer.differences if d.requirement]
    return found(
        look,
        asked,
        NAMESPACE_LABEL,
        reading,
        fixes=(fix,),
        wanted=", ".join(map(str, wanted)),
        namespace=namespace,
    )


POD_LABEL = Cause(
    code="np-pod-label",
    title="The policy selects Pods by a label that this Pod does not bear",
    says="{policy} admits Pods with {wanted}, and {peer} does not bear that label.",
    means="The rule that comes nearest does not recognise {peer}, so {subject} stays closed to it.",
    symptom="A client times out although a policy seems to admit it.",
    apart="A Pod with the right label gets through from the same node.",
    mend="Correct the label in the Pod's template or in the policy, whichever is wrong.",
    explains=LOST,
)


@on_mistake(POD_LABEL, Mistake.POD_LABEL)
def pod_label(look: Look, asked: Question, reading: Reading) -> Finding | None:
    """Only labels of the other end differ, and they nearly match."""
    miss = reading.miss
    if miss is None:
        return None
    wanted = [d.requirement for d in miss.nearest_peer.differences if d.requirement]
    fix = more_peers(
        miss.policy,
        miss.rule,
        _direction(reading),
        [peer_entry(reading.judged)],
        "admit it by the labels that it bears",
    )
    return found(look, asked, POD_LABEL, reading, fixes=(fix,), wanted=", ".join(map(str, wanted)))


AND_OR = Cause(
    code="np-and-or",
    title="Selectors in one entry are both required, and a podSelector alone means its own namespace",
    says="{policy} asks for {entry} in one entry; {peer} meets only a part of it.",
    means="As two entries the rule would admit {peer}: {because}.",
    symptom="A policy that names both the right namespace and the right Pods lets nothing in.",
    apart="With a wrong label neither reading of the rule would admit the client.",
    mend="Write two entries where either is enough, one entry where both are needed, and a namespaceSelector beside "
    "the podSelector for Pods of another namespace.",
    explains=LOST,
)


@on_mistake(AND_OR, Mistake.AND_OR)
def and_or(look: Look, asked: Question, reading: Reading) -> Finding | None:
    """One of two selectors in one entry matches, or a podSelector alone matches a Pod of another namespace."""
    miss = reading.miss
    if miss is None or reading.difference is None:
        return None
    entry = next((p.peer for p in miss.peers if reading.difference in p.differences and p.peer), miss.nearest_peer.peer)
    if entry is None or entry.pods is None:
        return None
    own = reading.judged.decision.peer.namespace
    alone = entry.namespaces is None
    both = {
        "namespaceSelector": {"matchLabels": {NAMESPACE_NAME: own}},
        "podSelector": selector(entry.pods.requirements),
    }
    apart = [
        {"namespaceSelector": selector(entry.namespaces.requirements)} if entry.namespaces else {},
        {"podSelector": selector(entry.pods.requirements)},
    ]
    direction = _direction(reading)
    said = "admit these Pods of that namespace too" if alone else "let either of the two be enough"
    fix = more_peers(miss.policy, miss.rule, direction, [both] if alone else apart, said)
    return found(
        look,
        asked,
        AND_OR,
        reading,
        fixes=(fix,),
        entry=entry,
        because=reading.difference.says if alone else f"in one entry {reading.difference.says}",
    )


SERVICE_PORT = Cause(
    code="np-service-port",
    title="The policy admits the Service's port, where the Pod's port is what counts",
    says="{policy} admits port {written}, which is the Service's; at {server} the traffic arrives on {where}.",
    means="Policies see packets behind the translation of the Service address, with the Pod's own port.",
    symptom="Times out by the Service and by the Pod's address, although the policy names the port that clients use.",
    apart="A policy without ports, or with the targetPort, lets the same client in.",
    mend="Name the targetPort (the port on which the container listens) in the policy.",
    explains=LOST,
)


@on_mistake(SERVICE_PORT, Mistake.SERVICE_PORT)
def service_port(look: Look, asked: Question, reading: Reading) -> Finding | None:
    """The rule admits the client on the number of the Service's port."""
    return _port_finding(look, asked, reading, SERVICE_PORT)


PORT_NAME = Cause(
    code="np-named-port",
    title="The policy names a port that the Pod does not declare",
    says="{policy} admits port {written}, and {server} declares no port of that name; it serves {where}.",
    means="A named port is looked up in the containers' ports; where none has the name, the rule admits nothing.",
    symptom="Times out although the policy names the right client and a port.",
    apart="With the port's number in the policy the same connection works.",
    mend="Write the number in the policy, or declare the port with that name and protocol in the container.",
    explains=LOST,
)


@on_mistake(PORT_NAME, Mistake.PORT_NAME)
def port_name(look: Look, asked: Question, reading: Reading) -> Finding | None:
    """The rule admits the client on a port name that no container has for that protocol."""
    return _port_finding(look, asked, reading, PORT_NAME)


PROTOCOL = Cause(
    code="np-protocol-default",
    title="The policy's port is for another protocol; without one it is TCP",
    says="{policy} admits port {written}, and the traffic to {server} is {where}.",
    means="A port without a protocol means TCP alone, so everything else stays closed.",
    symptom="UDP (often DNS) stays unanswered although the policy names the port.",
    apart="The same port answers over TCP.",
    mend="Add an entry with the right protocol.",
    explains=(*LOST, "service-name-unresolved"),
)


@on_mistake(PROTOCOL, Mistake.PROTOCOL)
def protocol_default(look: Look, asked: Question, reading: Reading) -> Finding | None:
    """The rule admits the client on the right port of the wrong protocol."""
    return _port_finding(look, asked, reading, PROTOCOL)


def _port_finding(look: Look, asked: Question, reading: Reading, cause: Cause) -> Finding | None:
    miss = reading.miss
    if miss is None:
        return None
    talk = reading.judged.talk
    written = next((p.port for p in miss.ports if p.port and reading.difference in p.differences), None)
    entries = [{"protocol": talk.protocol, "port": talk.port}]
    fix = more_ports(miss.policy, miss.rule, _direction(reading), entries)
    index = next((i for i, p in enumerate(miss.ports) if p.port == written), 0)
    field = f"spec.{_direction(reading).field}[{miss.rule.index}].ports[{index}]"
    return found(
        look, asked, cause, reading, fixes=(fix,), field=field, written=written or miss.nearest_port.port or "another"
    )


BLOCK_OF_VIP = Cause(
    code="np-ipblock-vip",
    title="The policy admits a Service's address, which it never sees",
    says="{policy} admits {block}, which holds the Service's address {vip}; the traffic is judged as going to {real}.",
    means="Most networks judge packets after a Service's address was replaced by that of a Pod or endpoint; the API "
    "leaves the order open.",
    symptom="A client may connect to a Service by the policy's words, and times out.",
    apart="A rule with the Pods' labels or the endpoints' addresses lets the same client through.",
    mend="Select the Pods by labels, or name the endpoints' addresses.",
    explains=LOST,
)


@on_mistake(BLOCK_OF_VIP, Mistake.BLOCK_OF_VIP, Direction.EGRESS)
def block_of_vip(look: Look, asked: Question, reading: Reading) -> Finding | None:
    """A block names the Service's address, and nothing its endpoints'."""
    miss, talk = reading.miss, reading.judged.talk
    if miss is None:
        return None
    block = next((p.peer for p in miss.peers if p.peer and reading.difference in p.differences), None)
    fix = more_peers(
        miss.policy, miss.rule, Direction.EGRESS, [peer_entry(reading.judged)], "admit what stands behind the Service"
    )
    return found(
        look,
        asked,
        BLOCK_OF_VIP,
        reading,
        fixes=(fix,),
        block=block or "a block",
        vip=talk.via,
        real=talk.server.address,
    )


HOST_NETWORK = Cause(
    code="np-hostnetwork-source",
    title="The client is on its node's network, where selectors do not recognise it",
    says="{policy} means {peer}, but that runs with hostNetwork: its traffic has the address of node {node}.",
    means="A policy sees the node's address, and no Pod and namespace selector ever matches that.",
    symptom="A hostNetwork client (ingress controllers, agents) times out, except towards Pods of its own node.",
    apart="An ordinary Pod with the same labels gets through.",
    mend="Admit the nodes' addresses by ipBlock, or take the client off the node's network.",
    explains=LOST,
)


@on_mistake(HOST_NETWORK, Mistake.HOST_NETWORK, Direction.INGRESS)
def host_network_source(look: Look, asked: Question, reading: Reading) -> Finding | None:
    """The rule would admit the client by its labels if it had a network of its own."""
    miss, client = reading.miss, reading.judged.talk.client
    if miss is None or client.pod is None:
        return None
    entry = {"ipBlock": {"cidr": single(client.address)}}
    fix = more_peers(miss.policy, miss.rule, Direction.INGRESS, [entry], f"admit the address of {client.pod.node}")
    return found(look, asked, HOST_NETWORK, reading, fixes=(fix,), node=client.pod.node)


SNAT = Cause(
    code="np-snat-source",
    title="Clients from outside appear with a node's address, which the policy does not admit",
    says="{policy} admits {block}, but {server} sees such clients with the address of a node ({seen}).",
    means="With externalTrafficPolicy Cluster a node replaces the client's address before policies are judged.",
    symptom="Clients outside time out although a policy admits their addresses.",
    apart="From inside the cluster, whoever is admitted gets through.",
    mend="Keep the clients' addresses with externalTrafficPolicy Local, or admit the nodes' addresses.",
    explains=LOST,
)


@on_mistake(SNAT, Mistake.SNAT, Direction.INGRESS)
def snat_source(look: Look, asked: Question, reading: Reading) -> Finding | None:
    """The rule admits this machine's address; the Pods see a node's."""
    miss = reading.miss
    if miss is None:
        return None
    nodes = sorted({j.talk.client.address for j in similar(look, asked, reading)})
    others = {n.internal_ip for n in look.if_known(asks.nodes()) or () if n.internal_ip}
    entries = [{"ipBlock": {"cidr": single(address)}} for address in sorted({*nodes, *others})]
    block = next((p.peer for p in miss.peers if p.peer and p.peer.block), None)
    return found(
        look,
        asked,
        SNAT,
        reading,
        fixes=(
            more_peers(miss.policy, miss.rule, Direction.INGRESS, entries, "admit the nodes, which stand for clients"),
            Fix(
                "keep the clients' addresses",
                patch("service", asked.service, {"spec": {"externalTrafficPolicy": "Local"}}, asked.namespace),
            ),
        ),
        block=block or "everybody",
        seen=reading.judged.talk.client.address,
    )


def _direction(reading: Reading) -> Direction:
    return reading.judged.decision.direction
