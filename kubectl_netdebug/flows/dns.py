"""Names in a Pod: its resolver, the name servers, the cluster's DNS, the name itself, and how fast."""

from __future__ import annotations

from kubectl_netdebug.causes.catalogue import explanations
from kubectl_netdebug.flows.names import dns_steps
from kubectl_netdebug.flows.node_steps import node_steps
from kubectl_netdebug.flows.policy import POLICIES, policy_steps
from kubectl_netdebug.flows.source import SOURCE_STEP
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.step import Flow


def dns_flow() -> Flow:
    """The steps in the order of the path."""
    tried = (Hop.SOURCE, Hop.RESOLVER, Hop.DNS_SERVICE, Hop.NAME_SERVERS, *POLICIES)
    steps = (SOURCE_STEP, *dns_steps((Hop.SOURCE,)), *policy_steps((Hop.SOURCE,)), *node_steps(tried))
    return Flow(tuple(sorted(steps, key=lambda step: step.hop.order)), explanations=explanations())
