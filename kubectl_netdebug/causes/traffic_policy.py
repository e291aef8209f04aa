"""Fields and labels of a Service that keep traffic from backends which are well: policies, affinity, another proxy."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import backends, client_pod, in_use, ports_asked
from kubectl_netdebug.causes.doors import asked_from_outside, balanced, node_doors
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, kubectl, patch
from kubectl_netdebug.model.finding import Cause, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.service import PROXY_NAME_LABEL, Service
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.outcome import Attempt

ITP_LOCAL = Cause(
    code="itp-local-no-endpoint",
    title="internalTrafficPolicy Local, and no backend on the client's node",
    says="internalTrafficPolicy of Service {service} is Local, and node {node} of {client} has no ready backend.",
    means="Clients on nodes without a backend of their own are dropped; the backends run on {elsewhere}.",
    symptom="The Service's address times out from some nodes and works from others; the Pods answer directly.",
    apart="With a kube-proxy that fails, other Services fail on that node as well.",
    mend="Use the policy Cluster, or run a backend on every node that has clients (a DaemonSet).",
)


@explains(Hop.ADDRESS, ITP_LOCAL)
def itp_local(look: Look, asked: Question) -> Finding | None:
    """The client's node has no backend in use, and the address gives nothing there."""
    service, slices = look.together(asks.the_service(asked), asks.slices_of(asked))
    if service is None or service.internal_policy != "Local":
        return None
    client = client_pod(look, asked)
    lost = [attempt for attempt in _tries_at_address(look, asked, service) if attempt.outcome.lost]
    ports = ports_asked(service, asked)
    for port in ports:
        used = [b for b in in_use(backends(service, slices, asked)) if b.service_port == port]
        nodes = {b.endpoint.node for b in used}
        if not lost or not used or client.node in nodes or "" in nodes:
            continue
        return ITP_LOCAL.confirmed(
            at=service.field("spec.internalTrafficPolicy"),
            service=service.name,
            node=client.node,
            client=f"Pod {client.name}",
            elsewhere=", ".join(sorted(nodes)[:4]),
            saw=(
                f"{client.name} on {client.node} → {service.address}:{port.port}: {lost[0].words}",
                f"backends in use: {', '.join(f'{b.label} on {b.endpoint.node}' for b in used[:4])}",
            ),
            effect=Effect.BREAKS if len(ports) == 1 else Effect.DEGRADES,
            fix=Fix(
                "let every node use every backend",
                patch("service", service.name, {"spec": {"internalTrafficPolicy": "Cluster"}}, service.namespace),
            ),
        )
    return None


def _tries_at_address(look: Look, asked: Question, service: Service) -> list[Attempt]:
    client = client_pod(look, asked)
    return look.all(
        [asks.connect(client, service.address, port.port, port.protocol) for port in ports_asked(service, asked)]
    )


PROXY_LABEL = Cause(
    code="service-proxy-label",
    title="A label hands the Service to another proxy",
    says="Label "
    + PROXY_NAME_LABEL
    + "={value} hands Service {service} to another proxy, so kube-proxy leaves it out.",
    means="No node has rules for its address {address}; packets to it go nowhere.",
    symptom="The Service's address times out or is unreachable from every node, while its Pods and other "
    "Services answer.",
    apart="With a stale or stopped kube-proxy, other Services of the node fail as well.",
    mend="Remove the label, or run the proxy that it names.",
)


@explains(Hop.ADDRESS, PROXY_LABEL)
def proxy_label(look: Look, asked: Question) -> Finding | None:
    """The label is there, the Pods answer (or this hop would not be judged), and the address never does."""
    service = look(asks.the_service(asked))
    if service is None or not service.address or PROXY_NAME_LABEL not in service.labels:
        return None
    if any(attempt.outcome.connected for attempt in _tries_at_address(look, asked, service)):
        return None
    return PROXY_LABEL.confirmed(
        at=service.at.at(f"metadata.labels[{PROXY_NAME_LABEL}]"),
        value=service.labels[PROXY_NAME_LABEL],
        service=service.name,
        address=service.address,
        saw=f"the Pods answer and {service.address} does not",
        fix=Fix(
            "give it back to kube-proxy",
            kubectl("label", "service", service.name, f"{PROXY_NAME_LABEL}-", namespace=service.namespace),
        ),
    )


ETP_LOCAL = Cause(
    code="etp-local-no-endpoint",
    title="externalTrafficPolicy Local, and no backend on the node that clients use",
    says="externalTrafficPolicy of Service {service} is Local, and node {node} has no ready backend of it.",
    means="Clients that come in by {node} are dropped; {working} lets them in.",
    symptom="The node port times out on some nodes and works on others.",
    apart="A firewall or a kube-proxy that fails does not follow where the backends run.",
    mend="Use the policy Cluster (clients' addresses are then hidden), spread the Pods over all entry nodes, or put a "
    "load balancer before them that honours the health check.",
)


@explains(Hop.ENTRY, ETP_LOCAL)
def etp_local(look: Look, asked: Question) -> Finding | None:
    """From here, every node with a backend lets clients in, and nodes without one drop them."""
    service = look(asks.the_service(asked))
    if service is None or service.external_policy != "Local" or balanced(service) or not asked_from_outside(asked):
        return None
    doors = node_doors(look, asked)
    dropped = [door for door in doors if not door.local and door.attempt.outcome.lost]
    let_in = [door for door in doors if door.local and door.opens]
    if not dropped or not let_in or any(door.opens for door in doors if not door.local):
        return None
    return ETP_LOCAL.confirmed(
        at=service.field("spec.externalTrafficPolicy"),
        service=service.name,
        node=dropped[0].node.name,
        working=let_in[0].node.name,
        saw=(
            f"this machine → {dropped[0].label}, no backend there: {dropped[0].attempt.words}",
            f"this machine → {let_in[0].label}, with a backend: {let_in[0].attempt.words}",
        ),
        effect=Effect.DEGRADES,
        fix=Fix(
            "let every node use every backend (hides the clients' addresses)",
            patch("service", service.name, {"spec": {"externalTrafficPolicy": "Cluster"}}, service.namespace),
        ),
    )


AFFINITY_SKEW = Cause(
    code="session-affinity-skew",
    title="Session affinity sends all clients behind one address to one backend",
    says="Service {service} keeps each client address on one backend, and has {count} of them.",
    means="Clients that share one source address, as behind address translation, all land on the same backend.",
    symptom="One backend takes all the load and the others idle.",
    apart="Long-lived connections skew load as well, without sessionAffinity.",
    mend="Set sessionAffinity to None where the application does not need it.",
)


@explains(Hop.ENDPOINTS, AFFINITY_SKEW, When.ALWAYS)
def affinity_skew(look: Look, asked: Question) -> Finding | None:
    """Worth knowing and never a verdict: whether clients share an address cannot be seen from one Pod."""
    service, slices = look.together(asks.the_service(asked), asks.slices_of(asked))
    if service is None or service.affinity != "ClientIP":
        return None
    addresses = {b.address for b in in_use(backends(service, slices, asked))}
    if len(addresses) < 2:
        return None
    return AFFINITY_SKEW.possible(
        at=service.field("spec.sessionAffinity"),
        service=service.name,
        count=len(addresses),
        effect=Effect.NOTE,
        fix=Fix(
            "spread every connection",
            patch("service", service.name, {"spec": {"sessionAffinity": "None"}}, service.namespace),
        ),
    )
