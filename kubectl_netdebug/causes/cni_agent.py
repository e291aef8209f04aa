"""The programs behind a network plugin: its agent on each node, what it asks the API server, the sandbox's image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.cni_view import CONSEQUENCES, stuck
from kubectl_netdebug.causes.on_node import mend_on_node
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.trouble import last_line
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.cni_errors import Kind

_FOLDERS = re.compile(r"^/(?:etc/cni|opt/cni|var/lib/cni|run/flannel|var/run/flannel|var/lib/calico)(?:/|$)")
"""Folders of a node that only a network plugin's DaemonSet mounts."""

_NAMES = re.compile(
    r"flannel|calico|cilium|canal|weave|antrea|kube-router|ovnkube|aws-node|azure-cn|kindnet|multus", re.I
)


@dataclass(frozen=True)
class Agent:
    """A DaemonSet that makes the Pod network of nodes, as it wants to be and is."""

    at: ObjectRef
    desired: int
    current: int

    @property
    def flannel(self) -> bool:
        """By its name; flannel's own manifests call it kube-flannel-ds."""
        return "flannel" in self.at.name or "canal" in self.at.name


def agents(look: Look) -> tuple[Agent, ...]:
    """The DaemonSets that mount the folders of network plugins, or are named like a known one."""
    return tuple(
        Agent(
            ObjectRef("DaemonSet", tree.text(raw, "metadata", "namespace"), tree.text(raw, "metadata", "name")),
            tree.number(raw, "status", "desiredNumberScheduled"),
            tree.number(raw, "status", "currentNumberScheduled"),
        )
        for raw in look.if_known(asks.objects_in("daemonsets.apps", "")) or ()
        if _is_agent(raw)
    )


def _is_agent(raw: Mapping[str, Any]) -> bool:
    volumes = tree.entries(raw, "spec", "template", "spec", "volumes")
    mounts = any(_FOLDERS.match(tree.text(v, "hostPath", "path")) for v in volumes)
    return mounts or bool(_NAMES.search(tree.text(raw, "metadata", "name")))


def agent_on(look: Look, node: str, *, flannel: bool = False) -> tuple[Agent, Pod | None] | None:
    """The agent of a node with its Pod there, rather one that is not ready; None where no DaemonSet looks like one."""
    known = [agent for agent in agents(look) if agent.flannel or not flannel]
    if not known:
        return None
    pods = look.if_known(asks.pods_on(node)) or ()
    pairs = [
        (agent, pod)
        for agent in known
        for pod in pods
        if pod.owner_kind == "DaemonSet" and (pod.namespace, pod.owner_name) == (agent.at.namespace, agent.at.name)
    ]
    return min(pairs, key=lambda pair: pair[1].ready) if pairs else (known[0], None)


def restart_agent(look: Look, node: str) -> tuple[Fix, ...]:
    """Restarting it writes its files anew; nothing where no agent is known."""
    found = agent_on(look, node)
    return (_restart(found[0]),) if found else ()


def _restart(agent: Agent) -> Fix:
    command = kubectl("rollout", "restart", agent.at.short, namespace=agent.at.namespace)
    return Fix("restart the network's agent, which writes its files anew", command)


def state_of(look: Look, agent: Agent, pod: Pod | None) -> str:
    """What is wrong with the agent's Pod, in a few words; '' where it is well."""
    if pod is None:
        return f"{agent.at.name} has no Pod there"
    if pod.ready:
        return ""
    everything = (*pod.init_containers, *pod.containers)
    bad = next((c for c in everything if not c.ready and not (c.terminated and c.terminated.exit_code == 0)), None)
    if bad is None:
        return f"{pod.name} is not ready"
    why = bad.reason or (f"{bad.state}, not ready" if bad.state else "not started")
    line = last_line(look.if_known(asks.log_of(pod, bad.name)) or "") if bad.state != "waiting" or bad.last else ""
    return f"{bad.name} of {pod.name}: {why}" + (f": {line}" if line else "")


AGENT_DOWN = Cause(
    code="cni-agent-down",
    title="The network's agent on the node does not answer its plugin",
    says="The network plugin {plugin} on {node} does not reach its agent: {why}.",
    means="The plugin asks the agent for each new Pod, so none starts on that node; Pods that run already go on.",
    symptom="New Pods of one node stay in ContainerCreating, while old ones work.",
    apart="The event names the agent's socket or file; a program that is missing, or no address, reads otherwise.",
    mend="Mend the agent's Pod on that node; restarting it is enough where it hangs.",
    explains=CONSEQUENCES,
)


