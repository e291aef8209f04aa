"""What an Ingress or Gateway answers a client, against what the Service behind it answers itself."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import backends_asked, client_pod, in_use
from kubectl_netdebug.causes.fronts import Front, knocks
from kubectl_netdebug.causes.incoming import inner, way
from kubectl_netdebug.causes.schemes import TLS, named_scheme
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.spoken import HttpReply


@dataclass(frozen=True)
class Answer:
    """The first answer at the way in; `direct` is that of a Pod behind it to the same request, where it was asked."""

    front: Front
    reply: HttpReply
    direct: HttpReply | None

    @property
    def bad(self) -> bool:
        """A status that a controller gives of its own when it has nowhere to send a request."""
        return self.reply.status in (404, 500, 502, 503, 504) or self.reply.wants_tls

    @property
    def same_inside(self) -> bool:
        """The Pod says the same, so the controller merely passes it on."""
        return self.direct is not None and self.direct.status == self.reply.status and not self.reply.wants_tls

    @property
    def says_otherwise(self) -> bool:
        """The Pod was asked, answers, and with another status."""
        return self.direct is not None and self.direct.answered and not self.same_inside


def answer_of(look: Look, asked: Question) -> Answer | None:
    """None where nothing answers at all."""
    knock = next((k for k in knocks(look, asked) if k.reply is not None and k.reply.answered), None)
    if knock is None or knock.reply is None:
        return None
    plain = Answer(knock.front, knock.reply, None)
    return Answer(knock.front, knock.reply, _direct(look, asked)) if plain.bad else plain


def _direct(look: Look, asked: Question) -> HttpReply | None:
    question = inner(look, asked)
    if question is None or look.if_known(asks.may_probe()) is None:
        return None
    used = in_use(backends_asked(look, question))
    if not used or named_scheme(used[0].service_port) == TLS:
        return None
    found = way(look, asked)
    client = client_pod(look, question)
    return look.if_known(asks.http(client, used[0].address, used[0].port, found.path or "/", host_header=found.host))
