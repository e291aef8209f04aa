"""Completion: what may stand next on a command line, for kubectl's plugin mechanism and for shells by themselves.

kubectl runs `kubectl_complete-netdebug` with the words typed so far; the answer is a line for each candidate, with a
description behind a tab, and a last line `:N` with a directive (cobra's: 0 files too, 4 no files).
"""

from __future__ import annotations

import argparse
import re
import sys
import threading
from collections.abc import Callable, Iterable, Sequence

from kubectl_netdebug.cli.arguments import whole_parser
from kubectl_netdebug.cli.exits import Exit, UsageProblem
from kubectl_netdebug.cli.output import write

Candidate = tuple[str, str]
"""What may be typed, and a word about it."""

LIVE_SECONDS = 2.0
"""How long names of the cluster may take: nobody waits longer for a key."""

QUOTED_NOTHING = '""'
"""The empty word as PowerShell's script hands it over: some versions drop a bare one."""

WITH_FILES, WITHOUT_FILES = 0, 4

_SAFE = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9_.:/@=,+\-]*")
"""What goes to a shell: a name that means more there is left out, whoever chose it."""

_FILES = ("kubeconfig", "record", "baseline", "write_baseline", "file", "certificate_authority", "client_key")


def main() -> int:
    """The executable that kubectl looks for."""
    return answer(sys.argv[1:])


def answer(words: Sequence[str]) -> Exit:
    """Prints the candidates for the last of the words. Never fails: no answer is an answer."""
    try:
        found, directive = complete(words or [""])
    except Exception:  # a person who presses Tab must not be shown a traceback
        found, directive = [], WITHOUT_FILES
    lines = [f"{value}\t{says}" if says else value for value, says in found if _SAFE.fullmatch(value)]
    write("\n".join([*lines, f":{directive}"]) + "\n")
    return Exit.HEALTHY


def complete(words: Sequence[str]) -> tuple[list[Candidate], int]:
    """The candidates that begin with the last word, and a directive."""
    *typed, current = ["" if word == QUOTED_NOTHING else word for word in words]
    line = _Line(whole_parser())
    for word in typed:
        line.take(word)
    flag, equals, _ = current.partition("=")
    if equals and flag.startswith("--"):
        action = line.flags.get(flag)
        found, files = line.values(action) if action else ([], False)
        found = [(f"{flag}={each}", says) for each, says in found]
    elif current.startswith("-") and line.waiting is None:
        found, files = line.all_flags(), False
    else:
        found, files = line.next_values(current)
    chosen = [(each, says) for each, says in found if each.startswith(current)]
    return chosen, WITH_FILES if files else WITHOUT_FILES


class _Line:
    """A command line as far as it was typed."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.command = ""
        self.given: dict[str, str] = {}
        self.waiting: argparse.Action | None = None
        self._enter(parser)

    def _enter(self, parser: argparse.ArgumentParser) -> None:
        self.flags = {flag: action for action in parser._actions for flag in action.option_strings}
        places = [action for action in parser._actions if not action.option_strings]
        self._commands = next((a for a in places if isinstance(a, argparse._SubParsersAction)), None)
        self._places = [action for action in places if action is not self._commands]

    def take(self, word: str) -> None:
        """Goes on by one complete word."""
        if self.waiting is not None:
            self.given[self.waiting.dest] = word
            self.waiting = None
        elif word.startswith("-"):
            flag, equals, value = word.partition("=")
            action = self.flags.get(flag)
            if action is not None and equals:
                self.given[action.dest] = value
            elif action is not None and action.nargs != 0:
                self.waiting = action
        elif self._commands is not None:
            parser = self._commands.choices.get(word)
            self.command, self._commands = word, None
            if parser is not None:
                self._enter(parser)
        elif self._places:
            self.given[self._places.pop(0).dest] = word

    def all_flags(self) -> list[Candidate]:
        """Every flag that is not hidden, by its long name."""
        shown = {
            max(action.option_strings, key=len): action.help or ""
            for action in self.flags.values()
            if action.help != argparse.SUPPRESS
        }
        return sorted(shown.items())

    def next_values(self, current: str) -> tuple[list[Candidate], bool]:
        """What may stand here: a flag's value, a command, or the next thing that the command takes."""
        if self.waiting is not None:
            return self.values(self.waiting)
        if self._commands is not None:
            return [(a.dest, a.help or "") for a in self._commands._choices_actions], False
        return self.values(self._places[0], current) if self._places else ([], False)

    def values(self, action: argparse.Action, current: str = "") -> tuple[list[Candidate], bool]:
        """The values of a flag or of a place, and whether files are among them."""
        if action.choices is not None:
            return [(str(choice), "") for choice in action.choices], False
        if action.dest in _FILES:
            return [], True
        source = _SOURCES.get((self.command, action.dest)) or _SOURCES.get(("", action.dest))
        return (list(source(self)), False) if source else ([], False)


