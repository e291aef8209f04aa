"""The dnsPolicy of the client's Pod, where it keeps the Pod from the names that it is asked about."""

from __future__ import annotations

from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.dns_client import Resolver, asks_cluster, cluster_domain, resolver_of
from kubectl_netdebug.causes.dns_names import looked_up, service_meant
from kubectl_netdebug.causes.dns_tried import servers_tried
from kubectl_netdebug.causes.owners import is_patchable, owner_of, template_path
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl, patch
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When

POLICY_DEFAULT = Cause(
    code="dns-policy-default",
    title="The Pod uses its node's resolver",
    says="{whose} has dnsPolicy Default, which is the node's resolver: it does not know {name}.",
    means="Names of Services fail in this Pod, short or in full; names outside the cluster resolve.",
    symptom="A Service's name is NXDOMAIN in one workload and resolves in others.",
    apart="The cluster's DNS is never asked: resolv.conf names another server and has no search list of the cluster.",
    mend="Set dnsPolicy to ClusterFirst (or leave it out); hostNetwork needs ClusterFirstWithHostNet.",
)

HOST_NETWORK = Cause(
    code="dns-hostnetwork",
    title="A Pod on the node's network uses the node's resolver",
    says="{whose} has hostNetwork with dnsPolicy ClusterFirst, which then means the node's resolver: it does not know "
    "{name}.",
    means="Names of Services fail in this Pod, short or in full; names outside the cluster resolve.",
    symptom="A Service's name is NXDOMAIN in a Pod with hostNetwork and resolves in others.",
    apart="dnsPolicy Default means the node's resolver everywhere; ClusterFirst does so with hostNetwork alone.",
    mend="Set dnsPolicy to ClusterFirstWithHostNet.",
)

POLICY_NONE = Cause(
    code="dns-policy-none",
    title="The Pod's own dnsConfig leads to the wrong name servers",
    says="{whose} has dnsPolicy None with name servers {servers}, {wrong}.",
    means="In this Pod, {costs}.",
    symptom="Names fail in one workload and resolve in others.",
    apart="The cluster's DNS works: its address is not among those that the Pod asks.",
    mend="Set dnsPolicy to ClusterFirst, or give dnsConfig the address of the cluster's DNS and its search list.",
    explains=("dns-udp-dropped", "dns-tcp-blocked"),
)


@explains(Hop.NAME, POLICY_DEFAULT)
def dns_policy_default(look: Look, asked: Question) -> Finding | None:
    """The name is that of a Service, and the Pod asks its node's resolver by its own wish."""
    resolver = _asks_elsewhere(look, asked)
    if resolver is None or resolver.policy != "Default":
        return None
    return _found(look, asked, POLICY_DEFAULT, resolver, "ClusterFirst")


@explains(Hop.NAME, HOST_NETWORK)
def dns_hostnetwork(look: Look, asked: Question) -> Finding | None:
    """The name is that of a Service, and the Pod asks its node's resolver because it is on the node's network."""
    resolver = _asks_elsewhere(look, asked)
    if resolver is None or resolver.policy != "ClusterFirst" or not resolver.pod.host_network:
        return None
    return _found(look, asked, HOST_NETWORK, resolver, "ClusterFirstWithHostNet")


@explains(Hop.NAME, POLICY_NONE)
def dns_policy_none(look: Look, asked: Question) -> Finding | None:
    """The name is that of a Service, and the name servers of the Pod's own choice do not know it."""
    resolver = _asks_elsewhere(look, asked)
    if resolver is None or resolver.policy != "None":
        return None
    return _none(look, resolver, f"which do not know {asked.host}", "names of Services fail")


@explains(Hop.NAME_SERVERS, POLICY_NONE)
def dns_policy_none_dead(look: Look, asked: Question) -> Finding | None:
    """None of the name servers of the Pod's own choice answers, and the cluster's is not among them."""
    resolver = resolver_of(look, asked)
    if resolver is None or resolver.policy != "None" or asks_cluster(look, resolver):
        return None
    servers = servers_tried(look, asked)
    if not servers or any(t.udp_works or t.tcp_works for t in servers):
        return None
    return _none(look, resolver, "none of which answers", "no name resolves")


def _asks_elsewhere(look: Look, asked: Question) -> Resolver | None:
    """The resolver where it is not the cluster's, and the name that failed is that of a Service."""
    resolver = resolver_of(look, asked)
    if resolver is None or asks_cluster(look, resolver):
        return None
    found = looked_up(look, asked)
    meant = service_meant(look, asked)
    return resolver if found is not None and not found.addresses and meant is not None else None


def _found(look: Look, asked: Question, cause: Cause, resolver: Resolver, policy: str) -> Finding:
    owner = owner_of(look, resolver.pod)
    return cause.confirmed(
        at=owner.at(template_path(owner, "dnsPolicy")),
        whose=f"{owner.kind} {owner.name}",
        name=asked.host,
        saw=f"{resolver.pod.name}: dnsPolicy {resolver.policy}, name server {', '.join(resolver.conf.nameservers)}",
        fix=pod_spec_fix(owner, f"set dnsPolicy to {policy}", {"dnsPolicy": policy}),
    )


