"""The steps on nodes: all of them for a question about a node, and where connections fail for every other one.

In the other flows nothing is read on a node unless a connection failed whose cause is not known yet.
"""

from __future__ import annotations

from dataclasses import replace

from kubectl_netdebug.causes.concerned import nodes_concerned
from kubectl_netdebug.causes.node_asks import node_text
from kubectl_netdebug.model.hop import Hop, Outcome, passed, skipped
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import Step


def node_steps(after: tuple[Hop, ...]) -> tuple[Step, ...]:
    """For flows about connections. `after` are the hops that tell whether anything failed."""
    return tuple(replace(step, after=after, follow_failures=True, essential=False) for step in NODE_STEPS)


def _looked_at(look: Look, asked: Question) -> Outcome:
    """Whether the nodes can be looked at at all; what is wrong there is for the causes to say."""
    nodes = nodes_concerned(look, asked)
    if not nodes:
        return skipped("no connection failed on a node")
    look.all([node_text(node, "versions") for node in nodes])
    return passed(", ".join(nodes))


NODE_STEPS = (
    Step(Hop.NODE_KERNEL, "kernel of the node", _looked_at),
    Step(Hop.NODE_FILTERS, "packet filters", _looked_at),
    Step(Hop.NODE_LINKS, "links of the node", _looked_at),
    Step(Hop.FABRIC, "way between nodes", _looked_at),
    Step(Hop.PROXY_RULES, "kube-proxy's rules", _looked_at),
)
"""In the order in which a packet meets them."""
