"""The first step of every flow that starts in a Pod: which Pod it is."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import check_there, client_pod
from kubectl_netdebug.model.hop import Hop, Outcome, passed, skipped
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question, SourceKind
from kubectl_netdebug.model.step import Step


def source(look: Look, asked: Question) -> Outcome:
    """The client's Pod and its node."""
    if asked.source.kind is SourceKind.ANY:
        return skipped("any client")
    if asked.source.kind is SourceKind.OUTSIDE:
        return passed("this machine")
    if look.why_unknown(asks.may_probe()):
        check_there(look, asked)
    pod = client_pod(look, asked)
    return passed(f"{pod.name} on {pod.node}")


SOURCE_STEP = Step(Hop.SOURCE, "source", source)