def _none(look: Look, resolver: Resolver, wrong: str, costs: str) -> Finding:
    owner = owner_of(look, resolver.pod)
    return POLICY_NONE.confirmed(
        at=owner.at(template_path(owner, "dnsConfig")),
        whose=f"{owner.kind} {owner.name}",
        servers=", ".join(resolver.conf.nameservers),
        wrong=wrong,
        costs=costs,
        saw=f"{resolver.pod.name}: dnsPolicy None; resolv.conf names {', '.join(resolver.conf.nameservers)}",
        fix=pod_spec_fix(owner, "use the cluster's DNS", {"dnsPolicy": "ClusterFirst", "dnsConfig": None}),
    )


def pod_spec_fix(owner: ObjectRef, title: str, spec: dict[str, Any]) -> Fix:
    """Changes a field of the Pod template. A bare Pod keeps its DNS settings for life."""
    if is_patchable(owner):
        body = {"spec": {"template": {"spec": spec}}}
        return Fix(title, patch(owner.kind.lower(), owner.name, body, owner.namespace))
    why = "a Pod cannot change this: it has to be made anew by whatever made it"
    return Fix(title, kubectl("get", owner.short, "-o", "yaml", namespace=owner.namespace), Risk.READ_ONLY, why)


RESOLV_LIMITS = Cause(
    code="dns-resolvconf-limits",
    title="Kubelet left out a part of the search list or name servers",
    says="Kubelet left search domain {domain} out of the resolv.conf of {pod}, which had more than it takes.",
    means="Short names under the domains that were left out do not resolve.",
    symptom="Some short names fail; an event DNSConfigForming says that limits were exceeded.",
    apart="The domain stands in the Pod's dnsConfig or the node's resolv.conf and not in that of the Pod.",
    mend="Shorten the list: at most 3 name servers, and 32 search domains of 2048 characters together.",
    explains=("dns-no-such-name",),
)


@explains(Hop.NAME, RESOLV_LIMITS)
def dns_resolvconf_limits(look: Look, asked: Question) -> Finding | None:
    """A search domain of the Pod's own that its resolv.conf lacks, under which the name does exist."""
    resolver = resolver_of(look, asked)
    if resolver is None or not resolver.observed or not resolver.first or asked.host.endswith("."):
        return None
    wanted = [name.rstrip(".") for name in tree.strings(resolver.own_config, "searches")]
    missing = [name for name in wanted if name and name not in resolver.conf.search][:8]
    if not missing:
        return None
    answers = look.all(
        [asks.lookup(resolver.pod, resolver.first, f"{asked.host}.{m}.", transport="UDP") for m in missing]
    )
    domain = next((m for m, a in zip(missing, answers, strict=True) if a.addresses), "")
    if not domain:
        return None
    owner = owner_of(look, resolver.pod)
    spec = {"dnsConfig": {**resolver.own_config, "searches": [domain, *(w for w in wanted if w != domain)][:28]}}
    return RESOLV_LIMITS.confirmed(
        at=owner.at(template_path(owner, "dnsConfig.searches")),
        domain=domain,
        pod=resolver.pod.name,
        saw=f"dnsConfig has {len(wanted)} search domains, of which resolv.conf lacks {domain}; the name exists there",
        fix=pod_spec_fix(owner, "shorten the list, with this domain first", spec),
    )


NDOTS_LOW = Cause(
    code="dns-ndots-low",
    title="ndots keeps the search list from being used",
    says="ndots:{ndots} makes resolvers ask for {name} as it is first, and it resolves only as {full}.",
    means="Alpine images (musl) then do not use the search list, and the name fails there; others ask outside first.",
    symptom="SERVICE.NAMESPACE fails in some images, the full name works in all.",
    apart="With ndots:5 the search list is used for every name of up to four dots.",
    mend="Use the full name, or set ndots to 5 in dnsConfig.",
)


@explains(Hop.NAME, NDOTS_LOW, When.ALWAYS)
def dns_ndots_low(look: Look, asked: Question) -> Finding | None:
    """The name as it is comes first and gets something other than a denial, so that the search list is not reached."""
    resolver = resolver_of(look, asked)
    found = looked_up(look, asked)
    if resolver is None or found is None or resolver.conf.ndots >= 5 or asked.host.endswith("."):
        return None
    dots, domain = asked.host.count("."), cluster_domain(look, resolver.conf)
    if (
        dots < resolver.conf.ndots
        or found.full.rstrip(".") == asked.host
        or not found.full.rstrip(".").endswith(domain)
    ):
        return None
    owner = owner_of(look, resolver.pod)
    options = {"dnsConfig": {"options": [{"name": "ndots", "value": "5"}]}}
    return NDOTS_LOW.possible(
        at=owner.at(template_path(owner, "dnsConfig.options")),
        ndots=resolver.conf.ndots,
        name=asked.host,
        full=found.full.rstrip("."),
        saw=f"resolv.conf: ndots:{resolver.conf.ndots}; {found.tried[0][0]} alone: {found.tried[0][1].words}",
        fix=pod_spec_fix(owner, "set ndots to 5", options),
    )
