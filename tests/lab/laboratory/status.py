"""How a cluster is: its components, nodes, versions and memory."""

import json
from dataclasses import dataclass

from tests.lab.laboratory import components, namespaces, process, recipes
from tests.lab.laboratory.kubectl import Kubectl
from tests.lab.laboratory.paths import Home, Run
from tests.lab.laboratory.spec import PERSON, Spec


@dataclass(frozen=True)
class Status:
    spec: Spec
    machines: dict[str, str]
    components: dict[str, str]
    nodes: dict[str, str]
    memory: int

    @property
    def healthy(self) -> bool:
        states = [*self.machines.values(), *self.components.values()]
        ready = [self.nodes.get(node.name) == "Ready" for node in self.spec.nodes]
        return bool(self.components) and all(state == "running" for state in states) and all(ready)

    @property
    def table(self) -> str:
        rows = [
            ("cluster", f"{self.spec.name} ({self.spec.words})"),
            ("versions", f"Kubernetes {recipes.KUBERNETES}, containerd {recipes.CONTAINERD}, {self._network}"),
            ("memory", f"{self.memory / 2**20:.0f} MiB"),
        ]
        rows += [(f"machine {name}", state) for name, state in self.machines.items() if state != "running"]
        rows += list(self.components.items())
        rows += [(name, state) for name, state in self.nodes.items()]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)

    @property
    def _network(self) -> str:
        plugins = f"CNI plugins {recipes.CNI_PLUGINS}"
        return f"Calico of {recipes.CALICO.split('.')[-1][:8]}" if self.spec.cni == "calico" else plugins


def examine(home: Home, run: Run) -> Status:
    """Raises LabError when there is no such cluster."""
    spec = Spec.load(run)
    machines = namespaces.recorded(run)
    programs = components.every(run)
    roots = [*machines.values(), *(program.process for program in programs)]
    return Status(
        spec=spec,
        machines={name: init.state for name, init in machines.items()},
        components={component.name: component.process.state for component in programs},
        nodes=_nodes(home, run) if PERSON in machines and machines[PERSON].alive else {},
        memory=process.memory({root.pid for root in roots if root.alive}),
    )


def _nodes(home: Home, run: Run) -> dict[str, str]:
    kubectl = Kubectl(home, run, namespaces.load(run, PERSON))
    answer = kubectl.attempt("get", "nodes", "-o", "json")
    if answer.returncode:
        return {node.name: "unknown: the API server does not answer" for node in Spec.load(run).nodes}
    return {item["metadata"]["name"]: _readiness(item) for item in json.loads(answer.stdout)["items"]}


def _readiness(item: dict[str, dict[str, list[dict[str, str]]]]) -> str:
    conditions = item["status"].get("conditions", [])
    state = next((each["status"] for each in conditions if each["type"] == "Ready"), "Unknown")
    return "Ready" if state == "True" else "NotReady"
