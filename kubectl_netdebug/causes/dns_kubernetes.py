"""What CoreDNS knows of the cluster: its rights, its way to the API, its zone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.dns_names import looked_up
from kubectl_netdebug.causes.dns_state import (
    ClusterDns,
    by_hand,
    cluster_dns,
    config,
    in_main_file,
    with_corefile,
    with_line,
    with_lines_before,
)
from kubectl_netdebug.causes.dns_tried import servers_tried
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Command, Fix, Risk, apply, json_patch, kubectl
from kubectl_netdebug.model.finding import Cause, Confidence, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.text import sanitise

LINES = 80
API_PORT = 443

FORBIDDEN = re.compile(
    r'(\w[\w.]*) is forbidden: User "(system:serviceaccount:[^"\n]+)" cannot (\w+) '
    r'resource "(\w+)" in API group "([^"\n]*)"'
)
NO_API = re.compile(
    r'(?:dial tcp [^\s"]+: (?:i/o timeout|connect: [a-z ]+)|net/http: TLS handshake timeout|x509: [^"\n]{1,120})'
)
WAITING = re.compile(r'(?:Plugins not ready|Still waiting on): [^\n]*"?kubernetes')
"""What CoreDNS repeats until it has read the cluster's objects for the first time."""

RBAC = Cause(
    code="dns-rbac",
    title="CoreDNS may not read what it has to know",
    says="ServiceAccount {account} of CoreDNS may not {verb} {resource}.",
    means="CoreDNS does not know the cluster's Services: their names fail, and its Pods do not become Ready.",
    symptom="Cluster names get SERVFAIL or nothing at all; CoreDNS runs and is not Ready, its log says forbidden.",
    apart="Where CoreDNS cannot reach the API its log has time-outs, not refusals.",
    mend="Give ClusterRole system:coredns the missing rule, and bind it to the ServiceAccount.",
    explains=("dns-pods-down", "dns-service-no-endpoints", "dns-api-unreachable"),
)


@explains(Hop.DNS_SERVICE, RBAC, When.ALWAYS)
def dns_rbac(look: Look, asked: Question) -> Finding | None:
    """The API server said no, and the rules do say so."""
    dns = cluster_dns(look, asked)
    if dns is None or dns.workload is None or all(pod.ready for pod in dns.pods):
        return None
    pod, log = _log(look, dns)
    match = next(iter(FORBIDDEN.finditer(log)), None)
    if match is None:
        return None
    account, verb, resource, group = match[2], match[3], match[4], match[5]
    role = asks.raw_object("clusterroles.rbac.authorization.k8s.io", "", "system:coredns")
    binding = asks.raw_object("clusterrolebindings.rbac.authorization.k8s.io", "", "system:coredns")
    look.foresee(role, binding)
    rules, bound = look.if_known(role), look.if_known(binding)
    lacks = rules is not None and not _allows(rules, group, resource)
    unbound = bound is None and look.why_unknown(binding) is None
    at = ObjectRef("ClusterRole", "", "system:coredns", "rules")
    if unbound and not lacks:
        at = ObjectRef("ClusterRoleBinding", "", "system:coredns")
    return RBAC.confirmed(
        at=at,
        account=account.removeprefix("system:serviceaccount:").replace(":", "/"),
        verb=verb,
        resource=f"{resource}.{group}" if group else resource,
        saw=f"log of {pod}: {sanitise(match[0], 200)}",
        effect=dns.effect,
        fix=_grant(rules, group, resource) if lacks else _bind(account) if unbound else _see(account, verb, resource),
    )


def _log(look: Look, dns: ClusterDns) -> tuple[str, str]:
    """Name and log of the first replica that is not Ready."""
    assert dns.workload is not None
    pod = next(p for p in dns.pods if not p.ready)
    return pod.name, look.if_known(asks.log_of(pod, dns.workload.container_name, lines=LINES)) or ""


def _allows(role: Mapping[str, Any], group: str, resource: str) -> bool:
    for rule in tree.entries(role, "rules"):
        groups, resources, verbs = (tree.strings(rule, part) for part in ("apiGroups", "resources", "verbs"))
        if {group, "*"} & {*groups} and {resource, "*"} & {*resources} and {"list", "*"} & {*verbs}:
            return True
    return False


