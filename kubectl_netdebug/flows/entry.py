"""The way in from outside: node ports, load-balancer and external addresses, as this machine meets them.

This machine may stand where no packet of it ever reaches a node. So silence alone is never held against the Service:
only a difference between nodes is.
"""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.doors import Door, asked_from_outside, balanced, node_doors, outer_addresses
from kubectl_netdebug.model.hop import Outcome, passed, skipped, unknown, warned
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question


def entry(look: Look, asked: Question) -> Outcome:
    """Whether clients outside get in where they should."""
    service = look(asks.the_service(asked))
    if service is None or not asked_from_outside(asked):
        return skipped("the question is about a client inside the cluster")
    if service.type not in ("NodePort", "LoadBalancer") and not service.external_ips:
        return skipped("not offered outside the cluster")
    doors, outer = node_doors(look, asked), outer_addresses(look, asked)
    attempts = [*(door.attempt for door in doors), *(attempt for _, _, attempt in outer)]
    if not attempts:
        return skipped("nothing that could be tried from here")
    if all(attempt.outcome.lost for attempt in attempts):
        return skipped("cannot be judged from here: no address of the cluster answers this machine")
    if not any(attempt.outcome.connected for attempt in attempts):
        return unknown(f"nothing lets this machine in: {attempts[0].words}")
    return _compare(service, doors, [address for address, _, attempt in outer if not attempt.outcome.connected])


def _compare(service: Service, doors: tuple[Door, ...], silent_addresses: list[str]) -> Outcome:
    owed = [door for door in doors if owes_an_answer(service, door)]
    shut = [door for door in owed if not door.opens]
    counts = (len(owed) - len(shut), len(owed))
    if shut and len(shut) < len(owed):
        return warned(f"{shut[0].label}: {shut[0].attempt.words}; {counts[0]} of {counts[1]} let clients in", counts)
    if shut:
        return unknown(f"no node lets this machine in: {shut[0].attempt.words}")
    if silent_addresses:
        return unknown(f"{silent_addresses[0]} does not answer this machine, which may be no client of it")
    pending = service.type == "LoadBalancer" and not service.load_balancer_ips
    note = "; no load-balancer address yet" if pending else ""
    return passed(f"{counts[0]} of {counts[1]} node ports let this machine in{note}" if owed else "answers", counts)


def owes_an_answer(service: Service, door: Door) -> bool:
    """Behind a load balancer, a node without a backend of its own may fail on purpose under the policy Local."""
    return door.local or service.external_policy != "Local" or not balanced(service)
