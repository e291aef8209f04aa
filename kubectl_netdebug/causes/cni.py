"""The configuration and the programs of a node's network plugin."""

from __future__ import annotations

from dataclasses import replace

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.cni_agent import restart_agent
from kubectl_netdebug.causes.cni_view import (
    CONSEQUENCES,
    Complaint,
    bridge_addresses,
    complaints,
    confs,
    programs,
    stuck,
)
from kubectl_netdebug.causes.concerned import nodes_concerned
from kubectl_netdebug.causes.on_node import mend_on_node
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.cni_conf import ASIDE, Conf, first, used
from kubectl_netdebug.net.cni_errors import Kind
from kubectl_netdebug.net.ipam import holds

CONFIG_MISSING = Cause(
    code="cni-config-missing",
    title="The node has no network configuration",
    says="{node} has no network configuration in {folder}{why}.",
    means="The runtime cannot give any Pod a network there, so the node is not ready and new Pods do not start.",
    symptom="The node is NotReady (cni plugin not initialized); Pods stay in ContainerCreating.",
    apart="A configuration that is there and cannot be read gives the same words; the files on the node tell.",
    mend="Install the network plugin, or mend its DaemonSet, which writes the file.",
    explains=CONSEQUENCES,
)


@explains(Hop.POD, CONFIG_MISSING, When.ALWAYS)
@explains(Hop.SOURCE, CONFIG_MISSING)
@explains(Hop.NODE_AGENTS, CONFIG_MISSING, When.ALWAYS)
def config_missing(look: Look, asked: Question) -> Finding | None:
    """The runtime says that it has none, and there is no file."""
    for said in complaints(look, asked, Kind.NO_CONFIG):
        found = look(confs(said.node))
        if used(found) is not None:
            continue
        aside = next((conf for conf in found if conf.wrong == ASIDE), None)
        folder = aside.path.rpartition("/")[0] if aside else "/etc/cni/net.d"
        return CONFIG_MISSING.confirmed(
            at=said.at.at(folder),
            node=said.node,
            folder=folder,
            why=f": {aside.path} is not taken for one, by its name" if aside else "",
            effect=said.effect,
            saw=(said.seen, f"{said.node}: no .conf or .conflist in {folder}"),
            fixes=_put_back(look, said, aside),
        )
    return None


def _put_back(look: Look, said: Complaint, aside: Conf | None) -> tuple[Fix, ...]:
    restart = restart_agent(look, said.node)
    if aside is None:
        get = kubectl("get", "daemonsets", "--all-namespaces")
        return restart or (Fix("see whether a network plugin is installed at all", get, Risk.READ_ONLY),)
    name = aside.path[: aside.path.index(".conf")] + (".conflist" if ".conflist" in aside.path else ".conf")
    return (mend_on_node(look, said.node, "give the file its name back", "mv", aside.path, name), *restart)


CONFIG_INVALID = Cause(
    code="cni-config-invalid",
    title="The network configuration of the node cannot be used",
    says="{file} on {node} cannot be used: {why}.",
    means="The container runtime has no network that it could give to Pods, so none starts there.",
    symptom="Pods stay in ContainerCreating; the node may be NotReady as if it had no configuration at all.",
    apart="Without any file the runtime says the same; a plugin that is missing is named in the event.",
    mend="Correct the file; where an agent writes it, correct the agent's settings and restart it.",
    explains=CONSEQUENCES,
)


@explains(Hop.POD, CONFIG_INVALID, When.ALWAYS)
@explains(Hop.SOURCE, CONFIG_INVALID)
@explains(Hop.NODE_AGENTS, CONFIG_INVALID, When.ALWAYS)
def config_invalid(look: Look, asked: Question) -> Finding | None:
    """The file that would be used is no configuration; or it is, and the runtime says what it does not like."""
    for said in complaints(look, asked, Kind.NO_CONFIG, Kind.BAD_CONFIG):
        found: tuple[Conf, ...] = look.if_known(confs(said.node)) or ()
        conf = first(found) if said.error.kind is Kind.NO_CONFIG else used(found)
        if (conf is None or not conf.wrong) and said.error.kind is Kind.NO_CONFIG:
            continue  # there is none, or nothing is wrong with it, or the node may not be looked at
        file = conf.path if conf else "the network configuration"
        return CONFIG_INVALID.confirmed(
            at=said.at.at(conf.path if conf else "/etc/cni/net.d"),
            file=file,
            node=said.node,
            why=(conf.wrong if conf else "") or said.error.said,
            effect=said.effect,
            saw=(said.seen, *((f"{file}: {conf.wrong}",) if conf and conf.wrong else ())),
            fixes=_correct(look, said.node, conf),
        )
    return None


