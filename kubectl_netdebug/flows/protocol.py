"""The last step: connections are accepted, and is what answers what the port is declared to be?"""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.alias import externalname_host_mismatch
from kubectl_netdebug.causes.alias_path import spoken_to_target
from kubectl_netdebug.causes.mesh import strict_mtls
from kubectl_netdebug.causes.protocol import spoken_with
from kubectl_netdebug.causes.tls import scheme_mismatch, tls_cert_invalid
from kubectl_netdebug.model.finding import Effect
from kubectl_netdebug.model.hop import Outcome, failed, passed, skipped, warned
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question


def protocol(look: Look, asked: Question) -> Outcome:
    """An answer of any kind is good; only what contradicts a declaration is not, and silence says nothing."""
    service = look(asks.the_service(asked))
    if service is None:
        return skipped("there is no Service")
    words = _of_the_target(look, asked) if service.is_alias else _of_a_backend(look, asked)
    if not words:
        return skipped("no port that is known to speak HTTP or TLS")
    for contradiction in (externalname_host_mismatch, strict_mtls, scheme_mismatch, tls_cert_invalid):
        finding = contradiction(look, asked)
        if finding is not None:
            return (failed if finding.effect is Effect.BREAKS else warned)(finding.summary)
    return passed(words)


def _of_the_target(look: Look, asked: Question) -> str:
    spoken = spoken_to_target(look, asked)
    return spoken.reply.words if spoken else ""


def _of_a_backend(look: Look, asked: Question) -> str:
    spoken = spoken_with(look, asked)
    return f"{spoken.backend.label}: {spoken.words}" if spoken else ""
