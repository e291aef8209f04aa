"""Readiness probes that keep a working Pod out of the Service: wrong question, or an answer that cannot come back."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_pod, live_pods
from kubectl_netdebug.causes.owners import owner_of, template_path
from kubectl_netdebug.causes.probe_fix import Remedy, change_probe, find_path, find_port
from kubectl_netdebug.causes.reach import serving_containers
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.event import Event
from kubectl_netdebug.model.objects.pod import Container, Pod, Probe
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.outcome import Outcome as End

MOST_PODS = 3
"""Unready Pods whose events are read; one workload's Pods fail alike."""

READINESS_WRONG = Cause(
    code="readiness-probe-wrong",
    title="The readiness probe asks for something that the application does not have",
    says="The readiness probe of container {container} asks for {asks}; {instead}, so {pod} is never Ready.",
    means="Kubelet keeps the Pods out of the Service although the application works.",
    symptom="Pods are Running and 0/1 ready; the Service refuses or has too few endpoints.",
    apart="An application that answers 5xx says itself that it is not ready; one that answers nowhere is broken.",
    mend="Correct the probe's port, path, scheme or command.",
    explains=("endpoints-not-ready",),
)


@dataclass(frozen=True)
class Failing:
    """A container that runs, is not ready, and whose readiness probe fails; `message` is kubelet's latest word."""

    pod: Pod
    container: Container
    probe: Probe
    message: str

    @property
    def port(self) -> int | None:
        """The number that kubelet connects to; None where the name is not declared, or the probe has no port."""
        if self.probe.port.isdecimal():
            return int(self.probe.port)
        return next((p.port for p in self.container.ports if p.name == self.probe.port), None)


@explains(Hop.POD, READINESS_WRONG)
def readiness_probe_wrong(look: Look, asked: Question) -> Finding | None:
    """The first failing probe for which it can be shown what is wrong with its question."""
    for failing in _failing(look, asked):
        remedy = _wrong_question(look, asked, failing)
        if remedy is None:
            continue
        owner = owner_of(look, failing.pod)
        probe = f"containers[{failing.container.index}].readinessProbe"
        make = READINESS_WRONG.confirmed if remedy.sure else READINESS_WRONG.likely
        return make(
            at=owner.at(template_path(owner, f"{probe}.{remedy.field}")),
            container=failing.container.name,
            pod=failing.pod.name,
            asks=remedy.asks,
            instead=remedy.instead,
            saw=tuple(s for s in (failing.message, *remedy.saw) if s),
            effect=_effect(look, asked),
            fixes=change_probe(look, failing.pod, owner, failing.container, remedy),
        )
    return None


def _effect(look: Look, asked: Question) -> Effect:
    service = look(asks.the_service(asked))
    pods = live_pods(look(asks.pods_selected_by(service))) if service else ()
    return Effect.DEGRADES if any(pod.ready for pod in pods) else Effect.BREAKS


def _failing(look: Look, asked: Question) -> tuple[Failing, ...]:
    """Empty for a Service that publishes Pods before they are ready: readiness does not touch its traffic."""
    service = look(asks.the_service(asked))
    if service is None or not service.selector or service.publish_not_ready:
        return ()
    pods = [pod for pod in live_pods(look(asks.pods_selected_by(service))) if not pod.ready][:MOST_PODS]
    events = look.all_known([asks.events_about("Pod", pod.namespace, pod.name) for pod in pods])
    return tuple(
        Failing(pod, container, container.readiness, _latest(about or (), container))
        for pod, about in zip(pods, events, strict=True)
        for container in serving_containers(pod)
        if container.readiness and container.state == "running" and not container.ready
    )


def _latest(events: tuple[Event, ...], container: Container) -> str:
    """Kubelet's last complaint about this container's readiness; '' where events are gone or may not be read."""
    field = re.compile(rf"\{{{re.escape(container.name)}\}}$")
    said = [
        e.message
        for e in events
        if e.reason == "Unhealthy"
        and "eadiness probe" in e.message
        and (not e.field_path or field.search(e.field_path))
    ]
    return said[-1] if said else ""


_STATUS = re.compile(r"statuscode: (\d{3})")
_TIMES_OUT = re.compile(r"i/o timeout|deadline exceeded|Client\.Timeout|timed? ?out", re.I)
_NOT_FOUND_COMMAND = re.compile(r"executable file not found|no such file or directory|stat .*: no such file", re.I)


def _wrong_question(look: Look, asked: Question, failing: Failing) -> Remedy | None:
    probe, message = failing.probe, failing.message
    if probe.kind == "exec":
        return _wrong_command(failing)
    if probe.kind in ("http", "tcp") and failing.port is None:
        instead = f"the container declares no port of that name ({_declared(failing.container)})"
        return find_port(look, asked, failing, f"port {probe.port}", instead)
    if "connection refused" in message or not message:
        return _wrong_port(look, asked, failing)
    if probe.kind != "http":
        return None
    status = _STATUS.search(message)
    if "HTTP response to HTTPS client" in message:
        return _scheme(failing, "HTTP", "the port speaks plain HTTP")
    if status and status[1] == "400" and "HTTPS server" in message:
        return _scheme(failing, "HTTPS", "the port speaks TLS")
    if status and status[1] in ("404", "410", "401", "403", "405"):
        return find_path(look, asked, failing, int(status[1]))
    return None


