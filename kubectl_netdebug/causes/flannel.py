"""Flannel: its DaemonSet, its file on each node, its network against the cluster's."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import replace

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.cni_agent import Agent, agent_on, agents, state_of
from kubectl_netdebug.causes.cni_view import CONSEQUENCES, complaints, stuck
from kubectl_netdebug.causes.concerned import troubles
from kubectl_netdebug.causes.node_asks import node_files, node_text
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Command, Fix, Risk, kubectl, patch
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Container, Pod
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.cni_errors import Kind
from kubectl_netdebug.net.ipam import holds

ENFORCING = "/sys/fs/selinux/enforce"
"""`1` where SELinux denies, `0` where it only notes; absent where there is none."""

SUBNET_ENV = Cause(
    code="flannel-subnet-env",
    title="Flannel has not written its file on the node",
    says="{file} is missing on {node}: {why}.",
    means="Flannel's plugin reads the node's range from that file, so no Pod starts there without it.",
    symptom="Pods stay in ContainerCreating: open /run/flannel/subnet.env: no such file or directory.",
    apart="The event names the file; why it is not written stands in the log of flannel's Pod on that node.",
    mend="Mend what flannel's log says (podCIDR of the node, rights, the interface), then restart it.",
    explains=CONSEQUENCES,
)


@explains(Hop.POD, SUBNET_ENV, When.ALWAYS)
@explains(Hop.SOURCE, SUBNET_ENV)
@explains(Hop.NODE_AGENTS, SUBNET_ENV, When.ALWAYS)
def subnet_env(look: Look, asked: Question) -> Finding | None:
    """The plugin does not find it; flannel's own Pod says why."""
    for each in stuck(look, asked, Kind.SUBNET_ENV):
        file = each.error.parts["file"]
        there = look.if_known(node_files(each.node, file))
        if there:
            continue
        found = agent_on(look, each.node, flannel=True)
        why = state_of(look, *found) if found else "no DaemonSet of flannel was found"
        at = found[0].at if found else each.at.at(file)
        return SUBNET_ENV.confirmed(
            at=at,
            file=file,
            node=each.node,
            why=why or "flannel's Pod there is ready, and has not written it again",
            effect=each.effect,
            saw=(each.seen, *((f"there is no {file} on {each.node}",) if there is not None else ())),
            fixes=_restart(found) if found else (),
        )
    return None


def _restart(found: tuple[Agent, Pod | None]) -> tuple[Fix, ...]:
    agent, pod = found
    restart = kubectl("rollout", "restart", agent.at.short, namespace=agent.at.namespace)
    logs = kubectl("logs", pod.name if pod else agent.at.short, namespace=agent.at.namespace)
    read = Fix("read what flannel says", logs, Risk.READ_ONLY)
    return (Fix("restart flannel, which writes the file when it starts", restart), read)


PSA = Cause(
    code="flannel-psa",
    title="Pod Security keeps the network's own Pods out",
    says="Namespace {namespace} enforces Pod Security {level}, which rejects the Pods of DaemonSet {name}.",
    means="A network plugin needs the node's network and folders, so without that right it runs on no node.",
    symptom="The DaemonSet has no Pods at all; nodes have no network configuration, or keep an old one.",
    apart="The DaemonSet's events say so (violates PodSecurity); with a taint or a selector there are no events.",
    mend="Label the namespace of the network plugin as privileged.",
    explains=(*CONSEQUENCES, "cni-config-missing", "cni-agent-down", "flannel-subnet-env"),
)


@explains(Hop.POD, PSA, When.ALWAYS)
@explains(Hop.NODE_AGENTS, PSA, When.ALWAYS)
def pod_security(look: Look, asked: Question) -> Finding | None:
    """A DaemonSet of a network plugin wants Pods, has too few, and its events say why."""
    needed = asked.flow is FlowName.NODE or bool(complaints(look, asked))
    for agent in agents(look) if needed else ():
        if agent.current >= agent.desired:
            continue
        events = look.if_known(asks.events_about("DaemonSet", agent.at.namespace, agent.at.name)) or ()
        said = next((e.message for e in reversed(events) if "violates PodSecurity" in e.message), "")
        if not said:
            continue
        level = re.search(r'PodSecurity "([\w-]+)', said)
        namespace = agent.at.namespace
        label = ("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=privileged", "--overwrite")
        again = kubectl("rollout", "restart", agent.at.short, namespace=namespace)
        return PSA.confirmed(
            at=ObjectRef("Namespace", "", namespace, "metadata.labels"),
            namespace=namespace,
            level=level[1] if level else "",
            name=agent.at.name,
            effect=Effect.BREAKS if complaints(look, asked) else Effect.DEGRADES,
            saw=(f"{agent.at.name}: {agent.current} of {agent.desired} Pods", said[:240]),
            fixes=(
                Fix("allow it there", kubectl(*label)),
                Fix("have its Pods tried again at once", again),
            ),
        )
    return None


MISMATCH = Cause(
    code="flannel-netconf-mismatch",
    title="Flannel's network is not the cluster's",
    says="Flannel's net-conf.json says {network}, but the Pod range of {node} is {cidr}.",
    means="Flannel routes and translates by its own network: it leaves out Pods of other ranges, or refuses to run.",
    symptom="Pods on different nodes do not reach each other, or reach them with the node's address.",
    apart="Only the two ranges tell; flannel's file on the node repeats its own.",
    mend="Write the cluster's Pod range into the ConfigMap, and restart flannel.",
    explains=("flannel-subnet-env", "node-route-missing"),
)


