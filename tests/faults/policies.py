"""Compares the policy engine with real traffic: random sets of NetworkPolicies, every pair of Pods, TCP.

    NAME=cal .venv/bin/python -m tests.faults.policies --sets 200 --seed N

Pods live as long as the run; of each, one shell is kept open that connects to everything at once. After each change the
run waits for a canary on every node: a policy that is changed last and admits another port each time. What disagrees is
tried twice more, since a busy machine may need longer than the time limit of a connect. The summary goes to
docs/policy-check.json.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubectl_netdebug.model.objects.pod import Pod, read_pod
from kubectl_netdebug.model.objects.policy import Direction, NetworkPolicy, read_policy
from kubectl_netdebug.net.networkpolicy import End, Packet, decide
from tests.faults.laboratory import ROOT, Lab, StepFailed
from tests.lab.laboratory import person
from tests.lab.laboratory.paths import Home

AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.59"
NETTOOLS = "lab.local/nettools:1"

SPACES = {"np-check-a": {"team": "red"}, "np-check-b": {"team": "blue", "zone": "x"}, "np-check-c": {"zone": "x"}}
CANARY = "np-check-canary"
LABELS = ("app", "tier")
VALUES = ("one", "two")
CANARY_PORTS = (7001, 7002)
SECONDS = (1.0, 2.0, 4.0)
"""How long a connect may take, in each of the tries."""

RESULT = ROOT / "docs" / "policy-check.json"


@dataclass(frozen=True)
class Flow:
    """One connect of the comparison."""

    client: str
    server: str
    address: str
    port: int


class Prober:
    """A shell in a Pod that stays open."""

    def __init__(self, lab: Lab, namespace: str, pod: str) -> None:
        line = f"exec kubectl -n {namespace} exec -i {pod} -c probe -- sh"
        command, variables = person.command(Home.find(), lab.name, ["sh", "-c", line])
        self._shell = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(variables), cwd=ROOT
        )

    def run(self, script: str) -> list[str]:
        """The lines that a script writes."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{script}\necho END\n")
        self._shell.stdin.flush()
        lines = []
        while (line := self._shell.stdout.readline().strip()) != "END":
            if not line and self._shell.poll() is not None:
                raise StepFailed("the shell in a Pod ended")
            lines.append(line)
        return lines

    def connect(self, places: Iterable[str], seconds: float) -> set[str]:
        """Those of the places (ADDRESS:PORT) that accept. One curl for all of them, so that it costs little."""
        urls = " ".join(f"-o /dev/null http://{place}/" for place in places)
        options = f"-s -Z --parallel-immediate --parallel-max 100 -m {seconds} -w '%{{url}} %{{http_code}}\\n'"
        found = (
            re.fullmatch(r"http://([\d.:]+)/ (\d+)", line) for line in self.run(f"curl {options} {urls} 2>/dev/null")
        )
        return {match[1] for match in found if match and match[2] != "000"}

    def close(self) -> None:
        """Ends the shell."""
        self._shell.kill()
        self._shell.wait()


