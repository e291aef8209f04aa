"""kube-proxy that runs and does the wrong thing: a foreign name, a foreign Pod range, rules of a former mode."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from kubectl_netdebug.causes import kubeproxy_asks as ask
from kubectl_netdebug.causes.kubeproxy import words
from kubectl_netdebug.causes.kubeproxy_log import with_config
from kubectl_netdebug.causes.kubeproxy_view import ProxyOn, Subject, proxies, settled
from kubectl_netdebug.causes.on_node import mend_on_node
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.proxyrules import Difference, Mode, Verdict

NOBODY = "no such node"
"""A name that no node has: what the rules of a kube-proxy look like that takes itself for another node."""

HOSTNAME = Cause(
    code="kube-proxy-hostname-mismatch",
    title="kube-proxy takes itself for another node",
    says="kube-proxy on {node} runs under the name {name}, so it takes no Pod of its node for a local one.",
    means="Services whose traffic policy is Local are dropped on {node} although Pods of theirs run there.",
    symptom="Node ports, load balancers and addresses of Services with a policy Local time out on that node.",
    apart="Without a Pod on the node, dropping is what the policy Local asks for.",
    mend="Take the override out of kube-proxy's configuration, or give it the node's own name (in a DaemonSet from "
    "spec.nodeName), and restart it.",
    explains=("kube-proxy-stale",),
)


@explains(Hop.PROXY_RULES, HOSTNAME, When.ALWAYS)
def hostname_mismatch(look: Look, asked: Question) -> Finding | None:
    """A name that is not the node's, or rules exactly as they would be on a node without any of the Pods."""
    for proxy in proxies(look, asked):
        mode, name = proxy.mode, _name(proxy)
        if mode is None or proxy.replaced_by or not proxy.runs:
            continue
        wrong = bool(name) and name != proxy.node.name.lower()
        for subject in proxy.subjects:
            differences = proxy.differences(subject, mode)
            if not _dropped(differences) or proxy.differences(subject, mode, NOBODY) or not settled(look, subject):
                continue
            if not wrong:
                continue
            return _misnamed(proxy, subject, differences, name)
    return None


def _name(proxy: ProxyOn) -> str:
    """The name that it was given; '' where it goes by the node's own, or where that is not known."""
    process = proxy.program.process if proxy.program else None
    given = process.argument("hostname-override") if process else ""
    return (given or (proxy.config.hostname_override if proxy.config else "")).lower()


def _dropped(differences: tuple[Difference, ...]) -> bool:
    """Local endpoints that it does not take for local: the rules drop where they should balance."""
    return bool(differences) and all(
        d.way.verdict is Verdict.DROP and d.expected.verdict is Verdict.BALANCE for d in differences
    )


def _misnamed(proxy: ProxyOn, subject: Subject, differences: tuple[Difference, ...], name: str) -> Finding:
    process = proxy.program.process if proxy.program else None
    by_flag = bool(process and process.argument("hostname-override"))
    fix = Fix(
        "give it the node's own name",
        kubectl("edit", "daemonset", ask.NAME, namespace=ask.NAMESPACE),
        Risk.DISRUPTIVE,
        not_pasteable="the name stands in kube-proxy's arguments: --hostname-override=$(NODE_NAME), from spec.nodeName",
    )
    if not by_flag and proxy.config is not None and proxy.daemonset:
        text = re.sub(r"^hostnameOverride:.*\n?", "", proxy.config.text, flags=re.MULTILINE)
        fix = with_config(text, "take the override out")
    return HOSTNAME.confirmed(
        at=proxy.at.at(differences[0].way.chain or "hostnameOverride"),
        node=proxy.node.name,
        name=name,
        saw=(
            f"kube-proxy's {'argument --hostname-override' if by_flag else 'configuration, hostnameOverride'}: {name}",
            f"{subject.service.namespace}/{subject.service.name}: {words(differences[0])}",
            *differences[0].way.text[-1:],
            *proxy.seen,
        ),
        effect=proxy.effect((subject,)) if subject.tried else Effect.DEGRADES,
        fix=fix,
    )


CLUSTER_CIDR = Cause(
    code="kube-proxy-clustercidr-wrong",
    title="kube-proxy takes the node's own Pods for strangers",
    says="kube-proxy on {node} takes only clients from {local} for Pods, while the node's Pods are from {pods}.",
    means="Whatever Pods of {node} send to a Service gets the node's address as its sender: policies and servers that "
    "go by the Pod's address see the node instead.",
    symptom="NetworkPolicies for Pods do not match behind a Service, and servers log node addresses.",
    apart="With externalTrafficPolicy Cluster clients from outside are hidden in the same way, which is meant so.",
    mend="Correct clusterCIDR in kube-proxy's configuration, or use detectLocalMode NodeCIDR, and restart it.",
)


