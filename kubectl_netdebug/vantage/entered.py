"""The rung of last resort: a Pod's network namespace, entered from its node without touching the Pod."""

from __future__ import annotations

from dataclasses import replace

from kubectl_netdebug.kube import errors
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.facts import Unknown, Why
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.vantage.api import unknown_from
from kubectl_netdebug.vantage.rung import NoProbe, ProbeContainer

SECONDS = 10.0

# Control groups carry the Pod's uid, with dashes or (systemd) underscores. A container's process is preferred to the
# pause process, whose mounts are not the app's.
_FIND = """\
for p in /proc/[0-9]*; do
  if grep -q -e "$0" -e "$1" "$p/cgroup" 2>/dev/null; then
    case "$(tr '\\0' ' ' <"$p/cmdline" 2>/dev/null)" in
      /pause*|pause*) pause=${p#/proc/};;
      '') ;;
      *) echo "${p#/proc/}"; exit 0;;
    esac
  fi
done
[ -n "$pause" ] && echo "$pause"
"""


def enter(session: Session, node: ProbeContainer, pod: Pod) -> ProbeContainer:
    """The node's container, aimed at a process of the Pod. Raises NoProbe."""
    argv = ("sh", "-c", _FIND, pod.uid, pod.uid.replace("-", "_"))
    try:
        said = session.exec(node.namespace, node.pod, node.name, argv, seconds=SECONDS, most_bytes=4096)
    except errors.KubeError as problem:
        raise NoProbe(unknown_from(problem)) from problem
    process = said.stdout.decode("ascii", "replace").strip()
    if not process.isdecimal():
        raise NoProbe(Unknown(Why.ERROR, f"no process of pod {pod.name} was found on {pod.node}"))
    return replace(node, process=int(process), where=f"entered from {node.where}")
