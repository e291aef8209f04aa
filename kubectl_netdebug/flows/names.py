"""The step that resolves the name of a destination in the client's Pod, for flows whose destination has a name."""

from __future__ import annotations

from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.resolving import resolve
from kubectl_netdebug.model.hop import Hop, Outcome, failed, passed, skipped, unknown
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import Step
from kubectl_netdebug.net.address import is_address


def name_steps(after: tuple[Hop, ...]) -> tuple[Step, ...]:
    """How the client's resolver is set up, whether its servers answer, and what the name leads to."""
    return (Step(Hop.NAME, "name", _name, after=after),)


def _name(look: Look, asked: Question) -> Outcome:
    if not asked.host or is_address(asked.host):
        return skipped("an address needs no name server")
    found = resolve(look, client_pod(look, asked), asked.host)
    if not found.server:
        return failed("the Pod has no name server")
    if found.addresses:
        return passed(f"{asked.host} is {', '.join(found.addresses)}")
    answer = found.answer
    if answer is None or not answer.answered:
        return failed(f"name server {found.server}: {answer.words if answer else 'not asked'}")
    return failed(f"{asked.host}: {answer.words}") if answer.rcode else unknown("no answer that says anything")
