"""Facts about nodes that causes ask for, with the words in which they are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kubectl_netdebug.causes import asks
from kubectl_netdebug.model.facts import NODE_PLACE, Ask, NodeMoved, NodeText
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod, read_pod
from kubectl_netdebug.net.moved import Moved, read_moved

T = TypeVar("T")


def node_text(node: str, what: str, *about: str, again: int = 0, says: Callable[[str], str] | None = None) -> Ask[str]:
    """One reading of a node as text; `vantage.node_script.READINGS` has them all."""
    return Ask(NodeText(node, what, about, again), lambda v: v if isinstance(v, str) else "", says)


def node_view(
    node: str, what: str, read: Callable[[str], T], *about: str, says: Callable[[T], str] | None = None
) -> Ask[T]:
    """One reading of a node, read by a parser."""
    return Ask(NodeText(node, what, about), lambda v: read(v if isinstance(v, str) else ""), says)


def sysctls(node: str, *names: str, again: int = 0) -> Ask[Mapping[str, str]]:
    """Kernel settings by their paths below `/proc/sys` (`net/ipv4/ip_forward`); those that do not exist are missing."""

    def read(value: Any) -> Mapping[str, str]:
        pairs = (line.partition(" = ") for line in str(value or "").splitlines())
        return {name: setting.strip() for name, equals, setting in pairs if equals}

    def says(found: Mapping[str, str]) -> str:
        told = ", ".join(f"{name.replace('/', '.')}={setting}" for name, setting in found.items())
        return f"{node}: {told or 'none of these settings exists'}"

    return Ask(NodeText(node, "sysctl", names, again), read, says)


def node_files(
    node: str, *paths: str, says: Callable[[Mapping[str, str]], str] | None = None
) -> Ask[Mapping[str, str]]:
    """Small files of a node by their paths; globs are not expanded, files that do not exist are missing."""

    def read(value: Any) -> Mapping[str, str]:
        found: dict[str, list[str]] = {}
        current: list[str] = []
        for line in str(value or "").splitlines():
            if line.startswith("==> ") and line.endswith(" <=="):
                current = found.setdefault(line[4:-4], [])
            else:
                current.append(line)
        return {path: "\n".join(lines).rstrip("\n") for path, lines in found.items()}

    return Ask(NodeText(node, "files", paths), read, says)


def moved(
    node: str, client: Pod, host: str, port: int, protocol: str = "TCP", *, tries: int = 3, again: int = 0
) -> Ask[Moved]:
    """What moves on a node while a client connects to one address `tries` times."""

    def says(found: Moved) -> str:
        ends = ", ".join(sorted({a.words for a in found.attempts}))
        return f"{node} while {client.name} → {host}:{port} ({tries} times: {ends}): {len(found.rules)} rules moved"

    return Ask(NodeMoved(node, client.namespace, client.name, host, port, protocol, tries, again), read_moved, says)


def node_as_client(look: Look, name: str) -> Pod | None:
    """A node as one that connects: a Pod of the node's own network, with its name as a place. None: no such node."""
    node = next((n for n in look(asks.nodes()) if n.name == name), None)
    if node is None:
        return None
    metadata = {"name": f"{NODE_PLACE}{name}", "namespace": ""}
    status = {"phase": "Running", "podIP": node.internal_ip, "podIPs": [{"ip": node.internal_ip}]}
    return read_pod({"metadata": metadata, "spec": {"nodeName": name, "hostNetwork": True}, "status": status})