# --- what is known without a cluster ----------------------------------------------------------------------------------


def _codes(line: _Line) -> Iterable[Candidate]:
    import json

    from kubectl_netdebug.cli.explain import TEXTS

    with open(TEXTS, encoding="utf-8") as file:
        return [(code, cause["title"]) for code, cause in json.load(file).items()]


def _demo_cases(line: _Line) -> Iterable[Candidate]:
    from kubectl_netdebug.cli.cases import all_cases

    return [(case.name, "") for case in all_cases()]


def _allowed(line: _Line) -> Iterable[Candidate]:
    return [("ephemeral", "add a container to a Pod"), ("node", "make a privileged Pod on a node")]


def _contexts(line: _Line) -> Iterable[Candidate]:
    import os

    from kubectl_netdebug.kube.kubeconfig import config_paths, load

    return [(name, "") for name in load(config_paths(line.given.get("kubeconfig", ""), os.environ)).contexts]


# --- what the cluster knows -------------------------------------------------------------------------------------------


def _services(line: _Line) -> Iterable[Candidate]:
    return [(name, "") for name in _names(line, "services")]


def _sources(line: _Line) -> Iterable[Candidate]:
    kinds = (("deployments.apps", "deploy"), ("statefulsets.apps", "sts"), ("daemonsets.apps", "ds"), ("pods", "pod"))
    return [(f"{short}/{name}", "") for resource, short in kinds for name in _names(line, resource)]


def _clients(line: _Line) -> Iterable[Candidate]:
    return [("outside", "this machine"), *_sources(line)]


def _destinations(line: _Line) -> Iterable[Candidate]:
    kinds = (("services", "svc"), ("ingresses.networking.k8s.io", "ing"), ("pods", "pod"))
    found = [(f"{short}/{name}", "") for resource, short in kinds for name in _names(line, resource)]
    return [("self", "the Pod itself, through its own Service"), ("api", "the API server"), *found]


def _nodes(line: _Line) -> Iterable[Candidate]:
    return [(name, "") for name in _names(line, "nodes")]


def _namespaces(line: _Line) -> Iterable[Candidate]:
    return [(name, "") for name in _names(line, "namespaces")]


_SOURCES: dict[tuple[str, str], Callable[[_Line], Iterable[Candidate]]] = {
    ("", "namespace"): _namespaces,
    ("", "context"): _contexts,
    ("", "allow"): _allowed,
    ("", "source"): _sources,
    ("service", "target"): _services,
    ("path", "client"): _clients,
    ("path", "target"): _destinations,
    ("dns", "client"): _sources,
    ("api", "client"): _sources,
    ("node", "node"): _nodes,
    ("explain", "code"): _codes,
    ("demo", "case"): _demo_cases,
}


def _names(line: _Line, resource: str) -> list[str]:
    """Names of a resource, the first 500; none where the cluster does not give them in time."""
    # Loaded here, so that the limit is for the cluster alone.
    import kubectl_netdebug.kube.session
    import kubectl_netdebug.vantage.resources  # noqa: F401

    found: list[str] = []

    def ask() -> None:
        try:
            found.extend(_listed(line, resource))
        except Exception:  # no cluster, no rights, no configuration: nothing to offer
            return

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(LIVE_SECONDS)
    return list(found)


