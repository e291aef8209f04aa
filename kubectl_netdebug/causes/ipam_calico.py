"""Calico's own address management: its pools and blocks, against the Pods that there are.

Blocks are read before the Pods and, where something in them belongs to nobody, once more after: what is in both and
belongs to no Pod between them is no Pod that came or went meanwhile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.cni_view import CONSEQUENCES, Stuck, stuck
from kubectl_netdebug.causes.ipam import CALICO, CHURN, EXHAUSTED, LEAKED, MANY
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Command, Fix, Risk, apply, json_patch, kubectl
from kubectl_netdebug.model.facts import Ask, Object, Objects
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.calico_ipam import (
    BLOCKS,
    POOLS,
    Allocation,
    IPAMBlock,
    IPPool,
    lies_in_pool,
    read_block,
    read_pool,
)
from kubectl_netdebug.model.objects.node import Node
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.calicoselector import Unreadable, selects
from kubectl_netdebug.net.cni_errors import Kind

MOST_BLOCKS = 5000
MOST_NODES = 50
"""Nodes whose Pods are listed to find whose an address is; addresses of others are taken for living ones."""
MOST_SUSPECTS = 20
"""Blocks with addresses of nobody that are read again in one run."""


def _pools() -> Ask[tuple[IPPool, ...]]:
    def says(found: tuple[IPPool, ...]) -> str:
        told = ", ".join(f"{p.name} {p.cidr}{' (disabled)' if p.disabled else ''}" for p in found[:5])
        return f"Calico's pools: {told or 'none'}"

    return Ask(Objects(POOLS), lambda v: tuple(map(read_pool, asks.items(v))), says)


def _blocks() -> Ask[tuple[IPAMBlock, ...]]:
    def says(found: tuple[IPAMBlock, ...]) -> str:
        taken = sum(len(b.allocations) for b in found)
        return f"{len(found)} blocks of Calico's pools: {taken} addresses taken, {sum(b.free for b in found)} free"

    return Ask(Objects(BLOCKS, most=MOST_BLOCKS), lambda v: tuple(b for b in map(read_block, asks.items(v)) if b), says)


def _block_again(name: str) -> Ask[IPAMBlock | None]:
    return Ask(
        Object(BLOCKS, "", name),
        lambda v: None if v is None else read_block(v),
        lambda block: f"block {block.cidr}, read again: {len(block.allocations)} taken" if block else "no such block",
    )


@dataclass(frozen=True)
class _Pool:
    """A pool that the plugin says is used up, and whose its addresses are."""

    stuck: Stuck
    pool: IPPool
    blocks: tuple[IPAMBlock, ...]
    orphans: Mapping[str, tuple[Allocation, ...]]
    """Addresses of Pods that are not there, by the name of the block."""
    ending: tuple[Allocation, ...]
    """Addresses of Pods that ended, or are on their way out."""

    @property
    def held(self) -> int:
        """Addresses that are taken."""
        return sum(len(block.allocations) for block in self.blocks)

    @property
    def orphaned(self) -> int:
        """Addresses of nobody."""
        return sum(map(len, self.orphans.values()))


def _used_up(look: Look, asked: Question) -> _Pool | None:
    """The pool that the plugin's words name; None where they name none, or its objects say otherwise."""
    each = next(iter(stuck(look, asked, Kind.NO_ADDRESS_CALICO)), None)
    if each is None:
        return None
    pools, blocks = look.together(_pools(), _blocks())
    named = [pool for pool in pools if pool.cidr and pool.cidr in each.error.said and not pool.disabled]
    if len(named) != 1:
        return None
    within = tuple(block for block in blocks if lies_in_pool(block, named[0]))
    gone, ending = _whose(look, within)
    return _Pool(each, named[0], within, _still_there(look, gone), ending)


def _whose(
    look: Look, blocks: tuple[IPAMBlock, ...]
) -> tuple[dict[str, tuple[Allocation, ...]], tuple[Allocation, ...]]:
    """What is taken for Pods that are not there, by block, and for Pods that ended."""
    taken = [(block.name, each) for block in blocks for each in block.allocations if each.pod and each.node]
    there = {node.name for node in look(asks.nodes())}
    asked = sorted({each.node for _, each in taken} & there)[:MOST_NODES]
    answers = look.all_known([asks.pods_on(node) for node in asked])
    listed = {
        node: {(pod.namespace, pod.name): pod for pod in pods}
        for node, pods in zip(asked, answers, strict=True)
        if pods is not None
    }
    gone: dict[str, list[Allocation]] = defaultdict(list)
    ending = []
    for block, each in taken:
        if each.node not in there:
            gone[block].append(each)
            continue
        pods = listed.get(each.node)
        if pods is None:
            continue
        pod = pods.get((each.namespace, each.pod))
        if pod is None or _has_another(pod, each):
            gone[block].append(each)
        elif pod.finished or pod.deleting:
            ending.append(each)
    return {block: tuple(found) for block, found in gone.items()}, tuple(ending)


