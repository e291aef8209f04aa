"""The name of a Service, and for an ExternalName Service the address that it leads to."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.alias_path import alias_asked, resolve, tried_target
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.client_name import service_name
from kubectl_netdebug.flows.reach import judge
from kubectl_netdebug.model.hop import Outcome, failed, passed, skipped, unknown
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.address import family_of


def name(look: Look, asked: Question) -> Outcome:
    """Whether the alias, or the name of any other Service, resolves at the client's own name server."""
    if look(asks.the_service(asked)) is None:
        return skipped("there is no Service")
    service = alias_asked(look, asked)
    if service is None:
        return _plain_name(look, asked)
    if family_of(service.external_name):
        return failed(f"externalName {service.external_name} is an address, not a name")
    resolved = resolve(look, client_pod(look, asked), service)
    if resolved is None:
        return unknown("the client has no name server")
    if not resolved.answer.answered:
        return unknown(f"name server {resolved.server}: {resolved.answer.words}")
    saw = f"{service.external_name}: {resolved.answer.words}"
    return passed(saw) if resolved.address else failed(saw)


def _plain_name(look: Look, asked: Question) -> Outcome:
    """Not the name but the address is what the other steps use, so this one is asked where a client was named."""
    looked = service_name(look, asked)
    if looked is None:
        return skipped("not asked: no client was named, or none can be asked")
    if not looked.leads_there:
        return failed(f"{looked.name}: {looked.words}")
    return passed(f"{looked.name} is {', '.join(looked.found.addresses[:3])}")


def target(look: Look, asked: Question) -> Outcome:
    """Whether the alias's address accepts connections on the ports asked about."""
    tried = tried_target(look, asked)
    if not tried:
        return skipped("no port is known to try at the target: ask about NAME:PORT")
    return judge([attempt for _, attempt in tried])