def main() -> int:
    """Exit 0 when engine and traffic agree on every flow."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randint(1, 10**6))
    parser.add_argument("--keep", action="store_true", help="leave the Pods for the next run")
    args = parser.parse_args()
    lab = Lab(os.environ.get("NAME") or "netlab")
    print(f"seed {args.seed}, {args.sets} sets on {lab.variant()}", flush=True)
    began = time.monotonic()
    try:
        return _run(lab, args.sets, args.seed, began)
    finally:
        spaces = " ".join((*SPACES, CANARY))
        if not args.keep:
            lab.sh(f"kubectl delete namespace {spaces} --wait=false --ignore-not-found", check=False)


def _run(lab: Lab, sets: int, seed: int, began: float) -> int:
    cluster = str(lab.variant())
    pods = _pods(lab)
    flows = [
        Flow(client.name, server.name, server.ip, port)
        for client in pods.values()
        for server in pods.values()
        for port in _ports(server)
    ]
    probers = {name: Prober(lab, pod.namespace, name) for name, pod in pods.items() if pod.namespace != CANARY}
    watcher = Prober(lab, CANARY, "watcher")
    line = f"kubectl -n {CANARY} get pods -l canary -o jsonpath='{{.items[*].status.podIP}}'"
    canaries = lab.sh(line).split()
    dice = random.Random(seed)
    wrong: list[dict[str, Any]] = []
    compared = 0
    try:
        for number in range(sets):
            raws = draw_set(dice, number, list(pods.values()))
            _apply(lab, raws, number)
            _wait_for_canaries(watcher, canaries, number)
            differing = _compare(pods, flows, [read_policy(raw) for raw in raws], probers)
            compared += len(flows)
            wrong += [{"set": number, **each} for each in differing]
            for each in differing:
                print(f"set {number}: {json.dumps(each)}\n{json.dumps(raws)}", flush=True)
            if number % 20 == 19 or number == 0:
                took = time.monotonic() - began
                print(f"{took:.0f} s: {number + 1} sets, {compared} flows, {len(wrong)} disagreements", flush=True)
            _store(cluster, seed, number + 1, compared, len(wrong), began)
    finally:
        for prober in (*probers.values(), watcher):
            prober.close()
    return 1 if wrong else 0


def _store(cluster: str, seed: int, sets: int, flows: int, disagreements: int, began: float) -> None:
    """After every set, so that a run that is ended early counts for what it did."""
    summary = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cluster": cluster,
        "seed": seed,
        "sets": sets,
        "flows": flows,
        "disagreements": disagreements,
        "seconds": round(time.monotonic() - began),
    }
    RESULT.write_text(json.dumps(summary, indent=1) + "\n")


def _compare(
    pods: Mapping[str, Pod], flows: list[Flow], policies: list[NetworkPolicy], probers: Mapping[str, Prober]
) -> list[dict[str, Any]]:
    expected = {flow: allowed(pods[flow.client], pods[flow.server], flow.port, policies) for flow in flows}
    doubtful = flows
    for seconds in SECONDS:
        seen = _probe(doubtful, probers, seconds)
        doubtful = [flow for flow in doubtful if seen[flow] != expected[flow]]
        if not doubtful:
            return []
    return [{**vars(flow), "engine": expected[flow], "traffic": not expected[flow]} for flow in doubtful]


def allowed(client: Pod, server: Pod, port: int, policies: Iterable[NetworkPolicy]) -> bool:
    """What the engine says of both directions."""
    everything = tuple(policies)
    packet = Packet(_end(client), _end(server), port)
    return all(decide(direction, packet, everything).allowed for direction in Direction)


def _end(pod: Pod) -> End:
    if pod.host_network:
        return End(pod.ip, name=pod.name, node=pod.node)
    labels = {**SPACES[pod.namespace], "kubernetes.io/metadata.name": pod.namespace}
    return End(pod.ip, pod.namespace, pod.name, pod.labels, labels, pod.ports, pod.node)


def _probe(flows: Iterable[Flow], probers: Mapping[str, Prober], seconds: float) -> dict[Flow, bool]:
    """Whether each flow connects: all flows of a Pod at once, all Pods side by side."""
    by_client: dict[str, list[Flow]] = {}
    for flow in flows:
        by_client.setdefault(flow.client, []).append(flow)

    def of_one(item: tuple[str, list[Flow]]) -> dict[Flow, bool]:
        name, mine = item
        answered = probers[name].connect([f"{f.address}:{f.port}" for f in mine], seconds)
        return {f: f"{f.address}:{f.port}" in answered for f in mine}

    with ThreadPoolExecutor(len(by_client)) as pool:
        return {flow: seen for found in pool.map(of_one, by_client.items()) for flow, seen in found.items()}


# --- the Pods ---------------------------------------------------------------------------------------------------------


def _pods(lab: Lab) -> dict[str, Pod]:
    """Three Pods in each namespace, one on each node, and one on a node's own network."""
    nodes = lab.nodes()
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        for name, labels in (*SPACES.items(), (CANARY, {}))
    ]
    dice = random.Random(1)
    for space in SPACES:
        for index, node in enumerate(nodes[:3]):
            labels = {key: dice.choice(VALUES) for key in LABELS if dice.random() < 0.8}
            web, admin = dice.sample(("web", "admin"), 2)
            objects.append(_pod(space, f"{space[-1]}{index}", node, labels, {web: 8080, admin: 9090}))
    host = _pod("np-check-b", "host", nodes[0], {"app": "one", "tier": "two"}, {"web": 18080})
    host["spec"]["hostNetwork"] = True
    objects.append(host)
    for index, node in enumerate(nodes[:3]):
        objects.append(
            _pod(CANARY, f"canary{index}", node, {"canary": "yes"}, dict(zip("xy", CANARY_PORTS, strict=True)))
        )
    objects.append(_pod(CANARY, "watcher", nodes[0], {}, {"z": 7003}))
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    lab.sh("kubectl apply -f - >/dev/null || { sleep 2; kubectl apply -f - >/dev/null; }", stdin=text, check=False)
    lab.sh("kubectl apply -f -", stdin=text)
    for space in (*SPACES, CANARY):
        lab.sh(f"kubectl -n {space} delete networkpolicies --all")
        lab.sh(f"kubectl -n {space} wait --for=condition=Ready pod --all --timeout=120s")
    raw = [json.loads(lab.sh(f"kubectl -n {space} get pods -o json"))["items"] for space in SPACES]
    return {pod.name: pod for items in raw for pod in map(read_pod, items)}


