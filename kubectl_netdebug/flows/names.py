"""Steps that find out whether and how names resolve in the client's Pod, for flows whose destination has a name."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.dns_client import asks_cluster, is_local_cache, resolver_of
from kubectl_netdebug.causes.dns_cluster import pods_of, replicas, service_with, usual_service, workload
from kubectl_netdebug.causes.dns_names import belongs_to_cluster, looked_up
from kubectl_netdebug.causes.dns_tried import (
    calm_tries,
    dns_service,
    many_tries,
    outside_answers,
    replicas_tried,
    servers_tried,
)
from kubectl_netdebug.causes.dns_tried import test_name as name_to_try
from kubectl_netdebug.causes.trouble import merely_starting
from kubectl_netdebug.model.hop import Hop, Outcome, failed, passed, skipped, unknown, warned
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.model.step import Step
from kubectl_netdebug.net.address import is_address
from kubectl_netdebug.net.spoken import DnsAnswer

SLOW = 250.0
"""Milliseconds that a question may take which the server answers by itself."""


def name_steps(after: tuple[Hop, ...]) -> tuple[Step, ...]:
    """How the client's resolver is set up, whether its servers answer, and what the name leads to."""
    before = (*after, Hop.RESOLVER, Hop.DNS_SERVICE)
    return (
        Step(Hop.RESOLVER, "resolver", _resolver, after=after, essential=False),
        Step(Hop.DNS_SERVICE, "DNS Service", dns_service_step, after=(*after, Hop.RESOLVER), essential=False),
        Step(Hop.NAME_SERVERS, "name servers", _name_servers, after=before, follow_failures=True),
        Step(Hop.NAME, "name", _name, after=(*before, Hop.NAME_SERVERS)),
        Step(Hop.OUTSIDE_NAMES, "names outside", _outside_names, after=(*before, Hop.NAME_SERVERS), essential=False),
    )


def dns_steps(after: tuple[Hop, ...]) -> tuple[Step, ...]:
    """The same with names of the cluster, and with many tries."""
    answered = (*after, Hop.RESOLVER, Hop.DNS_SERVICE, Hop.NAME_SERVERS)
    return (
        *name_steps(after),
        Step(Hop.CLUSTER_NAMES, "cluster names", _cluster_names, after=answered),
        Step(Hop.DNS_SPEED, "speed", _speed, after=answered, essential=False),
    )


def _needless(asked: Question) -> bool:
    """The destination is an address, which no name server is asked for."""
    return asked.flow is not FlowName.DNS and (not asked.host or is_address(asked.host))


def _resolver(look: Look, asked: Question) -> Outcome:
    if _needless(asked):
        return skipped("an address needs no name server")
    resolver = resolver_of(look, asked)
    if resolver is None:
        return skipped("no client is named")
    if not resolver.conf.nameservers:
        if not resolver.observed:
            return unknown("its name server cannot be told without a look into the Pod")
        return failed("the Pod has no name server")
    conf = resolver.conf
    servers = ", ".join(conf.nameservers)
    search = " ".join(conf.search) or "none"
    said = f"{servers}; search {search}; ndots {conf.ndots}"
    if not resolver.observed:
        return passed(f"by its configuration: {said}")
    return passed(said if asks_cluster(look, resolver) else f"its node's: {said}")


def dns_service_step(look: Look, asked: Question) -> Outcome:
    if _needless(asked):
        return skipped("an address needs no name server")
    resolver = resolver_of(look, asked)
    if resolver is None:
        return skipped("no client is named")
    if not asks_cluster(look, resolver):
        return skipped("not asked: the Pod uses other name servers")
    service = dns_service(look, resolver) if resolver.first else usual_service(look)
    if service is None and is_local_cache(resolver.first):
        return skipped(f"{resolver.first} is a cache on the node")
    if service is None:
        usual = usual_service(look)
        if not resolver.first:
            return unknown("there is no DNS Service of the usual name")
        other = f"; Service {usual.namespace}/{usual.name} has {usual.address}" if usual else ""
        return failed(f"no Service has {resolver.first}{other}")
    return _behind(look, service.namespace, service.name, service.cluster_ip)


def _behind(look: Look, namespace: str, name: str, address: str) -> Outcome:
    service = service_with(look, address)
    assert service is not None
    ports = {p.protocol for p in service.ports if p.port == 53}
    where = f"{namespace}/{name} {address}"
    if "UDP" not in ports:
        return failed(f"{where} has no port 53/UDP")
    everything = replicas(look, service)
    serving = [r for r in everything if r.ready and r.udp]
    runs = workload(look, service)
    wanted = runs.replicas if runs else len(everything)
    counts = (len(serving), wanted)
    if not serving:
        return failed(f"{where}: no replica is ready", counts)
    said = f"{where}: {len(serving)} of {wanted} replicas ready"
    if "TCP" not in ports:
        return warned(f"{where} has no port 53/TCP", counts)
    if len(serving) < wanted:
        now = look(asks.now())
        waiting = [p for p in pods_of(look, runs) if not p.ready] if runs else []
        starting = bool(waiting) and all(merely_starting(p, now) for p in waiting)
        return passed(f"{said}, the rest starting", counts) if starting else warned(said, counts)
    return passed(said, counts)