def _has_another(pod: Pod, each: Allocation) -> bool:
    """A later Pod of the same name has another address; one without any may be about to get this one."""
    addresses = {*pod.ips, pod.ip} - {""}
    return bool(addresses) and each.address not in addresses


def _still_there(look: Look, gone: Mapping[str, tuple[Allocation, ...]]) -> dict[str, tuple[Allocation, ...]]:
    names = sorted(gone, key=lambda name: (-len(gone[name]), name))[:MOST_SUSPECTS]
    found = {}
    for name, block in zip(names, look.all_known([_block_again(name) for name in names]), strict=True):
        kept = tuple(each for each in gone[name] if block is not None and each in block.allocations)
        if kept:
            found[name] = kept
    return found


@explains(Hop.POD, LEAKED, When.ALWAYS)
@explains(Hop.SOURCE, LEAKED)
@explains(Hop.NODE_AGENTS, LEAKED, When.ALWAYS)
def leaked_by_calico(look: Look, asked: Question) -> Finding | None:
    """Places in blocks that belong to Pods, or nodes, that are gone."""
    found = _used_up(look, asked)
    if found is None or not found.orphans:
        return None
    worst = max(found.orphans, key=lambda name: len(found.orphans[name]))
    block = next(block for block in found.blocks if block.name == worst)
    return LEAKED.confirmed(
        at=block.at.at("spec.allocations"),
        orphans=found.orphaned,
        held=found.held,
        where=f"in Calico's pool {found.pool.name}",
        effect=found.stuck.effect,
        saw=(
            found.stuck.seen,
            *(
                f"{each.address} is reserved for Pod {each.namespace}/{each.pod} on {each.node}, which is not there"
                for each in found.orphans[worst][:3]
            ),
        ),
        fix=Fix("release exactly these addresses", _release(found.orphans)),
    )


def _release(orphans: Mapping[str, tuple[Allocation, ...]]) -> Command:
    """Each only while it is still what it was: a patch that changes nothing where a test of it fails."""
    first, *others = (json_patch(BLOCKS, name, _operations(orphans[name])) for name in sorted(orphans))
    return Command(first.argv, then=tuple(others))


def _operations(places: tuple[Allocation, ...]) -> list[dict[str, object]]:
    operations: list[dict[str, object]] = []
    for each in places:
        place = f"/spec/allocations/{each.place}"
        operations += [
            {"op": "test", "path": place, "value": each.attribute},
            {"op": "test", "path": f"/spec/attributes/{each.attribute}/handle_id", "value": each.handle},
            {"op": "replace", "path": place, "value": None},
            {"op": "add", "path": "/spec/unallocated/-", "value": each.place},
        ]
    return operations


@explains(Hop.POD, CHURN, When.ALWAYS)
@explains(Hop.SOURCE, CHURN)
@explains(Hop.NODE_AGENTS, CHURN, When.ALWAYS)
def churn_in_calico(look: Look, asked: Question) -> Finding | None:
    """Pods that ended hold a good part of the pool."""
    found = _used_up(look, asked)
    if found is None or found.orphans or not found.held or len(found.ending) < MANY * found.held:
        return None
    each = found.ending[0]
    return CHURN.likely(
        at=found.pool.at.at("spec.cidr"),
        ending=len(found.ending),
        held=found.held,
        where=f"in Calico's pool {found.pool.name}",
        effect=found.stuck.effect,
        saw=(found.stuck.seen, f"{each.address} is still held by {each.namespace}/{each.pod}, which ended"),
        fix=Fix("see which Pods end", kubectl("get", "pods", "--all-namespaces"), Risk.READ_ONLY),
    )


