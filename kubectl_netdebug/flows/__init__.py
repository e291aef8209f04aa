"""The decision trees as data: which hops a question passes, in order, and what decides each of them."""

from __future__ import annotations

from kubectl_netdebug.flows.api import api_flow
from kubectl_netdebug.flows.dns import dns_flow
from kubectl_netdebug.flows.incoming import outside_to_pod_flow
from kubectl_netdebug.flows.itself import pod_to_itself_flow
from kubectl_netdebug.flows.node import node_flow
from kubectl_netdebug.flows.outside import pod_to_outside_flow
from kubectl_netdebug.flows.pods import pod_to_pod_flow
from kubectl_netdebug.flows.service import service_flow
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.model.step import Flow


def flow_for(question: Question) -> Flow:
    """The tree that answers a question."""
    match question.flow:
        case FlowName.SERVICE:
            return service_flow()
        case FlowName.POD_TO_POD:
            return service_flow() if question.service else pod_to_pod_flow()
        case FlowName.OUTSIDE_TO_POD:
            return outside_to_pod_flow()
        case FlowName.POD_TO_OUTSIDE:
            return pod_to_outside_flow()
        case FlowName.POD_TO_ITSELF:
            return pod_to_itself_flow()
        case FlowName.DNS:
            return dns_flow()
        case FlowName.API:
            return api_flow()
        case FlowName.NODE:
            return node_flow()
