"""Addresses for Pods: used up, given away and forgotten, or not given back yet."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.cni_agent import agent_on
from kubectl_netdebug.causes.cni_view import CONSEQUENCES, Stuck, confs, given, stuck
from kubectl_netdebug.causes.on_node import mend_on_node
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.node import Node
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.cni_conf import Conf, used
from kubectl_netdebug.net.cni_errors import Kind
from kubectl_netdebug.net.ipam import FOLDER, Reservation, holds, size_of

MANY = 0.2
"""Part of all reservations that sandboxes on their way out hold, from which on they are the reason."""


@dataclass(frozen=True)
class Addresses:
    """What became of the addresses of one node's range."""

    stuck: Stuck
    range: str
    folder: str
    held: tuple[Reservation, ...]
    """All reservations in the range."""
    orphans: tuple[Reservation, ...]
    """Held by no sandbox that the runtime knows."""
    ending: tuple[Reservation, ...]
    """Held by sandboxes that do not run any more and are not removed yet."""
    complete: bool
    """The runtime itself listed its sandboxes."""
    conf: Conf | None
    node: Node | None

    @property
    def file(self) -> str:
        """The configuration with the range."""
        return self.conf.path if self.conf else ""


def addresses(look: Look, asked: Question) -> Addresses | None:
    """Of the first node that says it has no address left; None where none says so or it cannot be looked at."""
    each = next(iter(stuck(look, asked, Kind.NO_ADDRESS)), None)
    if each is None:
        return None
    known_confs: tuple[Conf, ...] = look(confs(each.node))
    conf = used(known_confs)
    folder = (conf.data_dir if conf else "") or FOLDER
    found, node = look.together(given(each.node, folder if folder != FOLDER else ""), asks.node_named(each.node))
    name = each.error.parts.get("network") or (conf.name if conf else "")
    written = each.error.parts.get("range") or ",".join(conf.subnets if conf else ())
    held = tuple(r for r in found.reservations if r.network == name and (not written or holds(written, r.address)))
    known = found.sandboxes
    return Addresses(
        stuck=each,
        range=written or name,
        folder=f"{folder}/{name}",
        held=held,
        orphans=tuple(r for r in held if not known.has(r)) if known.complete else (),
        ending=tuple(r for r in held if known.has(r) and not known.runs(r)),
        complete=known.complete,
        conf=conf,
        node=node,
    )


LEAKED = Cause(
    code="ipam-leaked",
    title="Addresses are reserved for Pods that are gone",
    says="{orphans} of {held} addresses reserved {where} belong to no Pod any more.",
    means="The address management counts them as taken, so it has none left for new Pods although few Pods run.",
    symptom="Pods of a node stay in ContainerCreating: no IP addresses available, while the node has few Pods.",
    apart="Reservations of living Pods mean that the range is too small; of Pods that just ended, that it will pass.",
    mend="Release exactly these addresses: files of the node with host-local, places in blocks with Calico.",
    explains=(*CONSEQUENCES, "ipam-exhausted", "ipam-calico"),
)


@explains(Hop.POD, LEAKED, When.ALWAYS)
@explains(Hop.SOURCE, LEAKED)
@explains(Hop.NODE_AGENTS, LEAKED, When.ALWAYS)
def leaked(look: Look, asked: Question) -> Finding | None:
    """Files whose sandbox the runtime does not know."""
    found = addresses(look, asked)
    if found is None or not found.orphans:
        return None
    node = found.stuck.node
    return LEAKED.confirmed(
        at=found.stuck.at.at(found.folder),
        orphans=len(found.orphans),
        held=len(found.held),
        where=f"on {node}",
        effect=found.stuck.effect,
        saw=(
            found.stuck.seen,
            *(f"{found.folder}/{r.address}: there is no sandbox {r.sandbox[:12]}" for r in found.orphans[:3]),
        ),
        fix=_release(look, found),
    )


def _release(look: Look, found: Addresses) -> Fix:
    """Deletes each file only while it still names the sandbox that is gone."""
    pairs = " ".join(f"{r.address}={r.sandbox[:16]}" for r in found.orphans[:500])
    line = f'cd {found.folder} && for e in {pairs}; do grep -q "^${{e#*=}}" "${{e%%=*}}" && rm "${{e%%=*}}"; done'
    return mend_on_node(look, found.stuck.node, "release exactly these addresses", "sh", "-c", line)