@explains(Hop.PROXY_RULES, CLUSTER_CIDR, When.ALWAYS)
def clustercidr_wrong(look: Look, asked: Question) -> Finding | None:
    """No range by which its rules tell local clients holds the node's own Pod range."""
    for proxy in proxies(look, asked):
        general = proxy.general(proxy.mode) if proxy.mode else None
        if general is None or proxy.replaced_by or not general.local or not proxy.runs:
            continue
        pods = [c for c in proxy.node.pod_cidrs if ":" not in c]
        if not pods or any(_within(pod, general.local) for pod in pods):
            continue
        return CLUSTER_CIDR.confirmed(
            at=proxy.at.at("clusterCIDR"),
            node=proxy.node.name,
            local=", ".join(general.local),
            pods=", ".join(pods),
            saw=(_rule(proxy), f"Node {proxy.node.name}: podCIDR {', '.join(pods)}"),
            effect=Effect.DEGRADES,
            fix=_detect_by_node(proxy),
        )
    return None


def _within(inner: str, outer: Iterable[str]) -> bool:
    """Whether a range lies within one of others; True where one of them is no range."""
    for each in outer:
        try:
            wide, narrow = ipaddress.ip_network(each, strict=False), ipaddress.ip_network(inner, strict=False)
        except ValueError:
            return True
        if wide.version == narrow.version and wide.supernet_of(narrow):  # type: ignore[arg-type]
            return True
    return False


def _rule(proxy: ProxyOn) -> str:
    """One of the rules that mark everybody else."""
    if proxy.mode is Mode.NFTABLES and proxy.rules.listed is not None:
        table = proxy.rules.listed.table("ip", "kube-proxy")
        rules = table.chain("services").rules if table else ()
        return next((f"chain services: {r.text}" for r in rules if "saddr !=" in r.text), "")
    rules_of = proxy.rules.saved.rules if proxy.rules.saved else ()
    return next((r.text for r in rules_of if r.target == "KUBE-MARK-MASQ" and " ! -s " in r.text), "")


def _detect_by_node(proxy: ProxyOn) -> Fix:
    if proxy.config is None or not proxy.daemonset or not proxy.config.text:
        return proxy.restart()
    text = re.sub(r"^(detectLocalMode|clusterCIDR):.*\n?", "", proxy.config.text, flags=re.MULTILINE)
    return with_config(f"{text.rstrip()}\ndetectLocalMode: NodeCIDR\n", "tell local Pods by each node's own range")


TWO_DATAPLANES = Cause(
    code="kube-proxy-two-dataplanes",
    title="Rules of a former mode still catch traffic",
    says="On {node} kube-proxy works in mode {mode}, and rules of mode {former} are there as well: {difference}.",
    means="Nobody keeps the former rules up to date; what they catch goes to Pods that are gone.",
    symptom="After a change of kube-proxy's mode or of the CNI, Services lead to old Pods from some nodes.",
    apart="With one set of rules alone, a kube-proxy that hangs leaves them stale.",
    mend="Remove the rules of the former mode on the node, or restart the node, which forgets both.",
    explains=("kube-proxy-stale",),
)


@explains(Hop.PROXY_RULES, TWO_DATAPLANES, When.ALWAYS)
def two_dataplanes(look: Look, asked: Question) -> Finding | None:
    """The rules of its own mode are right, and those of another one are there and lead elsewhere."""
    for proxy in proxies(look, asked):
        mode = proxy.mode
        if mode is None or proxy.replaced_by or not proxy.runs:
            continue
        for former in Mode:
            general = proxy.general(former) if former is not mode else None
            if general is None or not general.present:
                continue
            for subject in proxy.subjects:
                wrong = [d for d in proxy.differences(subject, former) if d.way.verdict is not Verdict.NONE]
                if wrong and not proxy.differences(subject, mode):
                    return _former(look, proxy, former, subject, wrong)
    return None


def _former(look: Look, proxy: ProxyOn, former: Mode, subject: Subject, wrong: list[Difference]) -> Finding:
    assert proxy.mode is not None
    remove = {
        Mode.NFTABLES: ("nft", "delete", "table", "ip", "kube-proxy"),
        Mode.IPVS: ("ipvsadm", "--clear"),
        Mode.IPTABLES: ("sh", "-c", "iptables-save | grep -v KUBE- | iptables-restore"),
    }[former]
    return TWO_DATAPLANES.confirmed(
        at=proxy.at.at(wrong[0].way.chain or former.value),
        node=proxy.node.name,
        mode=proxy.mode.value,
        former=former.value,
        difference=f"{subject.service.namespace}/{subject.service.name}: {words(wrong[0])}",
        saw=(*wrong[0].way.text[:2], f"the rules of mode {proxy.mode.value} agree with its slices", *proxy.seen),
        effect=proxy.effect((subject,)) if subject.tried else Effect.DEGRADES,
        fix=mend_on_node(
            look, proxy.node.name, f"remove the rules of mode {former.value}", *remove, risk=Risk.DISRUPTIVE
        ),
    )
