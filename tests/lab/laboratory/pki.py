"""The cluster's certificate authority, the certificates of its parts and their kubeconfigs."""

import base64
import json
import re
from pathlib import Path

from tests.lab.laboratory.errors import LabError
from tests.lab.laboratory.paths import Run
from tests.lab.laboratory.shell import output
from tests.lab.laboratory.spec import API_SERVICE_ADDRESS, CLUSTER_DOMAIN, CONTROL_PLANE_ADDRESS, Spec

DAYS = "365"

# Component: subject. The names are those that Kubernetes binds its built-in roles to.
CLIENTS = {
    "admin": "/O=system:masters/CN=admin",
    "kcm": "/CN=system:kube-controller-manager",
    "sched": "/CN=system:kube-scheduler",
    "proxy": "/CN=system:kube-proxy",
    "calico": "/CN=calico-node",
}


def create(run: Run, spec: Spec) -> None:
    """Makes all keys, certificates and kubeconfigs of a new cluster."""
    _authority(run.pki)
    service = f"kubernetes.default.svc.{CLUSTER_DOMAIN}".split(".")
    names = [".".join(service[:length]) for length in (1, 2, 3, 5)]
    _certificate(
        run.pki,
        "apiserver",
        "/CN=kube-apiserver",
        [f"DNS:{name}" for name in names]
        + [f"IP:{address}" for address in (CONTROL_PLANE_ADDRESS, "127.0.0.1", API_SERVICE_ADDRESS)],
    )
    _certificate(run.pki, "apiserver-kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client")
    _certificate(run.pki, "front-proxy-client", "/CN=front-proxy-client")
    for client, subject in CLIENTS.items():
        client_kubeconfig(run, client, subject)
    for node in spec.nodes:
        names = [f"DNS:{node.name}", f"IP:{node.address}"]
        client_kubeconfig(run, node.name, f"/O=system:nodes/CN=system:node:{node.name}", names)


def client_kubeconfig(
    run: Run,
    certificate: str,
    subject: str,
    names: list[str] | None = None,
    namespace: str = "default",
    file: str = "",
    shown: str = "",
) -> Path:
    """The kubeconfig of a user with a certificate of this subject, made unless it is there."""
    path = run.kubeconfig(file or certificate)
    if not (run.pki / f"{certificate}.crt").exists():
        _certificate(run.pki, certificate, subject, names)
    path.write_text(json.dumps(_kubeconfig(run, certificate, shown or certificate, namespace), indent=1) + "\n")
    path.chmod(0o600)
    return path


def person_kubeconfig(run: Run, user: str, groups: list[str], namespace: str) -> Path:
    """The kubeconfig of the administrator, or of a user who has no rights but those granted to name and groups."""
    for word in filter(None, [user, *groups, namespace]):
        if not re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9:._-]*[a-zA-Z0-9])?", word):
            raise LabError(f"{word!r} is no name", code=2)
    if not user:
        file = "admin" if namespace == "default" else f"admin.{namespace}"
        return client_kubeconfig(run, "admin", CLIENTS["admin"], namespace=namespace, file=file)
    # Apart from the components' own certificates, and one for each set of groups.
    certificate = "user-" + "+".join([user, *groups])
    subject = "".join(f"/O={group}" for group in groups) + f"/CN={user}"
    return client_kubeconfig(
        run, certificate, subject, namespace=namespace, file=f"{certificate}.{namespace}", shown=user
    )


def _kubeconfig(run: Run, certificate: str, user: str, namespace: str) -> dict[str, object]:
    def data(file: str) -> str:
        return base64.b64encode((run.pki / file).read_bytes()).decode()

    server = {"server": f"https://{CONTROL_PLANE_ADDRESS}:6443", "certificate-authority-data": data("ca.crt")}
    client = {"client-certificate-data": data(f"{certificate}.crt"), "client-key-data": data(f"{certificate}.key")}
    context = {"cluster": run.name, "user": user, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": run.name, "cluster": server}],
        "users": [{"name": user, "user": client}],
        "contexts": [{"name": run.name, "context": context}],
        "current-context": run.name,
    }


def _authority(pki: Path) -> None:
    lifetime = ["-days", DAYS, "-subj", "/CN=kubernetes"]
    output(["openssl", "req", "-x509", *_new_key(pki / "ca.key"), "-out", f"{pki}/ca.crt", *lifetime])
    output(["openssl", "genrsa", "-out", f"{pki}/sa.key", "2048"])
    output(["openssl", "rsa", "-in", f"{pki}/sa.key", "-pubout", "-out", f"{pki}/sa.pub"])


def _certificate(pki: Path, name: str, subject: str, names: list[str] | None = None) -> None:
    request, extensions = f"{pki}/{name}.csr", pki / f"{name}.ext"
    alternatives = f"subjectAltName={','.join(names)}\n" if names else ""
    extensions.write_text(f"{alternatives}extendedKeyUsage=serverAuth,clientAuth\n")
    output(["openssl", "req", *_new_key(pki / f"{name}.key"), "-out", request, "-subj", subject])
    authority = ["-CA", f"{pki}/ca.crt", "-CAkey", f"{pki}/ca.key", "-CAcreateserial", "-days", DAYS]
    signing = ["-in", request, "-extfile", str(extensions), "-out", f"{pki}/{name}.crt"]
    output(["openssl", "x509", "-req", *authority, *signing])
    Path(request).unlink()
    extensions.unlink()


def _new_key(path: Path) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(path)]