def _pod(namespace: str, name: str, node: str, labels: Mapping[str, str], ports: Mapping[str, int]) -> dict[str, Any]:
    serve = {
        "name": "serve",
        "image": AGNHOST,
        "imagePullPolicy": "IfNotPresent",
        "args": ["porter"],
        "env": [{"name": f"SERVE_PORT_{port}", "value": "x"} for port in ports.values()],
        "ports": [{"name": port_name, "containerPort": port} for port_name, port in ports.items()],
    }
    probe = {
        "name": "probe",
        "image": NETTOOLS,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {"nodeName": node, "terminationGracePeriodSeconds": 1, "containers": [serve, probe]},
    }


def _ports(pod: Pod) -> list[int]:
    return [port.port for port in pod.ports]


# --- the policies -----------------------------------------------------------------------------------------------------


def draw_set(dice: random.Random, number: int, pods: list[Pod]) -> list[dict[str, Any]]:
    """One to six policies over the namespaces."""
    return [_policy(dice, f"s{number}-p{index}", number, pods) for index in range(dice.randint(1, 6))]


def _policy(dice: random.Random, name: str, number: int, pods: list[Pod]) -> dict[str, Any]:
    spec: dict[str, Any] = {"podSelector": _selector(dice, dict.fromkeys(LABELS, VALUES))}
    types = dice.choice([["Ingress"], ["Egress"], ["Ingress", "Egress"], None])
    if types:
        spec["policyTypes"] = types
    for direction, word in (("ingress", "from"), ("egress", "to")):
        if types is None or direction.capitalize() in types:
            rules = [_rule(dice, word, pods) for _ in range(dice.choice((0, 1, 1, 2, 3)))]
            if rules or dice.random() < 0.5:
                spec[direction] = rules
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": dice.choice(list(SPACES)), "labels": {"set": str(number)}},
        "spec": spec,
    }


def _rule(dice: random.Random, word: str, pods: list[Pod]) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    if dice.random() < 0.85:
        rule[word] = [_peer(dice, pods) for _ in range(dice.choice((0, 1, 1, 2, 3)))]
    if dice.random() < 0.6:
        rule["ports"] = [_port(dice) for _ in range(dice.choice((0, 1, 1, 2)))]
    return rule


