"""A server over SCTP on a node whose kernel has no SCTP."""

from __future__ import annotations

import re

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.on_node import mend_on_node
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.trouble import ending, ending_log, keeps_ending, serving, worst
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Container, Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.text import sanitise

NO_SCTP = Cause(
    code="sctp-unavailable",
    title="The kernel of the node has no SCTP",
    says="{pod} cannot open its SCTP socket on node {node}: the kernel there says that the protocol is not supported.",
    means="No Pod on a node without the kernel's sctp module can serve or use SCTP; kube-proxy's rules do not matter.",
    symptom="A server over SCTP ends with 'protocol not supported' (EPROTONOSUPPORT), or its Service never answers.",
    apart="A Service that says TCP where the server speaks SCTP has a server that runs and listens.",
    mend="Load the module on every node that such Pods may run on, and keep it in /etc/modules-load.d; some "
    "distributions forbid it in /etc/modprobe.d, some kernels do not have it.",
    explains=("pod-crashloop", "endpoints-not-ready", "readiness-probe-wrong", "backend-partly-dead"),
)

_REFUSED = "(?:protocol not supported|EPROTONOSUPPORT)"
_SAYS = re.compile(rf"sctp.*{_REFUSED}|{_REFUSED}.*sctp", re.I)


@explains(Hop.POD, NO_SCTP)
def sctp_unavailable(look: Look, asked: Question) -> Finding | None:
    """The container ends again and again, and its log has the kernel's refusal."""
    now = look(asks.now())

    def crashes(pod: Pod) -> Container | None:
        return next((c for c in serving(pod) if ending(c) and keeps_ending(c, now)), None)

    trouble = worst(look, asked, crashes)
    if trouble is None or not trouble.pod.node:
        return None
    pod = trouble.pod
    lines = [line for line in ending_log(look, pod, trouble.container).splitlines() if _SAYS.search(line)]
    if not lines:
        return None
    return NO_SCTP.confirmed(
        at=ObjectRef("Node", "", pod.node),
        pod=f"Pod {pod.name}",
        node=pod.node,
        effect=trouble.effect,
        saw=f"{pod.name}/{trouble.container.name} wrote: {sanitise(lines[-1].strip(), 200)}",
        fix=mend_on_node(
            look, pod.node, "load the module (until the next start; /etc/modules-load.d keeps it)", "modprobe", "sctp"
        ),
    )
