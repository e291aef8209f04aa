"""What a scan is about: the lists that it begins with, and the objects in them that are worth a judgement."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.api_extensions import API_SERVICES
from kubectl_netdebug.causes.incoming_asks import GATEWAYS, INGRESSES, ROUTES
from kubectl_netdebug.causes.ranges import SERVICE_CIDRS
from kubectl_netdebug.engine.lists import EVERYWHERE, Lists, Raw
from kubectl_netdebug.engine.sweep import Reader
from kubectl_netdebug.flows.sweep import About, Subject
from kubectl_netdebug.model.facts import FactKey, Known, Objects, Unknown, Why
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.gateway import HttpRoute, read_route
from kubectl_netdebug.model.objects.node import Node, read_node
from kubectl_netdebug.model.objects.pod import Pod, read_pod
from kubectl_netdebug.model.question import FlowName, Question, Source, SourceKind
from kubectl_netdebug.model.result import UnknownLine
from kubectl_netdebug.model.scan import ScanUnknown

ESSENTIAL = ("services", asks.SLICES)
"""Without these nothing can be said of a namespace."""

IN_NAMESPACES = (*ESSENTIAL, INGRESSES, GATEWAYS, ROUTES)
OF_CLUSTER = ("nodes", SERVICE_CIDRS, API_SERVICES, "daemonsets.apps")

OUTSIDE = Source(SourceKind.OUTSIDE)
FAILED_CREATE = "reason=FailedCreate"
SAMPLE = 50
"""Pods among which one is looked for that uses the cluster's DNS."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Survey:
    """What was read at first. `spaces` are the namespaces that the lists are held of, `("",)` for all at once."""

    spaces: tuple[str, ...]
    unknown: tuple[ScanUnknown, ...]
    unread: frozenset[str]
    """Namespaces of which something essential is missing."""


def read_basics(reader: Reader, lists: Lists, namespace: str) -> Survey:
    """Reads what a scan begins with: of one namespace, or of all, one by one where only that is allowed."""
    clusterwide = [(resource, EVERYWHERE) for resource in OF_CLUSTER] if not namespace else []
    answers = _hold(reader, lists, [*((resource, namespace) for resource in IN_NAMESPACES), *clusterwide])
    refused = [place for place, why in answers.items() if why.why is Why.FORBIDDEN and place[0] in IN_NAMESPACES]
    if namespace or not any(resource in ESSENTIAL for resource, _ in refused):
        return Survey((namespace,), tuple(_missing(answers)), frozenset({namespace} if _lost(answers) else ()))
    return _one_by_one(reader, lists, {place: why for place, why in answers.items() if place not in refused})


def _one_by_one(reader: Reader, lists: Lists, others: Mapping[tuple[str, str], Unknown]) -> Survey:
    """All namespaces may not be listed at once: each that there is, then."""
    found = reader.whole([("namespaces", EVERYWHERE)])["namespaces", EVERYWHERE]
    if isinstance(found, Unknown):
        line = UnknownLine("Services of all namespaces", found.says, f"{found.unlock}, or -n NAMESPACE".lstrip(", "))
        return Survey((), (ScanUnknown(line, essential=True), *_missing(others)), frozenset({EVERYWHERE}))
    spaces = [tree.text(each, "metadata", "name") for each in found.value]
    for resource in IN_NAMESPACES:
        lists.drop(resource, EVERYWHERE)
    answers = _hold(reader, lists, [(resource, space) for space in spaces for resource in IN_NAMESPACES])
    unread = frozenset(space for space in spaces if _lost({p: w for p, w in answers.items() if p[1] == space}))
    return Survey(tuple(s for s in spaces if s not in unread), (*_missing(answers), *_missing(others)), unread)


def _hold(reader: Reader, lists: Lists, places: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Unknown]:
    """Reads lists; those that cannot be had are returned."""
    lost = {}
    for place, answer in reader.whole(places).items():
        if isinstance(answer, Known):
            lists.hold(*place, answer.value)
        else:
            lists.lack(*place, answer)
            lost[place] = answer
    return lost


def _lost(answers: Mapping[tuple[str, str], Unknown]) -> bool:
    return any(resource in ESSENTIAL for resource, _ in answers)


