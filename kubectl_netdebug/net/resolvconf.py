"""A resolver's configuration from `/etc/resolv.conf` (format: resolv.conf(5))."""

from __future__ import annotations

from dataclasses import dataclass

RESOLV_CONF = "/etc/resolv.conf"

DEFAULT_NDOTS = 1


@dataclass(frozen=True)
class ResolvConf:
    """What a stub resolver works with; of several `search` lines the last one counts."""

    nameservers: tuple[str, ...]
    search: tuple[str, ...]
    ndots: int

    @property
    def cluster_domain(self) -> str:
        """`cluster.local` or whatever stands in its place, told by the entry `svc.DOMAIN`; '' where there is none."""
        return next((entry[4:] for entry in self.search if entry.startswith("svc.") and len(entry) > 4), "")


def read_resolv_conf(text: str) -> ResolvConf:
    """The configuration; unknown lines are passed over."""
    nameservers: list[str] = []
    search: tuple[str, ...] = ()
    ndots = DEFAULT_NDOTS
    for words in (line.split() for line in text.splitlines()):
        match words:
            case ["nameserver", address, *_]:
                nameservers.append(address)
            case ["search" | "domain", *names]:
                search = tuple(name.rstrip(".") for name in names if name.rstrip("."))
            case ["options", *options]:
                ndots = next((int(o[6:]) for o in options if o.startswith("ndots:") and o[6:].isdecimal()), ndots)
    return ResolvConf(tuple(nameservers), search, ndots)


def candidates(name: str, conf: ResolvConf) -> tuple[str, ...]:
    """The absolute names that a resolver asks for, in order (resolv.conf(5), as glibc does it).

    A name that ends in a dot is asked as it is. One with at least `ndots` dots is first asked as it is, another last.
    """
    if name.endswith("."):
        return (name,)
    searched = tuple(f"{name}.{domain}." for domain in conf.search)
    itself = f"{name}."
    return (itself, *searched) if name.count(".") >= conf.ndots else (*searched, itself)
