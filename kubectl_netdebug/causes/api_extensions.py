"""What the API server itself depends on: aggregated APIs that other programs serve, and kubelets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.api_view import LOG_LINES, about_api, client_of
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.facts import Why
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.text import sanitise

API_SERVICES = "apiservices.apiregistration.k8s.io"
KUBELET_PORT = 10250
MOST_NODES = 3
"""Other nodes whose kubelets are asked for a log, to tell one node's trouble from everybody's."""

_DIAL = re.compile(rf"dial tcp [^ ]*:{KUBELET_PORT}: (?P<how>.*)|https://[^/]*:{KUBELET_PORT}/.*?: (?P<other>.*)", re.S)
_TRUST = re.compile(r"x509|tls: internal error|certificate", re.I)
_NO_ANSWER = ("i/o timeout", "no route to host", "connection refused", "network is unreachable", "deadline exceeded")


@dataclass(frozen=True)
class Aggregated:
    """An API that another program serves, and which is not available."""

    name: str
    group: str
    namespace: str
    service: str
    reason: str
    message: str


def unavailable_apis(look: Look) -> list[Aggregated]:
    """APIServices with a Service behind them whose condition Available is False."""
    found = []
    for each in look(asks.objects_in(API_SERVICES, "")):
        for condition in tree.entries(each, "status", "conditions"):
            behind = tree.text(each, "spec", "service", "name")
            down = tree.text(condition, "type") == "Available" and tree.text(condition, "status") == "False"
            if down and behind:
                found.append(
                    Aggregated(
                        name=tree.text(each, "metadata", "name"),
                        group=tree.text(each, "spec", "group"),
                        namespace=tree.text(each, "spec", "service", "namespace"),
                        service=behind,
                        reason=tree.text(condition, "reason"),
                        message=sanitise(tree.text(condition, "message"), 300),
                    )
                )
    return found


APISERVICE = Cause(
    code="apiservice-unavailable",
    title="An aggregated API is not available",
    says="APIService {name} is not available ({reason}): {why}.",
    means="Calls to {group} fail, and everything that asks for all APIs at once complains; namespaces that are deleted "
    "stay in Terminating.",
    symptom="kubectl top fails, 'unable to retrieve the complete list of server APIs', stuck namespaces.",
    apart="APIs that the API server serves itself are well, and so is everything that asks only for those.",
    mend="Bring back the Service and the Pods behind it; of a program that is gone, take the APIService away.",
)


@explains(Hop.API_EXTENSIONS, APISERVICE)
def apiservice_unavailable(look: Look, asked: Question) -> Finding | None:
    """Its condition says so; what stands behind its Service says why."""
    down = unavailable_apis(look) if about_api(asked) else []
    if not down:
        return None
    first = down[0]
    service, slices = look.together(
        asks.service_named(first.namespace, first.service), asks.slices_for(first.namespace, first.service)
    )
    where = f"Service {first.namespace}/{first.service}"
    ready = any(e.ready for s in slices for e in s.endpoints)
    why = f"{where} does not exist" if service is None else first.message if ready else f"{where} has no ready endpoint"
    return APISERVICE.confirmed(
        at=ObjectRef("APIService", "", first.name),
        name=first.name,
        reason=first.reason,
        why=why.rstrip("."),
        group=first.group,
        effect=Effect.DEGRADES,
        saw=(f"APIService {first.name}: Available=False, {first.reason}: {first.message}",)
        + ((f"and {len(down) - 1} more: {', '.join(a.name for a in down[1:4])}",) if len(down) > 1 else ()),
        fixes=tuple(_bringing_back(look, first)),
    )


def _bringing_back(look: Look, api: Aggregated) -> Iterator[Fix]:
    service = look(asks.service_named(api.namespace, api.service))
    selector = service.selector if service else {}
    workloads = look.if_known(asks.objects_in("deployments.apps", api.namespace)) if selector else None
    for workload in workloads or ():
        labels = tree.labels(workload, "spec", "template", "metadata", "labels")
        idle = tree.number(workload, "spec", "replicas", default=1) == 0
        if idle and all(labels.get(k) == v for k, v in selector.items()):
            name = tree.text(workload, "metadata", "name")
            scale = kubectl("scale", f"deployment/{name}", "--replicas=1", namespace=api.namespace)
            yield Fix(f"bring back {name}, which serves it", scale)
    take_away = kubectl("delete", "apiservice", api.name)
    yield Fix("take away the API, if the program that served it is gone for good", take_away, Risk.DISRUPTIVE)


@dataclass(frozen=True)
class DeafKubelet:
    """A kubelet that the API server cannot ask. `words` are the API server's; `trust` says that TLS failed."""

    node: str
    words: str
    trust: bool
    alone: bool | None
    """Another node's kubelet answers; None where none could be asked."""


