"""Makes long readings of a node short, line by line, before they become facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubectl_netdebug.net import tracked
from kubectl_netdebug.net.cni_conf import hide
from kubectl_netdebug.net.proxy_reduce import keep_iptables, keep_nft

Reducer = Callable[[Iterable[str], tuple[str, ...]], Iterable[str]]

REDUCERS: dict[str, Reducer] = {
    **dict.fromkeys(("iptables", "iptables-legacy", "ip6tables", "ip6tables-legacy"), keep_iptables),
    "nft": keep_nft,
    "cni-conf": hide,
    "tracked": tracked.keep,
}
"""By the name of the reading. A reducer gets the lines and the `about` of the key."""


def reduce(what: str, about: tuple[str, ...], lines: Iterable[str]) -> Iterable[str]:
    """The lines that are worth keeping; all of them where nothing is known about a reading."""
    reducer = REDUCERS.get(what)
    return reducer(lines, about) if reducer else lines
