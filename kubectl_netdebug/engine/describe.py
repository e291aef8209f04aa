"""Facts in words: what a key is about, from where it was seen, and the command that shows the same by hand."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from kubectl_netdebug.model.command import Command
from kubectl_netdebug.model.facts import (
    NODE_PLACE,
    AccessReview,
    Answer,
    ApiCall,
    Ask,
    Connect,
    ConnectFromHere,
    FactKey,
    Http,
    HttpFromHere,
    Known,
    LocalNetworks,
    Log,
    Lookup,
    LookupFromHere,
    MayLookAtNodes,
    MayProbe,
    NodeMoved,
    NodeText,
    Now,
    Object,
    Objects,
    OwnServer,
    PodFile,
    PodToken,
    Price,
    Sockets,
    SourceFromHere,
    Tls,
    TlsFromHere,
)
from kubectl_netdebug.model.objects.pod import ADDED

IN_POD = (Connect, Sockets, PodFile, Tls, Http, Lookup, PodToken, ApiCall)


def vantage_of(used: Iterable[Ask[object]], facts: Mapping[FactKey, Answer] | None = None) -> str:
    """Where the dearest of these facts was seen: `api`, `this machine` or `pod/NAME`.

    With the facts, the rung is told where it is not the best one: `pod/NAME (its container app)`.
    """
    keys = [ask.key for ask in used]
    nodes = sorted({place for place in map(_node_place, keys) if place})
    if nodes:
        return ", ".join(nodes)
    pods = sorted({f"pod/{key.pod}{_rung(key, facts)}" for key in keys if isinstance(key, IN_POD)})
    if pods:
        return ", ".join(pods)
    return "this machine" if any(key.price is Price.LOCAL for key in keys) else "api"


def _node_place(key: FactKey) -> str:
    """`node/NAME` for what was seen on a node."""
    if isinstance(key, NodeText | NodeMoved):
        return f"{NODE_PLACE}{key.node}"
    pod = str(getattr(key, "pod", ""))
    return pod if pod.startswith(NODE_PLACE) else ""


def _rung(key: FactKey, facts: Mapping[FactKey, Answer] | None) -> str:
    """A container that was not added for probing; sockets are best read with the app's own tools anyway."""
    answer = facts.get(key) if facts else None
    if not isinstance(answer, Known) or isinstance(key, Sockets) or not answer.how or answer.how.startswith(ADDED):
        return ""
    return f" ({answer.how})" if NODE_PLACE in answer.how else f" (its container {answer.how})"


def describe(key: FactKey) -> str:
    """What a fact is about, for people."""
    match key:
        case Object():
            return f"{_plural(key.resource)} {_path(key.namespace, key.name)}"
        case Objects():
            where = f" in namespace {key.namespace}" if key.namespace else " in all namespaces"
            chosen = f" with {key.labels or key.fields}" if key.labels or key.fields else ""
            return f"list of {_plural(key.resource)}{where}{chosen}"
        case Log():
            return f"log of {key.pod}/{key.container}"
        case Connect():
            return f"connect {key.pod} → {key.host}:{key.port}/{key.protocol}"
        case ConnectFromHere():
            return f"connect this machine → {key.host}:{key.port}"
        case Sockets():
            return f"listening sockets of {key.pod}"
        case PodFile():
            return f"{key.path} in {key.pod}"
        case Tls() | Http():
            return f"{'TLS' if isinstance(key, Tls) else 'HTTP'} from {key.pod} to {key.host}:{key.port}"
        case Lookup():
            return f"name {key.name} asked from {key.pod} at {key.server}"
        case NodeText():
            return f"{key.what}{' ' + ', '.join(key.about[:3]) if key.what in NAMED_BY_WHAT else ''} of node {key.node}"
        case NodeMoved():
            return f"what moves on node {key.node} while {key.pod} connects to {key.host}:{key.port}"
        case PodToken():
            return f"token of container {key.container} in {key.pod}"
        case ApiCall():
            return f"call of {key.host}:{key.port} by {key.pod}"
        case AccessReview():
            where = f" in namespace {key.namespace}" if key.namespace else ""
            return f"whether {key.user} may {key.verb} {key.resource}{where}"
        case OwnServer():
            return "the API server that is asked here"
        case HttpFromHere():
            return f"{key.scheme.upper()} this machine → {key.address}:{key.port}"
        case TlsFromHere():
            return f"TLS this machine → {key.address}:{key.port}"
        case LookupFromHere():
            return f"name {key.name} asked from this machine"
        case LocalNetworks():
            return "addresses of this machine"
        case SourceFromHere():
            return f"this machine's address towards {key.address}"
        case MayProbe():
            return "probing from a Pod"
        case MayLookAtNodes():
            return "looking at nodes"
        case Now():
            return "the time"
    return type(key).__name__


def reproduce(key: FactKey, how: str, cluster_flags: tuple[str, ...]) -> str:
    """A command that shows the same fact by hand. `how` is the container that was used, for what happened in a Pod."""
    command = _command(key, how)
    return command.render(cluster_flags) if command else _by_hand(key)


