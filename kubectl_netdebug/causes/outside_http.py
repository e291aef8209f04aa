"""The wrong language: plain HTTP to a port that speaks TLS, and TLS to one that speaks plain HTTP."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.outside_way import (
    handshake,
    is_outside,
    port_of,
    proxied,
    request,
    server_name,
    tried_outside,
)
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question

PLAIN_TO_TLS = Cause(
    code="http-plain-to-tls",
    title="Plain HTTP is sent to a port that speaks TLS",
    says="{host}:{port} speaks TLS, and is asked in plain HTTP.",
    means="The server cannot read the request; it closes the connection or answers 400.",
    symptom="An empty reply, a reset, or 'Client sent an HTTP request to an HTTPS server' right after connecting.",
    apart="A port that speaks neither does not answer a TLS greeting.",
    mend="Use https://, or the port on which the server speaks plain HTTP.",
)

TLS_TO_PLAIN = Cause(
    code="tls-to-plain-http",
    title="TLS is spoken to a port that speaks plain HTTP",
    says="{host}:{port} answers plain HTTP, and is greeted in TLS.",
    means="The handshake cannot come about, so no client gets anything by https:// there.",
    symptom="'wrong version number', 'record overflow' or 'first record does not look like a TLS handshake'.",
    apart="A TLS server that refuses a client says so in an alert.",
    mend="Use http:// there, or the port on which the server speaks TLS.",
)


@explains(Hop.PROTOCOL, PLAIN_TO_TLS)
def plain_to_tls(look: Look, asked: Question) -> Finding | None:
    """A plain request is not understood, and a TLS greeting is."""
    ask = request(look, asked) if is_outside(asked) and asked.scheme == "http" else None
    reply = look(ask) if ask else None
    if reply is None or proxied(look, asked) is not None or (reply.answered and not reply.wants_tls):
        return None
    shaken = handshake(look, asked)
    answer = look(shaken) if shaken else None
    if answer is None or not answer.speaks_tls:
        return None
    return PLAIN_TO_TLS.confirmed(
        at=ObjectRef("Host", "", asked.host),
        host=asked.host,
        port=asked.port,
        saw=(f"plain HTTP: {reply.words}", f"TLS: {answer.words}"),
    )


@explains(Hop.TLS, TLS_TO_PLAIN)
def tls_to_plain(look: Look, asked: Question) -> Finding | None:
    """A TLS greeting is not understood, and a plain request is answered."""
    shaken = handshake(look, asked) if is_outside(asked) and asked.scheme == "https" else None
    answer = look(shaken) if shaken else None
    if answer is None or answer.speaks_tls or proxied(look, asked) is not None:
        return None
    client, address = client_pod(look, asked), tried_outside(look, asked)[0][0]
    reply = look(asks.http(client, address, port_of(asked), asked.path or "/", host_header=server_name(asked)))
    if not reply.answered or reply.wants_tls:
        return None
    return TLS_TO_PLAIN.confirmed(
        at=ObjectRef("Host", "", asked.host),
        host=asked.host,
        port=asked.port,
        saw=(f"TLS: {answer.words}", f"plain HTTP: {reply.words}"),
    )
