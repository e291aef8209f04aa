"""How a name resolves for a Pod: its own name server, its own search list, asked as its resolver would ask."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.net.resolvconf import ResolvConf, candidates, read_resolv_conf
from kubectl_netdebug.net.spoken import DnsAnswer

RESOLV_CONF = "/etc/resolv.conf"


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

    @property
    def answer(self) -> DnsAnswer | None:
        """The answer that decided: the one with addresses, else the last one."""
        decided = [answer for name, answer in self.tried if name == self.full]
        return decided[0] if decided else self.tried[-1][1] if self.tried else None


def conf_of(look: Look, client: Pod) -> ResolvConf:
    """The resolver's configuration as the Pod has it."""
    return read_resolv_conf(look(asks.file_in(client, RESOLV_CONF)))


def resolve(look: Look, client: Pod, name: str, record: str = "A", transport: str = "UDP") -> Resolution:
    """Asks the Pod's first name server for a name as its resolver would; all names of the search list side by side.

    Where there is no A record, AAAA is asked for the name itself.
    """
    conf = conf_of(look, client)
    if not conf.nameservers:
        return Resolution(name, conf, "", ())
    server = conf.nameservers[0]
    names = candidates(name, conf)
    answers = look.all([asks.lookup(client, server, each, record, transport=transport) for each in names])
    tried = tuple(zip(names, answers, strict=True))
    for full, answer in tried:
        if answer.addresses:
            return Resolution(name, conf, server, tried, full, answer.addresses)
    exists = next((full for full, answer in tried if answer.rcode == "NOERROR"), "")
    if exists and record == "A":
        again = look(asks.lookup(client, server, exists, "AAAA", transport=transport))
        if again.addresses:
            return Resolution(name, conf, server, (*tried, (exists, again)), exists, again.addresses)
    return Resolution(name, conf, server, tried)