def _grant(role: Mapping[str, Any] | None, group: str, resource: str) -> Fix:
    rule = {"apiGroups": [group], "resources": [resource], "verbs": ["list", "watch"]}
    path = "/rules/-" if role and list(tree.entries(role, "rules")) else "/rules"
    value = rule if path.endswith("-") else [rule]
    command = json_patch("clusterrole", "system:coredns", [{"op": "add", "path": path, "value": value}])
    return Fix(f"let it list and watch {resource}", command)


def _bind(account: str) -> Fix:
    namespace, name = account.removeprefix("system:serviceaccount:").split(":", 1)
    manifest = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "system:coredns"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }
    return Fix("bind its ClusterRole", apply(manifest))


def _see(account: str, verb: str, resource: str) -> Fix:
    command = Command(("auth", "can-i", verb, resource, "-A", f"--as={account}"))
    return Fix("see whether it may by now", command, Risk.READ_ONLY)


API_UNREACHABLE = Cause(
    code="dns-api-unreachable",
    title="CoreDNS cannot reach the API server",
    says="CoreDNS Pod {pod} on {node} cannot reach the API server: {error}.",
    means="CoreDNS does not know the cluster's Services: their names fail or are stale, and it does not become Ready.",
    symptom="Cluster names get SERVFAIL while names outside resolve; CoreDNS runs and is not Ready.",
    apart="Where rights are missing, the API server answers, and the log says forbidden.",
    mend="Find out why Pods of that node do not reach the API server: kubectl netdebug api -n kube-system POD.",
    explains=("dns-pods-down", "dns-service-no-endpoints"),
)


@explains(Hop.DNS_SERVICE, API_UNREACHABLE, When.ALWAYS)
def dns_api_unreachable(look: Look, asked: Question) -> Finding | None:
    """It runs, is not Ready, and complains of the way to the API."""
    dns = cluster_dns(look, asked)
    if dns is None or dns.workload is None or all(pod.ready for pod in dns.pods):
        return None
    waiting = next((p for p in dns.pods if not p.ready and p.phase == "Running" and not _ended(p)), None)
    if waiting is None:
        return None
    log = look.if_known(asks.log_of(waiting, dns.workload.container_name, lines=LINES)) or ""
    errors = NO_API.findall("\n".join(line for line in log.splitlines() if "kubernetes" in line or "reflector" in line))
    if FORBIDDEN.search(log):
        return None
    if errors:
        error = sanitise(errors[-1], 120)
        return _unreachable(dns, waiting, Confidence.CONFIRMED, error, f"log of {waiting.name}: {error}")
    return _without_words(look, dns, waiting) if WAITING.search(log) else None


def _without_words(look: Look, dns: ClusterDns, waiting: Pod) -> Finding | None:
    """It waits and does not say for what: it tries again what is refused without a line in its log."""
    api = look.if_known(asks.service_named("default", "kubernetes"))
    if api is None or not api.address:
        return None
    own, client = look.all_known([asks.connect(pod, api.address, API_PORT) for pod in (waiting, dns.resolver.pod)])
    seen = own or client
    if seen is None or seen.outcome.connected:
        return None
    error = f"{api.address}:{API_PORT} {seen.outcome.words}"
    whose = waiting if own else dns.resolver.pod
    saw = (f"log of {waiting.name}: Plugins not ready: kubernetes", f"{whose.name} → {error}")
    return _unreachable(dns, waiting, Confidence.CONFIRMED if own else Confidence.LIKELY, error, *saw)


def _unreachable(dns: ClusterDns, waiting: Pod, confidence: Confidence, error: str, *saw: str) -> Finding:
    found = API_UNREACHABLE.confirmed if confidence is Confidence.CONFIRMED else API_UNREACHABLE.likely
    return found(
        at=waiting.at,
        pod=waiting.name,
        node=waiting.node,
        error=error,
        saw=saw,
        effect=dns.effect,
        fix=Fix(
            "follow its way to the API server",
            kubectl("netdebug", "api", f"pod/{waiting.name}", namespace=waiting.namespace),
            Risk.READ_ONLY,
        ),
    )


def _ended(pod: Pod) -> bool:
    return any(c.state != "running" for c in pod.containers)