def _command(key: FactKey, how: str) -> Command | None:
    match key:
        case Object():
            return Command(("get", _plural(key.resource), key.name, "-o", "yaml"), key.namespace)
        case Objects():
            scope = () if key.namespace else ("-A",)
            labels = ("-l", key.labels) if key.labels else ()
            fields = ("--field-selector", key.fields) if key.fields else ()
            return Command(("get", _plural(key.resource), *scope, *labels, *fields), key.namespace)
        case Log():
            previous = ("--previous",) if key.previous else ()
            return Command(("logs", key.pod, "-c", key.container, f"--tail={key.lines}", *previous), key.namespace)
        case Connect():
            udp = ("-u",) if key.protocol == "UDP" else ()
            return _exec(key.namespace, key.pod, how, "nc", *udp, "-w", "2", key.host, str(key.port))
        case Sockets():
            return _exec(key.namespace, key.pod, how, "cat", "/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp")
        case PodFile():
            return _exec(key.namespace, key.pod, how, "cat", key.path)
        case Http():
            return _exec(
                key.namespace, key.pod, how, "wget", "-qSO-", f"{key.scheme}://{key.host}:{key.port}{key.path}"
            )
        case Lookup():
            return _exec(key.namespace, key.pod, how, "nslookup", key.name, key.server)
        case PodToken():
            claims = f"cut -d. -f2 {key.folder}/token | tr _- /+ | base64 -d"
            return _exec(key.namespace, key.pod, key.container, "sh", "-c", claims)
        case ApiCall():
            return _exec(key.namespace, key.pod, key.container or how, "sh", "-c", _called(key))
        case AccessReview():
            thing = f"{key.resource}.{key.group}" if key.group else key.resource
            part = (f"--subresource={key.subresource}",) if key.subresource else ()
            named = (key.name,) if key.name else ()
            return Command(("auth", "can-i", key.verb, thing, *named, *part, f"--as={key.user}"), key.namespace)
    return None


NAMED_BY_WHAT = ("sysctl", "files", "list")
"""Readings whose parameters say what was read."""

_ON_NODE = {
    "iptables": "iptables-save -c",
    "iptables-legacy": "iptables-legacy-save -c",
    "ip6tables": "ip6tables-save -c",
    "ip6tables-legacy": "ip6tables-legacy-save -c",
    "nft": "nft list ruleset",
    "addresses": "ip address",
    "links": "ip -d link",
    "routes": "ip route show table all",
    "routes6": "ip -6 route show table all",
    "rules": "ip rule",
    "rules6": "ip -6 rule",
    "neighbours": "ip neigh",
    "fdb": "bridge fdb",
    "ports": "bridge -d link",
    "counters": "cat /proc/net/snmp /proc/net/netstat",
    "conntrack": "conntrack -S",
    "tracked": "conntrack -L",
    "kernel-log": "dmesg",
    "listeners": "ss -lntup",
    "qdiscs": "tc qdisc show",
    "ipvs": "cat /proc/net/ip_vs",
}


def _on_node(key: NodeText) -> str:
    """What shows the same on the node itself."""
    if key.what == "sysctl":
        return shlex.join(("sysctl", *(name.replace("/", ".") for name in key.about)))
    if key.what == "tracked":
        return shlex.join(("conntrack", "-L", "-d", *key.about))
    if key.what in ("files", "list"):
        return shlex.join(("cat" if key.what == "files" else "ls", *key.about))
    return _ON_NODE.get(key.what, key.what)


def _called(key: ApiCall) -> str:
    """A shell line that makes a like call; the token is filled in by the Pod's own shell."""
    host = f"[{key.host}]" if ":" in key.host else key.host
    if not key.container:
        return f"curl -sk https://{host}:{key.port}/api"
    shown = f'-H "Authorization: Bearer $(cat {key.folder}/token)"'
    return f"curl -s --cacert {key.folder}/ca.crt {shown} https://{host}:{key.port}/api"


def _exec(namespace: str, pod: str, container: str, *argv: str) -> Command:
    if pod.startswith(NODE_PLACE):
        sysadmin = ("-it", "--profile=sysadmin", "--image=busybox", "--")
        return Command(("debug", pod, *sysadmin, *argv), "")
    where = ("-c", container) if container else ()
    return Command(("exec", pod, *where, "--", *argv), namespace)


def _by_hand(key: FactKey) -> str:
    match key:
        case ConnectFromHere():
            return shlex.join(("nc", "-zv", "-w", "2", key.host, str(key.port)))
        case HttpFromHere():
            return _curl(key)
        case LookupFromHere():
            return shlex.join(("getent", "hosts", key.name))
        case LocalNetworks():
            return "ip address"
        case NodeText():
            return on_node(key.node, _on_node(key))
        case NodeMoved():
            return on_node(key.node, "iptables-save -c")
        case SourceFromHere():
            return shlex.join(("ip", "route", "get", key.address))
        case TlsFromHere():
            name = ("-servername", key.server_name) if key.server_name else ()
            return shlex.join(("openssl", "s_client", "-connect", f"{key.address}:{key.port}", *name))
        case Tls():
            name = ("-servername", key.server_name) if key.server_name else ()
            return shlex.join(("openssl", "s_client", "-connect", f"{key.host}:{key.port}", *name))
    return ""


def _curl(key: HttpFromHere) -> str:
    """The same request, sent to that address whatever the name resolves to."""
    host = key.host or key.address
    there = ("--connect-to", f"::{key.address}:{key.port}") if key.host else ()
    announced = ("--haproxy-protocol",) if key.announced else ()
    return shlex.join(("curl", "-vk", *announced, *there, f"{key.scheme}://{host}:{key.port}{key.path}"))


def on_node(node: str, line: str) -> str:
    """A shell line, run on a node by a person with the rights for it."""
    return f"kubectl debug node/{node} -it --profile=sysadmin --image=busybox -- chroot /host {line}"


def _plural(resource: str) -> str:
    """kubectl takes the bare plural wherever it is unambiguous, and that is what people type."""
    return resource.split(".", 1)[0]


def _path(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name
