"""`make perf-large`: one question in a small cluster and in a very large one, in turn. Writes docs/perf-large.json.

Two control planes of the laboratory, etcd and API server alone: nobody acts on what stands there, so objects are as
they were created. Of the large one, 5,000 Nodes, 100,000 Pods and 10,000 Services with their slices are in namespaces
beside the one that is asked about; one namespace as large as the others is asked about too.

Environment: SIZE (a fraction of that, default 1), ROUNDS (default 9), NAME (of the clusters, default large), KEEP=1.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.faults import counts
from tests.faults.laboratory import ROOT
from tests.lab.laboratory import build, cluster, control_plane, namespaces, network, person, pki
from tests.lab.laboratory.kubectl import Kubectl
from tests.lab.laboratory.paths import Home
from tests.lab.laboratory.spec import CONTROL_PLANE, PERSON, Spec

NODES, PODS, SERVICES = 5_000, 100_000, 10_000
SPACES = 100
"""Namespaces over which Pods and Services are spread."""
SHOP = "shop"
CONNECTIONS = 16
BUDGET_RATIO, BUDGET_MEGABYTES = 1.3, 150
QUESTIONS = (
    ("service web", 0, True),
    ("service lost", 1, True),
    ("service gone", 1, True),
    ("path pod/web-0 svc/web:80", 0, True),
    ("node node-0", 0, False),
)
"""What is asked, its exit code, and whether the budget counts for it: `service NAME` and its like."""

Item = tuple[str, dict[str, Any]]
"""The path of a collection, and what is created there. `status` is written afterwards, as a kubelet does."""

_RUN = (
    "import sys; from kubectl_netdebug.cli.main import main; code = main(sys.argv[1:]); "
    "from tests.unit.memory import peak; print('peak', peak(), file=sys.stderr); sys.exit(code)"
)


def main() -> int:
    """Exit 0 where the budgets are kept."""
    if sys.argv[1:2] == ["fill"]:
        return fill(sys.argv[2], float(sys.argv[3]))
    size = float(os.environ.get("SIZE") or 1)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is taken down
    name = os.environ.get("NAME") or "large"
    home = Home.find()
    names = (f"{name}-few", f"{name}-many")
    try:
        for each, what in zip(names, ("few", "many"), strict=True):
            _start(home, each)
            _as_person(home, each, [sys.executable, "-m", "tests.faults.large", "fill", what, str(size)])
        rows = [*_compared(home, names), _in_a_large_namespace(home, names[1], size)]
    finally:
        if not os.environ.get("KEEP"):
            for each in names:
                cluster.down(home, each)
    print(*rows, sep="\n")
    if size == 1:
        held = {"Nodes": NODES, "Pods": PODS, "Services": SERVICES}
        counts.store("perf-large", {"size": held, "rows": rows})
    return 0 if all(row["kept"] != "**no**" for row in rows) else 1


def _start(home: Home, name: str) -> None:
    """etcd and an API server, and the person's machine."""
    build.build(home, build.NEEDED["bridge"], quiet=True)
    cluster.down(home, name)
    spec, run = Spec(name, "bridge", "iptables", 0), home.run(name)
    run.make()
    spec.save(run)
    machines = {each: namespaces.create(run, each) for each in spec.namespaces}
    network.connect(spec, machines)
    pki.create(run, spec)
    control_plane.start_api(home, run, spec, machines[CONTROL_PLANE])
    control_plane.wait_for_api(run, Kubectl(home, run, machines[PERSON]))


def _as_person(home: Home, name: str, argv: list[str]) -> None:
    command, variables = person.command(home, name, argv)
    subprocess.run(command, env=variables, cwd=ROOT, check=True)


# --- asking ---------------------------------------------------------------------------------------------------------


def _compared(home: Home, names: tuple[str, str]) -> Iterator[dict[str, Any]]:
    """Both clusters in turn, medians."""
    for words, code, counted in QUESTIONS:
        times: tuple[list[float], list[float]] = ([], [])
        memory = 0
        for _ in range(int(os.environ.get("ROUNDS") or 9)):
            for name, taken in zip(names, times, strict=True):
                seconds, used = _timed(home, name, f"{words} -n {SHOP}", code)
                taken.append(seconds)
                memory = max(memory, used)
        few, many = map(statistics.median, times)
        yield _row(words, few, many, memory, counted)


