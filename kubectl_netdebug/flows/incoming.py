"""Clients outside and a Service: name, Ingress or Gateway, its controller, what stands behind, and the ways in.

What stands behind is judged as for any Service, and tried from a Pod only where the ways in do not simply work: a
probe Pod is not the client here, and a policy may well shut out the one and let in the other.
"""

from __future__ import annotations

from dataclasses import replace

from kubectl_netdebug.causes.catalogue import explanations
from kubectl_netdebug.causes.incoming import inner
from kubectl_netdebug.causes.let_in import let_in
from kubectl_netdebug.flows import front_steps, reach, service, ways_in
from kubectl_netdebug.flows.policy import policy_steps
from kubectl_netdebug.flows.source import SOURCE_STEP
from kubectl_netdebug.model.finding import Finding
from kubectl_netdebug.model.hop import Hop, Outcome, skipped
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import CauseFunction, Explanation, Flow, HopFunction, Step

ABOUT_THE_WAY = ("ingress", "gateway", "external_record", "exposure", "policy", "hostport", "nodeport_host")
"""How the names of families begin whose functions take the question as it was asked.

All others take the one about the Service behind it.
"""

PROBING = (Hop.SOCKET, Hop.BACKENDS, Hop.ADDRESS)


def outside_to_pod_flow() -> Flow:
    """The steps in the order of the path."""
    before = (Hop.ENTRY_OBJECT, Hop.SERVICE, Hop.ENDPOINTS, Hop.POD)
    return Flow(
        steps=(
            SOURCE_STEP,
            Step(Hop.NAME, "name", front_steps.name, essential=False),
            Step(Hop.ENTRY_OBJECT, "Ingress or Gateway", front_steps.entry_object),
            Step(Hop.CONTROLLER, "controller", front_steps.controller, after=(Hop.ENTRY_OBJECT,), essential=False),
            Step(Hop.SERVICE, "Service", _behind(service.service_there), after=(Hop.ENTRY_OBJECT,)),
            Step(Hop.ENDPOINTS, "endpoints", _behind(service.endpoints), after=(Hop.ENTRY_OBJECT, Hop.SERVICE)),
            Step(
                *(Hop.POD, "Pods", _behind(service.pods)),
                after=(Hop.ENTRY_OBJECT, Hop.SERVICE, Hop.ENDPOINTS),
                essential=False,
                follow_failures=True,
            ),
            Step(
                *(Hop.SOCKET, "listening socket", _tried_inside(reach.socket)),
                after=before,
                essential=False,
                follow_failures=True,
            ),
            *policy_steps(before),
            Step(
                *(Hop.BACKENDS, "each Pod directly", _tried_inside(reach.each_backend)),
                after=before,
                essential=False,
                follow_failures=True,
            ),
            Step(
                *(Hop.ADDRESS, "Service address", _tried_inside(reach.address)),
                after=(*before, Hop.BACKENDS),
                essential=False,
            ),
            Step(
                *(Hop.ENTRY, "way in", ways_in.entry),
                after=(*before, Hop.CONTROLLER, Hop.BACKENDS, Hop.ADDRESS),
                follow_failures=True,
            ),
            Step(Hop.TLS, "TLS", front_steps.tls, after=(Hop.ENTRY_OBJECT, Hop.ENTRY), essential=False),
            Step(
                *(Hop.PROTOCOL, "answer", front_steps.answer),
                after=(*before, Hop.CONTROLLER, Hop.BACKENDS, Hop.ENTRY),
                essential=False,
            ),
        ),
        explanations=tuple(map(_asked_inside, explanations())),
    )


def _behind(step: HopFunction) -> HopFunction:
    """The step of a Service's flow, asked of the Service behind the way in."""

    def decide(look: Look, asked: Question) -> Outcome:
        question = inner(look, asked)
        return step(look, question) if question else skipped("no Service to look at")

    return decide


def _tried_inside(step: HopFunction) -> HopFunction:
    def decide(look: Look, asked: Question) -> Outcome:
        if let_in(look, asked):
            return skipped("not needed: clients outside are let in and answered")
        return _behind(step)(look, asked)

    return decide


def _asked_inside(explanation: Explanation) -> Explanation:
    """The same cause, looked for at the Service behind the way in."""
    if explanation.find.__module__.rpartition(".")[2].startswith(ABOUT_THE_WAY):
        return explanation
    return replace(explanation, find=_cause_behind(explanation.find, probes=explanation.hop in PROBING))


def _cause_behind(find: CauseFunction, *, probes: bool) -> CauseFunction:
    def found(look: Look, asked: Question) -> Finding | None:
        question = inner(look, asked)
        if question is None or (probes and let_in(look, asked)):
            return None
        return find(look, question)

    return found