@explains(Hop.POD, AGENT_DOWN, When.ALWAYS)
@explains(Hop.SOURCE, AGENT_DOWN)
@explains(Hop.NODE_AGENTS, AGENT_DOWN, When.ALWAYS)
def agent_down(look: Look, asked: Question) -> Finding | None:
    """The plugin says that it found nobody; the agent's Pod says why."""
    for each in stuck(look, asked, Kind.AGENT):
        found = agent_on(look, each.node)
        why = state_of(look, *found) if found else ""
        about = {
            "plugin": each.error.plugin or "of the node",
            "node": each.node,
            "why": why or each.error.said,
            "effect": each.effect,
            "saw": (each.seen, *((why,) if why else ())),
        }
        if found is None:
            return AGENT_DOWN.confirmed(at=each.at, **about)
        agent, pod = found
        name = pod.name if pod else agent.at.name
        look_at = Fix("see what it says", kubectl("logs", name, namespace=agent.at.namespace), Risk.READ_ONLY)
        fixes = (_restart(agent), *((look_at,) if pod else ()))
        if why:
            return AGENT_DOWN.confirmed(at=agent.at, fixes=fixes, **about)
        return AGENT_DOWN.likely(at=agent.at, fixes=fixes, **about)
    return None


API_DENIED = Cause(
    code="cni-api-denied",
    title="The network plugin cannot use the API server",
    says="The network plugin {plugin} on {node} {what}: {said}.",
    means="It looks up each new Pod in the API server with a token of its own, so without it no Pod starts there.",
    symptom="Pods of one node stay in ContainerCreating: Unauthorized, forbidden, x509, or timeouts of the API server.",
    apart="Kubelet's own connection works, as the event itself proves; the plugin has another token and address.",
    mend="Restart the network's agent, which writes the plugin's kubeconfig anew; else open the way to the API server.",
    explains=CONSEQUENCES,
)


@explains(Hop.POD, API_DENIED, When.ALWAYS)
@explains(Hop.SOURCE, API_DENIED)
@explains(Hop.NODE_AGENTS, API_DENIED, When.ALWAYS)
def api_denied(look: Look, asked: Question) -> Finding | None:
    """The plugin repeats what the API server told it, or that nobody answered."""
    for each in stuck(look, asked, Kind.DENIED, Kind.API_UNREACHABLE):
        denied = each.error.kind is Kind.DENIED
        place = each.error.parts.get("address") or each.error.parts.get("server", "")
        return API_DENIED.confirmed(
            at=each.at,
            plugin=each.error.plugin or "of the node",
            node=each.node,
            what="is turned away by the API server" if denied else f"does not reach {place or 'the API server'}",
            said=each.error.said,
            effect=each.effect,
            saw=each.seen,
            fixes=restart_agent(look, each.node) if denied else (),
        )
    return None


IMAGE = Cause(
    code="sandbox-image-pull",
    title="The image of Pod sandboxes cannot be had",
    says="The sandbox image {image} is not on {node} and cannot be pulled: {why}.",
    means="The runtime starts every Pod with that image, before the Pod's own, so no Pod starts on that node.",
    symptom="Pods of one node stay in ContainerCreating: failed to get sandbox image.",
    apart="It is named in the runtime's settings, not in the Pod; a Pod's own image shows as ImagePullBackOff.",
    mend="Set an image that the node can reach in the runtime's settings, or bring that one onto the node.",
    explains=CONSEQUENCES,
)


@explains(Hop.POD, IMAGE, When.ALWAYS)
@explains(Hop.SOURCE, IMAGE)
@explains(Hop.NODE_AGENTS, IMAGE, When.ALWAYS)
def sandbox_image(look: Look, asked: Question) -> Finding | None:
    """The runtime says which image it wants and why it cannot have it."""
    for each in stuck(look, asked, Kind.IMAGE):
        image = each.error.parts["image"]
        pull = mend_on_node(
            look,
            each.node,
            "set an image that the node can reach, as `sandbox` in /etc/containerd/config.toml",
            *("systemctl", "restart", "containerd"),
            risk=Risk.DISRUPTIVE,
            not_pasteable="no Pod starts on that node, a debugging one neither: log in to the node",
        )
        return IMAGE.confirmed(
            at=each.at,
            image=image,
            node=each.node,
            why=each.error.said.rpartition(": ")[2],
            effect=each.effect,
            saw=each.seen,
            fixes=(pull,),
        )
    return None


FAILED = Cause(
    code="pod-sandbox-failed",
    title="The node cannot make the Pod's sandbox",
    says="{whose} does not start on {node}: {said}.",
    means="Without its sandbox a Pod has no network namespace, and none of its containers is started.",
    symptom="The Pod stays in ContainerCreating, with events FailedCreatePodSandBox.",
    apart="An image that cannot be pulled, or a volume that cannot be mounted, has events of its own.",
    mend="Do what the runtime's message says; the other causes of this family are its classes.",
    explains=("endpoints-not-ready",),
    symptom_only=True,
)


@explains(Hop.POD, FAILED, When.ALWAYS)
@explains(Hop.SOURCE, FAILED)
@explains(Hop.NODE_AGENTS, FAILED, When.ALWAYS)
def sandbox_failed(look: Look, asked: Question) -> Finding | None:
    """Whatever the runtime says, word for word; where it is known what that means, this is a consequence."""
    for each in stuck(look, asked):
        return FAILED.confirmed(
            at=each.pod.at,
            whose=each.whose,
            node=each.node,
            said=each.error.said.rstrip("."),
            effect=each.effect,
            saw=each.seen,
            fix=Fix(
                "read all of the Pod's events",
                kubectl("describe", "pod", each.pod.name, namespace=each.pod.namespace),
                Risk.READ_ONLY,
            ),
        )
    return None
