"""Rule sets of any number of Services, as kube-proxy writes them in either mode, line by line."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

from kubectl_netdebug.net.iptables import endpoint_chain, service_chain
from kubectl_netdebug.net.proxyrules import ProxiedPort

ENDPOINTS = 3


def service(number: int) -> ProxiedPort:
    """The Service port of that number; every tenth has a node port."""
    node_port = 30000 + number // 10 % 2700 if number % 10 == 0 and number < 27000 else 0
    return ProxiedPort(
        f"team-{number % 50}", f"shop-{number}", "http", "TCP", 80, f"10.{96 + number // 65536}.{number // 256 % 256}."
        f"{number % 256}", node_port=node_port,
    )  # fmt: skip


def endpoints(number: int) -> list[tuple[str, int]]:
    """Where its connections go."""
    at = [number * ENDPOINTS + n for n in range(ENDPOINTS)]
    return [(f"10.{128 + n // 65536 % 64}.{n // 256 % 256}.{n % 256}", 8080) for n in at]


def iptables_lines(count: int, comments: bool = True) -> Iterator[str]:
    """As `iptables-save -c` prints them: the chains' names, then the rules, both by name."""
    yield "*filter"
    yield ":FORWARD ACCEPT [0:0]"
    yield ":KUBE-FORWARD - [0:0]"
    yield "[0:0] -A FORWARD -j KUBE-FORWARD"
    yield "[7:420] -A FORWARD -s 192.0.2.0/24 -j DROP"
    yield "COMMIT"
    yield "*nat"
    for name in ("PREROUTING", "OUTPUT", "POSTROUTING"):
        yield f":{name} ACCEPT [0:0]"
    for name in ("KUBE-MARK-MASQ", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-SERVICES"):
        yield f":{name} - [0:0]"
    for number in range(count):
        port = service(number)
        yield f":{service_chain('KUBE-SVC-', port.label, 'tcp')} - [0:0]"
        for address, target in endpoints(number):
            yield f":{endpoint_chain(port.label, 'tcp', f'{address}:{target}')} - [0:0]"
    yield "[9:540] -A PREROUTING -j KUBE-SERVICES"
    yield "[9:540] -A OUTPUT -j KUBE-SERVICES"
    yield "[9:540] -A POSTROUTING -j KUBE-POSTROUTING"
    yield "[0:0] -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000"
    yield "[0:0] -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN"
    yield "[0:0] -A KUBE-POSTROUTING -j MASQUERADE --random-fully"
    for number in range(count):
        port = service(number)
        if port.node_port:
            chain = service_chain("KUBE-EXT-", port.label, "tcp")
            told = _comment(port.label, comments)
            yield f"[0:0] -A KUBE-NODEPORTS -p tcp{told} -m tcp --dport {port.node_port} -j {chain}"
            yield f"[0:0] -A {chain}{_comment('masquerade traffic', comments)} -j KUBE-MARK-MASQ"
            yield f"[0:0] -A {chain} -j {service_chain('KUBE-SVC-', port.label, 'tcp')}"
    for number in range(count):
        port = service(number)
        for address, target in endpoints(number):
            chain = endpoint_chain(port.label, "tcp", f"{address}:{target}")
            yield f"[0:0] -A {chain} -s {address}/32{_comment(port.label, comments)} -j KUBE-MARK-MASQ"
            yield (
                f"[0:0] -A {chain} -p tcp{_comment(port.label, comments)} -m tcp -j DNAT "
                f"--to-destination {address}:{target}"
            )
    for number in range(count):
        port = service(number)
        chain = service_chain("KUBE-SVC-", port.label, "tcp")
        comment = _comment(f"{port.label} cluster IP", comments)
        yield f"[0:0] -A KUBE-SERVICES -d {port.cluster_ip}/32 -p tcp{comment} -m tcp --dport 80 -j {chain}"
    yield "[0:0] -A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"
    for number in range(count):
        port = service(number)
        chain = service_chain("KUBE-SVC-", port.label, "tcp")
        comment = _comment(f"{port.label} cluster IP", comments)
        here = f"-d {port.cluster_ip}/32 -p tcp{comment} -m tcp --dport 80"
        yield f"[0:0] -A {chain} ! -s 10.128.0.0/9 {here} -j KUBE-MARK-MASQ"
        for place, (address, target) in enumerate(endpoints(number)):
            chance = f" -m statistic --mode random --probability {1 / (ENDPOINTS - place):.11f}"
            last = place == ENDPOINTS - 1
            end = endpoint_chain(port.label, "tcp", f"{address}:{target}")
            told = _comment(f"{port.label} -> {address}:{target}", comments)
            yield f"[0:0] -A {chain}{told}{'' if last else chance} -j {end}"
    yield "COMMIT"


def _comment(text: str, wanted: bool) -> str:
    return f' -m comment --comment "{text}"' if wanted else ""


def nft_lines(count: int) -> Iterator[str]:
    """As `nft list ruleset` prints them."""
    yield "table inet guard {"
    yield "\tchain forward {"
    yield "\t\ttype filter hook forward priority filter; policy accept;"
    yield "\t\tip saddr 192.0.2.0/24 counter packets 7 bytes 420 drop"
    yield "\t}"
    yield "}"
    yield "table ip kube-proxy {"
    yield "\tset cluster-ips {"
    yield "\t\ttype ipv4_addr"
    addresses = [service(number).cluster_ip for number in range(count)]
    pairs = [", ".join(addresses[n : n + 2]) for n in range(0, count, 2)]
    yield from _listed(pairs)
    yield "\t}"
    yield "\tmap service-ips {"
    yield "\t\ttype ipv4_addr . inet_proto . inet_service : verdict"
    yield from _listed([f"{service(n).cluster_ip} . tcp . 80 : goto {chain('service', n)}" for n in range(count)])
    yield "\t}"
    yield "\tmap service-nodeports {"
    yield "\t\ttype inet_proto . inet_service : verdict"
    yield from _listed([f"tcp . {service(n).node_port} : goto {chain('external', n)}" for n in range(0, count, 10)])
    yield "\t}"
    for name, hook, to in (("nat-prerouting", "prerouting", "services"), ("nat-output", "output", "services")):
        yield f"\tchain {name} {{"
        yield f"\t\ttype nat hook {hook} priority dstnat; policy accept;"
        yield f"\t\tjump {to}"
        yield "\t}"
    yield "\tchain nat-postrouting {"
    yield "\t\ttype nat hook postrouting priority srcnat; policy accept;"
    yield "\t\tjump masquerading"
    yield "\t}"
    yield "\tchain services {"
    yield "\t\tip daddr . meta l4proto . th dport vmap @service-ips"
    yield "\t\tfib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @service-nodeports"
    yield "\t}"
    yield "\tchain masquerading {"
    yield "\t\tmeta mark & 0x00004000 != 0x00000000 meta mark set meta mark ^ 0x00004000 masquerade fully-random"
    yield "\t}"
    for number in range(count):
        yield f"\tchain {chain('service', number)} {{"
        ends = ", ".join(f"{place} : {a} . {p}" for place, (a, p) in enumerate(endpoints(number)))
        yield f"\t\tmeta l4proto tcp dnat ip to numgen random mod {ENDPOINTS} map {{ {ends} }}"
        yield "\t}"
        yield ""
        if service(number).node_port:
            yield f"\tchain {chain('external', number)} {{"
            yield '\t\tmeta mark set meta mark | 0x00004000 comment "masquerade"'
            yield f"\t\tgoto {chain('service', number)}"
            yield "\t}"
            yield ""
    yield "}"


def _listed(elements: list[str]) -> Iterator[str]:
    for place, each in enumerate(elements):
        lead = "\t\telements = { " if place == 0 else "\t\t\t     "
        yield f"{lead}{each}{' }' if place == len(elements) - 1 else ','}"


def chain(kind: str, number: int) -> str:
    """The name of a Service port's chain in nftables mode."""
    port = service(number)
    name = f"{port.namespace}/{port.service}/tcp/{port.name}"
    return f"{kind}-{base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()[:8]}-{name}"
