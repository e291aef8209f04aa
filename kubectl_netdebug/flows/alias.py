"""Steps for an ExternalName Service: its name has to lead to an address, and that address has to accept."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.alias_path import alias_asked, resolve, tried_target
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.handmade import family_of
from kubectl_netdebug.flows.reach import judge
from kubectl_netdebug.model.hop import Outcome, failed, passed, skipped, unknown
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question


def name(look: Look, asked: Question) -> Outcome:
    """Whether the alias resolves at the client's own name server."""
    if look(asks.the_service(asked)) is None:
        return skipped("there is no Service")
    service = alias_asked(look, asked)
    if service is None:
        return skipped("not an alias")
    if family_of(service.external_name):
        return failed(f"externalName {service.external_name} is an address, not a name")
    resolved = resolve(look, client_pod(look, asked), service)
    if resolved is None:
        return unknown("the client has no name server")
    if not resolved.answer.answered:
        return unknown(f"name server {resolved.server}: {resolved.answer.words}")
    saw = f"{service.external_name}: {resolved.answer.words}"
    return passed(saw) if resolved.address else failed(saw)


def target(look: Look, asked: Question) -> Outcome:
    """Whether the alias's address accepts connections on the ports asked about."""
    tried = tried_target(look, asked)
    if not tried:
        return skipped("no port is known to try at the target: ask about NAME:PORT")
    return judge([attempt for _, attempt in tried], len(tried))
