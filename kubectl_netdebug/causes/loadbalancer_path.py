"""A load balancer that has an address and does not let clients through: ranges, health checks, the PROXY protocol."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes import incoming_asks as ask
from kubectl_netdebug.causes.doors import Door
from kubectl_netdebug.causes.incoming import inner, is_incoming
from kubectl_netdebug.causes.let_in import from_outside, plain_places, reply_of, ways_of
from kubectl_netdebug.causes.loadbalancer import asked_about_balancer, pending
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.schemes import HTTP, declared_scheme
from kubectl_netdebug.model.command import Fix, Risk, json_patch, kubectl, patch
from kubectl_netdebug.model.finding import Cause, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.address import lies_in

PROXY_HEALTH_PORT = 10256
"""Where kube-proxy answers the health checks of load balancers under the policy Cluster."""

SOURCE_RANGES = Cause(
    code="lb-source-ranges",
    title="loadBalancerSourceRanges leaves the client out",
    says="loadBalancerSourceRanges of Service {service} ({ranges}) lacks {client}, the address of this machine.",
    means="Packets from {client} to the load balancer's address are dropped; node ports are not filtered.",
    symptom="The load balancer's address times out for some clients and works for others.",
    apart="A firewall before the nodes shuts out node ports as well.",
    mend="Add the client's range to spec.loadBalancerSourceRanges.",
)


@explains(Hop.ENTRY, SOURCE_RANGES)
def source_ranges(look: Look, asked: Question) -> Finding | None:
    """Ranges are set, no address of this machine is in them, and the address is lost from here."""
    service = asked_about_balancer(look, asked)
    if service is None or not service.source_ranges:
        return None
    ways = ways_of(look, asked)
    lost = [each for each in ways.lost_outer if each[2].outcome.lost]
    if not lost:
        return None
    client = look(ask.source_from_here(lost[0][0]))
    own = [o.address for o in look(ask.own_addresses())]
    if not client or any(lies_in(a, r) for a in (client, *own) for r in service.source_ranges):
        return None
    found = SOURCE_RANGES.confirmed if ways.open_doors else SOURCE_RANGES.likely
    length = 128 if ":" in client else 32
    operation = {"op": "add", "path": "/spec/loadBalancerSourceRanges/-", "value": f"{client}/{length}"}
    return found(
        at=service.field("spec.loadBalancerSourceRanges"),
        service=service.name,
        ranges=", ".join(service.source_ranges[:4]),
        client=client,
        saw=(
            f"this machine ({client}) → {lost[0][0]}:{lost[0][1].port}: {lost[0][2].words}",
            *(f"node port of {door.node.name}, not filtered: {door.attempt.words}" for door in ways.open_doors[:1]),
        ),
        fix=Fix(
            f"let {client} in",
            json_patch("service", service.name, [operation], service.namespace),
        ),
    )


HEALTH_FAILING = Cause(
    code="lb-health-failing",
    title="The load balancer's health check fails on nodes that would serve",
    says="The health check of Service {service} on port {port} fails on {nodes}, though {it} lets clients in.",
    means="A load balancer takes such nodes for dead and sends them nothing.",
    symptom="The load balancer answers 503 or not at all, and shows its targets as unhealthy; node ports work.",
    apart="Under externalTrafficPolicy Local, nodes without a backend fail the check on purpose.",
    mend="Let the load balancer reach the health port on the nodes (10256, or the Service's healthCheckNodePort).",
)


@explains(Hop.ENTRY, HEALTH_FAILING)
def health_failing(look: Look, asked: Question) -> Finding | None:
    """The node port opens and the health port of the same node does not, as this machine sees both."""
    service = asked_about_balancer(look, asked)
    if service is None or pending(service):
        return None
    ways = ways_of(look, asked)
    if ways.outer and not ways.lost_outer:
        return None
    local = service.external_policy == "Local"
    port = service.health_check_port if local else PROXY_HEALTH_PORT
    doors = [d for d in ways.open_doors if d.local or not local]
    if not port or not doors:
        return None
    replies = look.all([ask.http_from_here(d.address, port, path="/healthz") for d in doors])
    failing: list[Door] = [d for d, r in zip(doors, replies, strict=True) if not r.good]
    words = next((r.words for r in replies if not r.good), "")
    if len(failing) < len(doors):
        return None
    return HEALTH_FAILING.likely(
        at=service.field("spec.healthCheckNodePort") if local else service.at,
        service=service.name,
        port=port,
        nodes=", ".join(dict.fromkeys(d.node.name for d in failing)),
        it="the node port there" if len(failing) == 1 else "the node port of each",
        saw=(
            f"GET /healthz at {failing[0].address}:{port}: {words}",
            f"node port {failing[0].label}: {failing[0].attempt.words}",
        ),
        fix=Fix(
            "look for what blocks the port on a node",
            kubectl("get", "nodes", "-o", "wide"),
            Risk.READ_ONLY,
            not_pasteable="the firewall is on the node or before it",
        ),
    )


PROXY_PROTOCOL = Cause(
    code="lb-proxy-protocol",
    title="The backend expects the PROXY protocol, and clients do not send it",
    says="Pods of Service {service} answer {plain} to a plain request, and {announced} behind a PROXY line.",
    means="Only a load balancer that is set to announce clients gets through; whoever comes another way is refused.",
    symptom="400 or an end of the connection at once; it works by the load balancer alone, or by everything else.",
    apart="A server that expects TLS refuses a PROXY line too.",
    mend="Have the load balancer send the PROXY protocol, or do not require it in the backend; inside the cluster use "
    "the ClusterIP of a port that does not expect it, or ipMode Proxy in the Service's status.",
)


@explains(Hop.PROTOCOL, PROXY_PROTOCOL)
def proxy_protocol(look: Look, asked: Question) -> Finding | None:
    """The same request fails plain and works behind the announcement, at the same address."""
    question = inner(look, asked)
    if not is_incoming(asked) or not from_outside(asked) or question is None:
        return None
    service = look(asks.the_service(question))
    ways = ways_of(look, asked)
    plain = reply_of(look, ways)
    if service is None or plain is None or plain.good or plain.wants_tls:
        return None
    address, number, _ = next(p for p in plain_places(ways) if declared_scheme(p[2]) == HTTP)
    announced = look(ask.http_from_here(address, number, announced=True))
    if not announced.good:
        return None
    return PROXY_PROTOCOL.confirmed(
        at=service.at,
        service=service.name,
        plain=f"HTTP {plain.status}" if plain.answered else plain.words,
        announced=f"HTTP {announced.status}",
        effect=Effect.BREAKS,
        saw=(f"GET at {address}:{number}: {plain.words}", f"the same behind a PROXY line: {announced.words}"),
    )


SOURCE_LOST = Cause(
    code="source-ip-lost",
    title="The Pods see nodes' addresses instead of the clients'",
    says="externalTrafficPolicy of Service {service} is Cluster, so its Pods see the addresses of nodes.",
    means="Allow-lists and logs in the Pods cannot tell clients apart.",
    symptom="Logs show node addresses; allow-lists of clients refuse everybody.",
    apart="A proxy before the Pods hides clients as well, and says so in X-Forwarded-For.",
    mend="Use externalTrafficPolicy Local, with a backend on every node that clients use.",
)


@explains(Hop.ENTRY, SOURCE_LOST, When.ALWAYS)
def source_lost(look: Look, asked: Question) -> Finding | None:
    """Worth knowing and never a verdict: most applications do not care."""
    if not is_incoming(asked) or not asked.service:
        return None
    service: Service | None = look(asks.the_service(asked))
    if service is None or service.type not in ("NodePort", "LoadBalancer") or service.external_policy == "Local":
        return None
    return SOURCE_LOST.possible(
        at=service.field("spec.externalTrafficPolicy"),
        service=service.name,
        effect=Effect.NOTE,
        fix=Fix(
            "let Pods see clients",
            patch("service", service.name, {"spec": {"externalTrafficPolicy": "Local"}}, service.namespace),
        ),
    )
