"""Questions put to name servers from the client's Pod, all side by side: each server, each replica, and many tries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.dns_client import Resolver, asks_cluster, cluster_domain, resolver_of
from kubectl_netdebug.causes.dns_cluster import PORT, Replica, replicas, service_with
from kubectl_netdebug.causes.resolving import questions_for
from kubectl_netdebug.model.facts import Ask
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.net.address import is_address
from kubectl_netdebug.net.outcome import Attempt
from kubectl_netdebug.net.resolvconf import candidates
from kubectl_netdebug.net.spoken import DnsAnswer

TRIES = 3
"""Questions over UDP to each server: one alone may get lost by chance."""

MANY = 20
"""Questions over UDP to the first server, each by a socket of its own."""

LATER = 6
"""Further questions to a first server that answered none, where chance chooses among its replicas."""

CALM = 4
LOOPBACK, NOBODY = "127.0.0.1", 9

MOST_SERVERS = 3
MOST_REPLICAS = 8


@dataclass(frozen=True)
class Tried:
    """One server, or one replica behind it, over UDP and TCP. `tcp` is None where TCP was not tried."""

    server: str
    udp: tuple[DnsAnswer, ...]
    tcp: Attempt | None
    replica: Replica | None = None

    @property
    def udp_works(self) -> bool:
        """At least one question was answered, whatever the answer says."""
        return any(answer.answered for answer in self.udp)

    @property
    def udp_lost(self) -> bool:
        """Every question vanished."""
        return bool(self.udp) and all(answer.lost for answer in self.udp)

    @property
    def udp_refused(self) -> bool:
        """Every question was refused at once."""
        return bool(self.udp) and all(answer.outcome == "refused" for answer in self.udp)

    @property
    def tcp_works(self) -> bool:
        """A TCP connection was accepted."""
        return self.tcp is not None and self.tcp.outcome.connected

    @property
    def tcp_fails(self) -> bool:
        """TCP was tried and not accepted."""
        return self.tcp is not None and not self.tcp.outcome.connected

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.replica.label} ({self.server})" if self.replica else self.server

    @property
    def words(self) -> str:
        """How both went."""
        good = sum(1 for answer in self.udp if answer.answered)
        udp = "UDP answers" if good == len(self.udp) else f"UDP {good} of {len(self.udp)} answered"
        if self.udp_refused:
            udp = "UDP refused"
        return f"{udp}, TCP {self.tcp.outcome.words}" if self.tcp else udp


def test_name(look: Look, resolver: Resolver) -> str:
    """A name that its first server answers by itself: the API's for the cluster's DNS, else one that stays local."""
    if asks_cluster(look, resolver):
        return f"kubernetes.default.svc.{cluster_domain(look, resolver.conf)}."
    return "localhost."


def servers_tried(look: Look, asked: Question) -> tuple[Tried, ...]:
    """Each name server of the resolv.conf."""
    resolver = resolver_of(look, asked)
    if resolver is None or not resolver.conf.nameservers:
        return ()
    name = test_name(look, resolver)
    _foresee_everything(look, asked, resolver, name)
    service = dns_service(look, resolver)
    chosen = {resolver.first} if service and len([r for r in replicas(look, service) if r.ready and r.udp]) > 1 else ()
    return tuple(
        _tried(look, resolver, server, name, later=LATER if server in chosen else 0)
        for server in resolver.conf.nameservers[:MOST_SERVERS]
    )


def replicas_tried(look: Look, asked: Question) -> tuple[Tried, ...]:
    """Each ready replica behind the first name server, by its Pod's address."""
    resolver = resolver_of(look, asked)
    service = dns_service(look, resolver) if resolver else None
    if resolver is None or service is None:
        return ()
    name = test_name(look, resolver)
    ready = [r for r in replicas(look, service) if r.ready and r.udp][:MOST_REPLICAS]
    _foresee_everything(look, asked, resolver, name)
    return tuple(_tried(look, resolver, each.address, name, each, later=2) for each in ready)


def many_tries(look: Look, asked: Question) -> tuple[DnsAnswer, ...]:
    """Many questions to the first name server; none where it has none."""
    resolver = resolver_of(look, asked)
    if resolver is None or not resolver.first:
        return ()
    name = test_name(look, resolver)
    _foresee_everything(look, asked, resolver, name)
    return tuple(
        look.all([asks.lookup(resolver.pod, resolver.first, name, transport="UDP", attempt=n) for n in range(MANY)])
    )


