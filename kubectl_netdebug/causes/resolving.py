"""How a name resolves for a Pod: its own name server, its own search list, asked as its resolver would ask."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.model.facts import Ask
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.net.resolvconf import RESOLV_CONF, ResolvConf, candidates, read_resolv_conf
from kubectl_netdebug.net.spoken import DnsAnswer


@dataclass(frozen=True)
class Resolution:
    """What a resolver in the Pod gets for a name.

    `tried` are the absolute names in the order of the search list with their answers; `full` is the one that gave the
    addresses, '' where none did.
    """

    name: str
    conf: ResolvConf
    server: str
    tried: tuple[tuple[str, DnsAnswer], ...]
    full: str = ""
    addresses: tuple[str, ...] = ()
    also: tuple[tuple[str, DnsAnswer], ...] = ()
    """The same names with the answers to the question for AAAA, which resolvers send beside that for A."""

    @property
    def answer(self) -> DnsAnswer | None:
        """The answer that decided: the one with addresses, else the last one."""
        decided = [answer for name, answer in self.tried if name == self.full]
        return decided[0] if decided else self.tried[-1][1] if self.tried else None


def conf_of(look: Look, client: Pod) -> ResolvConf:
    """The resolver's configuration as the Pod has it."""
    return read_resolv_conf(look(asks.file_in(client, RESOLV_CONF)))


def resolve(look: Look, client: Pod, name: str, record: str = "A", transport: str = "UDP") -> Resolution:
    """Asks the Pod's first name server for a name as its resolver would: A and AAAA, the whole search list at once.

    A resolver takes the first name that exists; a name with AAAA records alone gives those.
    """
    conf = conf_of(look, client)
    if not conf.nameservers:
        return Resolution(name, conf, "", ())
    server = conf.nameservers[0]
    names = candidates(name, conf)
    questions = questions_for(client, server, names, record, transport)
    answers = look.all(questions)
    tried = tuple(zip(names, answers[: len(names)], strict=True))
    also = tuple(zip(names, answers[len(names) :], strict=False))
    for place, (full, answer) in enumerate(tried):
        if answer.addresses:
            return Resolution(name, conf, server, tried, full, answer.addresses, also)
        if place < len(also) and also[place][1].addresses:
            deciding = also[place][1]
            shown = (*tried[:place], (full, deciding), *tried[place + 1 :])
            return Resolution(name, conf, server, shown, full, deciding.addresses, also)
    return Resolution(name, conf, server, tried, also=also)


def questions_for(
    client: Pod, server: str, names: tuple[str, ...], record: str = "A", transport: str = "UDP"
) -> list[Ask[DnsAnswer]]:
    """The questions for all these names, then those for AAAA where A is asked."""
    records = (record, "AAAA") if record == "A" else (record,)
    return [asks.lookup(client, server, each, kind, transport=transport) for kind in records for each in names]
