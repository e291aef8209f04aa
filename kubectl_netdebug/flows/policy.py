"""The steps that judge NetworkPolicies, for every flow in which Pods talk."""

from __future__ import annotations

from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.step import Step


def policy_steps(after: tuple[Hop, ...]) -> tuple[Step, ...]:
    """Egress of the client, then ingress of the server. `after` are the hops that settle who talks to whom."""
    return ()