@explains(Hop.POD, EXHAUSTED, When.ALWAYS)
@explains(Hop.SOURCE, EXHAUSTED)
@explains(Hop.NODE_AGENTS, EXHAUSTED, When.ALWAYS)
def exhausted_in_calico(look: Look, asked: Question) -> Finding | None:
    """Every address of the pool is taken, and by the living."""
    found = _used_up(look, asked)
    if found is None or found.orphans or not found.pool.size or found.held < found.pool.size:
        return None
    if len(found.ending) >= MANY * found.held:
        return None
    return EXHAUSTED.confirmed(
        at=found.pool.at.at("spec.cidr"),
        held=found.held,
        range=found.pool.cidr,
        where=f"of Calico's pool {found.pool.name}",
        effect=found.stuck.effect,
        saw=(found.stuck.seen, f"{len(found.blocks)} blocks with {found.held} addresses, all of them taken"),
        fixes=(_another_pool(look, found),),
    )


def _another_pool(look: Look, found: _Pool) -> Fix:
    """One that is there and switched off, else a new one, whose range only people know."""
    node = look.if_known(asks.node_named(found.stuck.node))
    spare = next((p for p in look(_pools()) if p.disabled and p.for_pods and node and _is_for(p, node)), None)
    if spare is not None:
        return Fix(f"enable pool {spare.name} ({spare.cidr}) beside it", _enable(spare))
    spec = {"cidr": "192.0.2.0/24", "natOutgoing": True, "nodeSelector": found.pool.node_selector or "all()"}
    body = {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool", "metadata": {"name": "more"}, "spec": spec}
    why = "which range is free in this network only its people know; 192.0.2.0/24 stands for it"
    return Fix("give Calico another pool", apply(body), Risk.REVERSIBLE, why)


NO_POOL = Cause(
    code="ipam-calico-no-pool",
    title="No IP pool of Calico is for the node",
    says="Calico has no pool with addresses for Pods on {node}: {why}.",
    means="The plugin may use pools that are enabled and whose nodeSelector holds for the node. None is both.",
    symptom="Pods of some or all nodes stay in ContainerCreating: no configured Calico pools for node.",
    apart="With a pool that is used up, the plugin names the pool; here there is none that it could use.",
    mend="Enable a pool, or let its nodeSelector hold for the node (or label the node).",
    explains=(*CONSEQUENCES, CALICO.code),
)


@explains(Hop.POD, NO_POOL, When.ALWAYS)
@explains(Hop.SOURCE, NO_POOL)
@explains(Hop.NODE_AGENTS, NO_POOL, When.ALWAYS)
def no_pool(look: Look, asked: Question) -> Finding | None:
    """The plugin has nothing to choose from, and the pools themselves say why."""
    each = next(iter(stuck(look, asked, Kind.NO_ADDRESS_CALICO)), None)
    if each is None or "no configured calico pools" not in each.error.said.lower():
        return None
    pools, node = look.together(_pools(), asks.node_named(each.node))
    usable = [pool for pool in pools if pool.for_pods]
    if node is None or any(not pool.disabled and _is_for(pool, node) for pool in usable):
        return None
    off = next((pool for pool in usable if pool.disabled and _is_for(pool, node)), None)
    elsewhere = next((pool for pool in usable if not pool.disabled), None)
    if off is not None:
        at, why = off.at.at("spec.disabled"), f"pool {off.name} ({off.cidr}) is disabled"
        fix = Fix(f"enable pool {off.name}", _enable(off))
    elif elsewhere is not None:
        at, why = elsewhere.at.at("spec.nodeSelector"), f"{elsewhere.name} is for nodes with {elsewhere.node_selector}"
        everywhere = json_patch(POOLS, elsewhere.name, [{"op": "remove", "path": "/spec/nodeSelector"}])
        fix = Fix(f"let pool {elsewhere.name} be for all nodes", everywhere)
    else:
        at, why = each.at, "there is no pool at all" if not pools else "there are only pools for tunnels, or for others"
        fix = Fix("see the pools", kubectl("get", POOLS, "-o", "yaml"), Risk.READ_ONLY)
    return NO_POOL.confirmed(
        at=at,
        node=each.node,
        why=why,
        effect=each.effect,
        saw=(each.seen, f"{len(pools)} pools, {sum(p.disabled for p in pools)} of them disabled"),
        fix=fix,
    )


def _is_for(pool: IPPool, node: Node) -> bool:
    try:
        return selects(pool.node_selector, node.labels)
    except Unreadable:
        return False


def _enable(pool: IPPool) -> Command:
    return json_patch(POOLS, pool.name, [{"op": "replace", "path": "/spec/disabled", "value": False}])