def _missing(answers: Mapping[tuple[str, str], Unknown]) -> Iterator[ScanUnknown]:
    """A line for each, what is essential first."""
    for (resource, space), why in sorted(answers.items(), key=lambda item: item[0][0] not in ESSENTIAL):
        where = f" in namespace {space}" if space else ""
        plural = resource.partition(".")[0]
        yield ScanUnknown(UnknownLine(f"{plural}{where}", why.says, why.unlock), resource in ESSENTIAL)


def count(lists: Lists, survey: Survey) -> tuple[tuple[str, int], ...]:
    """How many objects of each kind were read, in the order of reading."""
    kinds = {
        resource: sum(len(_items(lists, resource, space)) for space in survey.spaces) for resource in IN_NAMESPACES
    }
    kinds["nodes"] = len(_items(lists, "nodes", EVERYWHERE))
    return tuple((resource.partition(".")[0], number) for resource, number in kinds.items() if number)


def _items(lists: Lists, resource: str, space: str) -> list[Raw]:
    return lists.items(resource, space) or []


# --- subjects ---------------------------------------------------------------------------------------------------------


def subjects_in(lists: Lists, survey: Survey) -> Iterator[Subject]:
    """Everything in the namespaces that a scan judges."""
    for space in survey.spaces:
        for raw in _items(lists, "services", space):
            yield from _of_service(raw)
        for about, resource, field in ((About.INGRESS, INGRESSES, "ingress"), (About.GATEWAY, GATEWAYS, "gateway")):
            for raw in _items(lists, resource, space):
                home, name = tree.text(raw, "metadata", "namespace"), tree.text(raw, "metadata", "name")
                question = Question(FlowName.OUTSIDE_TO_POD, home, source=OUTSIDE, **{field: name})
                yield Subject(about, question, name)
        for raw in _items(lists, ROUTES, space):
            yield from _of_route(read_route(raw), lists)


def _of_service(raw: Raw) -> Iterator[Subject]:
    home, name = tree.text(raw, "metadata", "namespace"), tree.text(raw, "metadata", "name")
    yield Subject(About.SERVICE, Question(FlowName.SERVICE, home, name), name)
    if tree.text(raw, "spec", "type") == "LoadBalancer" and not tree.dig(raw, "status", "loadBalancer", "ingress"):
        yield Subject(About.BALANCER, Question(FlowName.OUTSIDE_TO_POD, home, name, source=OUTSIDE), name)


def _of_route(route: HttpRoute | None, lists: Lists) -> Iterator[Subject]:
    """Only one whose Gateway does not exist: all others are judged with their Gateway."""
    host = next((h for h in route.hostnames if not h.startswith("*")), "") if route else ""
    if route is None or not host:
        return
    for parent in route.parents:
        known = lists.items(GATEWAYS, parent.namespace)
        names = {tree.text(each, "metadata", "name") for each in known or ()}
        if parent.kind == "Gateway" and known is not None and parent.name not in names:
            question = Question(FlowName.OUTSIDE_TO_POD, route.namespace, source=OUTSIDE, host=host, scheme="http")
            yield Subject(About.ROUTE, question, route.name)
            return


def subjects_of_cluster(lists: Lists, reader: Reader) -> Iterator[Subject]:
    """What belongs to no namespace: the cluster's DNS, nodes and their agents, the API server and what it calls."""
    yield Subject(About.API, Question(FlowName.API, "default"), "")
    yield from _names(reader)
    nodes = [read_node(raw) for raw in _items(lists, "nodes", EVERYWHERE)]
    cidrs = [cidr for raw in _items(lists, SERVICE_CIDRS, EVERYWHERE) for cidr in tree.strings(raw, "spec", "cidrs")]
    for name in suspicious(nodes, cidrs):
        yield Subject(About.NODE, Question(FlowName.NODE, "default", node=name), name)
    for name in _with_broken_agents(lists, reader):
        yield Subject(About.AGENTS, Question(FlowName.NODE, "default", node=name), name)


def creations(reader: Reader, namespace: str) -> Iterator[Subject]:
    """Namespaces in which creating Pods failed lately."""
    key = Objects("events", namespace, fields=FAILED_CREATE)
    homes = {tree.text(raw, "metadata", "namespace") for raw in _listed(reader, key)}
    for home in sorted(homes - {""}):
        yield Subject(About.CREATION, Question(FlowName.API, home), home)


