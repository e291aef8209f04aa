"""Names outside the cluster: the servers that CoreDNS forwards to."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.dns_cluster import Config
from kubectl_netdebug.causes.dns_names import looked_up
from kubectl_netdebug.causes.dns_state import (
    ClusterDns,
    by_hand,
    cluster_dns,
    config,
    in_main_file,
    to_node_resolver,
    with_corefile,
    with_line,
)
from kubectl_netdebug.causes.dns_tried import outside_answers, outside_name
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.address import is_address
from kubectl_netdebug.net.corefile import Directive, ServerBlock
from kubectl_netdebug.net.spoken import DnsAnswer
from kubectl_netdebug.net.text import sanitise

AFTERWARDS = 61
"""Lines of a log that is read after questions were asked; the number tells this read from earlier ones."""

FAILURE = re.compile(r"plugin/errors: \d+ (\S+) \w+: ([^\n]*)")
UPSTREAM = re.compile(r"->(\[?[0-9a-fA-F.:]+?\]?):(\d+): (.*)|dial \w+ (\[?[0-9a-fA-F.:]+?\]?):(\d+): (.*)")


@dataclass(frozen=True)
class Forward:
    """A line that sends questions on. `targets` are (address, port); those of a file are not known here."""

    block: ServerBlock
    line: Directive
    targets: tuple[tuple[str, int], ...]
    from_node: bool


def forward_for(found: Config | None, name: str) -> Forward | None:
    """Where questions for a name are sent on."""
    block = found.parsed.block_for(name) if found else None
    line = block.plugin("forward") if block else None
    if block is None or line is None or len(line.args) < 2:
        return None
    literal = [_target(arg) for arg in line.args[1:]]
    return Forward(block, line, tuple(t for t in literal if t), any(arg.startswith("/") for arg in line.args[1:]))


def _target(arg: str) -> tuple[str, int] | None:
    plain = arg.removeprefix("dns://")
    if "://" in plain:
        return None
    host, _, port = plain.rpartition(":")
    if plain.count(":") == 1 or plain.startswith("["):
        return (host.strip("[]"), int(port)) if is_address(host.strip("[]")) and port.isdecimal() else None
    return (plain.strip("[]"), 53) if is_address(plain.strip("[]")) else None


@dataclass(frozen=True)
class Complaint:
    """What a replica wrote about a question of this run: which server it asked, and how that failed."""

    pod: str
    upstream: str
    error: str


def complaints(look: Look, dns: ClusterDns, name: str) -> tuple[Complaint, ...]:
    """The lines about that name in the logs of the replicas. Where the name is of this run, they are of this moment."""
    if dns.workload is None:
        return ()
    running = [p for p in dns.pods if p.phase == "Running"][:4]
    logs = look.all_known([asks.log_of(p, dns.workload.container_name, lines=AFTERWARDS) for p in running])
    found = []
    for pod, log in zip(running, logs, strict=True):
        for match in FAILURE.finditer(log or ""):
            if match[1].rstrip(".").lower() == name.rstrip(".").lower():
                way = UPSTREAM.search(match[2])
                upstream = (way[1] or way[4] or "").strip("[]") if way else ""
                error = (way[3] or way[6]) if way else match[2]
                found.append(Complaint(pod.name, upstream, sanitise(error, 120)))
    return tuple(found)


UPSTREAM_UNREACHABLE = Cause(
    code="dns-upstream-unreachable",
    title="The server that CoreDNS forwards to does not answer",
    says="CoreDNS forwards names outside the cluster to {upstream}, which does not answer{error}.",
    means="Names outside the cluster fail in every Pod; names of Services resolve.",
    symptom="Names outside get SERVFAIL or time out after some seconds; names of the cluster are quick.",
    apart="Where one zone alone fails, its own server block is at fault; where all names fail, CoreDNS is.",
    mend="Forward to a resolver that answers, or repair the nodes' way to the one that is named.",
    explains=("dns-slow-upstream-one", "dns-slow-ndots"),
)


@explains(Hop.OUTSIDE_NAMES, UPSTREAM_UNREACHABLE)
def dns_upstream_unreachable(look: Look, asked: Question) -> Finding | None:
    """A name that no cache knows gets no answer, and CoreDNS says why, or the server is silent to the client too."""
    dns = cluster_dns(look, asked)
    answers = outside_answers(look, asked)
    if dns is None or dns.workload is None or not answers or any(a.rcode in ("NXDOMAIN", "NOERROR") for a in answers):
        return None
    name = outside_name(look)
    found = config(look, dns)
    forward = forward_for(found, name)
    # What CoreDNS writes when it gives up comes seconds after the client gave up.
    look(asks.lookup(dns.resolver.pod, dns.resolver.first, name, transport="UDP", attempt=9))
    said = [c for c in complaints(look, dns, name) if c.upstream]
    dead = _silent(look, dns, forward) if not said and forward else []
    if not said and (forward is None or not dead or len(dead) < len(forward.targets)):
        return None
    upstream = said[0].upstream if said else dead[0]
    literal = forward is not None and not forward.from_node
    at = found.ref if literal and found else ObjectRef("Node", "", _node_of(dns, said)) if said else dns.workload.ref
    return UPSTREAM_UNREACHABLE.confirmed(
        at=at,
        upstream=upstream + ("" if literal else ", which the node's resolv.conf names"),
        error=f" ({said[0].error})" if said else "",
        saw=(
            *(f"log of {c.pod}: asking {c.upstream} for {name.rstrip('.')}: {c.error}" for c in said[:2]),
            *(f"{server} does not answer {dns.resolver.pod.name} either" for server in dead[:2]),
        ),
        fixes=_redirect(dns, found, forward),
    )


def _node_of(dns: ClusterDns, said: list[Complaint]) -> str:
    return next((p.node for p in dns.pods if said and p.name == said[0].pod), "")


def _silent(look: Look, dns: ClusterDns, forward: Forward) -> list[str]:
    """The targets that do not answer the client itself, asked twice."""
    name = outside_name(look)
    questions = [
        asks.lookup(dns.resolver.pod, server, name, transport="UDP", attempt=n, port=port)
        for server, port in forward.targets[:4]
        for n in range(2)
    ]
    answers = look.all(questions)
    return [
        server
        for place, (server, _) in enumerate(forward.targets[:4])
        if not any(a.answered for a in answers[2 * place : 2 * place + 2])
    ]


def _redirect(dns: ClusterDns, found: Config | None, forward: Forward | None) -> tuple[Fix, ...]:
    if found is None or forward is None or dns.workload is None or not in_main_file(forward.line):
        return ()
    if forward.from_node:
        why = "write the address of a resolver that answers for /etc/resolv.conf, or mend the resolver of the nodes"
        return (by_hand("forward to a resolver that answers", found, dns.workload, why),)
    return (to_node_resolver("forward to the resolver of the nodes instead", found, dns.workload, forward.line),)


STUB_WRONG = Cause(
    code="dns-stub-domain-wrong",
    title="The zone is forwarded to a server that does not answer for it",
    says="Names under {zone} are forwarded to {targets}, {wrong}.",
    means="Only names under {zone} fail; others inside and outside the cluster resolve.",
    symptom="One private zone fails with SERVFAIL, REFUSED or a time-out, and only in Pods.",
    apart="With the general upstream down, all names outside fail.",
    mend="Correct the address in the server block of the zone.",
)


@explains(Hop.NAME, STUB_WRONG)
def dns_stub_domain_wrong(look: Look, asked: Question) -> Finding | None:
    """The name lies in a zone with a server block of its own, and the server named there is silent or refuses."""
    dns = cluster_dns(look, asked)
    found = config(look, dns) if dns else None
    tried = looked_up(look, asked)
    if dns is None or found is None or dns.workload is None or tried is None or tried.addresses:
        return None
    name = f"{asked.host.rstrip('.')}."
    forward = forward_for(found, name)
    own = dict(tried.tried).get(name)
    if forward is None or own is None or own.rcode not in ("", "SERVFAIL", "REFUSED"):
        return None
    zone = max((z.name for z in forward.block.zones if z.holds(name)), key=len)
    if not zone or not forward.targets:
        return None
    asked_directly = look.all(
        [
            asks.lookup(dns.resolver.pod, server, name, transport="UDP", attempt=n, port=port)
            for server, port in forward.targets[:3]
            for n in range(2)
        ]
    )
    if any(a.rcode in ("NOERROR", "NXDOMAIN") for a in asked_directly):
        return None
    refuses = next((a for a in asked_directly if a.rcode in ("REFUSED", "NOTAUTH", "SERVFAIL")), None)
    said = complaints(look, dns, name) if refuses is None else ()
    confident = STUB_WRONG.confirmed if refuses is not None or said else STUB_WRONG.likely
    return confident(
        at=found.ref,
        zone=zone,
        targets=", ".join(server for server, _ in forward.targets),
        wrong=f"which answers {refuses.rcode}" if refuses else "which does not answer",
        saw=(
            f"Corefile line {forward.line.line}: {forward.line.text}",
            *(f"log of {c.pod}: {c.upstream} for {name.rstrip('.')}: {c.error}" for c in said[:1]),
            f"asked directly from {dns.resolver.pod.name}: {asked_directly[0].words}",
        ),
        fix=by_hand(
            f"correct line {forward.line.line}", found, dns.workload, "the right server of the zone is not known here"
        ),
    )


SLOW_UPSTREAM = Cause(
    code="dns-slow-upstream-one",
    title="One of the servers that CoreDNS forwards to is dead",
    says="Of the {all} servers that CoreDNS forwards to, {dead} does not answer.",
    means="Questions that are sent there first take seconds until another server is asked.",
    symptom="Some lookups of names outside take 2 s or more, others are quick.",
    apart="With all of them dead, names outside fail; with a lossy way, questions for cluster names get lost too.",
    mend="Take the dead server out of the line `forward`, or bring it back.",
)


@explains(Hop.OUTSIDE_NAMES, SLOW_UPSTREAM, When.ALWAYS)
def dns_slow_upstream_one(look: Look, asked: Question) -> Finding | None:
    """Several servers are named; asked directly, some answer and one does not."""
    dns = cluster_dns(look, asked)
    found = config(look, dns) if dns else None
    forward = forward_for(found, outside_name(look))
    if dns is None or found is None or forward is None or dns.workload is None or len(forward.targets) < 2:
        return None
    look(asks.may_probe())
    dead = _silent(look, dns, forward)
    if not dead or len(dead) == len(forward.targets[:4]):
        return None
    words = " ".join(("forward", forward.line.args[0], *(a for a in forward.line.args[1:] if _host(a) not in dead)))
    fix = by_hand("take it out", found, dns.workload, "the line stands in an imported file")
    if in_main_file(forward.line):
        text = with_line(found, forward.line, words)
        fix = with_corefile(f"forward without {dead[0]}", found, dns.workload, text)
    return SLOW_UPSTREAM.likely(
        at=found.ref,
        all=len(forward.targets),
        dead=", ".join(dead),
        saw=(
            f"Corefile line {forward.line.line}: {forward.line.text}",
            f"asked from {dns.resolver.pod.name}, {dead[0]} does not answer and the others do",
        ),
        effect=Effect.DEGRADES,
        fix=fix,
    )


def _host(arg: str) -> str:
    target = _target(arg)
    return target[0] if target else ""


MAX_CONCURRENT = Cause(
    code="dns-max-concurrent",
    title="CoreDNS refuses questions because too many wait",
    says="CoreDNS refuses names outside: more than {limit} questions wait for the server that it forwards to.",
    means="What comes on top of the limit is refused at once, until earlier questions are answered.",
    symptom="REFUSED under load, for names outside the cluster only.",
    apart="A zone without a server block is refused always; here it is a matter of load.",
    mend="Raise max_concurrent (a waiting question takes 2 kB), and see why the server outside is slow.",
)


@explains(Hop.OUTSIDE_NAMES, MAX_CONCURRENT, When.ALWAYS)
def dns_max_concurrent(look: Look, asked: Question) -> Finding | None:
    """A question was refused, and CoreDNS says for want of room."""
    answers = outside_answers(look, asked)
    dns = cluster_dns(look, asked)
    if dns is None or dns.workload is None or not any(a.rcode == "REFUSED" for a in answers):
        return None
    said = [c for c in complaints(look, dns, outside_name(look)) if "concurrent queries" in c.error]
    found = config(look, dns)
    forward = forward_for(found, outside_name(look))
    option = forward.line.option("max_concurrent") if forward else None
    if not said or found is None or option is None or not option.args:
        return None
    return MAX_CONCURRENT.confirmed(
        at=found.ref,
        limit=option.args[0],
        saw=(f"log of {said[0].pod}: {said[0].error}", f"Corefile line {option.line}: {option.text}"),
        effect=Effect.DEGRADES if any(_fine(a) for a in answers) else Effect.BREAKS,
        fix=with_corefile("allow 1000", found, dns.workload, with_line(found, option, "max_concurrent 1000"))
        if in_main_file(option)
        else Fix("see the log", kubectl("logs", said[0].pod, namespace=dns.workload.ref.namespace), Risk.READ_ONLY),
    )


def _fine(answer: DnsAnswer) -> bool:
    return answer.rcode in ("NXDOMAIN", "NOERROR")
