"""A node: a machine with directories of its own, containerd, kubelet and kube-proxy."""

import json
import os

from tests.lab.laboratory import cgroups, components, store
from tests.lab.laboratory.errors import LabError
from tests.lab.laboratory.images import PAUSE
from tests.lab.laboratory.namespaces import PATH, Namespace
from tests.lab.laboratory.paths import Home, Run
from tests.lab.laboratory.spec import CLUSTER_DOMAIN, DNS_SERVICE_ADDRESS, OUTSIDE_DNS, POD_CIDR, POD_CIDR6, Node, Spec
from tests.lab.laboratory.waiting import wait_for

CNI_PLUGINS = ("bridge", "ptp", "loopback", "host-local", "portmap", "calico")

# Each node sees these with a writable layer of its own, so that nothing it makes there shows on the host.
OWN_LAYERS = ("/etc", "/opt", "/var/lib", "/var/log")

CONTAINERD = f"""
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{PAUSE}"
[plugins."io.containerd.cri.v1.runtime"]
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/opt/cni/bin"]
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


def check_place(run: Run) -> None:
    """Raises LabError when the cluster's directory lies where nodes have layers of their own."""
    for layer in OWN_LAYERS:
        if run.root.is_relative_to(layer):
            raise LabError(f"the laboratory cannot live in {layer}: set NETLAB to a directory elsewhere", code=2)


def prepare(home: Home, run: Run, spec: Spec, node: Node, machine: Namespace) -> None:
    """Lays out the node's file system and starts containerd with all images in its store; does not wait."""
    root = run.node(node.name)
    (root / "kubelet").mkdir(parents=True)
    cgroups.make(run.name, node.name)
    store.hand_out(store.current(home), root / "containerd")
    machine.run(_mounts(home, run, spec, node))
    (root / "containerd.toml").write_text(CONTAINERD)
    argv = [f"{home.bin}/containerd", "--config", f"{root}/containerd.toml"]
    components.start(run, f"containerd-{node.name}", machine, argv, _path(home))


def wait_for_containerd(home: Home, run: Run, node: Node, machine: Namespace) -> None:
    wait_for(
        f"containerd of {node.name} to answer",
        lambda: machine.succeeds([f"{home.bin}/ctr", "version"]),
        30,
        run.log(f"containerd-{node.name}"),
    )


def start(home: Home, run: Run, spec: Spec, node: Node, machine: Namespace) -> None:
    """Starts kubelet and kube-proxy; the API server has to be ready. Does not wait."""
    root = run.node(node.name)
    (root / "kubelet.json").write_text(json.dumps(_kubelet(run, node), indent=1))
    (root / "proxy.json").write_text(json.dumps(_proxy(run, spec, node), indent=1))
    kubelet = [
        f"{home.bin}/kubelet",
        f"--config={root}/kubelet.json",
        f"--kubeconfig={run.kubeconfig(node.name)}",
        f"--hostname-override={node.name}",
        f"--node-ip={spec.ranges(node.address, node.address6)}",
        "--root-dir=/var/lib/kubelet",
        "--v=2",
    ]
    components.start(run, f"kubelet-{node.name}", machine, kubelet, _path(home))
    proxy = [f"{home.bin}/kube-proxy", f"--config={root}/proxy.json"]
    components.start(run, f"proxy-{node.name}", machine, proxy)


def manifest(spec: Spec, node: Node, annotations: dict[str, str]) -> dict[str, object]:
    """The Node object. It exists before its kubelet does, so that its Pod range follows from its number."""
    labels = {"kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": labels, "annotations": annotations},
        "spec": {"podCIDR": node.pod_cidr, "podCIDRs": spec.ranges(node.pod_cidr, node.pod_cidr6).split(",")},
    }


def _path(home: Home) -> dict[str, str]:
    return {"PATH": f"{home.bin}:{PATH}"}


def _mounts(home: Home, run: Run, spec: Spec, node: Node) -> str:
    root = run.node(node.name)
    resolver = os.path.realpath("/etc/resolv.conf")
    lines = [
        "mount -n -t tmpfs tmpfs /run",
        "mkdir -p /run/containerd /run/netns /run/lock",
        # A new sysfs shows this node's network devices, but hides the control groups: those are moved across.
        # Moving works while all mounts are still private.
        "mkdir /run/cgroup",
        "mount --rbind /sys/fs/cgroup /run/cgroup",
        "mount -t sysfs sysfs /sys",
        "mount --move /run/cgroup /sys/fs/cgroup",
        "rmdir /run/cgroup",
    ]
    for layer in OWN_LAYERS:
        upper, work = f"{root}/layers{layer}/upper", f"{root}/layers{layer}/work"
        lines += [
            f"mkdir -p {upper} {work}",
            f"mount -t overlay overlay -o lowerdir={layer},upperdir={upper},workdir={work} {layer}",
        ]
    lines += [
        "mkdir -p /var/lib/containerd /var/lib/kubelet /var/lib/cni /var/lib/calico /var/log/calico",
        "mkdir -p /etc/cni/net.d /opt/cni/bin /opt/bin /var/log/pods /var/log/containers",
        # Container layers and volumes need a file system of their own below them, not another overlay.
        f"mount --bind {root}/containerd /var/lib/containerd",
        f"mount --bind {root}/kubelet /var/lib/kubelet",
        *(f"ln -s {home.bin}/{plugin} /opt/cni/bin/{plugin}" for plugin in CNI_PLUGINS),
        f"ln -s {home.bin}/calico /opt/cni/bin/calico-ipam",  # one program, which goes by its name
        f"ln -s {home.bin}/ctr /opt/bin/ctr",
        f"echo {node.name} | tee /etc/hostname > /var/lib/calico/nodename",
        f"mkdir -p {os.path.dirname(resolver)} && rm -f {resolver} && echo 'nameserver {OUTSIDE_DNS}' > {resolver}",
        "mount --make-rshared /",
        "sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1",
        *(["sysctl -qw net.ipv6.conf.all.forwarding=1 net.bridge.bridge-nf-call-ip6tables=1"] if spec.dual else []),
    ]
    return "\n".join(lines)


def _kubelet(run: Run, node: Node) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{run.pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{run.pki}/{node.name}.crt",
        "tlsPrivateKeyFile": f"{run.pki}/{node.name}.key",
        "clusterDNS": [DNS_SERVICE_ADDRESS],
        "clusterDomain": CLUSTER_DOMAIN,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "resolvConf": "/etc/resolv.conf",
        "volumePluginDir": "/var/lib/kubelet/volumeplugins",
        "nodeStatusUpdateFrequency": "5s",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroups.root(run.name, node.name),
        "cgroupsPerQOS": True,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        # The host's disk and memory are not the laboratory's to guard.
        "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "shutdownGracePeriod": "0s",
    }


def _proxy(run: Run, spec: Spec, node: Node) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": spec.proxy,
        "clusterCIDR": spec.ranges(POD_CIDR, POD_CIDR6),
        "hostnameOverride": node.name,
        "clientConnection": {"kubeconfig": str(run.kubeconfig("proxy"))},
        "conntrack": {"maxPerCore": 0, "min": 0},  # nf_conntrack_max belongs to the host
        "metricsBindAddress": "127.0.0.1:10249",
    }
