"""A cluster's life: up and down."""

import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tests.lab.laboratory import (
    build,
    cgroups,
    cni,
    components,
    control_plane,
    namespaces,
    network,
    node,
    pki,
    status,
    workloads,
    world,
)
from tests.lab.laboratory.errors import LabError
from tests.lab.laboratory.kubectl import Kubectl
from tests.lab.laboratory.lock import locked
from tests.lab.laboratory.paths import Home, Run
from tests.lab.laboratory.process import Process, marked
from tests.lab.laboratory.shell import output
from tests.lab.laboratory.spec import CONTROL_PLANE, PERSON, WORLD, Spec


def up(home: Home, spec: Spec) -> None:
    """From nothing to a cluster whose application answers. Does nothing when it is up already."""
    run = home.run(spec.name)
    node.check_place(run)
    build.build(home, build.NEEDED[spec.cni], quiet=True)
    with locked(home, f"cluster-{spec.name}", f"another command on cluster {spec.name}"):
        if run.root.exists():
            _check_existing(home, run, spec)
            return
        with _undone_when_interrupted(run):
            _bring_up(home, run, spec)


def down(home: Home, name: str) -> None:
    """Ends and removes all that belongs to the cluster, however far it came. Says so when there is nothing."""
    run = home.run(name)
    with locked(home, f"cluster-{name}", f"another command on cluster {name}"):
        existed = run.root.exists()
        _take_down(run)
    print(f"cluster {name} is gone" if existed else f"there is no cluster named {name}")


def _check_existing(home: Home, run: Run, spec: Spec) -> None:
    if not run.ready.exists() or not status.examine(home, run).healthy:
        raise LabError(f"cluster {spec.name} exists but is not healthy: run `netlab down --name {spec.name}` first")
    existing = Spec.load(run)
    if existing != spec:
        raise LabError(f"cluster {spec.name} is up, but as {existing.words}: run `netlab down` first, or take --name")
    print(f"cluster {spec.name} is up already ({spec.words})")


def _bring_up(home: Home, run: Run, spec: Spec) -> None:
    clock = _Clock()
    cgroups.remove(spec.name)
    run.make()
    spec.save(run)
    machines = {name: namespaces.create(run, name) for name in spec.namespaces}
    network.connect(spec, machines)
    clock.say("machines and cables")
    pki.create(run, spec)
    control_plane.start_api(home, run, spec, machines[CONTROL_PLANE])
    world.start(home, run, machines[WORLD])
    for each in spec.nodes:
        node.prepare(home, run, spec, each, machines[each.name])
        cni.configure(run, spec, each, machines[each.name])
    for each in spec.nodes:
        node.wait_for_containerd(home, run, each, machines[each.name])
    clock.say("containerd answers on every node")
    kubectl = Kubectl(home, run, machines[PERSON])
    control_plane.wait_for_api(run, kubectl)
    clock.say("the API server is ready")
    workloads.register(kubectl, home, spec)
    control_plane.start_controllers(home, run, spec, machines[CONTROL_PLANE])
    for each in spec.nodes:
        cni.start(home, run, spec, each, machines[each.name])
        node.start(home, run, spec, each, machines[each.name])
    workloads.deploy(kubectl)
    clock.say("everything is started")
    workloads.wait_until_ready(kubectl)
    run.ready.touch()
    clock.say(f"cluster {spec.name} is ready ({spec.words})")


def _take_down(run: Run) -> None:
    if run.root.exists():
        # Process 1 of a machine takes every other process there with it, frozen ones too.
        machines = namespaces.recorded(run)
        for init in machines.values():
            init.signal(signal.SIGKILL)
        for name, init in machines.items():
            init.kill(f"the machine {name}")
        for component in components.every(run):
            components.kill(component)
        _unmount(run.root)
    for process in marked(str(run.root)):  # started, but not yet recorded
        _kill(process)
    cgroups.remove(run.name)
    if run.root.exists():
        shutil.rmtree(run.root)


def _kill(process: Process) -> None:
    process.kill("a process of the cluster")


def _unmount(root: Path) -> None:
    """Mounts live in the machines' own namespaces and vanish with them; this is for one that escaped."""
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for point in reversed([point for point in points if Path(point).is_relative_to(root)]):
        output(["umount", "-l", point])


@contextmanager
def _undone_when_interrupted(run: Run) -> Iterator[None]:
    """Takes the half-made cluster down on Ctrl+C or SIGTERM. After a failure it stays, to be looked at."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted: taking down what was started", flush=True)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _take_down(run)
        raise
    except LabError as error:
        hint = f"What was started is still there, with logs in {run.logs}; `netlab down` removes it."
        raise LabError(f"{error}\n{hint}") from error
    finally:
        signal.signal(signal.SIGTERM, before)


class _Clock:
    def __init__(self) -> None:
        self._began = time.monotonic()

    def say(self, what: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {what}", flush=True)
