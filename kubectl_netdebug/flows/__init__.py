"""The decision trees as data: which hops a question passes, in order, and what decides each of them."""

from __future__ import annotations

from kubectl_netdebug.flows.service import service_flow
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.model.step import Flow


def flow_for(question: Question) -> Flow:
    """The tree that answers a question."""
    flows = {FlowName.SERVICE: service_flow}
    return flows[question.flow]()