def _wrong_command(failing: Failing) -> Remedy | None:
    if not _NOT_FOUND_COMMAND.search(failing.message):
        return None
    return Remedy("exec.command", "a command", "the image does not have it", sure=True)


def _wrong_port(look: Look, asked: Question, failing: Failing) -> Remedy | None:
    """Refused, or no word from kubelet any more: what listens in the Pod decides."""
    port = failing.port
    look(asks.may_probe())
    listening = look.if_known(asks.sockets_of(failing.pod))
    if port is None or not listening:
        return None
    if any(s.port == port and s.protocol == "TCP" for s in listening):
        return _path_by_asking(look, asked, failing) if not failing.message else None
    reachable = sorted({s.port for s in listening if s.protocol == "TCP" and s.reachable_at(failing.pod.ip)})
    if not reachable:
        return None
    instead = f"the application listens on {', '.join(map(str, reachable[:4]))}"
    return find_port(look, asked, failing, f"port {failing.probe.port}", instead, reachable)


def _path_by_asking(look: Look, asked: Question, failing: Failing) -> Remedy | None:
    """Events expire: ask what kubelet asks."""
    if failing.probe.kind != "http" or failing.probe.scheme != "HTTP" or failing.port is None:
        return None
    client = client_pod(look, asked)
    answer = look.if_known(asks.http(client, failing.pod.ip, failing.port, failing.probe.path))
    if answer is None or answer.status not in (404, 410):
        return None
    return find_path(look, asked, failing, answer.status)


def _scheme(failing: Failing, scheme: str, instead: str) -> Remedy:
    return Remedy("httpGet.scheme", f"{failing.probe.scheme} on port {failing.probe.port}", instead, True, scheme)


def _declared(container: Container) -> str:
    return ", ".join(f"{p.name or 'unnamed'} {p.port}" for p in container.ports) or "none"


PROBE_BLOCKED = Cause(
    code="probe-blocked-host",
    title="The node cannot reach its own Pod, so kubelet's probes time out",
    says="Kubelet's probes of {pod} on node {node} time out, while {client} on {client_node} is answered at once.",
    means="The Pod never becomes Ready, or is restarted, although it serves; something drops the node's "
    "own packets to it.",
    symptom="Probes fail with a timeout; other Pods reach the application without trouble.",
    apart="A slow application is slow for other Pods too; a refused probe or an HTTP error did reach the application.",
    mend="Find the rule on the node (OUTPUT chains, nftables, the policy engine's host rules) that drops its packets "
    "to the Pods.",
    explains=("endpoints-not-ready",),
)


@explains(Hop.POD, PROBE_BLOCKED)
def probe_blocked_host(look: Look, asked: Question) -> Finding | None:
    """Kubelet times out where a Pod gets its answer three times out of three, within kubelet's limit."""
    for failing in _failing(look, asked):
        if not _TIMES_OUT.search(failing.message) or failing.probe.kind not in ("http", "tcp") or failing.port is None:
            continue
        client = client_pod(look, asked)
        answered = _answers(look, client, failing)
        if client.name == failing.pod.name or not answered:
            continue
        pod = failing.pod
        return PROBE_BLOCKED.likely(
            at=ObjectRef("Node", "", pod.node),
            pod=pod.name,
            node=pod.node,
            client=f"Pod {client.name}",
            client_node=client.node,
            saw=(failing.message, f"{client.name} → {pod.ip}:{failing.port}, three times: {answered}"),
            effect=_effect(look, asked),
            fix=Fix(
                "look for the rule on the node",
                kubectl(
                    *("debug", f"node/{pod.node}", "--profile=sysadmin", "--image=busybox:1.37", "-it", "--"),
                    *("chroot", "/host", "sh", "-c", "iptables-save -c; nft list ruleset"),
                ),
                Risk.READ_ONLY,
                not_pasteable="the rule has to be found and deleted on the node; kubectl cannot do that",
            ),
        )
    return None


def _answers(look: Look, client: Pod, failing: Failing) -> str:
    """How quickly the Pod answers what kubelet asks; '' where it does not, or mostly not within kubelet's limit.

    What is measured includes the way through the API server, so one late answer of three proves nothing.
    """
    host, port, limit = failing.pod.ip, failing.port or 0, failing.probe.timeout * 1000
    if failing.probe.kind == "http" and failing.probe.scheme == "HTTP":
        answers = look.all([asks.http(client, host, port, failing.probe.path, attempt=n) for n in range(3)])
        times = sorted(a.milliseconds for a in answers)
        return (
            f"HTTP {answers[0].status} in {times[1]:.0f} ms"
            if all(a.good for a in answers) and times[1] < limit
            else ""
        )
    tries = look.all([asks.connect(client, host, port, attempt=n) for n in range(3)])
    if failing.probe.kind == "tcp" and all(t.outcome is End.CONNECTED and t.milliseconds < limit for t in tries):
        return tries[0].words
    return ""