def _names(reader: Reader) -> Iterator[Subject]:
    """The cluster's DNS as a Pod that uses it would have it."""
    for raw in _listed(reader, Objects("pods", EVERYWHERE, fields="status.phase=Running", most=SAMPLE)):
        usual = tree.text(raw, "spec", "dnsPolicy") in ("", "ClusterFirst")
        if usual and not tree.flag(raw, "spec", "hostNetwork"):
            source = Source(SourceKind.POD, tree.text(raw, "metadata", "namespace"), tree.text(raw, "metadata", "name"))
            yield Subject(About.NAMES, Question(FlowName.DNS, source.namespace, source=source), "")
            return


def _with_broken_agents(lists: Lists, reader: Reader) -> list[str]:
    """Nodes on which a Pod of a DaemonSet in the host's network is not ready."""
    names = set()
    for raw in _items(lists, "daemonsets.apps", EVERYWHERE):
        ready, wanted = tree.number(raw, "status", "numberReady"), tree.number(raw, "status", "desiredNumberScheduled")
        if ready >= wanted or not tree.flag(raw, "spec", "template", "spec", "hostNetwork"):
            continue
        chosen = tree.labels(raw, "spec", "selector", "matchLabels")
        labels = ",".join(f"{key}={value}" for key, value in sorted(chosen.items()))
        if labels:
            pods = _pods(reader, Objects("pods", tree.text(raw, "metadata", "namespace"), labels=labels, most=5000))
            names |= {pod.node for pod in pods if pod.node and not pod.ready and not pod.deleting}
    return sorted(names)


def _pods(reader: Reader, key: Objects) -> tuple[Pod, ...]:
    return tuple(map(read_pod, _listed(reader, key)))


def _listed(reader: Reader, key: FactKey) -> list[Raw]:
    answer = reader.facts([key])[key]
    return list(tree.entries(answer.value, "items")) if isinstance(answer, Known) else []


# --- nodes ------------------------------------------------------------------------------------------------------------


def suspicious(nodes: Sequence[Node], service_cidrs: Iterable[str]) -> list[str]:
    """The nodes whose conditions, ranges or addresses cannot be right; all others need no closer look. Sorted."""
    ranges = [(network, node.name) for node in nodes for network in _networks(node.pod_cidrs)]
    services = list(_networks(service_cidrs))
    names = {node.name for node in nodes if not node.ready or node.network_unavailable}
    names |= {node.name for node in nodes if ranges and not node.pod_cidrs}
    names |= {name for network, name in ranges for other in services if _overlap(network, other)}
    names |= _overlapping(ranges)
    names |= _with_address_in(nodes, ranges)
    addresses = Counter(node.internal_ip for node in nodes if node.internal_ip)
    names |= {node.name for node in nodes if addresses[node.internal_ip] > 1}
    return sorted(names)


def _overlapping(ranges: Sequence[tuple[Network, str]]) -> set[str]:
    """By order of their first addresses, so that each is compared with its neighbour alone."""
    names: set[str] = set()
    last: tuple[Network, str] | None = None
    for each in sorted(ranges, key=lambda pair: (pair[0].version, int(pair[0].network_address))):
        if last is not None and last[1] != each[1] and _overlap(last[0], each[0]):
            names |= {last[1], each[1]}
        if last is None or last[0].version != each[0].version or each[0].broadcast_address > last[0].broadcast_address:  # type: ignore[operator]
            last = each
    return names


def _with_address_in(nodes: Sequence[Node], ranges: Sequence[tuple[Network, str]]) -> set[str]:
    """Owners of ranges in which a node's own address lies, by one walk over both in order."""
    owned = [
        (_address(address), node.name) for node in nodes for kind, address in node.addresses if kind.endswith("IP")
    ]
    points = [(ip.version, int(ip), 1, name, 0) for ip, name in owned if ip is not None]
    starts = [
        (network.version, int(network.network_address), 0, name, int(network.broadcast_address))
        for network, name in ranges
    ]
    names, within = set(), (0, -1, "")
    for version, number, is_point, name, end in sorted([*points, *starts]):
        if not is_point:
            within = (version, end, name)
        elif within[0] == version and number <= within[1]:
            names |= {within[2], name}
    return names


def _networks(written: Iterable[str]) -> Iterator[Network]:
    for text in written:
        try:
            yield ipaddress.ip_network(text, strict=False)
        except ValueError:
            continue


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _overlap(first: Network, second: Network) -> bool:
    return first.version == second.version and first.overlaps(second)