def calm_tries(look: Look, asked: Question) -> tuple[tuple[DnsAnswer, ...], float]:
    """A few questions with nothing beside them, and how many milliseconds a try takes that goes nowhere.

    On a busy node the processes of a try wait for each other longer than for any answer; that is not DNS being slow.
    """
    resolver = resolver_of(look, asked)
    if resolver is None or not many_tries(look, asked):
        return (), 0.0
    name = test_name(look, resolver)
    numbers = range(MANY, MANY + CALM)
    answers = look.all(
        [asks.lookup(resolver.pod, resolver.first, name, transport="UDP", attempt=n) for n in numbers]
        + [asks.lookup(resolver.pod, LOOPBACK, name, transport="UDP", attempt=n, port=NOBODY) for n in numbers]
    )
    own = max(answer.milliseconds for answer in answers[CALM:])
    return tuple(answers[:CALM]), own


def dns_service(look: Look, resolver: Resolver) -> Service | None:
    """The Service that the first name server is, in whatever namespace."""
    return service_with(look, resolver.first) if resolver.first else None


def _foresee_everything(look: Look, asked: Question, resolver: Resolver, name: str) -> None:
    """What the steps behind will ask for as well, so that it all is one script in the Pod."""
    look(asks.may_probe())
    if not resolver.first:
        return
    service = dns_service(look, resolver)
    behind = [r for r in replicas(look, service) if r.ready and r.udp][:MOST_REPLICAS] if service else []
    count = MANY if asked.flow is FlowName.DNS else TRIES
    look.foresee(
        *(asks.lookup(resolver.pod, resolver.first, name, transport="UDP", attempt=n) for n in range(count)),
        *(outside_questions(look, resolver) if asked.flow is FlowName.DNS and not asked.host else ()),
        *name_questions(resolver, asked),
        *_questions(resolver, [(s, PORT) for s in resolver.conf.nameservers[:MOST_SERVERS]], name),
        *_questions(resolver, [(r.address, r.udp) for r in behind], name),
        *(asks.connect(resolver.pod, s, PORT) for s in resolver.conf.nameservers[:MOST_SERVERS]),
        *(asks.connect(resolver.pod, r.address, r.tcp) for r in behind if r.tcp),
    )


def name_questions(resolver: Resolver, asked: Question) -> list[Ask[DnsAnswer]]:
    """The name that was asked about, with the search list; none for an address."""
    if not asked.host or is_address(asked.host) or not resolver.first:
        return []
    return questions_for(resolver.pod, resolver.first, candidates(asked.host, resolver.conf))


def outside_name(look: Look) -> str:
    """A name outside the cluster that nobody has asked for before, so that no cache knows it. It does not exist."""
    return f"nd-{int(look(asks.now()).timestamp()):x}.example."


def outside_questions(look: Look, resolver: Resolver) -> list[Ask[DnsAnswer]]:
    """The question for a name outside, twice: each costs the servers that it is forwarded to one answer, NXDOMAIN."""
    name = outside_name(look)
    return [asks.lookup(resolver.pod, resolver.first, name, transport="UDP", attempt=n) for n in range(2)]


def outside_answers(look: Look, asked: Question) -> tuple[DnsAnswer, ...]:
    """How the first name server answers for names outside; none where it has none."""
    resolver = resolver_of(look, asked)
    if resolver is None or not resolver.first:
        return ()
    look(asks.may_probe())
    return tuple(look.all(outside_questions(look, resolver)))


def _questions(resolver: Resolver, servers: Sequence[tuple[str, int]], name: str) -> list[Ask[DnsAnswer]]:
    return [
        asks.lookup(resolver.pod, server, name, transport="UDP", attempt=n, port=port)
        for server, port in servers
        for n in range(TRIES)
    ]


def _tried(
    look: Look, resolver: Resolver, server: str, name: str, replica: Replica | None = None, *, later: int
) -> Tried:
    """What fails is tried again, so many times: a busy node is late by itself, and chance may meet a dead replica."""
    udp_port, tcp_port = (replica.udp, replica.tcp) if replica else (PORT, PORT)
    answers = look.all(_questions(resolver, [(server, udp_port)], name))
    if later and all(answer.lost for answer in answers):
        more = range(MANY, MANY + later)
        answers += look.all(
            [asks.lookup(resolver.pod, server, name, transport="UDP", attempt=n, port=udp_port) for n in more]
        )
    tcp = look.if_known(asks.connect(resolver.pod, server, tcp_port)) if tcp_port else None
    if tcp is not None and not tcp.outcome.connected:
        tcp = look.if_known(asks.connect(resolver.pod, server, tcp_port, attempt=1))
    return Tried(server, tuple(answers), tcp, replica)
