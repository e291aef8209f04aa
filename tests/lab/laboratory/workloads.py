"""What a new cluster holds: its add-ons, and one application with a client."""

import json

from tests.lab.laboratory import cni, node, overlay
from tests.lab.laboratory.errors import LabError
from tests.lab.laboratory.kubectl import Kubectl
from tests.lab.laboratory.paths import MANIFESTS, Home
from tests.lab.laboratory.spec import CONTROL_PLANE_ADDRESS, POD_CIDR, POD_CIDR6, Spec
from tests.lab.laboratory.waiting import wait_for

BEFORE_PODS = ("default", "kube-system")


def register(kubectl: Kubectl, home: Home, spec: Spec) -> None:
    """Creates the Node objects, roles and the Pod network's own objects, before any kubelet starts."""
    nodes = [node.manifest(spec, each, cni.annotations(spec, each)) for each in spec.nodes]
    objects = {"apiVersion": "v1", "kind": "List", "items": nodes}
    kubectl("create", "--validate=false", "-f", "-", stdin=json.dumps(objects))
    proxy = (MANIFESTS / "kube-proxy.yaml").read_text()
    pods = spec.ranges(POD_CIDR, POD_CIDR6)
    for key, value in {"MODE": spec.proxy, "POD_CIDR": pods, "API": CONTROL_PLANE_ADDRESS}.items():
        proxy = proxy.replace(f"@{key}@", value)
    kubectl("create", "--validate=false", "-f", "-", stdin=proxy)
    if spec.cni == "calico":
        kubectl("create", "--validate=false", "-f", str(home.calico_crds))
        kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        kubectl("create", "--validate=false", "-f", str(MANIFESTS / "calico.yaml"))
    if spec.overlay:
        kubectl("create", "--validate=false", "-f", "-", stdin=json.dumps(overlay.manifests()))


def deploy(kubectl: Kubectl) -> None:
    """Creates the DNS add-on and the application; the controllers have to run."""
    for namespace in BEFORE_PODS:
        _wait_for_account(kubectl, namespace)
    files = [argument for file in ("coredns.yaml", "default.yaml") for argument in ("-f", str(MANIFESTS / file))]
    kubectl("create", "--validate=false", *files)


def wait_until_ready(kubectl: Kubectl) -> None:
    """Returns when every node is Ready and every Pod of the new cluster answers its probe."""
    steps = [
        ("every node to be Ready", ["wait", "--for=condition=Ready", "node", "--all"]),
        ("CoreDNS to be ready", ["-n", "kube-system", "rollout", "status", "deploy/coredns"]),
        ("the application to be ready", ["-n", "default", "rollout", "status", "deploy/web"]),
        ("the client to be ready", ["-n", "default", "wait", "--for=condition=Ready", "pod/client"]),
    ]
    for what, arguments in steps:
        if kubectl.attempt("--request-timeout=0", *arguments, "--timeout=120s").returncode:
            raise LabError(f"waited 120 s in vain for {what}:\n{_situation(kubectl)}")


def _wait_for_account(kubectl: Kubectl, namespace: str) -> None:
    """No Pod is admitted to a namespace without its service account, nor started without the root certificate."""

    def there() -> bool:
        return not kubectl.attempt("-n", namespace, "get", "sa/default", "cm/kube-root-ca.crt").returncode

    wait_for(f"the default service account of {namespace}", there, 60, kubectl.run.log("kcm"))


def _situation(kubectl: Kubectl) -> str:
    queries = [["get", "nodes", "-o", "wide"], ["get", "pods", "-A", "-o", "wide"]]
    queries.append(["get", "events", "-A", "--field-selector=type=Warning"])
    return "\n".join(kubectl.attempt(*query).stdout for query in queries)