@explains(Hop.NODE_AGENTS, MISMATCH, When.ALWAYS)
@explains(Hop.FABRIC, MISMATCH, When.ALWAYS)
def netconf_mismatch(look: Look, asked: Question) -> Finding | None:
    """The ConfigMap against what kube-controller-manager gave the nodes."""
    if asked.flow not in (FlowName.NODE, FlowName.POD_TO_POD, FlowName.SERVICE):
        return None
    if asked.flow is not FlowName.NODE and not troubles(look, asked):
        return None
    for agent in (agent for agent in agents(look) if agent.flannel):
        namespace = agent.at.namespace
        config = look.if_known(asks.raw_object("configmaps", namespace, "kube-flannel-cfg"))
        written = tree.text(config, "data", "net-conf.json") if config else ""
        network = _network(written)
        if not network:
            continue
        for node in look(asks.nodes()):
            cidr = next((c for c in node.pod_cidrs if ":" not in c), "")
            if not cidr or holds(network, cidr.partition("/")[0]):
                continue
            return MISMATCH.confirmed(
                at=ObjectRef("ConfigMap", namespace, "kube-flannel-cfg", "data[net-conf.json]"),
                network=network,
                node=node.name,
                cidr=cidr,
                saw=f"net-conf.json: Network {network}; spec.podCIDR of {node.name}: {cidr}",
                fixes=_correct(look, agent, written),
            )
    return None


def _network(written: str) -> str:
    try:
        return tree.text(json.loads(written), "Network")
    except ValueError:
        return ""


def _correct(look: Look, agent: Agent, written: str) -> tuple[Fix, ...]:
    """With the shortest usual range that holds those of all nodes."""
    whole = _cluster_cidr(look)
    namespace = agent.at.namespace
    if not whole:
        edit = kubectl("edit", "configmap", "kube-flannel-cfg", namespace=namespace)
        return (Fix("write the cluster's Pod range as Network", edit, not_pasteable="it opens an editor"),)
    data = json.dumps({**json.loads(written), "Network": whole})
    command = patch("configmap", "kube-flannel-cfg", {"data": {"net-conf.json": data}}, namespace)
    restart = kubectl("rollout", "restart", agent.at.short, namespace=namespace)
    return (Fix(f"write {whole} as Network, and restart flannel", _then(command, restart)),)


def _then(first: Command, after: Command) -> Command:
    return replace(first, then=(after,))


def _cluster_cidr(look: Look) -> str:
    """The shortest range of one of the usual sizes that holds every node's; '' where they do not lie together."""
    cidrs = [c for node in look(asks.nodes()) for c in node.pod_cidrs if ":" not in c]
    networks = [ipaddress.IPv4Network(c, strict=False) for c in cidrs]
    for bits in (16, 14, 12, 8):
        whole = networks[0].supernet(new_prefix=bits) if networks and networks[0].prefixlen > bits else None
        if whole is not None and all(network.subnet_of(whole) for network in networks):
            return str(whole)
    return ""


SELINUX = Cause(
    code="flannel-selinux",
    title="SELinux denies the network's own Pods a write",
    says="SELinux on {node} enforces, and denies {pod} a write: {said}.",
    means="The network plugin cannot put its files onto the node, so no Pod gets a network there.",
    symptom="The network plugin's Pods are in Init:CrashLoopBackOff: Permission denied below /etc/cni/net.d.",
    apart="A read-only file system says so; without SELinux, or where it is permissive, this is not the reason.",
    mend="Give the container seLinuxOptions type spc_t, or restore the folder's label; do not switch SELinux off.",
    explains=("cni-config-missing", "cni-agent-down", "flannel-subnet-env", *CONSEQUENCES),
)

_DENIED = re.compile(r"Permission denied")
_AVC = re.compile(r"avc:\s+denied\s+\{[^}]*(?:write|create|add_name|relabel)[^}]*\}.*", re.IGNORECASE)


@explains(Hop.NODE_AGENTS, SELINUX, When.ALWAYS)
def selinux(look: Look, asked: Question) -> Finding | None:
    """The container complains, the kernel enforces, and its log has the denial: all three, else nothing is said."""
    if asked.flow is not FlowName.NODE:
        return None
    for agent in agents(look):
        pods = look.if_known(asks.pods_on(asked.node)) or ()
        mine = [p for p in pods if p.owner_kind == "DaemonSet" and p.owner_name == agent.at.name and not p.ready]
        for pod, container in ((each, c) for each in mine for c in _failing(each)):
            line = _complaint(look.if_known(asks.log_of(pod, container.name)) or "")
            if not line:
                continue
            enforcing = look(node_files(asked.node, ENFORCING))
            if _value(enforcing, ENFORCING) != "1":
                return None
            denial = _AVC.search(look(node_text(asked.node, "kernel-log")))
            if denial is None:
                return None
            body = {"securityContext": {"seLinuxOptions": {"type": "spc_t"}}}
            part = "initContainers" if container in pod.init_containers else "containers"
            template = {"spec": {"template": {"spec": {part: [{"name": container.name, **body}]}}}}
            return SELINUX.confirmed(
                at=agent.at.at(f"spec.template.spec.{part}[{container.index}].securityContext"),
                node=asked.node,
                pod=pod.name,
                said=line,
                saw=(f"{ENFORCING} is 1", denial[0][:240]),
                fix=Fix(
                    "give the container the type that may write there",
                    patch("daemonset", agent.at.name, template, agent.at.namespace),
                ),
            )
    return None


def _failing(pod: Pod) -> tuple[Container, ...]:
    everything = (*pod.init_containers, *pod.containers)
    return tuple(c for c in everything if (e := c.terminated or c.last) is not None and e.exit_code != 0)


def _complaint(log: str) -> str:
    return next((line.strip()[:200] for line in log.splitlines() if _DENIED.search(line)), "")


def _value(files: Mapping[str, str], path: str) -> str:
    return files.get(path, "").strip()
