"""A Pod and something outside the cluster: name, proxy, policy, routes, address, TLS, HTTP."""

from __future__ import annotations

from kubectl_netdebug.causes.catalogue import explanations
from kubectl_netdebug.flows.names import name_steps
from kubectl_netdebug.flows.source import SOURCE_STEP
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.step import Flow


def pod_to_outside_flow() -> Flow:
    """The steps in the order of the path."""
    return Flow(steps=(SOURCE_STEP, *name_steps((Hop.SOURCE,))), explanations=explanations())
