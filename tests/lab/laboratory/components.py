"""The programs of a cluster that run outside Pods: each is recorded so that it can be stopped and started alike."""

import json
import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.lab.laboratory import namespaces
from tests.lab.laboratory.errors import LabError
from tests.lab.laboratory.paths import Run
from tests.lab.laboratory.process import Process
from tests.lab.laboratory.waiting import wait_for


@dataclass(frozen=True)
class Component:
    """What is needed to start a program again, and the process it is now."""

    name: str
    machine: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    process: Process

    def save(self, run: Run) -> None:
        (run.components / f"{self.name}.json").write_text(json.dumps(asdict(self), indent=1))

    @staticmethod
    def read(path: Path) -> "Component":
        record = json.loads(path.read_text())
        return Component(
            name=record["name"],
            machine=record["machine"],
            argv=tuple(record["argv"]),
            env=tuple((key, value) for key, value in record["env"]),
            process=Process(**record["process"]),
        )


def start(
    run: Run, name: str, machine: namespaces.Namespace, argv: Sequence[str], env: Mapping[str, str] | None = None
) -> Component:
    """Starts a program on a machine under the component's name; its log is log/NAME.log."""
    environment = dict(env or {})
    process = namespaces.spawn(run, machine, argv, environment, run.log(name))
    component = Component(name, machine.name, tuple(argv), tuple(environment.items()), process)
    component.save(run)
    return component


def every(run: Run) -> list[Component]:
    return [Component.read(path) for path in sorted(run.components.glob("*.json"))]


def find(run: Run, name: str) -> Component:
    path = run.components / f"{name}.json"
    if not path.exists():
        names = ", ".join(component.name for component in every(run))
        raise LabError(f"there is no component {name}; there are: {names}")
    return Component.read(path)


def stop(component: Component) -> None:
    """Freezes it: it keeps its sockets and answers nothing."""
    _require_alive(component)
    component.process.signal(signal.SIGSTOP)
    wait_for(f"{component.name} to stop", lambda: component.process.state != "running", 10, interval=0.01)


def resume(component: Component) -> None:
    _require_alive(component)
    component.process.signal(signal.SIGCONT)
    wait_for(f"{component.name} to go on", lambda: component.process.state != "stopped", 10, interval=0.01)


def kill(component: Component) -> None:
    component.process.kill(component.name)


def restart(run: Run, component: Component) -> Component:
    """Ends it, first politely, and starts it with the same arguments."""
    component.process.signal(signal.SIGTERM)
    component.process.signal(signal.SIGCONT)
    try:
        wait_for(f"{component.name} to end", lambda: not component.process.alive, 3, interval=0.01)
    except LabError:
        kill(component)
    machine = namespaces.load(run, component.machine)
    return start(run, component.name, machine, component.argv, dict(component.env))


def _require_alive(component: Component) -> None:
    if not component.process.alive:
        raise LabError(f"{component.name} is dead: `netlab component {component.name} restart` starts it")
