"""Routes, rules and neighbours of a machine, from `ip -j route|rule|neigh`, the text of busybox's `ip`, or `/proc`.

Either form may come from a node: a full iproute2 prints JSON, busybox ignores `-j` or has no such option. Whatever
cannot be read is passed over; nothing here raises.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Mapping
from typing import Any

from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.net.iproute_proc import ARP_HEAD, is_proc_routes, proc_neighbours, proc_routes
from kubectl_netdebug.net.iproute_table import MAIN, REFUSING, Neighbour, Network, Route, Rule, Via

_TYPES = ("unicast", "local", "broadcast", "multicast", "anycast", "throw", "nat", *REFUSING)


def read_routes(text: str) -> tuple[Route, ...]:
    """Of `ip -j route show table all`, `ip route show table all` or `/proc/net/route`, of either family."""
    if is_proc_routes(text):
        return tuple(
            Route(network, (Via(gateway, device),) if device else (), kind)
            for written, gateway, device, kind in proc_routes(text)
            if (network := _network(written)) is not None
        )
    found = map(_json_route, _entries(text)) if _is_json(text) else map(_text_route, text.splitlines())
    return tuple(route for route in found if route is not None)


def read_rules(text: str) -> tuple[Rule, ...]:
    """Of `ip -j rule` or `ip rule`, in the order in which the kernel asks them."""
    found = map(_json_rule, _entries(text)) if _is_json(text) else map(_text_rule, text.splitlines())
    return tuple(sorted((rule for rule in found if rule is not None), key=lambda rule: rule.priority))


def read_neighbours(text: str) -> tuple[Neighbour, ...]:
    """Of `ip -j neigh`, `ip neigh` or `/proc/net/arp`."""
    if text.startswith(ARP_HEAD):
        return tuple(Neighbour(*each) for each in proc_neighbours(text))
    found = map(_json_neighbour, _entries(text)) if _is_json(text) else map(_text_neighbour, text.splitlines())
    return tuple(neighbour for neighbour in found if neighbour is not None)


def _is_json(text: str) -> bool:
    return text.lstrip()[:1] == "["


def _entries(text: str) -> Iterator[Mapping[str, Any]]:
    """The objects of a JSON list; empty ones, as iproute2 prints them for what it filtered out, are passed over."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    yield from (entry for entry in tree.entries({"list": value}, "list") if entry)


def _network(written: str, length: int | None = None, version: int = 4) -> Network | None:
    """`10.0.0.0/8`, an address alone, or `default`, which says not of which family."""
    try:
        if written in ("default", "all", "any"):
            return ipaddress.ip_network("0.0.0.0/0" if version == 4 else "::/0")
        return ipaddress.ip_network(written if length is None else f"{written}/{length}", strict=False)
    except ValueError:
        return None


def _family(*written: str) -> int:
    """6 where anything among the words of a route is an IPv6 address."""
    return 6 if any(":" in word for word in written) else 4


def _json_route(entry: Mapping[str, Any]) -> Route | None:
    hops = list(tree.entries(entry, "nexthops")) or [entry]
    ways = tuple(
        Via(tree.text(hop, "gateway") or tree.text(hop, "via", "host"), tree.text(hop, "dev"))
        for hop in hops
        if tree.text(hop, "dev") or tree.text(hop, "gateway") or tree.text(hop, "via", "host")
    )
    six = "pref" in entry or _family(tree.text(entry, "gateway"), tree.text(entry, "prefsrc")) == 6
    network = _network(tree.text(entry, "dst"), version=6 if six else 4)
    if network is None:
        return None
    return Route(
        network=network,
        ways=ways,
        type=tree.text(entry, "type") or "unicast",
        table=tree.text(entry, "table") or MAIN,
        source=tree.text(entry, "prefsrc"),
        metric=tree.number(entry, "metric"),
        mtu=next((tree.number(each, "mtu") for each in tree.entries(entry, "metrics")), 0),
        protocol=tree.text(entry, "protocol"),
        down="dead" in tree.strings(entry, "flags"),
    )


