"""kube-proxy's ipvs mode: the kernel's table of virtual servers, as `ipvsadm-save -n` or `/proc/net/ip_vs` has it.

`ipvsadm-save -n`: `-A -t 10.96.0.1:443 -s rr [-p 10800]` for a virtual server, `-a -t 10.96.0.1:443 -r 172.30.0.10:6443
-m -w 1` for an endpoint. `/proc/net/ip_vs` (Linux net/netfilter/ipvs/ip_vs_ctl.c) has hexadecimal addresses and ports:
`TCP  0A600001:01BB rr persistent 10800 FFFFFFFF`, then `  -> AC1E000A:1964      Masq    1      0          0`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from kubectl_netdebug.net.proxyrules import (
    General,
    Kind,
    Mode,
    PortRules,
    ProxiedPort,
    Target,
    Verdict,
    Way,
    endpoint,
    is_v6,
    plain,
)

_PROTOCOLS = {"-t": "TCP", "-u": "UDP", "--sctp-service": "SCTP"}
_PROC_SERVER = re.compile(r"(TCP|UDP|SCTP)\s+(\S+):([0-9A-Fa-f]{4})\s+(\S+)(?:.*?persistent\s+(\d+))?")
_PROC_REAL = re.compile(r"->\s+(\S+):([0-9A-Fa-f]{4})\s+\S+\s+(\d+)")

Place = tuple[str, str, int]
"""Protocol, address, port."""


@dataclass(frozen=True)
class VirtualServer:
    """One virtual server; `affinity` in seconds, 0 for none."""

    place: Place
    scheduler: str
    affinity: int
    targets: tuple[Target, ...]


def read_ipvs(text: str) -> Mapping[Place, VirtualServer]:
    """The virtual servers of either form; lines that are neither are passed over."""
    servers: dict[Place, VirtualServer] = {}
    place: Place | None = None
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["-A"]:
            place = _saved_place(words)
            if place:
                servers[place] = VirtualServer(place, _after(words, "-s"), _number(_after(words, "-p")), ())
        elif words[:1] == ["-a"]:
            place = _saved_place(words)
            _add(servers, place, endpoint(_after(words, "-r")), _number(_after(words, "-w") or "1"))
        elif match := _PROC_SERVER.match(line.strip()):
            address = _hexadecimal(match[2])
            place = (match[1], address, int(match[3], 16)) if address else None
            if place:
                servers[place] = VirtualServer(place, match[4], int(match[5] or 0), ())
        elif match := _PROC_REAL.match(line.strip()):
            address = _hexadecimal(match[1])
            _add(servers, place, (address, int(match[2], 16)) if address else None, int(match[3]))
    return servers


def _add(servers: dict[Place, VirtualServer], place: Place | None, end: tuple[str, int] | None, weight: int) -> None:
    server = servers.get(place) if place else None
    if server is None or end is None:
        return
    targets = (*server.targets, Target(*end, float(weight)))
    servers[server.place] = VirtualServer(server.place, server.scheduler, server.affinity, targets)


def _saved_place(words: list[str]) -> Place | None:
    for option, protocol in _PROTOCOLS.items():
        if end := endpoint(_after(words, option)):
            return (protocol, *end)
    return None


def _after(words: list[str], option: str) -> str:
    return words[words.index(option) + 1] if option in words[:-1] else ""


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _hexadecimal(text: str) -> str:
    """IPv4 as eight digits in network order; IPv6 in brackets, in its usual notation."""
    if text.startswith("["):
        return plain(text.strip("[]").lower()) if ":" in text else ""
    try:
        return str(ipaddress.ip_address(bytes.fromhex(text))) if len(text) == 8 else ""
    except ValueError:
        return ""


def port_rules(servers: Mapping[Place, VirtualServer], port: ProxiedPort, node_ips: tuple[str, ...] = ()) -> PortRules:
    """What the table does with one Service port. A virtual server without endpoints refuses, as kube-proxy leaves it.

    Node ports are virtual servers of each address of the node; the first of `node_ips` is taken.
    """
    ways = []
    for kind, address, number in port.places:
        own = [a for a in node_ips if is_v6(a) == port.ipv6]
        at = address or (own[0] if own else "")
        server = servers.get((port.protocol, plain(at), number))
        used = tuple(t for t in server.targets if t.weight > 0) if server else ()
        total = sum(t.weight for t in used)
        targets = tuple(Target(t.address, t.port, t.weight / total) for t in used)
        verdict = Verdict.NONE if server is None else Verdict.BALANCE if targets else Verdict.REJECT
        ways.append(Way(kind, address, number, verdict, targets, server.affinity if server else 0))
    return PortRules(port, Mode.IPVS, tuple(w for w in ways if w.kind is not Kind.NODE_PORT or node_ips))


def general(servers: Mapping[Place, VirtualServer]) -> General:
    """What of this mode stands on the node apart from single Services."""
    return General(Mode.IPVS, present=bool(servers), services=len(servers))
