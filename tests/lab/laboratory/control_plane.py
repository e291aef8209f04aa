"""etcd, the API server, the controllers and the scheduler, on a machine of their own."""

import os
import shutil

from tests.lab.laboratory import components
from tests.lab.laboratory.kubectl import Kubectl
from tests.lab.laboratory.namespaces import Namespace
from tests.lab.laboratory.paths import Home, Run
from tests.lab.laboratory.spec import CONTROL_PLANE_ADDRESS, POD_CIDR, POD_CIDR6, SERVICE_CIDR, SERVICE_CIDR6, Spec
from tests.lab.laboratory.waiting import wait_for


def start_api(home: Home, run: Run, spec: Spec, machine: Namespace) -> None:
    """Starts etcd and the API server; does not wait."""
    components.start(run, "etcd", machine, _etcd(home, run))
    components.start(run, "apiserver", machine, _as_own_user(_apiserver(home, run, spec)))


def wait_for_api(run: Run, kubectl: Kubectl) -> None:
    def ready() -> bool:
        return kubectl.attempt("get", "--raw", "/readyz").stdout.strip() == "ok"

    wait_for("the API server to be ready", ready, 120, run.log("apiserver"))


def start_controllers(home: Home, run: Run, spec: Spec, machine: Namespace) -> None:
    components.start(run, "kcm", machine, _as_own_user(_controller_manager(home, run, spec)))
    scheduler = [f"{home.bin}/kube-scheduler", f"--kubeconfig={run.kubeconfig('sched')}", "--leader-elect=false"]
    components.start(run, "sched", machine, scheduler)


def _as_own_user(argv: list[str]) -> list[str]:
    """Neither program needs root. With NETLAB_UID=NUMBER they run as that user, and count as its inotify instances."""
    uid = os.environ.get("NETLAB_UID", "")
    if not uid:
        return argv
    capability = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    identity = [f"--reuid={int(uid)}", "--regid=0", "--clear-groups"]
    return [shutil.which("setpriv") or "setpriv", *identity, *capability, *argv]


def _etcd(home: Home, run: Run) -> list[str]:
    return [
        f"{home.bin}/etcd",
        f"--data-dir={run.etcd}",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--unsafe-no-fsync",  # a laboratory need not survive a power cut
        "--log-level=warn",
    ]


def _apiserver(home: Home, run: Run, spec: Spec) -> list[str]:
    pki = run.pki
    return [
        f"{home.bin}/kube-apiserver",
        "--etcd-servers=http://127.0.0.1:2379",
        "--bind-address=0.0.0.0",
        f"--advertise-address={CONTROL_PLANE_ADDRESS}",
        "--secure-port=6443",
        f"--service-cluster-ip-range={spec.ranges(SERVICE_CIDR, SERVICE_CIDR6)}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--endpoint-reconciler-type=lease",
        f"--client-ca-file={pki}/ca.crt",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--service-account-key-file={pki}/sa.pub",
        f"--service-account-signing-key-file={pki}/sa.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={pki}/ca.crt",
        f"--proxy-client-cert-file={pki}/front-proxy-client.crt",
        f"--proxy-client-key-file={pki}/front-proxy-client.key",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    ]


def _controller_manager(home: Home, run: Run, spec: Spec) -> list[str]:
    pki = run.pki
    return [
        f"{home.bin}/kube-controller-manager",
        f"--kubeconfig={run.kubeconfig('kcm')}",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki}/sa.key",
        f"--root-ca-file={pki}/ca.crt",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        "--allocate-node-cidrs=true",
        f"--cluster-cidr={spec.ranges(POD_CIDR, POD_CIDR6)}",
        *(["--node-cidr-mask-size-ipv4=24", "--node-cidr-mask-size-ipv6=64"] if spec.dual else []),
        *([] if spec.dual else ["--node-cidr-mask-size=24"]),
        f"--service-cluster-ip-range={spec.ranges(SERVICE_CIDR, SERVICE_CIDR6)}",
        "--configure-cloud-routes=false",
        f"--flex-volume-plugin-dir={run.root}/volumeplugins",  # it would make its default on the host
        "--node-monitor-grace-period=20s",  # a dead kubelet shows soon
    ]
