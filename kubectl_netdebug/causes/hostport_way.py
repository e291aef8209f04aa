"""Host ports: ports of a node that the network plugin hands on to one Pod there."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.fronts import connects
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.node import Node
from kubectl_netdebug.model.objects.pod import ContainerPort, Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.outcome import Attempt


@dataclass(frozen=True)
class HostPort:
    """A port of a node that a Pod has asked for."""

    node: Node
    address: str
    pod: Pod
    port: ContainerPort

    @property
    def place(self) -> str:
        """`172.30.0.12:8080`."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port.host_port}"

    @property
    def label(self) -> str:
        """For people."""
        return f"hostPort {self.port.host_port} of Pod {self.pod.namespace}/{self.pod.name} on {self.node.name}"


def host_ports_on(look: Look, node: Node) -> tuple[HostPort, ...]:
    """The host ports for TCP of a node's Pods that run and have a network of their own."""
    address = node.internal_ip
    return tuple(
        HostPort(node, port.host_ip or address, pod, port)
        for pod in look.if_known(asks.pods_on(node.name)) or ()
        if pod.phase == "Running" and not pod.host_network and not pod.deleting and pod.ip
        for port in pod.ports
        if port.host_port and port.protocol == "TCP"
    )


def host_port_asked(look: Look, asked: Question) -> HostPort | None:
    """The host port that an address and a port of a question name."""
    if not asked.host or not asked.port.isdecimal():
        return None
    nodes = look.if_known(asks.nodes()) or ()
    node = next((n for n in nodes if any(asked.host == address for _, address in n.addresses)), None)
    found = host_ports_on(look, node) if node else ()
    wanted = int(asked.port)
    here = next((h for h in found if h.port.host_port == wanted and h.port.host_ip in ("", asked.host)), None)
    return HostPort(here.node, asked.host, here.pod, here.port) if here else None


def tried_at(look: Look, asked: Question, place: HostPort) -> Attempt:
    """A connect of the question's client to the host port."""
    return connects(look, asked, [(place.address, place.port.host_port)])[0]
