"""A Pod and the API server: the Service, the way, the certificate, the token, the rights."""

from __future__ import annotations

from kubectl_netdebug.causes.catalogue import explanations
from kubectl_netdebug.flows.source import SOURCE_STEP
from kubectl_netdebug.model.step import Flow


def api_flow() -> Flow:
    """The steps in the order of the path."""
    return Flow(steps=(SOURCE_STEP,), explanations=explanations())
