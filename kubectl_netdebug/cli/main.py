"""The entry point: from words to a command, and from whatever happens to an exit code and one clear sentence."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from kubectl_netdebug.cli.arguments import parse
from kubectl_netdebug.cli.exits import Exit, OutputProblem, UsageProblem
from kubectl_netdebug.cli.output import say


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["__complete"]:
        from kubectl_netdebug.cli.completion import answer

        return answer(words[1:])
    try:
        return int(_dispatch(parse(words)))
    except KeyboardInterrupt:
        say("Interrupted.")
        return Exit.INTERRUPTED
    except Exception as problem:
        code = _code_of(problem)
        if code is None:
            raise
        say(f"netdebug: {problem}")
        return code


def _code_of(problem: Exception) -> Exit | None:
    """The exit code for a failure that is told in one sentence; None for a defect of this program."""
    if isinstance(problem, UsageProblem):
        return Exit.USAGE
    if isinstance(problem, OutputProblem):
        return Exit.INCONCLUSIVE
    # Imported only now: help and explanations must not pay for it.
    from kubectl_netdebug.kube.errors import ConfigProblem, CredentialProblem, KubeError, Unreachable

    if isinstance(problem, ConfigProblem | CredentialProblem | Unreachable):
        return Exit.UNREACHABLE
    return Exit.INCONCLUSIVE if isinstance(problem, KubeError) else None


def _dispatch(args: argparse.Namespace) -> Exit:
    """Each command imports what it needs: help and explanations must not pay for a client."""
    match args.command:
        case "service":
            from kubectl_netdebug.cli.diagnose import diagnose
            from kubectl_netdebug.cli.target import service_question

            source = getattr(args, "source", None)
            return diagnose(args, lambda namespace: service_question(args.target, namespace, source))
        case "path":
            from kubectl_netdebug.cli.diagnose import diagnose
            from kubectl_netdebug.cli.target import path_question

            return diagnose(args, lambda namespace: path_question(args.client, args.target, namespace))
        case "dns":
            from kubectl_netdebug.cli.diagnose import diagnose
            from kubectl_netdebug.cli.target import dns_question

            return diagnose(args, lambda namespace: dns_question(args.client, args.name, namespace))
        case "api":
            from kubectl_netdebug.cli.diagnose import diagnose
            from kubectl_netdebug.cli.target import api_question

            return diagnose(args, lambda namespace: api_question(args.client, namespace))
        case "node":
            from kubectl_netdebug.cli.diagnose import diagnose
            from kubectl_netdebug.cli.target import node_question

            return diagnose(args, lambda namespace: node_question(args.node, namespace))
        case "scan":
            from kubectl_netdebug.cli.scan import run_scan

            return run_scan(args)
        case "cleanup":
            from kubectl_netdebug.cli.cleanup import cleanup

            return cleanup(args)
        case "explain":
            from kubectl_netdebug.cli.explain import explain

            return explain(args)
        case "demo":
            if not args.list and _wants_app(args):
                from kubectl_netdebug.tui.opening import open_demo

                return open_demo(args)
            from kubectl_netdebug.cli.replay import demo

            return demo(args)
        case "replay":
            from kubectl_netdebug.cli.replay import replay

            return replay(args)
        case "access":
            from kubectl_netdebug.cli.access import access

            return access(args)
        case "completion":
            from kubectl_netdebug.cli.completion import script

            return script(args.shell)
        case "version":
            from kubectl_netdebug.cli.version import version

            return version(args)
    if _wants_app(args):
        from kubectl_netdebug.tui.opening import open_live

        return open_live(args)
    from kubectl_netdebug.cli.walkthrough import walk_through

    return walk_through(args)


def _wants_app(args: argparse.Namespace) -> bool:
    """Whether the terminal app may open: a terminal on all sides, and no format or plain lines asked for."""
    if getattr(args, "plain", False) or hasattr(args, "output"):
        return False
    from kubectl_netdebug.cli.output import is_terminal

    return is_terminal()


if __name__ == "__main__":
    sys.exit(main())