def _name_servers(look: Look, asked: Question) -> Outcome:
    if _needless(asked):
        return skipped("an address needs no name server")
    servers = servers_tried(look, asked)
    if not servers:
        return skipped("no name server to ask")
    first, others = servers[0], servers[1:]
    if not first.udp_works:
        if any(t.udp_works for t in others):
            return warned(f"the first, {first.server}, does not answer: {first.words}")
        return failed("; ".join(f"{t.server}: {t.words}" for t in servers))
    if first.tcp_fails:
        return warned(f"{first.server}: {first.words}")
    behind = replicas_tried(look, asked)
    bad = [t for t in behind if not t.udp_works or t.tcp_fails]
    counts = (len(behind) - len(bad), len(behind)) if behind else None
    if bad:
        return warned(f"replica {bad[0].label}: {bad[0].words}", counts)
    mute = [t.server for t in others if not t.udp_works]
    aside = f"; {', '.join(mute)} does not answer and is only asked when the first is silent" if mute else ""
    each = f", and {len(behind)} replicas each" if behind else ""
    return passed(f"{first.server} answers over UDP and TCP{each}{aside}", counts)


def _cluster_names(look: Look, asked: Question) -> Outcome:
    resolver = resolver_of(look, asked)
    if resolver is None or not resolver.first:
        return skipped("no name server to ask")
    if not asks_cluster(look, resolver):
        return skipped("the Pod uses other name servers than the cluster's")
    answers = [a for a in servers_tried(look, asked)[0].udp if a.answered]
    if not answers:
        return unknown("no answer")
    name = name_to_try(look, resolver).rstrip(".")
    bad = [a for a in answers if not a.addresses]
    if not bad:
        return passed(f"{name} is {', '.join(answers[0].addresses)}")
    said = f"{name}: {bad[0].words}"
    return failed(said) if len(bad) == len(answers) else warned(said)


def _name(look: Look, asked: Question) -> Outcome:
    if not asked.host or is_address(asked.host):
        return skipped("no name was asked about" if asked.flow is FlowName.DNS else "an address needs no name server")
    found = looked_up(look, asked)
    if found is None or not found.server:
        return failed("the Pod has no name server")
    if found.addresses:
        given = f" ({found.full.rstrip('.')})" if found.full.rstrip(".") != asked.host.rstrip(".") else ""
        return passed(f"{asked.host}{given} is {', '.join(found.addresses[:4])}")
    answer = found.answer
    if answer is None or not answer.answered:
        return failed(f"name server {found.server}: {answer.words if answer else 'not asked'}")
    return failed(f"{asked.host}: {answer.words}")


def _outside_names(look: Look, asked: Question) -> Outcome:
    """By a name that no cache knows; where a name was asked about, only when that one is outside and fails."""
    if _needless(asked):
        return skipped("an address needs no name server")
    if asked.host:
        found = looked_up(look, asked)
        if belongs_to_cluster(look, asked):
            return skipped("not asked: the name is one of the cluster")
        if found is not None and found.addresses:
            return skipped("the name that was asked about resolves")
    answers = outside_answers(look, asked)
    if not answers:
        return skipped("no name server to ask")
    return judge_outside(answers)


def judge_outside(answers: tuple[DnsAnswer, ...]) -> Outcome:
    """That the name does not exist is the right answer; a refusal means that names outside are not served at all."""
    good = [a for a in answers if a.rcode in ("NXDOMAIN", "NOERROR")]
    if len(good) == len(answers):
        return passed(f"answered in {max(a.milliseconds for a in good):.0f} ms")
    if any(a.rcode == "REFUSED" for a in answers) and not good:
        return passed("not served (REFUSED), as the configuration has it")
    bad = next(a for a in answers if a not in good)
    said = f"names outside the cluster: {bad.words}"
    return warned(said) if good else failed(said)


def _speed(look: Look, asked: Question) -> Outcome:
    tries = many_tries(look, asked)
    if not tries:
        return skipped("no name server to ask")
    lost = [t for t in tries if t.lost]
    times = sorted(t.milliseconds for t in tries if t.answered)
    counts = (len(times), len(tries))
    if not times:
        return failed(f"0 of {len(tries)} questions answered", counts)
    if len(lost) >= 2:
        return warned(
            f"{len(lost)} of {len(tries)} questions over UDP got lost; each costs 2.5 s (musl) or 5 s (glibc)",
            counts,
        )
    middle, most = times[len(times) // 2], times[-1]
    if times[len(times) // 4] > SLOW:
        tried_again, own = calm_tries(look, asked)
        calm = [t.milliseconds for t in tried_again if t.answered]
        if not calm or min(calm) > SLOW + 2 * own:
            return warned(f"slow: {middle:.0f} ms in the middle, {most:.0f} ms at most", counts)
        middle, most = sorted(calm)[len(calm) // 2], max(calm)
    return passed(
        f"{len(times)} of {len(tries)} answered, {middle:.0f} ms in the middle, {most:.0f} ms at most", counts
    )
