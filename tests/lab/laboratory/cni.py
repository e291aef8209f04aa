"""The Pod network: the reference bridge plugin, or Calico with Felix enforcing NetworkPolicies.

With these two the nodes reach each other's Pods by static routes; `vxlan` is the bridge with an overlay between
nodes."""

import json

from tests.lab.laboratory import components, overlay
from tests.lab.laboratory.namespaces import Namespace
from tests.lab.laboratory.network import pod_routes
from tests.lab.laboratory.paths import Home, Run
from tests.lab.laboratory.spec import POD_CIDR, POD_CIDR6, Node, Spec

Conflist = dict[str, object]
PORTMAP: Conflist = {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}}


def annotations(spec: Spec, node: Node) -> dict[str, str]:
    """What the Pod network wants to find on a Node object."""
    if spec.overlay:
        return overlay.annotations(node)
    return {"projectcalico.org/IPv4Address": f"{node.address}/24"} if spec.cni == "calico" else {}


def configure(run: Run, spec: Spec, node: Node, machine: Namespace) -> None:
    """Writes the node's CNI configuration and its routes; the API server need not run yet."""
    if spec.overlay:
        overlay.configure(spec, node, machine)
        _write(run, machine, "10-flannel.conflist", _bridge(node, name="cbr0", mtu=overlay.MTU))
        return
    machine.run(pod_routes(spec, without=node.name))
    if spec.cni == "calico":
        _write(run, machine, "10-calico.conflist", _calico(run, node))
        return
    _write(run, machine, "10-lab.conflist", _bridge(node, dual=spec.dual))
    # Masquerade only what leaves the cluster: the plugin's own ipMasq would hide Pods from each other.
    machine.run(f"iptables -w -t nat -A POSTROUTING -s {node.pod_cidr} ! -d {POD_CIDR} -j MASQUERADE")
    if spec.dual:
        machine.run(f"ip6tables -w -t nat -A POSTROUTING -s {node.pod_cidr6} ! -d {POD_CIDR6} -j MASQUERADE")


def start(home: Home, run: Run, spec: Spec, node: Node, machine: Namespace) -> None:
    """Starts the node's network agent, if this Pod network has one."""
    if spec.cni != "calico":
        return
    environment = {
        "FELIX_DATASTORETYPE": "kubernetes",
        "KUBECONFIG": str(run.kubeconfig("calico")),
        "FELIX_FELIXHOSTNAME": node.name,
        "FELIX_IPTABLESBACKEND": "NFT",  # in either mode of kube-proxy: their tables lie side by side
        "FELIX_LOGSEVERITYSCREEN": "info",
        "FELIX_LOGFILEPATH": "none",
        "FELIX_DEFAULTENDPOINTTOHOSTACTION": "ACCEPT",
        "FELIX_HEALTHENABLED": "false",
        "FELIX_USAGEREPORTINGENABLED": "false",
        "FELIX_BPFENABLED": "false",
        "FELIX_XDPENABLED": "false",
        "FELIX_IPV6SUPPORT": "false",
        "FELIX_PROMETHEUSMETRICSENABLED": "false",
    }
    components.start(run, f"felix-{node.name}", machine, [f"{home.bin}/calico-felix"], environment)


def _write(run: Run, machine: Namespace, file: str, conflist: Conflist) -> None:
    source = run.node(machine.name) / file
    source.write_text(json.dumps(conflist, indent=1) + "\n")
    machine.run(f"cp {source} /etc/cni/net.d/{file}")


def _bridge(node: Node, *, dual: bool = False, name: str = "lab", mtu: int = 0) -> Conflist:
    families = [(node.pod_cidr, "0.0.0.0/0"), (node.pod_cidr6, "::/0")][: 2 if dual else 1]
    ranges, routes = [[{"subnet": range_}] for range_, _ in families], [{"dst": route} for _, route in families]
    ipam = {"type": "host-local", "ranges": ranges, "routes": routes}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "hairpinMode": True}
    sized = {**bridge, "mtu": mtu} if mtu else bridge
    return {"cniVersion": "1.0.0", "name": name, "plugins": [{**sized, "ipam": ipam}, PORTMAP]}


def _calico(run: Run, node: Node) -> Conflist:
    calico = {
        "type": "calico",
        "log_level": "info",
        "datastore_type": "kubernetes",
        "nodename": node.name,
        "mtu": 1500,
        "ipam": {"type": "host-local", "subnet": "usePodCidr"},
        "policy": {"type": "k8s"},
        "kubernetes": {"kubeconfig": str(run.kubeconfig("calico"))},
    }
    return {"cniVersion": "0.3.1", "name": "k8s-pod-network", "plugins": [calico, PORTMAP]}
