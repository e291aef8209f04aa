"""Who talks to whom when a Pod resolves names: the client and each replica of the cluster's DNS, over UDP and TCP."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.conversation import Conversation, Party
from kubectl_netdebug.causes.dns_client import resolver_of
from kubectl_netdebug.causes.dns_cluster import Replica, replicas
from kubectl_netdebug.causes.dns_tried import Tried, dns_service, replicas_tried
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.outcome import Attempt, Outcome


def dns_conversations(look: Look, asked: Question) -> tuple[Conversation, ...]:
    """The client with every ready replica on its ports; with the node's resolver there is none in the cluster."""
    resolver = resolver_of(look, asked)
    service = dns_service(look, resolver) if resolver else None
    if resolver is None or service is None:
        return ()
    probing = look.why_unknown(asks.may_probe()) is None
    tried = {t.server: t for t in replicas_tried(look, asked)} if probing else {}
    client = Party(resolver.pod.ip, resolver.pod)
    found: list[Conversation] = []
    for replica in replicas(look, service):
        if not replica.ready:
            continue
        server = Party(replica.address, _pod(look, service, replica))
        each = tried.get(replica.address)
        if replica.udp:
            found.append(Conversation(client, server, replica.udp, "UDP", over_udp(each), resolver.first))
        if replica.tcp:
            found.append(Conversation(client, server, replica.tcp, "TCP", each.tcp if each else None, resolver.first))
    return tuple(found)


def _pod(look: Look, service: Service, replica: Replica) -> Pod | None:
    return look.if_known(asks.pod_named(service.namespace, replica.pod)) if replica.pod else None


def over_udp(tried: Tried | None) -> Attempt | None:
    """The questions as one attempt: an answer means that packets pass both ways."""
    if tried is None or not tried.udp:
        return None
    best = min(tried.udp, key=lambda answer: (not answer.answered, answer.milliseconds))
    outcome = (
        Outcome.CONNECTED if best.answered else Outcome.REFUSED if best.outcome == "refused" else Outcome.TIMED_OUT
    )
    return Attempt(outcome, best.milliseconds)