def _text_route(line: str) -> Route | None:
    words = line.split()
    kind = words.pop(0) if words and words[0] in _TYPES else "unicast"
    if not words:
        return None
    given = _pairs(words[1:], "via", "dev", "src", "table", "metric", "proto")
    network = _network(words[0], version=_family(given.get("via", ""), given.get("src", "")))
    if network is None:
        return None
    device, gateway = given.get("dev", ""), given.get("via", "")
    return Route(
        network=network,
        ways=(Via(gateway, device),) if device or gateway else (),
        type=kind,
        table=given.get("table", MAIN),
        source=given.get("src", ""),
        metric=_whole(given.get("metric", "")),
        protocol=given.get("proto", ""),
        down="dead" in words,
    )


_RULE_WORDS = ("priority", "src", "srclen", "dst", "dstlen", "table", "action", "not", "goto", "suppress_prefixlen")
_QUIET_WORDS = ("protocol", "iif_detached", "oif_detached", "fwmask", "realms", "suppress_ifgroup")


def _json_rule(entry: Mapping[str, Any]) -> Rule | None:
    if not isinstance(entry.get("priority"), int):
        return None
    ends: dict[str, Network | None] = {}
    for name in ("src", "dst"):
        written = tree.text(entry, name)
        length = tree.number(entry, f"{name}len", default=-1)
        ends[name] = _network(written, length if length >= 0 else None) if written not in ("", "all") else None
        if written not in ("", "all") and ends[name] is None:
            return None
    goto = tree.number(entry, "goto", default=-1)
    return Rule(
        priority=tree.number(entry, "priority"),
        table=tree.text(entry, "table"),
        action="goto" if goto >= 0 else tree.text(entry, "action") or "lookup",
        from_=ends["src"],
        to=ends["dst"],
        inverted="not" in entry,
        other=tuple(f"{name} {tree.text(entry, name)}" for name in entry if name not in (*_RULE_WORDS, *_QUIET_WORDS)),
        suppress=tree.number(entry, "suppress_prefixlen", default=-1),
        goto=max(goto, 0),
    )


def _text_rule(line: str) -> Rule | None:
    """busybox prints neither `not`, `oif` nor ports: what it leaves out cannot be known here."""
    number, colon, rest = line.partition(":")
    words = rest.split()
    if not colon or not number.strip().isdecimal() or not words:
        return None
    given = _pairs(words, "from", "to", "lookup", "table", "fwmark", "iif", "oif", "tos", "suppress_prefixlength")
    ends = {name: given.get(name, "all") for name in ("from", "to")}
    networks = {name: None if written == "all" else _network(written) for name, written in ends.items()}
    if any(networks[name] is None and written != "all" for name, written in ends.items()):
        return None
    action = words[-1] if words[-1] in REFUSING else "lookup"
    return Rule(
        priority=int(number),
        table=given.get("lookup", given.get("table", "")),
        action=action,
        from_=networks["from"],
        to=networks["to"],
        inverted="not" in words,
        other=tuple(f"{name} {given[name]}" for name in ("fwmark", "iif", "oif", "tos") if name in given),
        suppress=_whole(given["suppress_prefixlength"]) if "suppress_prefixlength" in given else -1,
    )


def _json_neighbour(entry: Mapping[str, Any]) -> Neighbour | None:
    address = tree.text(entry, "dst")
    mac, states = tree.text(entry, "lladdr").lower(), tree.strings(entry, "state")
    return Neighbour(address, tree.text(entry, "dev"), mac, states) if address else None


def _text_neighbour(line: str) -> Neighbour | None:
    words = line.split()
    if len(words) < 2:
        return None
    given = _pairs(words[1:], "dev", "lladdr")
    states = tuple(word for word in words if word.isupper() and word.isalpha())
    return Neighbour(words[0], given.get("dev", ""), given.get("lladdr", "").lower(), states)


def _pairs(words: list[str], *names: str) -> dict[str, str]:
    """The word behind each of the names that occurs."""
    return {name: words[words.index(name) + 1] for name in names if name in words[:-1]}


def _whole(written: str) -> int:
    return int(written) if written.isascii() and written.isdecimal() else 0
