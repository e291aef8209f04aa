"""Causes about NetworkPolicies on a played cluster whose network does what the engine says: named, then healed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from kubectl_netdebug.engine.conclude import Circumstances, conclude
from kubectl_netdebug.engine.run import Engine
from kubectl_netdebug.engine.source import Job
from kubectl_netdebug.flows.service import service_flow
from kubectl_netdebug.model.command import Fix
from kubectl_netdebug.model.facts import Answer, Connect, FactKey, Known, MayProbe, Now, Object, Objects, Unknown, Why
from kubectl_netdebug.model.objects.pod import read_pod
from kubectl_netdebug.model.objects.policy import Direction, read_policy
from kubectl_netdebug.model.question import FlowName, Question, Source, SourceKind
from kubectl_netdebug.model.result import Result
from kubectl_netdebug.net.networkpolicy import End, Packet, decide

VIP = "10.96.0.50"
NODES = {"node-1": "172.30.0.11", "node-2": "172.30.0.12"}


def pod(name: str, ip: str, namespace: str = "shop", node: str = "node-1", **labels: str) -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": 8080}] if name.startswith("web") else []
    running = {"name": "main", "state": {"running": {}}, "ready": True}
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"nodeName": node, "containers": [{"name": "main", "ports": ports}]},
        "status": {
            "phase": "Running",
            "podIP": ip,
            "containerStatuses": [running],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


class Played:
    """Answers as a cluster of two namespaces would; `enforces` is whether its network carries out policies."""

    def __init__(
        self, *policies: dict[str, Any], enforces: bool = True, probes: bool = True, broken: bool = False
    ) -> None:
        self.policies = [self._policy(i, p) for i, p in enumerate(policies)]
        self.enforces, self.probes, self.broken = enforces, probes, broken
        self.unreadable: set[str] = set()
        self.pods = [
            pod("web-1", "10.244.1.2", app="web"),
            pod("web-2", "10.244.2.2", node="node-2", app="web"),
            pod("shopper", "10.244.1.9", role="front", tier="x"),
            pod("other", "10.244.1.8", role="back"),
            pod("visitor", "10.244.2.9", "ops", role="front"),
            pod("agent", NODES["node-2"], "shop", "node-2", role="agent"),
        ]
        self.pods[-1]["spec"]["hostNetwork"] = True
        self.namespaces = {"shop": {"team": "a"}, "ops": {"env": "prod"}, "third": {"team": "third"}}
        self.reads: list[str] = []

    @staticmethod
    def _policy(index: int, spec: dict[str, Any]) -> dict[str, Any]:
        spec = copy.deepcopy(spec)
        meta: dict[str, Any] = {"name": f"p{index}", "namespace": spec.pop("namespace", "shop")}
        if "policyTypes" not in spec:
            meta["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "policyTypes left out"}
        return {"metadata": meta, "spec": {"podSelector": {}, **spec}}

    def plan(self, keys: Iterable[FactKey]) -> list[Job]:
        return [Job("played", (key,), lambda key=key: {key: self._answer(key)}, 30.0) for key in keys]  # type: ignore[misc]

    def _answer(self, key: FactKey) -> Answer:
        match key:
            case Now():
                return Known("2026-01-01T00:00:00Z")
            case MayProbe():
                return Known(True) if self.probes else Unknown(Why.NO_CONSENT, "not asked for")
            case Object():
                return Known(self._object(key))
            case Objects():
                self.reads.append(key.resource)
                if key.resource in self.unreadable:
                    return Unknown(Why.FORBIDDEN, f"you may not list {key.resource}")
                return Known({"items": self._list(key), "complete": True})
            case Connect():
                return Known({"outcome": "connected" if self._connects(key) else "timed-out", "ms": 1})
        return Unknown(Why.ERROR, "not played")

    def _object(self, key: Object) -> Any:
        if key.resource == "services":
            return self.service() if (key.namespace, key.name) == ("shop", "web") else None
        if key.resource == "namespaces":
            return self._namespace(key.name)
        where = (key.namespace, key.name)
        return next((p for p in self.pods if (p["metadata"]["namespace"], p["metadata"]["name"]) == where), None)

    def service(self) -> dict[str, Any]:
        return {
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {
                "clusterIP": VIP,
                "selector": {"app": "web"},
                "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}],
            },
        }

    def _namespace(self, name: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "labels": {**self.namespaces[name], "kubernetes.io/metadata.name": name}}}

    def _list(self, key: Objects) -> list[Any]:
        match key.resource:
            case "pods":
                wanted = dict(part.split("=") for part in key.labels.split(",") if part)
                return [
                    p
                    for p in self.pods
                    if p["metadata"]["namespace"] == key.namespace and wanted.items() <= p["metadata"]["labels"].items()
                ]
            case "endpointslices.discovery.k8s.io":
                endpoints = [
                    {
                        "addresses": [p["status"]["podIP"]],
                        "conditions": {"ready": True},
                        "targetRef": {"kind": "Pod", "name": p["metadata"]["name"]},
                    }
                    for p in self.pods[:2]
                ]
                ports = [{"name": "", "port": 8080, "protocol": "TCP"}]
                return [
                    {
                        "metadata": {"namespace": "shop", "name": "web-x"},
                        "addressType": "IPv4",
                        "endpoints": endpoints,
                        "ports": ports,
                    }
                ]
            case "networkpolicies.networking.k8s.io":
                return [p for p in self.policies if p["metadata"]["namespace"] == key.namespace]
            case "namespaces":
                return [self._namespace(name) for name in self.namespaces]
            case "clusterinformations.crd.projectcalico.org":
                return [{"metadata": {"name": "default"}}] if self.enforces else []
            case "nodes":
                return [
                    {"metadata": {"name": n}, "status": {"addresses": [{"type": "InternalIP", "address": a}]}}
                    for n, a in NODES.items()
                ]
        return []

    def _connects(self, key: Connect) -> bool:
        by_ip = {p["status"]["podIP"]: p for p in self.pods}
        client = self._end(next(p for p in self.pods if p["metadata"]["name"] == key.pod))
        targets = ["10.244.1.2", "10.244.2.2"] if key.host == VIP else [key.host]
        return all(self._passes(client, self._end(by_ip[t]), 8080 if key.host == VIP else key.port) for t in targets)

    def _passes(self, client: End, server: End, port: int) -> bool:
        policies = [read_policy(p) for p in self.policies]
        packet = Packet(client, server, port)
        allowed = all(decide(d, packet, policies).allowed for d in Direction)
        return not self.broken and (allowed or not self.enforces)

    def _end(self, raw: Mapping[str, Any]) -> End:
        view = read_pod(raw)
        if view.host_network:
            return End(view.ip, node=view.node)
        labels = {**self.namespaces[view.namespace], "kubernetes.io/metadata.name": view.namespace}
        return End(view.ip, view.namespace, view.name, view.labels, labels, view.ports, view.node)

    def mend(self, fix: Fix) -> None:
        """Does what the command of a fix does."""
        argv = fix.command.argv
        if argv[0] == "apply":
            self.policies.append(json.loads(fix.command.stdin))
            return
        assert argv[:2] == ("patch", "networkpolicy")
        policy = next(p for p in self.policies if p["metadata"]["name"] == argv[2])
        body = json.loads(argv[-1])
        if isinstance(body, dict):
            policy["spec"] |= body["spec"]
            return
        for operation in body:
            *path, last = operation["path"].strip("/").split("/")
            place: Any = policy
            for part in path:
                place = place[int(part)] if isinstance(place, list) else place[part]
            assert (operation["op"], last) == ("add", "-")
            place.append(operation["value"])


def ask(played: Played, client: str = "shopper", namespace: str = "shop") -> tuple[Result, list[Fix]]:
    source = Source(SourceKind.POD, namespace, client) if client else Source()
    question = Question(FlowName.SERVICE, "shop", "web", source=source)
    diagnosis = Engine(question, service_flow(), played, facts={}, strict=True).run()
    result = conclude(diagnosis, Circumstances("r", "2026-01-01T00:00:00Z"))
    fixes = [fix for step in diagnosis.steps for found in step.found for fix in found.finding.fixes if fix.command]
    return result, fixes


def rule(*peers: dict[str, Any], ports: list[dict[str, Any]] | None = None, **spec: Any) -> dict[str, Any]:
    entry = {**({"from": list(peers)} if peers else {}), **({"ports": ports} if ports else {})}
    return {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"], "ingress": [entry], **spec}


def out(*peers: dict[str, Any], ports: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    entry = {**({"to": list(peers)} if peers else {}), **({"ports": ports} if ports else {})}
    return {"podSelector": {"matchLabels": {"role": "front"}}, "policyTypes": ["Egress"], "egress": [entry]}


def pods(**labels: str) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": labels}}


def spaces(**labels: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": labels}}


DENY = {"policyTypes": ["Ingress"]}
DENY_OUT = {"policyTypes": ["Egress"]}

FAULTS: list[tuple[str, str, str, list[dict[str, Any]]]] = [
    ("np-ingress-default-deny", "shopper", "shop", [DENY]),
    ("np-ingress-default-deny", "visitor", "ops", [DENY]),
    ("np-ingress-default-deny", "other", "shop", [rule(pods(role="front"))]),
    ("np-ingress-default-deny", "visitor", "ops", [rule(spaces(team="third"))]),
    ("np-egress-default-deny", "shopper", "shop", [DENY_OUT]),
    ("np-egress-default-deny", "shopper", "shop", [out(spaces(team="third"))]),
    ("np-namespace-label", "visitor", "ops", [rule(spaces(name="ops"))]),
    ("np-namespace-label", "visitor", "ops", [rule(spaces(env="prd"), ports=[{"port": "http"}])]),
    ("np-namespace-label", "visitor", "ops", [rule({**spaces(nobody="has"), **pods(role="front")})]),
    ("np-pod-label", "shopper", "shop", [rule(pods(role="frnt"))]),
    ("np-pod-label", "shopper", "shop", [rule(pods(role="front", access="yes"))]),
    ("np-pod-label", "visitor", "ops", [rule({**spaces(env="prod"), **pods(role="fron")})]),
    ("np-and-or", "visitor", "ops", [rule(pods(role="front"))]),
    ("np-and-or", "shopper", "shop", [rule({**spaces(env="prod"), **pods(role="front")})]),
    ("np-service-port", "shopper", "shop", [rule(pods(role="front"), ports=[{"port": 80}])]),
    ("np-service-port", "shopper", "shop", [out(pods(app="web"), ports=[{"port": 80, "protocol": "TCP"}])]),
    ("np-named-port", "shopper", "shop", [rule(ports=[{"port": "web"}])]),
    ("np-protocol-default", "shopper", "shop", [rule(ports=[{"port": 8080, "protocol": "UDP"}])]),
    ("np-ipblock-vip", "shopper", "shop", [out({"ipBlock": {"cidr": f"{VIP}/32"}})]),
    ("np-policytypes", "shopper", "shop", [{"podSelector": {"matchLabels": {"app": "web"}}, "egress": [{}]}]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "client", "namespace", "policies"), FAULTS, ids=lambda v: v if isinstance(v, str) else ""
)
def test_named_and_healed(code: str, client: str, namespace: str, policies: list[dict[str, Any]]) -> None:
    played = Played(*policies)
    result, fixes = ask(played, client, namespace)
    assert (result.verdict.state.value, [c.code for c in result.causes]) == ("faulty", [code])
    assert result.causes[0].confidence.value == "confirmed"
    assert result.causes[0].object.name == "p0"
    played.mend(fixes[0])
    again, _ = ask(played, client, namespace)
    assert again.verdict.state.value == "healthy"


@pytest.mark.parametrize(
    ("code", "client", "namespace", "policies"), FAULTS, ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_fix_opens_nothing_else(code: str, client: str, namespace: str, policies: list[dict[str, Any]]) -> None:
    """No Pod is isolated by a fix that was not; `policyTypes` is meant to open ingress for everybody."""
    played = Played(*policies)
    before = isolated(played)
    _, fixes = ask(played, client, namespace)
    played.mend(fixes[0])
    assert isolated(played) <= before


def isolated(played: Played) -> set[tuple[str, Direction]]:
    views = [read_pod(p) for p in played.pods]
    return {
        (view.name, direction)
        for view in views
        for policy in map(read_policy, played.policies)
        for direction in policy.types
        if policy.namespace == view.namespace and policy.selector.matches(view.labels)
    }


def test_a_client_on_the_network_of_a_node() -> None:
    played = Played(rule(pods(role="agent")))
    result, fixes = ask(played, "agent")
    assert [c.code for c in result.causes] == ["np-hostnetwork-source"]
    played.mend(fixes[0])
    assert ask(played, "agent")[0].verdict.state.value == "healthy"


def test_configuration_alone_is_likely_at_most() -> None:
    result, _ = ask(Played(DENY, probes=False))
    assert [(c.code, c.confidence.value) for c in result.causes] == [("np-ingress-default-deny", "likely")]
    assert ask(Played(rule(pods(role="front")), probes=False), "")[0].verdict.state.value == "healthy"
    assert ask(Played(DENY, probes=False), "")[0].verdict.state.value == "faulty"


@pytest.mark.parametrize("probes", [True, False])
def test_what_nothing_enforces_is_not_blamed(probes: bool) -> None:
    assert ask(Played(DENY, DENY_OUT, enforces=False, probes=probes))[0].verdict.state.value == "healthy"


def test_something_else_loses_it() -> None:
    for played in (Played(DENY, enforces=False, broken=True), Played(rule(pods(role="front")), broken=True)):
        result, _ = ask(played)
        assert result.verdict.state.value == "faulty"
        assert not [c for c in result.causes if c.code.startswith("np-")]


def test_a_chosen_client_is_one_that_may() -> None:
    assert ask(Played(rule(pods(role="front"))), "")[0].verdict.state.value == "healthy"
    assert ask(Played(rule(pods(role="back"))), "")[0].verdict.state.value == "healthy"


def test_policies_that_may_not_be_read_are_no_obstacle() -> None:
    played = Played(DENY, enforces=False)
    played.unreadable = {"networkpolicies.networking.k8s.io"}
    assert ask(played)[0].verdict.state.value == "healthy"


def test_without_a_client_one_list_is_all_it_costs() -> None:
    played = Played(probes=False)
    ask(played, "")
    assert sorted(played.reads) == [
        "endpointslices.discovery.k8s.io",
        "networkpolicies.networking.k8s.io",
        "pods",
    ]
