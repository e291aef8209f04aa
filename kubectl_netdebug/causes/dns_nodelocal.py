"""The DNS cache on the client's node (NodeLocal DNSCache), at a link-local address."""

from __future__ import annotations

from dataclasses import replace

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.dns_client import Resolver, is_local_cache, resolver_of
from kubectl_netdebug.causes.dns_cluster import usual_service
from kubectl_netdebug.causes.dns_tried import outside_answers, outside_name, servers_tried, test_name
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, kubectl
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.spoken import DnsAnswer

CACHE = "node-local-dns"
"""Name and label of the DaemonSet and its ConfigMap, as its manifest has them."""

NODELOCAL_DOWN = Cause(
    code="dns-nodelocal-down",
    title="The DNS cache on the node is down",
    says="The DNS cache on node {node}, at {address}, does not answer ({why}); Pods of that node ask only there.",
    means="No name resolves in the Pods of that node.",
    symptom="All Pods of one node lose DNS; the DNS Service answers when it is asked by its own address.",
    apart="With the cluster's DNS down, the DNS Service does not answer either, and all nodes suffer.",
    mend="Bring back the Pod of the DaemonSet node-local-dns on that node.",
    explains=("dns-udp-dropped", "dns-policy-none"),
)

CACHE_WRONG = Cause(
    code="dns-nodelocal-misconfigured",
    title="The DNS cache on the node forwards to the wrong place",
    says="The DNS cache at {address} on node {node} answers {said} for {name}, and the cluster's DNS answers it.",
    means="{what} do not resolve in the Pods that use the cache.",
    symptom="Names fail by the cache alone; the DNS Service answers the same question rightly.",
    apart="With the cluster's DNS at fault, its own address fails as well.",
    mend="Correct the forward addresses in ConfigMap node-local-dns and restart its DaemonSet.",
    explains=("dns-domain-mismatch", "dns-upstream-unreachable"),
)


@explains(Hop.NAME_SERVERS, NODELOCAL_DOWN)
def dns_nodelocal_down(look: Look, asked: Question) -> Finding | None:
    """A link-local server is silent, and the DNS Service answers the same client."""
    resolver, servers = resolver_of(look, asked), servers_tried(look, asked)
    if resolver is None or not is_local_cache(resolver.first) or not servers or servers[0].udp_works:
        return None
    service = usual_service(look)
    if service is None:
        return None
    name = f"kubernetes.default.svc.{resolver.conf.cluster_domain or 'cluster.local'}."
    direct = look(asks.lookup(resolver.pod, service.cluster_ip, name, transport="UDP"))
    if not direct.answered:
        return None
    caches = [p for p in look.if_known(asks.pods_in("kube-system")) or () if p.labels.get("k8s-app") == CACHE]
    here = next((p for p in caches if p.node == resolver.pod.node), None)
    ref = ObjectRef("DaemonSet", "kube-system", caches[0].owner_name if caches else CACHE)
    why = "its Pod is not there" if here is None else "its Pod is Ready" if here.ready else "its Pod is not Ready"
    return NODELOCAL_DOWN.confirmed(
        at=here.at if here else ref,
        node=resolver.pod.node,
        address=resolver.first,
        why=why,
        saw=(f"{resolver.first}: {servers[0].words}", f"{service.cluster_ip}: {direct.words}"),
        fix=Fix("restart the caches", kubectl("rollout", "restart", ref.short, namespace=ref.namespace)),
    )


@explains(Hop.CLUSTER_NAMES, CACHE_WRONG)
def dns_nodelocal_misconfigured(look: Look, asked: Question) -> Finding | None:
    """The cache answers and does not know the API's name, which the DNS Service knows."""
    resolver = resolver_of(look, asked)
    service = usual_service(look)
    if resolver is None or service is None or not is_local_cache(resolver.first) or not service.address:
        return None
    servers = servers_tried(look, asked)
    wrong = next((a for t in servers[:1] for a in t.udp if a.answered and not a.addresses), None)
    if wrong is None:
        return None
    name = test_name(look, resolver)
    direct = look(asks.lookup(resolver.pod, service.address, name, transport="UDP"))
    return _wrong(resolver, name, wrong, direct, "Names of Services") if direct.addresses else None


@explains(Hop.OUTSIDE_NAMES, CACHE_WRONG)
def dns_nodelocal_misconfigured_outside(look: Look, asked: Question) -> Finding | None:
    """The cache fails for a name outside, and the DNS Service does not."""
    resolver = resolver_of(look, asked)
    service = usual_service(look)
    if resolver is None or service is None or not is_local_cache(resolver.first) or not service.address:
        return None
    answers = outside_answers(look, asked)
    if not answers or any(a.rcode in ("NXDOMAIN", "NOERROR") for a in answers):
        return None
    name = outside_name(look)
    direct = look(asks.lookup(resolver.pod, service.address, name, transport="UDP"))
    if direct.rcode not in ("NXDOMAIN", "NOERROR"):
        return None
    return _wrong(resolver, name, answers[0], direct, "Names outside the cluster")


def _wrong(resolver: Resolver, name: str, wrong: DnsAnswer, direct: DnsAnswer, what: str) -> Finding:
    command = kubectl("edit", "configmap", CACHE, namespace="kube-system")
    return CACHE_WRONG.confirmed(
        at=ObjectRef("ConfigMap", "kube-system", CACHE),
        address=resolver.first,
        node=resolver.pod.node,
        said=wrong.rcode or "nothing",
        name=name.rstrip("."),
        what=what,
        saw=(f"{resolver.first}: {wrong.words}", f"the DNS Service: {direct.words}"),
        fix=Fix(
            "correct its Corefile",
            replace(command, then=(kubectl("rollout", "restart", f"daemonset/{CACHE}", namespace="kube-system"),)),
            not_pasteable="the right addresses have to be written by hand",
        ),
    )
