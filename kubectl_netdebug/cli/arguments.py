"""The argument parser. Flags may stand before or behind the command, as with kubectl."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubectl_netdebug import __version__
from kubectl_netdebug.cli.exits import UsageProblem

if TYPE_CHECKING:
    from kubectl_netdebug.kube.flags import KubeFlags

EPILOG = """\
examples:
  kubectl netdebug service web              why does Service web not answer?
  kubectl netdebug service web:8080 -n shop --from deploy/cart --probe always
  kubectl netdebug path deploy/web https://example.com
  kubectl netdebug path outside svc/shop    from this machine
  kubectl netdebug dns deploy/web           names: wrong, missing or slow?
  kubectl netdebug scan -A                  what is configured wrongly, anywhere?
  kubectl netdebug demo --list              recorded faults; needs no cluster
  kubectl netdebug explain service-selector-mismatch

exit codes: 0 healthy, 1 fault found, 2 usage, 3 cluster or credentials
unreachable, 4 inconclusive, 130 interrupted
"""


FORMATS = ("text", "wide", "json", "yaml", "markdown")
SCAN_FORMATS = ("junit", "sarif")
"""Formats that a scan alone can be written in."""

SHELLS = ("bash", "zsh", "fish", "powershell")

REDACTING = ("service", "path", "dns", "api", "node", "replay")
"""Commands whose result can be shown without names."""


class Parser(argparse.ArgumentParser):
    """Says problems as exceptions instead of leaving the program."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Raises UsageProblem."""
        raise UsageProblem(f"{message}. See: {self.prog} --help")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Help and version, written as every other output is."""
        from kubectl_netdebug.cli.output import write

        write(message)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments. Raises UsageProblem; `--help` and `--version` print and leave with SystemExit(0)."""
    return _checked(whole_parser().parse_args(list(argv)))


def whole_parser() -> Parser:
    """The parser with all commands; completion reads commands and flags out of it."""
    shared = _shared_flags()
    parser = Parser(
        prog="kubectl netdebug",
        description="Finds why a Service or Pod cannot be reached, proves it, and gives the command that mends it.",
        epilog=EPILOG,
        formatter_class=_help,
        parents=[_shared_flags((*FORMATS, *SCAN_FORMATS))],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"kubectl-netdebug {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=Parser)

    def command(name: str, help_text: str, flags: Parser = shared) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=help_text,
            description=help_text,
            parents=[flags],
            allow_abbrev=False,
            formatter_class=_help,
        )

    service = command("service", "why does a Service not answer?")
    service.add_argument("target", metavar="NAME[:PORT]", help="a Service, with a port number or name of it")
    path = command("path", "why does this Pod (or this machine) not reach that?")
    path.add_argument("client", metavar="SOURCE", help="pod/N, deploy/N, sts/N, ds/N, job/N, node/N, or outside")
    path.add_argument(
        "target",
        metavar="DESTINATION",
        help="svc/N[:PORT], pod/N:PORT, ing/N, gateway/N, a URL, HOST:PORT, self, or api",
    )
    dns = command("dns", "do names resolve in this Pod, and how fast?")
    dns.add_argument("client", metavar="SOURCE", help="pod/N, deploy/N, sts/N, ds/N or job/N")
    dns.add_argument("name", nargs="?", metavar="NAME", help="a name to resolve; else names in general")
    api = command("api", "does this Pod reach the API server, and is it let in?")
    api.add_argument("client", metavar="SOURCE", help="pod/N, deploy/N, sts/N, ds/N or job/N")
    node = command("node", "what is wrong with a node's network?")
    node.add_argument("node", metavar="NAME", help="a node; looking at it needs --allow node")
    scan_help = "configuration faults of a namespace or of the whole cluster; tries nothing"
    scan = command("scan", scan_help, _shared_flags((*FORMATS, *SCAN_FORMATS)))
    scan.add_argument("-A", "--all-namespaces", action="store_true", help="the whole cluster, its nodes included")
    scan.add_argument("--baseline", metavar="FILE", help="accept the findings in it: only others count")
    scan.add_argument("--write-baseline", metavar="FILE", help="accept what is found now, in a file for --baseline")
    explain = command("explain", "what a code means, how it is proved and mended")
    explain.add_argument("code", nargs="?", metavar="CODE")
    explain.add_argument("--list", action="store_true", help="all codes, a line each")
    access = command("access", "what you may do here, and the Role to ask for")
    access.add_argument("--role", action="store_true", help="print a Role that allows everything this tool can use")
    demo = command("demo", "diagnose a recorded fault; needs no cluster")
    demo.add_argument("case", nargs="?", metavar="CASE")
    demo.add_argument("--list", action="store_true", help="all recorded cases, a line each")
    replay = command("replay", "diagnose again from a file that --record wrote")
    replay.add_argument("file", metavar="FILE")
    cleanup = command("cleanup", "remove what runs left behind on nodes")
    cleanup.add_argument("--force", action="store_true", help="also what other people's runs still use")
    command("version", "the version of this program and of the cluster")
    completion = command("completion", "a script that lets a shell complete what is typed")
    completion.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    return parser


