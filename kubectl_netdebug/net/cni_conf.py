"""A node's CNI files as a runtime sees them: which configuration wins, what it names, what is wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.model.objects import tree

KNOWN_VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
"""Versions of the CNI specification that exist."""

HIDDEN = '"hidden"'
PORTMAP = {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}}
"""The plugin that makes host ports, with the capability by which it is told of them."""

_HIDDEN = re.compile(
    r'("[^"]*(?:token|passw|secret|_key|apikey|cert|credential)[^"]*"\s*:\s*)("(?:[^"\\]|\\.)*"?)', re.IGNORECASE
)


@dataclass(frozen=True)
class Conf:
    """One configuration file. `wrong` says why no runtime can use it, '' where nothing is known against it."""

    path: str
    name: str = ""
    version: str = ""
    plugins: tuple[str, ...] = ()
    """Names of the programs, those of the address management behind their plugin."""
    subnets: tuple[str, ...] = ()
    """Ranges of the `host-local` address management that stand in the file."""
    data_dir: str = ""
    bridge: str = ""
    maps_ports: bool = False
    """A plugin of the list is handed the Pods' host ports (capability `portMappings`, as `portmap` needs it)."""
    is_list: bool = False
    narrow: bool = False
    """Only a part of a subnet is given out: rangeStart or rangeEnd say so."""
    wrong: str = ""

    @property
    def host_local(self) -> bool:
        """Addresses are given from files on the node."""
        return "host-local" in self.plugins


def hide(lines: Iterable[str], _: tuple[str, ...] = ()) -> Iterable[str]:
    """The lines of configuration files without the values of keys that may hold credentials."""
    for line in lines:
        yield _HIDDEN.sub(rf"\1{HIDDEN}", line)


def read_confs(text: str) -> tuple[Conf, ...]:
    """The files of `==> PATH <==` sections, in the order in which runtimes try them: by name, folder by folder."""
    confs = [_read_conf(path, content) for path, content in sorted(_files(text).items())]
    named = re.findall(r"^file (/\S+)$", text.partition("==> ")[0], re.MULTILINE)
    aside = [Conf(path, wrong=ASIDE) for path in named if re.search(r"\.conf(?:list)?[^a-z]\w+$", path)]
    return (*confs, *aside)


def with_portmap(text: str, path: str) -> str:
    """One file of the sections with the plugin `portmap` added; '' where it is no list or a part of it was hidden."""
    content = _files(text).get(path, "")
    try:
        raw = json.loads(content)
    except ValueError:
        return ""
    plugins = raw.get("plugins") if isinstance(raw, dict) else None
    if not isinstance(plugins, list) or HIDDEN in content:
        return ""
    kept = [plugin for plugin in plugins if tree.text(plugin, "type") != "portmap"]
    return json.dumps({**raw, "plugins": [*kept, PORTMAP]}, indent=1)


def _files(text: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        frame = re.fullmatch(r"==> (/\S.*) <==", line)
        if frame:
            current = found.setdefault(frame[1], [])
        else:
            current.append(line)
    return {path: "\n".join(lines) for path, lines in found.items()}


ASIDE = "by its name no configuration: it ends neither in .conf nor in .conflist"


def first(confs: Iterable[Conf]) -> Conf | None:
    """The first by name, good or bad. Some runtimes take no other; others pass over files that they cannot read."""
    return next((conf for conf in confs if conf.wrong != ASIDE), None)


def used(confs: Iterable[Conf]) -> Conf | None:
    """The file that runtimes take: the first by name that can be read, else the first."""
    listed = tuple(confs)
    return next((conf for conf in listed if not conf.wrong), first(listed))


def _read_conf(path: str, text: str) -> Conf:
    if not text.strip():
        return Conf(path, wrong="the file is empty")
    try:
        raw = json.loads(text)
    except ValueError as problem:
        return Conf(path, wrong=f"not valid JSON: {problem}")
    if not isinstance(raw, Mapping):
        return Conf(path, wrong="no JSON object")
    plugins = [raw] if "plugins" not in raw else list(tree.entries(raw, "plugins"))
    version = tree.text(raw, "cniVersion")
    wrong = ""
    if not plugins:
        wrong = "it lists no plugins"
    elif any(not tree.text(plugin, "type") for plugin in plugins):
        wrong = "a plugin has no type"
    elif not tree.text(raw, "name"):
        wrong = "the network has no name"
    elif version and version not in KNOWN_VERSIONS:
        wrong = f'there is no cniVersion "{version}"'
    ipams = [ipam for plugin in plugins if isinstance(ipam := tree.dig(plugin, "ipam"), Mapping)]
    return Conf(
        path=path,
        name=tree.text(raw, "name"),
        version=version,
        plugins=tuple(filter(None, (tree.text(p, "type") for p in (*plugins, *ipams)))),
        subnets=tuple(subnet for ipam in ipams for subnet in _subnets(ipam)),
        data_dir=next((d for ipam in ipams if (d := tree.text(ipam, "dataDir"))), ""),
        bridge=next((tree.text(p, "bridge") or "cni0" for p in plugins if tree.text(p, "type") == "bridge"), ""),
        narrow=any("rangeStart" in e or "rangeEnd" in e for ipam in ipams for e in _ranges(ipam)),
        maps_ports=any(tree.dig(p, "capabilities", "portMappings") is True for p in plugins),
        is_list="plugins" in raw,
        wrong=wrong,
    )


def _subnets(ipam: Mapping[str, Any]) -> list[str]:
    return [subnet for entry in _ranges(ipam) if (subnet := tree.text(entry, "subnet"))]


def _ranges(ipam: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    ranges = ipam.get("ranges")
    return [e for group in ranges for e in group] if isinstance(ranges, list) and _nested(ranges) else [ipam]


def _nested(ranges: list[Any]) -> bool:
    return all(isinstance(group, list) and all(isinstance(e, Mapping) for e in group) for group in ranges)


@dataclass(frozen=True)
class Program:
    """A plugin in a folder of programs."""

    path: str
    runs: bool
    """It is a file that may be executed, and not empty."""


def read_programs(text: str) -> tuple[Program, ...]:
    """Lines `FOLDER MODE LINKS OWNER GROUP SIZE … NAME` of `ls -lL`."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 9 and words[0].startswith("/") and words[1].startswith("-"):
            found.append(Program(f"{words[0]}/{words[-1]}", "x" in words[1] and words[5] != "0"))
    return tuple(found)