def _peer(dice: random.Random, pods: list[Pod]) -> dict[str, Any]:
    if dice.random() < 0.3:
        return {"ipBlock": _block(dice, pods)}
    kinds = dice.choice((("podSelector",), ("namespaceSelector",), ("podSelector", "namespaceSelector")))
    spaces = {"team": ("red", "blue"), "zone": ("x", "y"), "kubernetes.io/metadata.name": tuple(SPACES)}
    return {kind: _selector(dice, spaces if kind[0] == "n" else dict.fromkeys(LABELS, VALUES)) for kind in kinds}


def _block(dice: random.Random, pods: list[Pod]) -> dict[str, Any]:
    address = dice.choice(pods).ip
    size = dice.choice((0, 16, 24, 25, 28, 31, 32))
    block: dict[str, Any] = {"cidr": f"{_network(address, size)}/{size}"}
    if size < 32 and dice.random() < 0.5:
        inner = dice.choice([s for s in (16, 24, 28, 31, 32) if s > size])
        hole = dice.choice([p.ip for p in pods if _network(p.ip, size) == _network(address, size)])
        block["except"] = [f"{_network(hole, inner)}/{inner}"]
    return block


def _network(address: str, size: int) -> str:
    number = int.from_bytes(bytes(map(int, address.split("."))), "big")
    return ".".join(map(str, (number >> (32 - size) << (32 - size)).to_bytes(4, "big")))


def _port(dice: random.Random) -> dict[str, Any]:
    port: dict[str, Any] = dice.choice(
        (
            {},
            {"port": 8080},
            {"port": 9090},
            {"port": 18080},
            {"port": 80},
            {"port": "web"},
            {"port": "admin"},
            {"port": "none"},
            {"port": 8000, "endPort": 8080},
            {"port": 8081, "endPort": 20000},
        )
    )
    protocol = dice.choice((None, "TCP", "TCP", "UDP"))
    return {**port, "protocol": protocol} if protocol else dict(port) or {"protocol": "TCP"}


def _selector(dice: random.Random, values: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    key = dice.choice(list(values))
    match dice.randint(0, 6):
        case 0 | 1:
            return {}
        case 2 | 3:
            return {"matchLabels": {key: dice.choice(values[key])}}
        case 4:
            return {"matchLabels": {k: dice.choice(v) for k, v in values.items() if dice.random() < 0.6}}
    operator = dice.choice(("In", "NotIn", "Exists", "DoesNotExist"))
    expression: dict[str, Any] = {"key": key, "operator": operator}
    if operator.endswith("In"):
        expression["values"] = dice.sample(values[key], dice.randint(1, len(values[key])))
    return {"matchExpressions": [expression]}


def _apply(lab: Lab, raws: list[dict[str, Any]], number: int) -> None:
    """The new set in, the old one out, the canary last."""
    canary = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "canary", "namespace": CANARY},
        "spec": {
            "podSelector": {"matchLabels": {"canary": "yes"}},
            "ingress": [{"ports": [{"port": CANARY_PORTS[number % 2]}]}],
        },
    }
    new = json.dumps({"apiVersion": "v1", "kind": "List", "items": raws})
    lab.sh("kubectl create -f - >/dev/null", stdin=new)
    lab.sh(f"kubectl delete networkpolicies -A -l 'set,set!={number}' >/dev/null; kubectl apply -f - >/dev/null",
           stdin=json.dumps(canary))  # fmt: skip


def _wait_for_canaries(watcher: Prober, canaries: list[str], number: int) -> None:
    """Until every node admits the new port of its canary and no longer the old one."""
    new, old = CANARY_PORTS[number % 2], CANARY_PORTS[1 - number % 2]
    end = time.monotonic() + 60
    while time.monotonic() < end:
        answered = watcher.connect([f"{ip}:{port}" for ip in canaries for port in (new, old)], 0.7)
        if answered == {f"{ip}:{new}" for ip in canaries}:
            return
    raise StepFailed(f"Felix did not take set {number} in")


if __name__ == "__main__":
    sys.exit(main())
