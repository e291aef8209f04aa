"""Facts from inside a Pod: connects, sockets and files, gathered through a probe container."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Mapping, Sequence

from kubectl_netdebug.kube import errors
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.facts import Answer, Connect, FactKey, Known, Lookup, PodFile, Sockets, Unknown, Why
from kubectl_netdebug.net.text import sanitise
from kubectl_netdebug.vantage import dns_script, script
from kubectl_netdebug.vantage.api import unknown_from
from kubectl_netdebug.vantage.probe import NoProbe, ProbeContainer, ProbeContainers
from kubectl_netdebug.vantage.rung import EXEC_RIGHT, PROBE_RIGHT

EXEC_SECONDS = 10.0
MOST_OUTPUT = 1024 * 1024
MOST_FILE = 64 * 1024
PROC_FILES = ("/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6")


class PodVantage:
    """Runs commands in Pods. Every way to fail is an Unknown; nothing is raised."""

    def __init__(self, session: Session, containers: ProbeContainers) -> None:
        self._session = session
        self._containers = containers

    def connects(self, namespace: str, pod: str, keys: Sequence[Connect]) -> Mapping[FactKey, Answer]:
        """All connects of one Pod as one script, side by side."""
        try:
            probe = self._containers.ensure(namespace, pod)
            targets = [script.Target(key.protocol, key.host, key.port) for key in keys]
            nonce = secrets.token_hex(8)
            output = self._run(probe, ("sh", "-c", script.batch(targets, nonce)))
        except NoProbe as refused:
            return dict.fromkeys(keys, refused.unknown)
        attempts = script.read_batch(output.decode("utf-8", "replace"), nonce, targets)
        answers: dict[FactKey, Answer] = {}
        for key, attempt in zip(keys, attempts, strict=True):
            if attempt is None:
                answers[key] = Unknown(Why.ERROR, f"the probe in {pod} gave no result: {_tail(output)}")
            elif attempt.detail == script.NO_TOOL:
                answers[key] = _no_tool(probe, "nc, agnhost or bash")
            else:
                value = {"outcome": attempt.outcome.value, "ms": attempt.milliseconds, "detail": attempt.detail}
                answers[key] = Known(value, attempt.milliseconds, probe.how)
        return answers

    def lookups(self, namespace: str, pod: str, keys: Sequence[Lookup]) -> Mapping[FactKey, Answer]:
        """All UDP questions of one Pod as one script, side by side; ends when every answer is there."""
        answers: dict[FactKey, Answer] = {}
        tries: list[tuple[Lookup, dns_script.DnsTry, bytes]] = []
        for key in keys:
            try:
                question = dns_script.query(key.name, key.type)
                tries.append((key, dns_script.DnsTry(key.server, key.name, key.type, key.port), question))
            except dns_script.BadName as problem:
                answers[key] = Known({"outcome": "bad-name", "rcode": str(problem)})
        if not tries:
            return answers
        try:
            probe = self._containers.ensure(namespace, pod)
            lines = self._ask_all(probe, [(each, question) for _, each, question in tries])
        except NoProbe as refused:
            return {**dict.fromkeys(keys, refused.unknown), **answers}
        for index, (key, _, question) in enumerate(tries):
            line = lines.get(index)
            if line is None:
                answers[key] = Unknown(Why.ERROR, f"the probe in {pod} gave no result for {key.name}")
            elif line.wire is None:
                answers[key] = _no_tool(probe, "nc that speaks UDP, and no bash")
            else:
                answers[key] = Known(dns_script.outcome_of(line, question), line.milliseconds, probe.how)
        return answers

    def _ask_all(
        self, probe: ProbeContainer, tries: list[tuple[dns_script.DnsTry, bytes]]
    ) -> dict[int, dns_script.DnsLine]:
        """Reads until every line has come: what lingers in the Pod is not waited for. Raises NoProbe."""
        nonce = secrets.token_hex(8)
        argv = ("sh", "-c", dns_script.batch(tries, nonce))
        end = time.monotonic() + dns_script.SECONDS + EXEC_SECONDS
        output = bytearray()
        lines: dict[int, dns_script.DnsLine] = {}
        try:
            with contextlib.closing(
                self._session.open_pipe(
                    probe.namespace, probe.pod, probe.name, probe.command(argv), seconds=EXEC_SECONDS
                )
            ) as pipe:
                while len(lines) < len(tries) and len(output) < MOST_OUTPUT:
                    data = pipe.recv(max(0.0, end - time.monotonic()))
                    if data is None:
                        break
                    output += data
                    lines = dns_script.read_lines(output.decode("ascii", "replace"), nonce, len(tries))
        except errors.TimedOut:
            pass
        except errors.KubeError as problem:
            raise NoProbe(unknown_from(problem)) from problem
        return lines

    def sockets(self, key: Sockets) -> Answer:
        """The socket tables, read with the app's own `cat` where it has one, else with a probe container's."""
        probe = self._containers.existing(key.namespace, key.pod)
        if probe is None and key.container:
            output = self._quietly(ProbeContainer(key.namespace, key.pod, key.container), ("cat", *PROC_FILES))
            if b"local_address" in output:
                return _sockets(output, key.container)
        try:
            probe = probe or self._containers.ensure(key.namespace, key.pod)
            return _sockets(self._run(probe, ("cat", *PROC_FILES), any_exit=True), probe.how)
        except NoProbe as refused:
            return refused.unknown

    def file(self, key: PodFile) -> Answer:
        """A small text file, as the probe container sees it, or the app's own."""
        if key.container:
            own = self._quietly(ProbeContainer(key.namespace, key.pod, key.container), ("cat", key.path))
            return Known(sanitise(own[:MOST_FILE].decode("utf-8", "replace"), MOST_FILE), how=key.container)
        try:
            probe = self._containers.ensure(key.namespace, key.pod)
            content = self._run(probe, ("cat", probe.file(key.path)))
        except NoProbe as refused:
            return refused.unknown
        return Known(sanitise(content[:MOST_FILE].decode("utf-8", "replace"), MOST_FILE), how=probe.how)

    def _quietly(self, where: ProbeContainer, argv: tuple[str, ...]) -> bytes:
        """The output of a command that may well not exist there."""
        try:
            return self._run(where, argv, any_exit=True)
        except NoProbe:
            return b""

    def _run(self, where: ProbeContainer, argv: tuple[str, ...], *, any_exit: bool = False) -> bytes:
        """Standard output. Raises NoProbe where the command could not be run to its end."""
        try:
            result = self._session.exec(
                where.namespace,
                where.pod,
                where.name,
                where.command(argv),
                seconds=EXEC_SECONDS,
                most_bytes=MOST_OUTPUT,
            )
        except errors.KubeError as problem:
            raise NoProbe(unknown_from(problem)) from problem
        if result.outcome == "exited" and (any_exit or result.code == 0):
            return result.stdout
        if result.outcome == "denied":
            raise NoProbe(Unknown(Why.FORBIDDEN, result.message, EXEC_RIGHT))
        why = Why.TIMEOUT if result.outcome == "timed-out" else Why.ERROR
        words = result.message or _tail(result.stderr) or f"exit code {result.code}"
        raise NoProbe(Unknown(why, f"a command in {where.pod}/{where.name} failed: {words}"))


def _no_tool(probe: ProbeContainer, lacking: str) -> Unknown:
    if probe.added:
        return Unknown(Why.NO_TOOL, f"the probe image has no {lacking}", "--image")
    says = f"container {probe.name} of {probe.pod} has no {lacking}"
    return Unknown(Why.NO_TOOL, says, PROBE_RIGHT)


def _sockets(output: bytes, how: str) -> Answer:
    return Known({"files": script.socket_files(output.decode("ascii", "replace"))}, how=how)


def _tail(output: bytes) -> str:
    return sanitise(output[-200:].decode("utf-8", "replace"), 200).strip()