CHURN = Cause(
    code="ipam-churn-lag",
    title="Addresses are not given back as fast as new Pods want them",
    says="{ending} of {held} addresses {where} are held by Pods that ended and are not cleared away yet.",
    means="Pods are made faster than kubelet clears away the ones before. It passes when the restarts stop.",
    symptom="During mass restarts, some Pods stay in ContainerCreating for a while: no IP addresses available.",
    apart="What holds the addresses is known still, as a sandbox or a Pod, and does not run.",
    mend="Roll out more slowly, or give the node a larger range.",
    explains=(*CONSEQUENCES, "ipam-calico"),
)


@explains(Hop.POD, CHURN, When.ALWAYS)
@explains(Hop.SOURCE, CHURN)
@explains(Hop.NODE_AGENTS, CHURN, When.ALWAYS)
def churn_lag(look: Look, asked: Question) -> Finding | None:
    """Ended sandboxes hold a good part of the range."""
    found = addresses(look, asked)
    if found is None or found.orphans or not found.held or len(found.ending) < MANY * len(found.held):
        return None
    return CHURN.likely(
        at=found.stuck.at.at(found.folder),
        ending=len(found.ending),
        held=len(found.held),
        where=f"on {found.stuck.node}",
        effect=found.stuck.effect,
        saw=(found.stuck.seen, f"{found.ending[0].address}: sandbox {found.ending[0].sandbox[:12]} does not run"),
        fix=Fix(
            "see who makes so many Pods",
            kubectl("get", "pods", "--all-namespaces", f"--field-selector=spec.nodeName={found.stuck.node}"),
            Risk.READ_ONLY,
        ),
    )


EXHAUSTED = Cause(
    code="ipam-exhausted",
    title="All addresses that Pods could get are in use",
    says="All {held} addresses of {range} {where} are held by living Pods.",
    means="The range is too small for the Pods that the scheduler sends there; further ones do not start.",
    symptom="Pods of a full node stay in ContainerCreating: no IP addresses available.",
    apart="Each reservation belongs to a sandbox that runs; leaked ones belong to none.",
    mend="Give the node a larger range (Calico: another pool), let it take fewer Pods (maxPods), or add nodes.",
    explains=(*CONSEQUENCES, "ipam-calico"),
)

MAX_PODS = Cause(
    code="ipam-maxpods",
    title="The node takes more Pods than it has addresses",
    says="{node} takes {pods} Pods (maxPods), and its range {range} has addresses for {size}.",
    means="The scheduler goes by maxPods, so it sends Pods there that can never get an address.",
    symptom="Pods beyond a certain number stay in ContainerCreating on a node, and start elsewhere.",
    apart="The range is the node's whole podCIDR, and living Pods hold all of it.",
    mend="Lower maxPods in kubelet's configuration to what the range holds, or use a larger range for each node.",
    explains=(*CONSEQUENCES, "ipam-exhausted"),
)


@explains(Hop.POD, EXHAUSTED, When.ALWAYS)
@explains(Hop.SOURCE, EXHAUSTED)
@explains(Hop.NODE_AGENTS, EXHAUSTED, When.ALWAYS)
def exhausted(look: Look, asked: Question) -> Finding | None:
    """Every reservation is a living Pod's."""
    found = addresses(look, asked)
    if found is None or not _all_alive(found):
        return None
    narrow = found.conf is not None and bool(found.conf.narrow)
    return EXHAUSTED.confirmed(
        at=found.stuck.at.at(found.file if narrow else "spec.podCIDR"),
        held=len(found.held),
        range=found.range,
        where=f"on {found.stuck.node}",
        effect=found.stuck.effect,
        saw=(found.stuck.seen, f"{found.folder}: {len(found.held)} reservations, all of sandboxes that run"),
        fixes=_widen(look, found),
    )


def _all_alive(found: Addresses) -> bool:
    if not found.complete or found.orphans or not found.held:
        return False
    return len(found.ending) < MANY * len(found.held)


def _widen(look: Look, found: Addresses) -> tuple[Fix, ...]:
    if found.conf is None or not found.conf.narrow:
        drain = kubectl("cordon", found.stuck.node)
        return (Fix("send no more Pods there, until the node has a larger range", drain),)
    drop = r's/, *"range(Start|End)" *: *"[^"]*"//g'
    title = f"let {found.conf.path} give all of {', '.join(found.conf.subnets)}"
    return (mend_on_node(look, found.stuck.node, title, "sed", "-i", "-E", drop, found.conf.path),)


