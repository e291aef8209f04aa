"""A VXLAN overlay between the nodes, laid out as flannel's vxlan backend leaves it.

Every node has the device `flannel.1` with the first address of its Pod range. For every other node there is a route to
its Pod range by that node's device, and two permanent entries that say where the device is: its MAC (neighbour) and
its node (forwarding database). No agent runs, so what a test breaks stays broken."""

import json

from tests.lab.laboratory.namespaces import Namespace
from tests.lab.laboratory.spec import POD_CIDR, Node, Spec

DEVICE, VNI, PORT = "flannel.1", 1, 8472
MTU = 1450
"""What the outer headers leave of the wire's 1500 bytes."""

PREFIX = "flannel.alpha.coreos.com"
NETWORK = {"Network": POD_CIDR, "EnableNFTables": False, "Backend": {"Type": "vxlan"}}


def annotations(node: Node) -> dict[str, str]:
    """By which the nodes' flannels tell each other their devices."""
    return {
        f"{PREFIX}/backend-data": json.dumps({"VNI": VNI, "VtepMAC": node.overlay_mac}, separators=(",", ":")),
        f"{PREFIX}/backend-type": "vxlan",
        f"{PREFIX}/kube-subnet-manager": "true",
        f"{PREFIX}/public-ip": node.address,
    }


def manifests() -> dict[str, object]:
    """The namespace and the ConfigMap of kube-flannel."""
    configuration = {
        "cni-conf.json": json.dumps(
            {
                "name": "cbr0",
                "cniVersion": "0.3.1",
                "plugins": [
                    {"type": "flannel", "delegate": {"hairpinMode": True, "isDefaultGateway": True}},
                    {"type": "portmap", "capabilities": {"portMappings": True}},
                ],
            },
            indent=2,
        ),
        "net-conf.json": json.dumps(NETWORK, indent=2),
    }
    labels = {"app": "flannel", "k8s-app": "flannel", "tier": "node"}
    items: list[dict[str, object]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-flannel"}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "kube-flannel-cfg", "namespace": "kube-flannel", "labels": labels},
            "data": configuration,
        },
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def configure(spec: Spec, node: Node, machine: Namespace) -> None:
    """Makes the node's device, its peers, its masquerading and /run/flannel/subnet.env."""
    tunnel = f"id {VNI} local {node.address} dev eth0 dstport {PORT} nolearning"
    lines = [
        f"ip link add {DEVICE} address {node.overlay_mac} mtu {MTU} type vxlan {tunnel}",
        f"ip addr add {node.overlay_address}/32 dev {DEVICE}",
        f"ip link set {DEVICE} up",
    ]
    for peer in (each for each in spec.nodes if each.name != node.name):
        lines += [
            f"ip neigh replace {peer.overlay_address} lladdr {peer.overlay_mac} dev {DEVICE} nud permanent",
            f"bridge fdb append {peer.overlay_mac} dev {DEVICE} dst {peer.address}",
            f"ip route replace {peer.pod_cidr} via {peer.overlay_address} dev {DEVICE} onlink",
        ]
    machine.run("\n".join([*lines, _filter(node), _state(node)]))


def _filter(node: Node) -> str:
    """flannel's own chains: Pods' packets are let through, and those that leave the cluster are masqueraded."""
    rules = {
        "nat": [
            "-m mark --mark 0x4000/0x4000 -j RETURN",
            f"-s {node.pod_cidr} -d {POD_CIDR} -j RETURN",
            f"-s {POD_CIDR} -d {node.pod_cidr} -j RETURN",
            f"! -s {POD_CIDR} -d {node.pod_cidr} -j RETURN",
            f"-s {POD_CIDR} ! -d 224.0.0.0/4 -j MASQUERADE --random-fully",
            f"! -s {POD_CIDR} -d {POD_CIDR} -j MASQUERADE --random-fully",
        ],
        "filter": [f"-s {POD_CIDR} -j ACCEPT", f"-d {POD_CIDR} -j ACCEPT"],
    }
    chains = {"nat": ("POSTROUTING", "FLANNEL-POSTRTG", "flanneld masq")}
    chains["filter"] = ("FORWARD", "FLANNEL-FWD", "flanneld forward")
    lines = []
    for table, (base, chain, comment) in chains.items():
        command = f"iptables -w -t {table}"
        lines += [f"{command} -N {chain}", f"{command} -A {base} -m comment --comment '{comment}' -j {chain}"]
        lines += [f"{command} -A {chain} {rule}" for rule in rules[table]]
    return "\n".join(lines)


def _state(node: Node) -> str:
    gateway = f"{node.overlay_address.rpartition('.')[0]}.1/{node.pod_cidr.partition('/')[2]}"
    values = {"NETWORK": POD_CIDR, "SUBNET": gateway, "MTU": str(MTU), "IPMASQ": "true"}
    text = "\\n".join(f"FLANNEL_{key}={value}" for key, value in values.items())
    return f"mkdir -p /run/flannel && printf '{text}\\n' > /run/flannel/subnet.env"
