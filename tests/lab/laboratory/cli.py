"""The command line of the laboratory."""

import argparse
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.lab.laboratory import build, cluster, components, ingress, namespaces, person, pki, status
from tests.lab.laboratory.errors import LabError
from tests.lab.laboratory.paths import Home
from tests.lab.laboratory.spec import CNIS, FABRIC, MOST_NODES, PROXIES, WORLD, Spec, check_name

DEFAULT_NAME = "netlab"
RUNNERS = ("run", "node", "world", "fabric")


def main(argv: Sequence[str]) -> int:
    """Runs one command and returns its exit status: 2 for what the person must change, 1 for other failures."""
    own, command = _split(argv)
    arguments = _parser().parse_args(_name_first(own))
    arguments.argv = command
    try:
        if not command and arguments.command in RUNNERS:
            raise LabError(f"`netlab {arguments.command}` needs `-- COMMAND`", code=2)
        _check_host()
        check_name(arguments.name)
        action: Callable[[Home, argparse.Namespace], int] = arguments.action
        return action(Home.find(), arguments)
    except LabError as error:
        print(f"netlab: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our own arguments, and the command after the first `--`."""
    words = list(argv)
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def _name_first(words: list[str]) -> list[str]:
    """Moves `--name NAME` to the front, since argparse would not take it between a command's own words."""
    if "--name" in words[:-1]:
        at = words.index("--name")
        return [*words[at : at + 2], *words[:at], *words[at + 2 :]]
    return words


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("netlab", description="A real Kubernetes in network namespaces, for tests.")
    parser.add_argument("--name", default=DEFAULT_NAME, help="which cluster (default: %(default)s)")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", default=argparse.SUPPRESS, help="which cluster (default: netlab)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, action: Callable[[Home, argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[common], help=text, description=text)
        added.set_defaults(action=action)
        return added

    added = command("build", _build, "build or update everything that clusters are made of")
    added.add_argument("--install", action="store_true", help="install missing Debian packages")
    added = command("up", _up, "bring a cluster up, from nothing to ready")
    added.add_argument("--cni", choices=CNIS, default=CNIS[0])
    added.add_argument("--proxy", choices=PROXIES, default=PROXIES[0], help="kube-proxy's mode")
    added.add_argument("--nodes", type=_size, default=3, metavar="N")
    added.add_argument("--dual-stack", action="store_true", help="IPv4 and IPv6 (bridge only)")
    command("ingress", _ingress, "put the image of an ingress controller on the nodes, built if need be (15 minutes)")
    command("status", _status, "say how the cluster is; exit 1 when something is down")
    command("down", _down, "end the cluster and remove every trace of it")
    added = command("run", _run, "run a command as the person who uses the cluster")
    added.add_argument("--kubeconfig", type=Path, help="instead of the administrator's")
    added = command("node", _node, "run a command on a node")
    added.add_argument("node", metavar="NODE")
    command("world", _world, "run a command outside the cluster")
    command("fabric", _fabric, "run a command on the wire: a bridge br0 with a port v-MACHINE for each machine")
    added = command("component", _component, "list the programs, or stop, continue, restart or kill one")
    added.add_argument("component", metavar="NAME", help="a component, or `list`")
    added.add_argument("change", nargs="?", choices=("stop", "cont", "restart", "kill"))
    added = command("kubeconfig", _kubeconfig, "print the path of a kubeconfig, made if need be")
    added.add_argument("--user", default="", help="a user with a certificate and no rights yet (default: admin)")
    added.add_argument("--group", action="append", default=[], help="a group of that user; may be repeated")
    added.add_argument("--namespace", default="default", help="the context's namespace")
    return parser


def _size(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MOST_NODES:
        raise argparse.ArgumentTypeError(f"a number from 1 to {MOST_NODES} is wanted")
    return int(text)


def _check_host() -> None:
    if platform.system() != "Linux":
        raise LabError("the laboratory runs on Linux only", code=2)
    if os.geteuid() != 0:
        raise LabError("the laboratory makes namespaces and mounts: run it as root", code=2)


def _build(home: Home, arguments: argparse.Namespace) -> int:
    build.build(home, build.NEEDED["calico"], arguments.install)
    return 0


def _up(home: Home, arguments: argparse.Namespace) -> int:
    if arguments.dual_stack and arguments.cni != "bridge":
        raise LabError("two address families are set up for the bridge Pod network alone", code=2)
    cluster.up(home, Spec(arguments.name, arguments.cni, arguments.proxy, arguments.nodes, arguments.dual_stack))
    return 0


def _ingress(home: Home, arguments: argparse.Namespace) -> int:
    ingress.bring(home, arguments.name)
    return 0


def _down(home: Home, arguments: argparse.Namespace) -> int:
    cluster.down(home, arguments.name)
    return 0


def _status(home: Home, arguments: argparse.Namespace) -> int:
    found = status.examine(home, home.run(arguments.name))
    print(found.table)
    return 0 if found.healthy else 1


def _run(home: Home, arguments: argparse.Namespace) -> int:
    command, environment = person.command(home, arguments.name, arguments.argv, arguments.kubeconfig)
    namespaces.restore_signals()
    sys.stdout.flush()
    os.execvpe(command[0], command, environment)


def _node(home: Home, arguments: argparse.Namespace) -> int:
    environment = person.environment()
    environment["PATH"] += ":/opt/bin"
    return namespaces.call(namespaces.load(home.run(arguments.name), arguments.node), arguments.argv, environment)


def _world(home: Home, arguments: argparse.Namespace) -> int:
    return namespaces.call(namespaces.load(home.run(arguments.name), WORLD), arguments.argv, person.environment())


def _fabric(home: Home, arguments: argparse.Namespace) -> int:
    return namespaces.call(namespaces.load(home.run(arguments.name), FABRIC), arguments.argv, person.environment())


def _component(home: Home, arguments: argparse.Namespace) -> int:
    run = home.run(arguments.name)
    Spec.load(run)
    if arguments.component == "list":
        for component in components.every(run):
            print(f"{component.name:<20} {component.process.state:<8} {component.machine:<8} {component.process.pid}")
        return 0
    if arguments.change is None:
        raise LabError("say what to do with it: stop, cont, restart or kill", code=2)
    component = components.find(run, arguments.component)
    if arguments.change == "restart":
        components.restart(run, component)
    else:
        {"stop": components.stop, "cont": components.resume, "kill": components.kill}[arguments.change](component)
    return 0


def _kubeconfig(home: Home, arguments: argparse.Namespace) -> int:
    run = home.run(arguments.name)
    Spec.load(run)
    print(pki.person_kubeconfig(run, arguments.user, arguments.group, arguments.namespace))
    return 0
