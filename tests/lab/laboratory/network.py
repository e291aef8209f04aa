"""The wire between the machines: one bridge, a cable to each, and the routes to Pods and to the outside."""

from tests.lab.laboratory.namespaces import Namespace
from tests.lab.laboratory.spec import (
    CONTROL_PLANE,
    CONTROL_PLANE_ADDRESS,
    FABRIC,
    FABRIC_ADDRESS,
    OUTSIDE_CIDR,
    OUTSIDE_CIDR6,
    OUTSIDE_DNS,
    OUTSIDE_HOST,
    OUTSIDE_HOST6,
    PERSON,
    PERSON_ADDRESS,
    WORLD,
    WORLD_ADDRESS,
    Spec,
    second_address,
)

Machines = dict[str, Namespace]


def connect(spec: Spec, machines: Machines) -> None:
    """Lays every cable. The fabric has no default route: what nobody owns is unreachable, as a router says it."""
    fabric = machines[FABRIC]
    fabric.run(
        f"ip link add br0 type bridge && ip addr add {FABRIC_ADDRESS}/24 dev br0 && ip link set br0 up\n"
        "sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=0"
    )
    if spec.dual:
        fabric.run(
            "sysctl -qw net.ipv6.conf.all.forwarding=1\n"
            f"ip -6 addr add {second_address(FABRIC_ADDRESS)}/64 dev br0 nodad"
        )
    addresses = {CONTROL_PLANE: CONTROL_PLANE_ADDRESS, PERSON: PERSON_ADDRESS, WORLD: WORLD_ADDRESS}
    addresses |= {node.name: node.address for node in spec.nodes}
    for name, address in addresses.items():
        _cable(fabric, machines[name], address, dual=spec.dual)
    machines[WORLD].run(f"ip addr add {OUTSIDE_HOST}/32 dev lo; ip addr add {OUTSIDE_DNS}/32 dev lo")
    fabric.run(f"ip route add {OUTSIDE_CIDR} via {WORLD_ADDRESS}")
    if spec.dual:
        machines[WORLD].run(f"ip -6 addr add {OUTSIDE_HOST6}/128 dev lo nodad")
        fabric.run(f"ip -6 route add {OUTSIDE_CIDR6} via {second_address(WORLD_ADDRESS)}")
    # The API server calls webhooks by their Pods' addresses; who is outside an overlay cannot.
    for name in (CONTROL_PLANE,) if spec.overlay else (CONTROL_PLANE, PERSON, WORLD):
        machines[name].run(pod_routes(spec))
    machines[PERSON].run(person_resolver())


def person_resolver() -> str:
    """The script that leads the person's name lookups to the outside's server: their resolv.conf is the host's own."""
    lookups = f"OUTPUT ! -d {OUTSIDE_DNS} --dport 53 -j DNAT --to-destination {OUTSIDE_DNS}:53"
    chain, _, rest = lookups.partition(" ")
    return "\n".join(f"iptables -w -t nat -A {chain} -p {protocol} {rest}" for protocol in ("udp", "tcp"))


def pod_routes(spec: Spec, without: str = "") -> str:
    """The script that leads each Pod range to its node, except the one whose name is `without`."""
    others = [node for node in spec.nodes if node.name != without]
    lines = [f"ip route replace {node.pod_cidr} via {node.address}" for node in others]
    if spec.dual:
        lines += [f"ip -6 route replace {node.pod_cidr6} via {node.address6}" for node in others]
    return "\n".join(lines)


def _cable(fabric: Namespace, machine: Namespace, address: str, *, dual: bool) -> None:
    # `netns PID` is read in the caller's own process namespace, so only the network namespace is entered here.
    end = f"v-{machine.name}"
    script = f"ip link add {end} type veth peer name eth0 netns {machine.init.pid} && ip link set {end} master br0 up"
    fabric.run(script, flags="n")
    machine.run(
        f"ip link set eth0 up && ip addr add {address}/24 dev eth0 && ip route add default via {FABRIC_ADDRESS}"
    )
    if dual:
        machine.run(
            f"ip -6 addr add {second_address(address)}/64 dev eth0 nodad\n"
            f"ip -6 route add default via {second_address(FABRIC_ADDRESS)}"
        )
