"""The way to the name servers: one replica that is cut off, UDP or TCP that is dropped."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.dns_client import Resolver, resolver_of
from kubectl_netdebug.causes.dns_state import cluster_dns
from kubectl_netdebug.causes.dns_tried import Tried, dns_service, many_tries, replicas_tried, servers_tried, test_name
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question

ONE_REPLICA = Cause(
    code="dns-one-replica-broken",
    title="One replica of the cluster's DNS cannot be reached",
    says="{bad} of {all} DNS replicas {what} from node {node}: {names}.",
    means="Each question that chance sends there costs the client 2.5 s (musl) or 5 s (glibc), or fails.",
    symptom="Some lookups take 5 s or fail, others are quick; it depends on which replica is met.",
    apart="With UDP dropped for all, every replica is silent; with a slow server outside, cluster names are quick.",
    mend="Replace the replica; if it comes back on the same node as silent as before, the node's network is the cause.",
    explains=("dns-udp-dropped", "dns-tcp-blocked"),
)


@explains(Hop.NAME_SERVERS, ONE_REPLICA)
def dns_one_replica_broken(look: Look, asked: Question) -> Finding | None:
    """Ready by the API, and silent, while its siblings answer the same questions at the same moment."""
    dns = cluster_dns(look, asked)
    tried = replicas_tried(look, asked)
    dead = [t for t in tried if not t.udp_works]
    alive = [t for t in tried if t.udp_works]
    if dns is None or not dead or not alive or any(t.replica is None for t in dead):
        return None
    at = [t.replica for t in dead if t.replica]
    first = at[0]
    silent = all(t.tcp_fails for t in dead)
    ref = ObjectRef("Pod", dns.service.namespace if dns.service else "", first.pod)
    command = kubectl("delete", "pod", *(r.pod for r in at if r.pod), namespace=ref.namespace)
    return ONE_REPLICA.confirmed(
        at=ref,
        bad=len(dead),
        all=len(tried),
        what="cannot be reached" if silent else "get no question over UDP",
        node=dns.resolver.pod.node,
        names=", ".join(r.label for r in at[:3]),
        saw=(*(f"{t.label}: {t.words}" for t in dead[:2]), f"{alive[0].label}: {alive[0].words}"),
        effect=Effect.DEGRADES,
        fix=Fix("replace it", command, Risk.DISRUPTIVE) if first.pod else None,
    )


UDP_DROPPED = Cause(
    code="dns-udp-dropped",
    title="DNS over UDP gets lost on the way",
    says="Questions over UDP from {pod} ({node}) to {server} get lost{share}, while TCP port 53 there connects: "
    "{place}.",
    means="Nearly all questions are sent over UDP; {costs}.",
    symptom="Lookups time out after 2.5 or 5 s; the same question over TCP (dig +tcp) is answered.",
    apart="Where TCP fails as well, the server or the whole way to it is down.",
    mend="Find the rule that drops UDP port 53 (NetworkPolicy, node firewall, cloud firewall). Until then, `use-vc` in "
    "dnsConfig makes glibc ask over TCP.",
)


@explains(Hop.NAME_SERVERS, UDP_DROPPED)
def dns_udp_dropped(look: Look, asked: Question) -> Finding | None:
    """Every question over UDP vanishes, and the very same question is answered over TCP."""
    resolver, servers = resolver_of(look, asked), servers_tried(look, asked)
    if resolver is None or not servers or not servers[0].udp_lost or not servers[0].tcp_works:
        return None
    first = servers[0]
    name = test_name(look, resolver)
    by_tcp = look(asks.lookup(resolver.pod, first.server, name))
    if not by_tcp.answered:
        return None
    return UDP_DROPPED.confirmed(
        at=_server(look, resolver),
        pod=resolver.pod.name,
        node=resolver.pod.node,
        server=first.server,
        share="",
        place=_place(replicas_tried(look, asked)),
        costs="so no name resolves",
        saw=(f"{first.server}: {first.words}", f"{name} over TCP: {by_tcp.words}"),
        fix=_look_for_rule(resolver),
    )


@explains(Hop.DNS_SPEED, UDP_DROPPED)
def dns_udp_lossy(look: Look, asked: Question) -> Finding | None:
    """A part of the questions vanishes, though each replica answers others."""
    resolver, tries = resolver_of(look, asked), many_tries(look, asked)
    lost = [t for t in tries if t.lost]
    behind = replicas_tried(look, asked)
    if resolver is None or len(lost) < 2 or len(lost) == len(tries) or any(not t.udp_works for t in behind):
        return None
    servers = servers_tried(look, asked)
    if not servers or not servers[0].tcp_works:
        return None
    return UDP_DROPPED.likely(
        at=_server(look, resolver),
        pod=resolver.pod.name,
        node=resolver.pod.node,
        server=resolver.first,
        share=f" in part ({len(lost)} of {len(tries)})",
        place="every replica answers other questions, so packets get lost on the way",
        costs="each that gets lost costs the client 2.5 s (musl) or 5 s (glibc)",
        saw=f"{len(lost)} of {len(tries)} questions unanswered after 3 s",
        effect=Effect.DEGRADES,
        fix=_look_for_rule(resolver),
    )


def _place(behind: tuple[Tried, ...]) -> str:
    if not behind:
        return "somewhere between the Pod and the server"
    if all(t.udp_lost for t in behind):
        return "lost to the replicas' own addresses as well"
    if all(t.udp_works for t in behind):
        return "the replicas' own addresses answer, so it is lost at the Service address, that is on the client's node"
    return "some replicas answer at their own address"


def _server(look: Look, resolver: Resolver) -> ObjectRef:
    service = dns_service(look, resolver)
    return service.field("spec.ports") if service else resolver.pod.at


def _look_for_rule(resolver: Resolver) -> Fix:
    command = kubectl("get", "networkpolicies", "-A")
    why = f"what drops it is not seen from here: NetworkPolicies, then the packet filter of {resolver.pod.node}"
    return Fix("look for the rule that drops it", command, Risk.READ_ONLY, why)


TCP_BLOCKED = Cause(
    code="dns-tcp-blocked",
    title="DNS over TCP is blocked",
    says="TCP port 53 of {server} cannot be reached from {pod} ({node}), {how}, while UDP is answered: {place}.",
    means="Answers that do not fit into one UDP packet cannot be fetched: names with many addresses or long TXT fail.",
    symptom="Most names resolve and some, with big answers, do not; dig says: retrying in TCP mode.",
    apart="With TCP missing from the DNS Service, the connection is refused, and the Service has no such port.",
    mend="Allow TCP port 53 wherever UDP port 53 is allowed.",
)


@explains(Hop.NAME_SERVERS, TCP_BLOCKED)
def dns_tcp_blocked(look: Look, asked: Question) -> Finding | None:
    """UDP is answered, and connections over TCP are not accepted, tried twice."""
    resolver, servers = resolver_of(look, asked), servers_tried(look, asked)
    if resolver is None or not servers or not servers[0].udp_works or not servers[0].tcp_fails:
        return None
    first = servers[0]
    if first.tcp is None:
        return None
    behind = [t for t in replicas_tried(look, asked) if t.tcp is not None]
    place = "somewhere between the Pod and the server"
    if behind and all(t.tcp_fails for t in behind):
        place = "the replicas' own addresses do not accept it either"
    elif behind and all(t.tcp_works for t in behind):
        place = "the replicas' own addresses accept it, so it is lost at the Service address, on the client's node"
    return TCP_BLOCKED.confirmed(
        at=_server(look, resolver),
        server=first.server,
        pod=resolver.pod.name,
        node=resolver.pod.node,
        how=first.tcp.outcome.words,
        place=place,
        saw=f"{first.server}: {first.words}",
        effect=Effect.DEGRADES,
        fix=_look_for_rule(resolver),
    )