def _correct(look: Look, node: str, conf: Conf | None) -> tuple[Fix, ...]:
    if conf is None:
        return restart_agent(look, node)
    if conf.wrong.startswith("there is no cniVersion"):
        swap = f's/"cniVersion": *"{conf.version}"/"cniVersion": "1.0.0"/'
        return (mend_on_node(look, node, "name a version that exists", "sed", "-i", swap, conf.path),)
    show = mend_on_node(
        look, node, "correct the file", "vi", conf.path, not_pasteable="what belongs there is yours to write"
    )
    return (*restart_agent(look, node), show)


BINARY_MISSING = Cause(
    code="cni-binary-missing",
    title="The program of a network plugin is not on the node",
    says="The network plugin {plugin} {why} on {node}{near}.",
    means="The runtime starts that program for each new Pod; without it no Pod gets a network there.",
    symptom='Pods of one node stay in ContainerCreating: failed to find plugin "…" in path […].',
    apart="The event names the program; with a bad configuration it names the file or the field.",
    mend="Restart the DaemonSet that installs the plugins, or install the package containernetworking-plugins.",
    explains=CONSEQUENCES,
)


@explains(Hop.POD, BINARY_MISSING, When.ALWAYS)
@explains(Hop.SOURCE, BINARY_MISSING)
@explains(Hop.NODE_AGENTS, BINARY_MISSING, When.ALWAYS)
def binary_missing(look: Look, asked: Question) -> Finding | None:
    """The runtime looked for the program in its folders, and says so."""
    for each in stuck(look, asked, Kind.NO_PLUGIN):
        parts = each.error.parts
        plugin = parts.get("missing") or parts.get("file", "").rpartition("/")[2] or each.error.plugin
        folder = parts.get("folder") or parts.get("file", "").rpartition("/")[0]
        present = look.if_known(programs(each.node))
        there = [p for p in present or () if p.path.startswith(f"{folder}/")]
        if any(p.path == f"{folder}/{plugin}" and p.runs for p in there):
            continue  # it is there by now
        aside = next((p.path for p in there if p.path.startswith(f"{folder}/{plugin}.")), "")
        conf = _naming(look.if_known(confs(each.node)) or (), plugin)
        why = f"cannot be run ({parts['why']})" if "why" in parts else f"is not in {folder}"
        return BINARY_MISSING.confirmed(
            at=each.at.at(f"{folder}/{plugin}"),
            plugin=plugin,
            why=why,
            node=each.node,
            near=f"; {conf.path} names it" if conf else "",
            effect=each.effect,
            saw=(each.seen, *((f"there is {aside}",) if aside else ())),
            fixes=_bring_back(look, each.node, f"{folder}/{plugin}", aside, parts.get("why", "")),
        )
    return None


def _naming(found: tuple[Conf, ...], plugin: str) -> Conf | None:
    return next((conf for conf in found if plugin in conf.plugins), None)


def _bring_back(look: Look, node: str, path: str, aside: str, why: str) -> tuple[Fix, ...]:
    restart = restart_agent(look, node)
    if aside:
        return (mend_on_node(look, node, "give the program its name back", "mv", aside, path), *restart)
    if why == "permission denied":
        return (mend_on_node(look, node, "let it be executed", "chmod", "755", path),)
    install = mend_on_node(
        look,
        node,
        "install the plugins",
        *("sh", "-c", "apt-get install -y containernetworking-plugins || dnf install -y containernetworking-plugins"),
        risk=Risk.DISRUPTIVE,
        not_pasteable="where the package puts them, and whether your network uses it, depends on the system",
    )
    return (*restart, install)


CONF_MULTIPLE = Cause(
    code="cni-conf-multiple",
    title="Another network configuration comes first",
    says="{winner} comes before {other} on {node}, so new Pods get the network {network} ({ranges}).",
    means="The runtime takes the first file by name. Nodes do not route the addresses of that other network.",
    symptom="After a migration, new Pods of a node have addresses of another range and reach nobody elsewhere.",
    apart="The Pods' addresses lie outside the node's range, and the file that gives them sorts first.",
    mend="Remove the file of the former network and make the Pods concerned again.",
    explains=("endpoints-not-ready", "node-route-missing", "backend-partly-dead", "podcidr-overlap-nodenet"),
)