def deaf_kubelet(look: Look, client: Pod) -> DeafKubelet | None:
    """The kubelet of the client's node, where the API server cannot have a log from it."""
    if not client.containers or not client.node:
        return None
    log = asks.log_of(client, client.containers[0].name, lines=LOG_LINES)
    why = look.why_unknown(log)
    if why is None or why.why in (Why.FORBIDDEN, Why.NO_CONSENT, Why.NOT_RECORDED):
        return None
    match = _DIAL.search(why.says)
    trust = bool(_TRUST.search(why.says)) and f":{KUBELET_PORT}" in why.says
    if why.why is not Why.TIMEOUT and not trust and (match is None or not any(w in why.says for w in _NO_ANSWER)):
        return None
    others = _elsewhere(look, client)
    answers = [look.why_unknown(asks.log_of(pod, pod.containers[0].name, lines=1)) is None for pod in others]
    alone = any(answers) if answers else None
    if why.why is Why.TIMEOUT and not alone:
        return None
    said = (match["how"] or match["other"]) if match else why.says
    return DeafKubelet(client.node, sanitise(said, 200), trust, alone)


def _elsewhere(look: Look, client: Pod) -> list[Pod]:
    """A running Pod of each of a few other nodes, to compare with."""
    by_node: dict[str, Pod] = {}
    for pod in look.if_known(asks.pods_in("kube-system")) or ():
        if pod.node != client.node and pod.phase == "Running" and pod.containers:
            by_node.setdefault(pod.node, pod)
    chosen = [by_node[node] for node in sorted(by_node)][:MOST_NODES]
    look.foresee(*(asks.log_of(pod, pod.containers[0].name, lines=1) for pod in chosen))
    return chosen


KUBELET_BLOCKED = Cause(
    code="kubelet-10250-blocked",
    title="The API server cannot reach a kubelet",
    says="The API server cannot reach the kubelet of {node} on port 10250: {words}.",
    means="Logs, exec, port-forward and metrics fail for Pods of that node; the Pods themselves run, and the node is "
    "Ready, because kubelet reports by itself.",
    symptom="kubectl logs and exec time out or are refused for the Pods of one node.",
    apart="Where kubelet itself is down, the node becomes NotReady within a minute.",
    mend="Let the control plane reach port 10250 of the node: node rules, security groups, konnectivity agents.",
)

KUBELET_CERT = Cause(
    code="kubelet-serving-cert",
    title="The API server does not take a kubelet's certificate",
    says="The API server does not take the certificate of the kubelet of {node}: {words}.",
    means="Logs, exec, port-forward and metrics fail for Pods of that node.",
    symptom="kubectl logs says 'x509: …' or 'remote error: tls: internal error' for the Pods of one node.",
    apart="A kubelet that cannot be reached gives a timeout or a refusal instead.",
    mend="Approve its certificate request (kubectl get csr), or give it a certificate with the node's address.",
)


@explains(Hop.API_EXTENSIONS, KUBELET_BLOCKED)
def kubelet_blocked(look: Look, asked: Question) -> Finding | None:
    """A log of the client's Pod cannot be had, and the node is Ready."""
    client = client_of(look, asked) if about_api(asked) else None
    deaf = deaf_kubelet(look, client) if client else None
    if deaf is None or deaf.trust:
        return None
    node = next((n for n in look.if_known(asks.nodes()) or () if n.name == deaf.node), None)
    if node is not None and not node.ready:
        return None
    told = any(words in deaf.words for words in _NO_ANSWER)
    return (KUBELET_BLOCKED.confirmed if told else KUBELET_BLOCKED.likely)(
        at=ObjectRef("Node", "", deaf.node),
        node=deaf.node,
        words=deaf.words,
        effect=Effect.DEGRADES,
        saw=(
            f"the log of a Pod of {deaf.node}: {deaf.words}",
            *(["logs of Pods of another node can be read"] if deaf.alone else []),
            *([f"{deaf.node} is Ready"] if node else []),
        ),
        fix=Fix(
            "open the port on the node",
            kubectl(
                *("debug", f"node/{deaf.node}", "--profile=sysadmin", "--image=nicolaka/netshoot", "--"),
                *("iptables", "-I", "INPUT", "-p", "tcp", "--dport", str(KUBELET_PORT), "-j", "ACCEPT"),
            ),
            Risk.REVERSIBLE,
            not_pasteable="the rule that blocks may as well be in a cloud firewall, or in nftables",
        ),
    )


@explains(Hop.API_EXTENSIONS, KUBELET_CERT)
def kubelet_cert(look: Look, asked: Question) -> Finding | None:
    """The API server says so when it is asked for a log."""
    client = client_of(look, asked) if about_api(asked) else None
    deaf = deaf_kubelet(look, client) if client else None
    if deaf is None or not deaf.trust:
        return None
    return KUBELET_CERT.confirmed(
        at=ObjectRef("Node", "", deaf.node),
        node=deaf.node,
        words=deaf.words,
        effect=Effect.DEGRADES,
        saw=f"the log of a Pod of {deaf.node}: {deaf.words}",
        fix=Fix(
            "see whether its request waits for approval",
            kubectl("get", "certificatesigningrequests"),
            Risk.READ_ONLY,
            not_pasteable="approve the one of that node: kubectl certificate approve NAME",
        ),
    )