def _in_a_large_namespace(home: Home, name: str, size: float) -> dict[str, Any]:
    measured = [_timed(home, name, "service s-0 -n space-0", 0) for _ in range(3)]
    pods = round(PODS * size / SPACES)
    seconds = statistics.median(each for each, _ in measured)
    return _row(f"service NAME, {pods} Pods in its namespace", 0, seconds, max(used for _, used in measured), False)


def _row(words: str, few: float, many: float, memory: int, counted: bool) -> dict[str, Any]:
    megabytes = memory / 1024 / 1024
    kept = megabytes < BUDGET_MEGABYTES and (not counted or many <= BUDGET_RATIO * few)
    return {
        "what": words,
        "small": f"{few * 1000:.0f} ms" if few else "–",
        "large": f"{many * 1000:.0f} ms",
        "ratio": f"{many / few:.2f}" if few else "–",
        "memory": f"{megabytes:.0f} MB",
        "budget": (f"≤ {BUDGET_RATIO} ×, " if counted else "") + f"< {BUDGET_MEGABYTES} MB",
        "kept": "yes" if kept else "**no**",
    }


def _timed(home: Home, name: str, words: str, code: int) -> tuple[float, int]:
    """Seconds and peak memory in bytes of one run. A wrong exit code ends everything: a failing program is fast."""
    argv = [sys.executable, "-c", _RUN, *words.split(), "--probe", "never"]
    command, variables = person.command(home, name, argv)
    began = time.monotonic()
    done = subprocess.run(command, env=variables, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    if done.returncode != code:
        raise SystemExit(f"{words}: exit {done.returncode}, not {code}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return seconds, int(done.stderr.rpartition("peak ")[2])


# --- filling --------------------------------------------------------------------------------------------------------


def fill(what: str, size: float) -> int:
    """Creates everything of a cluster, over many connections. Runs as the person, by its kubeconfig."""
    began = time.monotonic()
    writer = _Writer()
    writer.all(_spaces(what, size))
    writer.all(_accounts(what, size))
    writer.all(_shop())
    if what == "many":
        writer.all(_others(size))
    print(f"{writer.written} objects in {time.monotonic() - began:.0f} s", flush=True)
    return 0


def _spaces(what: str, size: float) -> Iterator[Item]:
    names = [SHOP, *(f"space-{n}" for n in range(SPACES if what == "many" else 0))]
    yield from (("/api/v1/namespaces", _object("v1", "Namespace", "", name)) for name in names)
    nodes = max(3, round(NODES * size)) if what == "many" else 3
    yield from (("/api/v1/nodes", _node(n)) for n in range(nodes))


def _accounts(what: str, size: float) -> Iterator[Item]:
    """No controller makes them, and a Pod is not admitted without."""
    for name in (SHOP, *(f"space-{n}" for n in range(SPACES if what == "many" else 0))):
        yield f"/api/v1/namespaces/{name}/serviceaccounts", _object("v1", "ServiceAccount", name, "default")


def _shop() -> Iterator[Item]:
    """The namespace that is asked about, the same in both clusters: a healthy Service, one whose selector is wrong."""
    for n in range(30):
        yield _pod(SHOP, f"web-{n}" if n < 3 else f"other-{n}", "web" if n < 3 else f"other-{n % 9}", n)
    yield from _service(SHOP, "web", "web", range(3))
    yield from _service(SHOP, "lost", "wbe", ())


def _others(size: float) -> Iterator[Item]:
    pods, services = round(PODS * size / SPACES), round(SERVICES * size / SPACES)
    for space in (f"space-{n}" for n in range(SPACES)):
        for n in range(pods):
            yield _pod(space, f"p-{n}", f"s-{n % max(services, 1)}", n, running=space == "space-0")
        for n in range(services):
            yield from _service(space, f"s-{n}", f"s-{n}", range(n, pods, max(services, 1)), pod="p")


def _object(version: str, kind: str, namespace: str, name: str, **more: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **more.pop("metadata", {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def _node(number: int) -> dict[str, Any]:
    ready = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
    addresses = [
        {"type": "InternalIP", "address": f"172.{20 + number // 65000}.{number // 250 % 250}.{number % 250 + 1}"}
    ]
    images = [{"names": [f"registry.example/app-{n}:{number}"], "sizeBytes": 10**8} for n in range(20)]
    status = {"conditions": ready, "addresses": addresses, "images": images}
    return _object("v1", "Node", "", f"node-{number}", status=status)


def _pod(space: str, name: str, app: str, number: int, *, running: bool = True) -> Item:
    container = {"name": "app", "image": "registry.example/app:1", "ports": [{"name": "http", "containerPort": 8080}]}
    spec = {"containers": [container], "nodeName": f"node-{number % 3}"}
    made = _object("v1", "Pod", space, name, metadata={"labels": {"app": app}}, spec=spec)
    if running:
        address = _address(number)
        started = {"name": "app", "ready": True, "restartCount": 0, "image": "registry.example/app:1", "imageID": "x"}
        started["state"] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        made["status"] = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady", "PodScheduled")],
            "containerStatuses": [started],
        }
    return f"/api/v1/namespaces/{space}/pods", made


def _address(number: int) -> str:
    return f"10.244.{number // 250}.{number % 250 + 1}"


def _service(space: str, name: str, app: str, backends: Iterable[int], pod: str = "") -> Iterator[Item]:
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
    spec = {"selector": {"app": app}, "ports": ports}
    yield f"/api/v1/namespaces/{space}/services", _object("v1", "Service", space, name, spec=spec)
    endpoints = [
        {
            "addresses": [_address(n)],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": f"node-{n % 3}",
            "targetRef": {"kind": "Pod", "namespace": space, "name": f"{pod or app}-{n}"},
        }
        for n in backends
    ]
    labels = {
        "kubernetes.io/service-name": name,
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    kind = ("discovery.k8s.io/v1", "EndpointSlice", space, f"{name}-abcde")
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{space}/endpointslices"
    more: dict[str, Any] = {
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": endpoints,
    }
    yield slices, _object(*kind, metadata={"labels": labels}, **more)


class _Writer:
    """Creates objects side by side; each thread keeps its connection."""

    def __init__(self) -> None:
        config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
        self._server = urlsplit(config["clusters"][0]["cluster"]["server"])
        self._context = _context(config["clusters"][0]["cluster"], config["users"][0]["user"])
        self._local = threading.local()
        self._lock = threading.Lock()
        self.written = 0

    def all(self, items: Iterable[Item]) -> None:
        """Waits for all of them; raises RuntimeError with the server's words for the first that was refused."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for _ in pool.map(self._one, items):
                pass

    def _one(self, item: Item) -> None:
        path, made = item
        # What is in a status is dropped on creation, except of a Node.
        self._send("POST", path, made)
        if "status" in made and made["kind"] == "Pod":
            self._send("PATCH", f"{path}/{made['metadata']['name']}/status", {"status": made["status"]})
        with self._lock:
            self.written += 1
            if self.written % 10_000 == 0:
                print(f"{self.written} objects", flush=True)

    def _send(self, method: str, path: str, body: dict[str, Any]) -> None:
        kind = "application/json" if method == "POST" else "application/merge-patch+json"
        connection = self._connection()
        connection.request(method, path, json.dumps(body), {"Content-Type": kind})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status >= 300 and answer.status != 409:
            raise RuntimeError(f"{method} {path}: {answer.status} {said[:300]!r}")

    def _connection(self) -> http.client.HTTPSConnection:
        if not hasattr(self._local, "connection"):
            host, port = self._server.hostname or "", self._server.port or 443
            self._local.connection = http.client.HTTPSConnection(host, port, context=self._context, timeout=60)
        connection: http.client.HTTPSConnection = self._local.connection
        return connection


def _context(of_cluster: dict[str, str], user: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=_content(of_cluster, "certificate-authority").decode())
    with tempfile.NamedTemporaryFile() as both:
        both.write(_content(user, "client-certificate") + b"\n" + _content(user, "client-key"))
        both.flush()
        context.load_cert_chain(both.name)
    return context


def _content(entry: dict[str, str], field: str) -> bytes:
    inside = entry.get(f"{field}-data")
    return base64.b64decode(inside) if inside else Path(entry[field]).read_bytes()


if __name__ == "__main__":
    sys.exit(main())