@explains(Hop.NODE_AGENTS, CONF_MULTIPLE, When.ALWAYS)
@explains(Hop.NODE_LINKS, CONF_MULTIPLE, When.ALWAYS)
def conf_multiple(look: Look, asked: Question) -> Finding | None:
    """Two files; Pods run with addresses of the first, which the node's range does not hold and the second's does."""
    for name in nodes_concerned(look, asked):
        found = look.if_known(confs(name))
        good = [conf for conf in found or () if not conf.wrong]
        if len(good) < 2 or not good[0].host_local:
            continue
        node, pods = look.together(asks.node_named(name), asks.pods_on(name))
        if node is None or not node.pod_cidrs:
            continue
        other = next((c for c in good[1:] if any(_within(s, node.pod_cidrs) for s in c.subnets)), None)
        foreign = [p for p in pods if p.ip and not p.host_network and any(holds(s, p.ip) for s in good[0].subnets)]
        foreign = [p for p in foreign if not any(holds(cidr, p.ip) for cidr in node.pod_cidrs)]
        if other is None or not foreign:
            continue
        return CONF_MULTIPLE.confirmed(
            at=ObjectRef("Node", "", name, good[0].path),
            winner=good[0].path,
            other=other.path,
            node=name,
            network=good[0].name,
            ranges=", ".join(good[0].subnets),
            saw=(
                f"{foreign[0].namespace}/{foreign[0].name} has {foreign[0].ip}",
                f"the range of {name} is {', '.join(node.pod_cidrs)}",
            ),
            fixes=(_remove(look, name, good[0], foreign),),
        )
    return None


def _remove(look: Look, node: str, conf: Conf, foreign: list[Pod]) -> Fix:
    move = mend_on_node(look, node, "", "mv", conf.path, f"{conf.path}.removed").command
    again = tuple(kubectl("delete", "pod", pod.name, namespace=pod.namespace) for pod in foreign if pod.owner_kind)
    wait = kubectl("wait", "--for=condition=Ready", f"node/{node}", "--timeout=30s")
    everything = replace(move, then=(*move.then, wait, *again))
    return Fix("put the file aside, and have the Pods made again", everything, Risk.DISRUPTIVE)


def _within(subnet: str, cidrs: tuple[str, ...]) -> bool:
    return any(holds(cidr, subnet.partition("/")[0]) for cidr in cidrs)


BRIDGE_CLASH = Cause(
    code="cni-bridge-address-clash",
    title="The bridge of the node has an address of another range",
    says="{bridge} on {node} has {has}, while the network configuration wants {wanted}.",
    means="The plugin refuses to use a bridge with a foreign address, so no new Pod of the node gets a network.",
    symptom='Pods stay in ContainerCreating: "cni0" already has an IP address different from ….',
    apart="The event says it; Pods that run since before go on.",
    mend="Delete the bridge, which is made anew with the next Pod, and recreate the Pods of the node.",
    explains=CONSEQUENCES,
)


@explains(Hop.POD, BRIDGE_CLASH, When.ALWAYS)
@explains(Hop.SOURCE, BRIDGE_CLASH)
@explains(Hop.NODE_AGENTS, BRIDGE_CLASH, When.ALWAYS)
def bridge_clash(look: Look, asked: Question) -> Finding | None:
    """The plugin says what it wants; the node, what the bridge has."""
    for each in stuck(look, asked, Kind.BRIDGE_ADDRESS):
        bridge, wanted = each.error.parts["bridge"], each.error.parts["wanted"]
        addresses = look.if_known(bridge_addresses(each.node, bridge))
        if addresses is not None and wanted in addresses:
            continue
        node = look.if_known(asks.node_named(each.node))
        right = node is not None and _within(wanted, node.pod_cidrs)
        cidrs = ", ".join(node.pod_cidrs) if node else ""
        saw = [each.seen, f"spec.podCIDRs of {each.node}: {cidrs}"] if cidrs else [each.seen]
        return BRIDGE_CLASH.confirmed(
            at=each.at.at(bridge),
            bridge=bridge,
            node=each.node,
            has=", ".join(addresses) if addresses else "another address",
            wanted=wanted,
            effect=each.effect,
            saw=saw,
            fixes=_renumber(look, each.node, bridge, wanted, addresses or ()) if right else (),
        )
    return None


def _renumber(look: Look, node: str, bridge: str, wanted: str, has: tuple[str, ...]) -> tuple[Fix, ...]:
    delete = mend_on_node(
        look,
        node,
        "delete the bridge; then recreate the Pods of the node, which hang on it",
        *("ip", "link", "delete", bridge),
        risk=Risk.DISRUPTIVE,
        not_pasteable="the node's Pods lose their network until they are made again",
    )
    if not has:
        return (delete,)
    line = "; ".join(f"ip address del {address} dev {bridge}" for address in has)
    title = "give the bridge the address back that its Pods and the configuration expect"
    return (mend_on_node(look, node, title, "sh", "-c", f"{line}; ip address add {wanted} dev {bridge}"), delete)