def _listed(line: _Line, resource: str) -> list[str]:
    from kubectl_netdebug.cli.arguments import kube_flags
    from kubectl_netdebug.kube.session import Session
    from kubectl_netdebug.vantage import resources

    flags = {name: value for name, value in line.given.items() if name not in ("as_groups", "request_timeout")}
    with Session.open(kube_flags(argparse.Namespace(**flags))) as session:
        namespace = line.given.get("namespace") or session.namespace or "default"
        home = "" if resource in ("nodes", "namespaces") else namespace
        path = resources.path(resource, home)
        found = session.list(path, most=500, deadline=LIVE_SECONDS, metadata_only=True)
    return [str(item.get("metadata", {}).get("name", "")) for item in found.items]


# --- scripts ----------------------------------------------------------------------------------------------------------


def script(shell: str) -> Exit:
    """Prints the script for a shell. Raises UsageProblem for another one."""
    text = _SCRIPTS.get(shell)
    if text is None:
        raise UsageProblem(f"there is no script for {shell!r}; shells: {', '.join(_SCRIPTS)}")
    write(text)
    return Exit.HEALTHY


_BASH = r"""# Completion of kubectl-netdebug for bash: source <(kubectl-netdebug completion bash)
# `kubectl netdebug` itself is completed by kubectl's own script, where kubectl_complete-netdebug is on the PATH.
_kubectl_netdebug() {
  local line=${COMP_LINE:0:COMP_POINT} words current answer directive before
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  current=${words[${#words[@]}-1]}
  answer=$(kubectl-netdebug __complete "${words[@]:1}" 2>/dev/null) || return
  directive=${answer##*$'\n':}
  [[ $answer == :* ]] && directive=${answer#:} && answer=""
  COMPREPLY=()
  # Readline breaks words at these; what stands before the last of them is there already.
  before=""
  [[ $current == *[:=]* ]] && before=${current%"${current##*[:=]}"}
  local each
  while IFS= read -r each; do
    [[ -z $each || $each == :* ]] && continue
    each=${each%%$'\t'*}
    COMPREPLY+=("${each#"$before"}")
  done <<<"$answer"
  [[ $directive == 0 ]] && compopt -o default 2>/dev/null
  return 0
}
complete -F _kubectl_netdebug kubectl-netdebug
"""

_ZSH = r"""#compdef kubectl-netdebug
# Completion of kubectl-netdebug for zsh: source <(kubectl-netdebug completion zsh)
_kubectl_netdebug() {
  local -a lines candidates
  local line directive
  lines=("${(@f)$(kubectl-netdebug __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in $lines; do
    if [[ $line == :* ]]; then
      directive=${line#:}
    elif [[ -n $line ]]; then
      line=${line//:/\\:}
      candidates+=("${line/$'\t'/:}")
    fi
  done
  (( ${#candidates} )) && _describe -V 'kubectl netdebug' candidates
  [[ $directive == 0 ]] && _files
}
compdef _kubectl_netdebug kubectl-netdebug
"""

_FISH = r"""# Completion of kubectl-netdebug for fish: kubectl-netdebug completion fish | source
function __kubectl_netdebug_complete
    set -l words (commandline -opc) (commandline -ct)
    kubectl-netdebug __complete $words[2..-1] 2>/dev/null | string match -rv '^:[0-9]+$'
end
complete -c kubectl-netdebug -f -a '(__kubectl_netdebug_complete)'
complete -c kubectl-netdebug -l record -l baseline -l write-baseline -l kubeconfig -rF
complete -c kubectl-netdebug -n '__fish_seen_subcommand_from replay' -F
"""

_POWERSHELL = r"""# Completion of kubectl-netdebug for PowerShell:
# kubectl-netdebug completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName kubectl-netdebug -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
    if ($wordToComplete -eq '') { $words += '""' }
    kubectl-netdebug __complete @words 2>$null | Where-Object { $_ -notmatch '^:\d+$' } | ForEach-Object {
        $value, $says = $_ -split "`t", 2
        if (-not $says) { $says = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $says)
    }
}
"""

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH, "powershell": _POWERSHELL}
