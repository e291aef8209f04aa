"""Facts from nodes: readings, and what moves while a connection is tried."""

from __future__ import annotations

import contextlib
import secrets
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubectl_netdebug.kube import errors
from kubectl_netdebug.kube.execution import BytePipe
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.facts import Answer, Connect, FactKey, Known, NodeMoved, NodeText, Unknown, Why
from kubectl_netdebug.net import moved, reduced
from kubectl_netdebug.net.text import sanitise
from kubectl_netdebug.vantage import node_script
from kubectl_netdebug.vantage.api import unknown_from
from kubectl_netdebug.vantage.node_pod import NodePods
from kubectl_netdebug.vantage.pod import PodVantage
from kubectl_netdebug.vantage.rung import NoProbe, ProbeContainer

SECONDS = 20.0
"""For one script on a node."""

MOST_RECEIVED = 64 * 1024 * 1024
"""Bytes of a script's output, as they come."""

MOST_KEPT = 2 * 1024 * 1024
"""Characters of one reading that become a fact, after it was reduced."""

SNAPSHOT = ("nft", "counters", "conntrack")
"""What is read before and after a connection, beside the rules of the address's family."""


class NodeVantage:
    """Runs scripts on nodes. Every way to fail is an Unknown; nothing is raised."""

    def __init__(self, session: Session, nodes: NodePods, pods: PodVantage) -> None:
        self._session = session
        self._nodes = nodes
        self._pods = pods

    def readings(self, node: str, keys: Sequence[NodeText]) -> Mapping[FactKey, Answer]:
        """All readings of one node as one script."""
        wanted = [node_script.Wanted(key.what, key.about) for key in keys]
        try:
            read = self._read(self._nodes.ensure(node), wanted)
        except NoProbe as refused:
            return dict.fromkeys(keys, refused.unknown)
        except errors.KubeError as problem:
            return dict.fromkeys(keys, unknown_from(problem))
        return {key: _answer(key, read.get(index), node) for index, key in enumerate(keys)}

    def moved(self, key: NodeMoved) -> Answer:
        """Reads, has the connections made side by side, reads again."""
        family = ("ip6tables", "ip6tables-legacy") if ":" in key.host else ("iptables", "iptables-legacy")
        names = (*family, *SNAPSHOT)
        wanted = [node_script.Wanted(what) for what in names]
        connects = [
            Connect(key.namespace, key.pod, key.host, key.port, key.protocol, attempt) for attempt in range(key.tries)
        ]
        try:
            place = self._nodes.ensure(key.node)
            before = self._read(place, wanted)
            attempts = self._pods.connects(key.namespace, key.pod, connects)
            after = self._read(place, wanted)
        except NoProbe as refused:
            return refused.unknown
        except errors.KubeError as problem:
            return unknown_from(problem)
        ended = [attempts[connect] for connect in connects]
        lost = next((answer for answer in ended if isinstance(answer, Unknown)), None)
        if lost is not None:
            return lost
        value: dict[str, Any] = {"attempts": [answer.value for answer in ended if isinstance(answer, Known)]}
        value |= moved.between(_by_name(names, before), _by_name(names, after))
        return Known(value, how=place.how)

    def _read(self, place: ProbeContainer, wanted: Sequence[node_script.Wanted]) -> dict[int, _Reading]:
        """What each section gave. Raises NoProbe and KubeError."""
        nonce = secrets.token_hex(8)
        argv = ("sh", "-c", node_script.script(wanted, nonce))
        found: dict[int, _Reading] = {}
        lines = _Lines(self._session, place, argv)
        with contextlib.closing(lines):
            marked = node_script.sections(lines, nonce)
            index = 0
            while index < len(wanted):
                collector = _Section(marked)
                kept = list(reduced.reduce(wanted[index].what, wanted[index].about, collector))
                for _ in collector:  # what a reduction left unread
                    pass
                if collector.end is None:
                    break
                found[index] = _Reading(collector.end.code, "\n".join(kept))
                index += 1
        if not found:
            raise NoProbe(Unknown(lines.why, f"the script on {place.where} gave nothing: {lines.complaint}"))
        return found


@dataclass(frozen=True)
class _Reading:
    code: int
    text: str


class _Section(Iterator[str]):
    """The lines of one section, without its frame."""

    def __init__(self, marked: Iterator[str | node_script.Section]) -> None:
        self._marked = marked
        self.end: node_script.Section | None = None

    def __next__(self) -> str:
        if self.end is not None:
            raise StopIteration
        line = next(self._marked)
        if isinstance(line, node_script.Section):
            self.end = line
            raise StopIteration
        return line


@dataclass
class _Lines:
    """The lines that a script prints, as they come, unpacked where they are compressed."""

    session: Session
    place: ProbeContainer
    argv: tuple[str, ...]
    why: Why = Why.ERROR
    complaint: str = "no output"
    _pipe: BytePipe | None = field(default=None, init=False)

    def __iter__(self) -> Iterator[str]:
        place = self.place
        end = time.monotonic() + SECONDS
        self._pipe = self.session.open_pipe(place.namespace, place.pod, place.name, self.argv, seconds=SECONDS)
        rest = b""
        received = 0
        unpack: Any = None
        first = True
        while received < MOST_RECEIVED:
            try:
                data = self._pipe.recv(max(0.0, end - time.monotonic()))
            except errors.TimedOut:
                self.why, self.complaint = Why.TIMEOUT, f"no end after {SECONDS:.0f} s"
                return
            if data is None:
                break
            if first and data[:2] == b"\x1f\x8b":
                unpack = zlib.decompressobj(wbits=31)
            first = False
            data = unpack.decompress(data) if unpack else data
            received += len(data)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield line.decode("utf-8", "replace")
        if rest:
            yield rest.decode("utf-8", "replace")

    def close(self) -> None:
        if self._pipe is not None:
            self._pipe.close()


def _by_name(names: Sequence[str], found: Mapping[int, _Reading]) -> dict[str, str]:
    return {name: found[index].text for index, name in enumerate(names) if index in found}


def _answer(key: NodeText, reading: _Reading | None, node: str) -> Answer:
    if reading is None:
        return Unknown(Why.ERROR, f"the reading of {key.what} on {node} did not end")
    if reading.code == node_script.NO_TOOL:
        return Unknown(Why.NO_TOOL, f"neither {node} nor the image can read {key.what}", "--node-image")
    if len(reading.text) > MOST_KEPT:
        return Unknown(Why.ERROR, f"{key.what} of {node} is too long: {len(reading.text)} characters")
    if reading.code not in (0, node_script.MISSING) and not reading.text.strip():
        return Unknown(Why.ERROR, f"reading {key.what} on {node} failed with exit code {reading.code}")
    return Known(sanitise(reading.text.strip("\n"), MOST_KEPT), how=f"node/{node}")
