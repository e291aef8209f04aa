"""Names of Services and their Pods that do not exist though somebody expects them: headless, stateful, too new."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import live_pods
from kubectl_netdebug.causes.dns_client import Resolver, asks_cluster, cluster_domain, resolver_of
from kubectl_netdebug.causes.dns_names import looked_up, named_service, service_meant
from kubectl_netdebug.causes.dns_outside import forward_for
from kubectl_netdebug.causes.dns_state import cluster_dns, config
from kubectl_netdebug.causes.owners import owner_of
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, apply, kubectl, patch
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When

HEADLESS = Cause(
    code="dns-headless-not-ready",
    title="A headless Service gives no names to Pods that are not Ready",
    says="Headless Service {service} gives {what} no address: {pods} not Ready, which it asks for.",
    means="Pods that look for each other while they start do not find each other.",
    symptom="Names of peers are NXDOMAIN while a StatefulSet starts, and come to life once the Pods are Ready.",
    apart="With a wrong serviceName the name never comes to life.",
    mend="Set publishNotReadyAddresses where peers have to find each other before they are Ready; else mend readiness.",
)


@explains(Hop.NAME, HEADLESS)
def dns_headless_not_ready(look: Look, asked: Question) -> Finding | None:
    """The Service is headless, the name is not there, and the Pods that it would be about are not Ready."""
    failing = _failing(look, asked)
    if failing is None:
        return None
    service, before = failing.service, failing.before
    if not service.headless or service.publish_not_ready or not service.selector:
        return None
    pods = [p for p in live_pods(look(asks.pods_selected_by(service))) if p.ip]
    meant = [p for p in pods if not before or _host_name(look, p) == before]
    if not meant or any(p.ready for p in meant) or (before and not _subdomain_is(look, meant[0], service.name)):
        return None
    names = ", ".join(p.name for p in meant[:3])
    body = {"spec": {"publishNotReadyAddresses": True}}
    return HEADLESS.confirmed(
        at=service.field("spec.publishNotReadyAddresses"),
        service=f"{service.namespace}/{service.name}",
        what=before or "its name",
        pods=f"{names} {'is' if len(meant) == 1 else 'are'}",
        saw=f"{names}: running with an address, not Ready; {asked.host}: {failing.words}",
        fix=Fix(
            "publish Pods that are not Ready",
            patch("service", service.name, body, service.namespace),
        ),
    )


@dataclass(frozen=True)
class _Failing:
    """A name of a Service that does not resolve: the Service, what stands before its name, and the answer."""

    resolver: Resolver
    service: Service
    before: str
    words: str


def _failing(look: Look, asked: Question) -> _Failing | None:
    resolver, found = resolver_of(look, asked), looked_up(look, asked)
    if resolver is None or found is None or found.addresses or not asks_cluster(look, resolver):
        return None
    if found.answer is None or not found.answer.answered:
        return None
    meant = service_meant(look, asked)
    return _Failing(resolver, *meant, found.answer.words) if meant else None


def _spec(look: Look, pod: Pod) -> object:
    return tree.dig(look(asks.raw_object("pods", pod.namespace, pod.name)), "spec")


def _host_name(look: Look, pod: Pod) -> str:
    return tree.text(_spec(look, pod), "hostname")


def _subdomain_is(look: Look, pod: Pod, name: str) -> bool:
    return tree.text(_spec(look, pod), "subdomain") == name


SERVICE_NAME = Cause(
    code="dns-statefulset-servicename",
    title="The Pod has no name under this Service",
    says="{pod} has no name under Service {service}: {why}.",
    means="{asked} does not exist. {instead}",
    symptom="pod-0.SERVICE is NXDOMAIN though Pod and Service are there and Ready.",
    apart="Where Pods are merely not Ready, serviceName and Service agree.",
    mend="Name the headless Service in serviceName of the StatefulSet; other Pods need hostname and subdomain.",
    explains=("dns-headless-not-ready", "dns-no-such-name"),
)


@explains(Hop.NAME, SERVICE_NAME)
def dns_statefulset_servicename(look: Look, asked: Question) -> Finding | None:
    """There is such a Pod, and its subdomain is not that Service, or that Service is not there or not headless."""
    resolver, found = resolver_of(look, asked), looked_up(look, asked)
    if resolver is None or found is None or found.addresses or not asks_cluster(look, resolver):
        return None
    place = _pod_name(look, asked, resolver)
    if place is None:
        return None
    namespace, name, pod_name = place
    service, pod = look.together(asks.service_named(namespace, name), asks.pod_named(namespace, pod_name))
    if pod is None or pod.deleting:
        return None
    subdomain = tree.text(_spec(look, pod), "subdomain")
    owner = owner_of(look, pod)
    matching = service is not None and service.selector.items() <= pod.labels.items() and bool(service.selector)
    if service is not None and service.headless and subdomain == name:
        return None
    if service is None and subdomain != name:
        return None
    if service is not None and not matching:
        return None
    if service is None:
        why, fix = "there is no such Service", _headless(pod, namespace, name, owner)
    elif not service.headless:
        why, fix = "that Service is not headless", _see(owner)
    else:
        why = f"its subdomain is {subdomain}" if subdomain else "hostname and subdomain are not set"
        why = f"serviceName of {owner.kind} {owner.name} is {subdomain}" if owner.kind == "StatefulSet" else why
        fix = _see(owner)
    other = subdomain if subdomain and subdomain != name else ""
    return SERVICE_NAME.confirmed(
        at=owner.at("spec.serviceName") if owner.kind == "StatefulSet" else owner,
        pod=f"Pod {pod.name}",
        service=f"{namespace}/{name}",
        why=why,
        asked=asked.host,
        instead=f"Its name is {pod_name}.{other}.{namespace}, if there is such a headless Service." if other else "",
        saw=f"Pod {pod.name}: subdomain {subdomain or 'not set'}",
        fix=fix,
    )


def _pod_name(look: Look, asked: Question, resolver: Resolver) -> tuple[str, str, str] | None:
    """(namespace, Service, Pod) where the name is written like that of a Pod of a Service."""
    named = named_service(asked, resolver, cluster_domain(look, resolver.conf))
    labels = asked.host.rstrip(".").lower().split(".")
    if named is not None:
        return named if named[2] and "." not in named[2] else None
    if len(labels) == 2:
        return resolver.pod.namespace, labels[1], labels[0]
    return (labels[2], labels[1], labels[0]) if len(labels) == 3 else None


def _headless(pod: Pod, namespace: str, name: str, owner: ObjectRef) -> Fix:
    ignored = ("pod-template-hash", "controller-revision-hash", "statefulset.kubernetes.io/pod-name")
    labels = {k: v for k, v in pod.labels.items() if k not in ignored and k != "apps.kubernetes.io/pod-index"}
    manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": "None", "selector": labels},
    }
    return Fix(f"create the headless Service that {owner.kind} {owner.name} names", apply(manifest))


def _see(owner: ObjectRef) -> Fix:
    why = "serviceName cannot be changed: use the name that the Pod has, or make the StatefulSet anew"
    return Fix("see it", kubectl("get", owner.short, "-o", "yaml", namespace=owner.namespace), Risk.READ_ONLY, why)


NEGATIVE_CACHE = Cause(
    code="dns-negative-cache",
    title="That the name does not exist is still remembered",
    says="The DNS server still says from its cache that {name} does not exist; the Service is {age} s old.",
    means="The name resolves once the remembered denial has run out, here after at most {ttl} s.",
    symptom="A name that was asked for before its Service was made stays NXDOMAIN for half a minute.",
    apart="A question for another type of record, which the cache does not know, finds that the name exists.",
    mend="Wait. Make Services before the Pods that need them, or shorten `denial` of the plugin cache.",
)

DENIAL = 60.0
"""Seconds for which a young Service may be denied from a cache."""


@explains(Hop.NAME, NEGATIVE_CACHE)
def dns_negative_cache(look: Look, asked: Question) -> Finding | None:
    """NXDOMAIN for A, and "exists" for a type that nobody has asked for before."""
    failing = _failing(look, asked)
    if failing is None or failing.before:
        return None
    resolver, service = failing.resolver, failing.service
    full = f"{service.name}.{service.namespace}.svc.{cluster_domain(look, resolver.conf)}."
    other, raw = look.together(
        asks.lookup(resolver.pod, resolver.first, full, "TXT", transport="UDP"),
        asks.raw_object("services", service.namespace, service.name),
    )
    created = tree.when(raw, "metadata", "creationTimestamp")
    age = (look(asks.now()) - created).total_seconds() if created else 1e9
    if failing.words != "NXDOMAIN" or other.rcode != "NOERROR" or age > 10 * DENIAL:
        return None
    return NEGATIVE_CACHE.confirmed(
        at=service.at,
        name=full.rstrip("."),
        age=f"{age:.0f}",
        ttl=f"{DENIAL / 2:.0f}",
        saw=(f"{full} A: NXDOMAIN", f"{full} TXT, asked for the first time: the name exists"),
        fix=Fix(
            "wait half a minute and ask again",
            kubectl("get", "service", service.name, namespace=service.namespace),
            Risk.READ_ONLY,
            "time alone mends it",
        ),
    )


OVERRIDE = Cause(
    code="dns-custom-override",
    title="A rule of the Corefile answers this name",
    says="The Corefile answers {name} by itself ({rule}, line {line}): {got}; the server outside says {true}.",
    means="Pods get another answer for that name than everybody else.",
    symptom="A name leads to another address in Pods than on their nodes, or does not exist there.",
    apart="Where the whole zone is forwarded elsewhere, its server gives that answer.",
    mend="Take the rule out of the Corefile if nobody wants it any more.",
    explains=("dns-no-such-name",),
)

RULES = ("hosts", "template", "rewrite", "file")


@explains(Hop.NAME, OVERRIDE, When.ALWAYS)
def dns_custom_override(look: Look, asked: Question) -> Finding | None:
    """A rule for this very name, and the server outside answers otherwise. Whether that is meant, nobody can see."""
    found, dns = looked_up(look, asked), cluster_dns(look, asked)
    conf = config(look, dns) if dns else None
    name = f"{asked.host.rstrip('.').lower()}."
    if found is None or dns is None or conf is None or dns.workload is None or "." not in name.rstrip("."):
        return None
    block = conf.parsed.block_for(name)
    rules = [p for p in block.plugins if p.name in RULES] if block else []
    rule = next((p for p in rules if _is_about(p.text, name) or any(_is_about(o.text, name) for o in p.block)), None)
    own = dict(found.tried).get(name)
    if rule is None or own is None or not own.answered:
        return None
    forward = forward_for(conf, name)
    server = forward.targets[0] if forward and forward.targets else None
    if server is None:
        return None
    true = look(asks.lookup(dns.resolver.pod, server[0], name, transport="UDP", port=server[1]))
    if not true.addresses or set(true.addresses) == set(own.addresses):
        return None
    line = next((o.line for o in rule.block if _is_about(o.text, name)), rule.line)
    confident = OVERRIDE.possible if own.addresses else OVERRIDE.confirmed
    command = kubectl("edit", "configmap", conf.ref.name, namespace=conf.ref.namespace)
    return confident(
        at=conf.ref,
        name=asked.host,
        rule=rule.name,
        line=line,
        got=own.words,
        true=true.words,
        saw=(f"Corefile line {line}: {rule.name}", f"{server[0]} says {true.words}"),
        effect=Effect.BREAKS,
        fix=Fix("take the rule out", command, Risk.REVERSIBLE, "whether the rule is meant, only its author knows"),
    )


def _is_about(text: str, name: str) -> bool:
    """The line names it, or as a pattern with its dots escaped."""
    plain = name.rstrip(".")
    words = text.lower().replace("\\\\", "\\").replace("\\.", ".")
    return plain in words
