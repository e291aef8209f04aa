"""A Pod and itself, through its own Service."""

from __future__ import annotations

from dataclasses import replace

from kubectl_netdebug.causes.backends import behind_services
from kubectl_netdebug.causes.catalogue import explanations
from kubectl_netdebug.causes.itself_view import loops, own_address
from kubectl_netdebug.flows import reach
from kubectl_netdebug.flows.node_steps import node_steps
from kubectl_netdebug.flows.source import SOURCE_STEP
from kubectl_netdebug.model.hop import Hop, Outcome, failed, passed, skipped, warned
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import Flow, Step


def pod_to_itself_flow() -> Flow:
    """The steps in the order of the path."""
    behind = (Hop.SOURCE, Hop.SERVICE)
    return Flow(
        steps=(
            SOURCE_STEP,
            Step(Hop.SERVICE, "its Services", _services, after=(Hop.SOURCE,)),
            Step(Hop.SOCKET, "listening socket", reach.socket, after=behind, follow_failures=True, essential=False),
            Step(Hop.OWN_ADDRESS, "own address", _own, after=behind, follow_failures=True),
            Step(Hop.ADDRESS, "own Service", _address, after=(*behind, Hop.OWN_ADDRESS)),
            *node_steps((*behind, Hop.OWN_ADDRESS, Hop.ADDRESS)),
        ),
        explanations=explanations(),
    )


def _services(look: Look, asked: Question) -> Outcome:
    found = behind_services(look, asked)
    if not found:
        return failed("no Service leads to it")
    names = ", ".join(dict.fromkeys(service.name for service, _ in found))
    unready = [b for _, b in found if not b.endpoint.ready]
    return warned(f"{names}; the Pod is not ready there") if len(unready) == len(found) else passed(names)


def _own(look: Look, asked: Question) -> Outcome:
    tried = own_address(look, asked)
    return reach.judge([attempt for _, attempt in tried]) if tried else skipped("no port")


def _address(look: Look, asked: Question) -> Outcome:
    found = loops(look, asked)
    if not found:
        return skipped("none of its Services has an address of its own: names lead to the Pods themselves")
    attempts = [attempt for loop in found for attempt in loop.attempts]
    judged = reach.judge(attempts)
    names = ", ".join(dict.fromkeys(loop.place for loop in found))
    return replace(judged, saw=f"{names}: {judged.saw}")
