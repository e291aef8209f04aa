"""Who talks to whom when clients come from outside: whom the Pods see, and on which port."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import MOST_BACKENDS, Backend, backends_asked, in_use
from kubectl_netdebug.causes.controllers import controller_of
from kubectl_netdebug.causes.conversation import Conversation, Party
from kubectl_netdebug.causes.incoming import inner, way
from kubectl_netdebug.causes.incoming_asks import source_from_here
from kubectl_netdebug.causes.let_in import from_outside, let_in
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question

MOST_SENDERS = 4


def incoming_conversations(look: Look, asked: Question) -> tuple[Conversation, ...]:
    """Each sender that the Pods see with each backend in use; nothing was tried between them.

    Behind an Ingress the sender is its controller's Pod. Else it is the node by which clients come in, or, where the
    policy Local keeps their addresses, this machine. None where clients are let in and answered: there is nothing to
    judge then.
    """
    question = inner(look, asked)
    service = look(asks.the_service(question)) if question else None
    if question is None or service is None or let_in(look, asked):
        return ()
    used = in_use(backends_asked(look, question))[:MOST_BACKENDS]
    names = [b.pod for b in used if b.pod]
    pods = {p.name: p for p in look.all([asks.pod_named(service.namespace, n) for n in names]) if p}
    return tuple(
        Conversation(sender, Party(b.address, pods.get(b.pod)), b.port, b.protocol)
        for b in used
        for sender in _senders(look, asked, service, b)
    )


def _senders(look: Look, asked: Question, service: Service, backend: Backend) -> list[Party]:
    ingress = way(look, asked).ingress
    if ingress is not None:
        found = controller_of(look, ingress)
        return [Party(p.ip, p) for p in (found.ready if found else ())[:MOST_SENDERS] if p.ip]
    if not from_outside(asked):
        return []
    nodes = [n for n in look(asks.nodes()) if n.ready and n.internal_ip]
    if service.external_policy == "Local" and nodes:
        source = look(source_from_here(nodes[0].internal_ip))
        return [Party(source)] if source else []
    return [Party(n.internal_ip) for n in nodes if n.name != backend.endpoint.node][:MOST_SENDERS]
