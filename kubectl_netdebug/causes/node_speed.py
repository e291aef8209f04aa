"""A shaper on a node that makes its Pods' traffic slow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kubectl_netdebug.causes.node_asks import node_view
from kubectl_netdebug.causes.node_view import about_node, at, bridge_ports, network_pods
from kubectl_netdebug.causes.on_node import mend_on_node
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.finding import Cause, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When

SLOW = 100e6
"""Bits a second below which a cap is worth a word."""

ANNOTATIONS = ("kubernetes.io/ingress-bandwidth", "kubernetes.io/egress-bandwidth")
"""By which a cap on a Pod is asked for."""

_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}
_QDISC = re.compile(r"qdisc (tbf|netem) (\S+) dev (\S+) root\b.*?\brate (\d+(?:\.\d+)?)([KMG]?)bit")


@dataclass(frozen=True)
class Cap:
    """A shaper at the root of a device. `rate` is in bits a second."""

    kind: str
    device: str
    rate: float
    text: str


def read_caps(text: str) -> tuple[Cap, ...]:
    """Of `tc qdisc show`: `qdisc tbf 8001: dev eth0 root refcnt 2 rate 1Mbit burst 4Kb lat 400ms`."""
    return tuple(_caps(text))


def _caps(text: str) -> Iterator[Cap]:
    for line in text.splitlines():
        match = _QDISC.search(line)
        if match:
            yield Cap(match[1], match[3], float(match[4]) * _UNITS[match[5]], line.strip())


CAPPED = Cause(
    code="slow-bandwidth-cap",
    title="A shaper on the node slows its traffic down",
    says="On node {node} device {device} lets {rate} a second through, and nothing asks for that: {text}.",
    means="Large transfers by this device are slow while connections come about at once.",
    symptom="Large transfers crawl at a steady rate; small requests are quick.",
    apart="With lost packets the rate is unsteady and connects are late now and then.",
    mend="Delete the shaper, or ask for it by the annotations kubernetes.io/ingress-bandwidth and egress-bandwidth.",
)


@explains(Hop.NODE_LINKS, CAPPED, When.ALWAYS)
def bandwidth_cap(look: Look, asked: Question) -> Finding | None:
    """A low rate at the root of the uplink, a bridge or a Pod's port, on a node without a Pod that asks for one."""
    if not about_node(asked):
        return None
    node = asked.node
    caps = look.if_known(node_view(node, "qdiscs", read_caps)) or ()
    pods = network_pods(look, node)
    if not caps or not pods or any(name in pod.annotations for pod in pods for name in ANNOTATIONS):
        return None
    ports = {port.name: port.bridge for port in look.if_known(bridge_ports(node)) or ()}
    slow = [cap for cap in caps if cap.rate < SLOW]
    if not slow:
        return None
    cap = min(slow, key=lambda each: each.rate)
    whose = "a Pod's port" if cap.device in ports else "a bridge" if cap.device in ports.values() else "a device"
    return CAPPED.confirmed(
        at=at(node),
        node=node,
        device=cap.device,
        rate=_said(cap.rate),
        text=cap.text,
        effect=Effect.DEGRADES,
        saw=(f"{node}: {each.text} ({whose})" if each is cap else f"{node}: {each.text}" for each in slow[:3]),
        fix=mend_on_node(look, node, "delete the shaper", *("tc", "qdisc", "del", "dev", cap.device, "root")),
    )


def _said(rate: float) -> str:
    return f"{rate / 1e6:g} Mbit" if rate >= 1e6 else f"{rate / 1e3:g} kbit"