DOMAIN_MISMATCH = Cause(
    code="dns-domain-mismatch",
    title="Pods use another cluster domain than CoreDNS serves",
    says="Pods look for names under {domain}, but CoreDNS serves {zones}.",
    means="Names of Services fail in every Pod; names outside the cluster resolve.",
    symptom="Every cluster name is NXDOMAIN or fails, while CoreDNS is Ready and answers.",
    apart="Without rights or without the API, CoreDNS answers SERVFAIL and is not Ready.",
    mend="Give the plugin kubernetes the domain of kubelet's clusterDomain, or change clusterDomain on every node.",
    explains=("dns-no-such-name",),
)


@explains(Hop.CLUSTER_NAMES, DOMAIN_MISMATCH)
def dns_domain_mismatch(look: Look, asked: Question) -> Finding | None:
    """The domain of the search list is in no zone of the plugin kubernetes, and does not resolve."""
    dns = cluster_dns(look, asked)
    found = config(look, dns) if dns else None
    if dns is None or found is None or dns.workload is None:
        return None
    domain, zones = dns.resolver.conf.cluster_domain, found.parsed.cluster_zones()
    if not domain or not zones or any(domain == z or domain.endswith(f".{z}") for z in zones):
        return None
    if any(a.addresses for t in servers_tried(look, asked)[:1] for a in t.udp):
        return None
    block = next((b for b in found.parsed.blocks if b.plugin("kubernetes")), None)
    plugin = block.plugin("kubernetes") if block else None
    fix = by_hand("serve the right zone", found, dns.workload, "the zone stands at the head of its server block")
    if (
        plugin is not None
        and in_main_file(plugin)
        and plugin.args
        and block
        and any(z.holds(domain) for z in block.zones)
    ):
        words = " ".join(("kubernetes", domain, *(arg for arg in plugin.args if arg != domain)))
        fix = with_corefile(f"serve {domain} as well", found, dns.workload, with_line(found, plugin, words))
    return DOMAIN_MISMATCH.confirmed(
        at=found.ref,
        domain=domain,
        zones=", ".join(zones),
        saw=f"search list: {domain}; Corefile line {plugin.line if plugin else 0}: {plugin.text if plugin else ''}",
        fix=fix,
    )


PODS_MODE = Cause(
    code="dns-autopath-or-pods-mode",
    title="CoreDNS gives no names to Pods' addresses",
    says="The Corefile has pods {mode}, so {name} and names like it do not exist.",
    means="Names made of a Pod's address (10-1-2-3.NAMESPACE.pod.DOMAIN) are NXDOMAIN; other names are not affected.",
    symptom="Only names under pod.DOMAIN fail.",
    apart="With pods verified, only addresses of Pods that exist resolve.",
    mend="Write `pods insecure` (or verified) into the block of the plugin kubernetes.",
)

POD_NAME = re.compile(r"(?:\d{1,3}-){3}\d{1,3}\.[a-z0-9-]+\.pod(?:\.|$)")


@explains(Hop.NAME, PODS_MODE)
def dns_pods_mode(look: Look, asked: Question) -> Finding | None:
    """A name made of an address was asked about, and the mode is disabled, which is what it is by default."""
    if not POD_NAME.match(asked.host):
        return None
    dns = cluster_dns(look, asked)
    found = config(look, dns) if dns else None
    tried = looked_up(look, asked)
    if dns is None or found is None or dns.workload is None or tried is None or tried.addresses:
        return None
    plugin = next((p for b in found.parsed.blocks for p in b.all("kubernetes")), None)
    option = plugin.option("pods") if plugin else None
    mode = option.args[0] if option and option.args else "disabled"
    if plugin is None or mode != "disabled":
        return None
    fix = by_hand("write pods insecure", found, dns.workload, "the block of kubernetes has to be made first")
    if option is not None and in_main_file(option):
        fix = with_corefile("switch it on", found, dns.workload, with_line(found, option, "pods insecure"))
    elif plugin.block and in_main_file(plugin.block[0]):
        text = with_lines_before(found, plugin.block[0], ["pods insecure"])
        fix = with_corefile("switch it on", found, dns.workload, text)
    return PODS_MODE.confirmed(
        at=found.ref,
        mode=mode if option else "disabled (the default)",
        name=asked.host,
        saw=f"Corefile line {(option or plugin).line}: {(option or plugin).text}; answer: NXDOMAIN",
        fix=fix,
    )