@explains(Hop.POD, MAX_PODS, When.ALWAYS)
@explains(Hop.SOURCE, MAX_PODS)
@explains(Hop.NODE_AGENTS, MAX_PODS, When.ALWAYS)
def max_pods(look: Look, asked: Question) -> Finding | None:
    """Nobody leaks, and the arithmetic of kubelet's limit and the range does not work out."""
    found = addresses(look, asked)
    if found is None or found.node is None or not _all_alive(found) or found.conf is None or found.conf.narrow:
        return None
    whole = next((c for c in found.node.pod_cidrs if c in found.conf.subnets), "")
    if not whole or found.node.max_pods <= size_of(whole):
        return None
    size = size_of(whole)
    file = "/var/lib/kubelet/config.yaml"
    line = f"sed -i '/^maxPods:/d' {file} && echo 'maxPods: {size}' >> {file}"
    return MAX_PODS.confirmed(
        at=found.stuck.at.at("status.capacity.pods"),
        node=found.stuck.node,
        pods=found.node.max_pods,
        range=whole,
        size=size,
        effect=found.stuck.effect,
        saw=(found.stuck.seen, f"{found.folder}: {len(found.held)} reservations, all of sandboxes that run"),
        fix=mend_on_node(
            look,
            found.stuck.node,
            "let kubelet take as many Pods as there are addresses; recreate those that wait",
            *("sh", "-c", f"{line} && systemctl restart kubelet"),
            risk=Risk.DISRUPTIVE,
            not_pasteable="where kubelet's configuration is, and who writes it, depends on how the node was made",
        ),
    )


def _cloud(code: str, whose: str, says: str, mend: str) -> Cause:
    return Cause(
        code=code,
        title=f"{whose} has no address for the Pod",
        says=says + " on {node}: {said}.",
        means="New Pods of the node get no address and do not start; those that run keep theirs.",
        symptom="Pods stay in ContainerCreating, with the plugin's own words in the event.",
        apart="The words are those of this plugin alone; the address management on the node's disk says otherwise.",
        mend=mend,
        explains=CONSEQUENCES,
    )


AWS = _cloud(
    "ipam-aws",
    "The VPC's address management",
    "The VPC plugin got no address from its agent (the limit of the instance, the subnet, or its rights)",
    "Read the log of aws-node on that node; use prefix delegation, a larger or a second subnet, or mend its IAM role.",
)
AZURE = _cloud(
    "ipam-azure",
    "Azure's address management",
    "The Pod subnet (or the pool that the node was given) has no address left, or its state file is stale",
    "Use a larger Pod subnet or overlay networking; restart azure-cns on the node where its state is stale.",
)
CALICO = _cloud(
    "ipam-calico",
    "Calico's address management",
    "No IP pool of Calico has an address for the Pod: none is enabled, all are full, or blocks were leaked",
    "Add or enable a pool; `calicoctl ipam check` finds blocks that belong to nobody.",
)
_CLOUDS = {Kind.NO_ADDRESS_AWS: AWS, Kind.NO_ADDRESS_AZURE: AZURE, Kind.NO_ADDRESS_CALICO: CALICO}


def _in_cloud(look: Look, asked: Question, kind: Kind) -> Finding | None:
    """The words are the plugin's own, so they name it; which of its reasons holds, its agent's log says."""
    for each in stuck(look, asked, kind):
        found = agent_on(look, each.node)
        at = found[0].at if found else ObjectRef("Node", "", each.node)
        name = f"daemonset/{at.name}" if found else ""
        fix = Fix("read its agent's log", kubectl("logs", name, namespace=at.namespace), Risk.READ_ONLY)
        return _CLOUDS[kind].confirmed(
            at=each.at,
            node=each.node,
            said=each.error.said.rstrip("."),
            effect=each.effect,
            saw=each.seen,
            fixes=(fix,) if found else (),
        )
    return None


@explains(Hop.POD, AWS, When.ALWAYS)
@explains(Hop.NODE_AGENTS, AWS, When.ALWAYS)
def aws(look: Look, asked: Question) -> Finding | None:
    """Amazon's VPC plugin."""
    return _in_cloud(look, asked, Kind.NO_ADDRESS_AWS)


@explains(Hop.POD, AZURE, When.ALWAYS)
@explains(Hop.NODE_AGENTS, AZURE, When.ALWAYS)
def azure(look: Look, asked: Question) -> Finding | None:
    """Azure's plugin, with its old state file or its agent."""
    return _in_cloud(look, asked, Kind.NO_ADDRESS_AZURE)


@explains(Hop.POD, CALICO, When.ALWAYS)
@explains(Hop.NODE_AGENTS, CALICO, When.ALWAYS)
def calico(look: Look, asked: Question) -> Finding | None:
    """Calico's own address management."""
    return _in_cloud(look, asked, Kind.NO_ADDRESS_CALICO)