def _checked(args: argparse.Namespace) -> argparse.Namespace:
    """A flag before the command is read before the command is known."""
    form = getattr(args, "output", "text")
    if form in SCAN_FORMATS and args.command != "scan":
        raise UsageProblem(f"-o {form} is for scan alone. See: kubectl netdebug --help")
    if getattr(args, "redact", False) and args.command not in REDACTING:
        raise UsageProblem(f"--redact goes with: {', '.join(REDACTING)}")
    return args


def _help(prog: str) -> argparse.HelpFormatter:
    """Help at a fixed width: to find the terminal's, argparse would load every archive format."""
    return argparse.RawDescriptionHelpFormatter(prog, width=80)


def _shared_flags(formats: tuple[str, ...] = FORMATS) -> Parser:
    """Flags of every command. Without defaults, so that one given before the command survives the command's own."""
    parser = Parser(add_help=False, argument_default=argparse.SUPPRESS, allow_abbrev=False)
    kube = parser.add_argument_group("kubectl's flags")
    kube.add_argument("-n", "--namespace", metavar="NS", help="namespace; else that of the context")
    kube.add_argument("--context", metavar="NAME")
    kube.add_argument("--kubeconfig", metavar="FILE")
    kube.add_argument("--cluster", metavar="NAME")
    kube.add_argument("--user", metavar="NAME")
    kube.add_argument("-s", "--server", metavar="URL")
    kube.add_argument("--token", metavar="TOKEN", help=argparse.SUPPRESS)
    kube.add_argument("--as", dest="as_user", metavar="USER", help="impersonate a user")
    kube.add_argument("--as-group", dest="as_groups", action="append", metavar="GROUP", help="repeatable")
    kube.add_argument("--as-uid", metavar="UID", help=argparse.SUPPRESS)
    kube.add_argument("--request-timeout", type=_duration, metavar="TIME", help="for one API call, such as 5s")
    for name in ("certificate-authority", "client-certificate", "client-key", "tls-server-name", "proxy-url"):
        kube.add_argument(f"--{name}", metavar="VALUE", help=argparse.SUPPRESS)
    kube.add_argument("--insecure-skip-tls-verify", action="store_true", help=argparse.SUPPRESS)
    ours = parser.add_argument_group("this tool's flags")
    ours.add_argument("--from", dest="source", metavar="SOURCE", help="the client: pod/N, deploy/N, sts/N, ds/N, job/N")
    ours.add_argument("--probe", choices=("auto", "never", "always"), help="connect from a Pod? auto asks first")
    ours.add_argument(
        "--allow", action="append", type=_allow, metavar="WHAT", help="consent without asking: ephemeral, node"
    )
    ours.add_argument("--read-only", action="store_true", help="never change the cluster: the same as --probe never")
    ours.add_argument("--image", metavar="IMAGE", help="image of the probe container (a shell and nc); $NETDEBUG_IMAGE")
    ours.add_argument("--node-image", metavar="IMAGE", help="image of the Pod on a node; $NETDEBUG_NODE_IMAGE")
    ours.add_argument("--timeout", type=_duration, metavar="TIME", help="for the whole run; default 60s")
    ours.add_argument("--record", metavar="FILE", help="write the facts of this run, for replay and bug reports")
    ours.add_argument("--redact", action="store_true", help="masks for names and addresses, shown and recorded")
    ours.add_argument("-o", "--output", choices=formats, metavar="FORMAT", help=", ".join(formats))
    ours.add_argument("--plain", action="store_true", help="without a command: ask in plain lines")
    ours.add_argument("--no-color", action="store_true", help="no colours; also NO_COLOR")
    return parser


def _duration(text: str) -> float:
    from kubectl_netdebug.kube.flags import parse_duration

    try:
        return parse_duration(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from problem


def _allow(text: str) -> tuple[str, ...]:
    words = tuple(word for word in text.split(",") if word)
    strange = [word for word in words if word not in ("ephemeral", "node")]
    if strange or not words:
        raise argparse.ArgumentTypeError(f"{text!r}: what can be allowed is: ephemeral, node")
    return words


def kube_flags(args: argparse.Namespace) -> KubeFlags:
    """kubectl's flags out of the arguments."""
    from kubectl_netdebug.kube.flags import KubeFlags

    given = {name: getattr(args, name) for name in KubeFlags.__dataclass_fields__ if hasattr(args, name)}
    if "as_groups" in given:
        given["as_groups"] = tuple(given["as_groups"])
    return KubeFlags(**given)


def cluster_flags(args: argparse.Namespace, context: str) -> tuple[str, ...]:
    """The flags that a command to copy needs, so that it meets the same cluster as this run did."""
    flags: list[str] = []
    for name in ("kubeconfig", "cluster", "user", "server"):
        if hasattr(args, name):
            flags += [f"--{name}", getattr(args, name)]
    if context:
        flags += ["--context", context]
    return tuple(flags)
