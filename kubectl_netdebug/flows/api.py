"""A Pod and the API server: the Service, the way, the certificate, the token, the rights."""

from __future__ import annotations

from kubectl_netdebug.causes import api_asks, asks
from kubectl_netdebug.causes.api_account import judged_by_configuration, no_token_known_to_hurt, own_call
from kubectl_netdebug.causes.api_extensions import API_SERVICES, deaf_kubelet, unavailable_apis
from kubectl_netdebug.causes.api_rights import complaints, denied_still, known_rights
from kubectl_netdebug.causes.api_trust import faults_of, shown_to
from kubectl_netdebug.causes.api_view import (
    client_of,
    dialled_by,
    door_of,
    endpoint_tries,
    identity_of,
    vip_tries,
)
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.catalogue import explanations
from kubectl_netdebug.causes.webhook import failed_creations, failing_webhooks
from kubectl_netdebug.flows.node_steps import node_steps
from kubectl_netdebug.flows.policy import policy_steps
from kubectl_netdebug.flows.reach import judge
from kubectl_netdebug.flows.source import SOURCE_STEP
from kubectl_netdebug.model.hop import Hop, Outcome, failed, passed, skipped, unknown, warned
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import Flow, Step


def api_flow() -> Flow:
    """The steps in the order of the path."""
    before = (Hop.SOURCE, Hop.API_SERVICE)
    way = (*before, Hop.BACKENDS, Hop.ADDRESS)
    return Flow(
        steps=(
            SOURCE_STEP,
            Step(Hop.API_SERVICE, "API Service", service_step),
            *policy_steps(before),
            Step(Hop.BACKENDS, "API servers", _servers, after=before, follow_failures=True),
            Step(Hop.ADDRESS, "API address", _address, after=before, follow_failures=True),
            *node_steps((*before, Hop.BACKENDS, Hop.ADDRESS)),
            Step(Hop.TLS, "certificate", _certificate, after=way),
            Step(Hop.AUTHENTICATION, "token", _token, after=(*way, Hop.TLS)),
            Step(Hop.AUTHORIZATION, "rights", _rights, after=(*way, Hop.TLS, Hop.AUTHENTICATION), essential=False),
            Step(Hop.API_EXTENSIONS, "extensions", _extensions, essential=False),
        ),
        explanations=explanations(),
    )


def service_step(look: Look, asked: Question) -> Outcome:
    door = door_of(look)
    if door.service is None:
        return failed(f"there is no Service {api_asks.NAME} in namespace {api_asks.NAMESPACE}")
    if not door.endpoints:
        return failed(f"Service {api_asks.NAME} has no endpoints", (0, 0))
    servers = ", ".join(f"{host}:{port}" for host, port in door.endpoints[:3])
    return passed(f"{door.address}:{door.port} → {servers}")


def _servers(look: Look, asked: Question) -> Outcome:
    """Every API server from the Pod, past the Service's address."""
    client = client_pod(look, asked)
    tries = [attempt for _, attempt in endpoint_tries(look, client, door_of(look))]
    return judge(tries) if tries else skipped("no endpoints")


def _address(look: Look, asked: Question) -> Outcome:
    """The address that the Pod's own programs use: the Service's, unless its environment says otherwise."""
    client, door = client_pod(look, asked), door_of(look)
    dialled = dialled_by(client, door)
    if dialled.overridden:
        attempt = look(asks.connect(client, dialled.host, dialled.port))
        judged = judge([attempt])
        assert dialled.container is not None
        return Outcome(judged.state, f"{dialled} (set in container {dialled.container.name}): {judged.saw}")
    if not door.address:
        return skipped("the Service has no address")
    tries = vip_tries(look, client, door)
    return judge(tries)


def _certificate(look: Look, asked: Question) -> Outcome:
    client = client_pod(look, asked)
    shown = shown_to(look, client)
    if shown is None:
        return skipped("nothing to connect to")
    if shown.answer.outcome != "tls":
        return failed(f"{shown.dialled} speaks no TLS: {shown.answer.words}")
    faults = faults_of(look, client, shown)
    breaking = [fault for fault in faults if fault.breaks]
    if breaking:
        return failed("; ".join(fault.words for fault in breaking))
    if faults:
        return warned("; ".join(fault.words for fault in faults))
    until = shown.certificate.not_after if shown.certificate else None
    return passed(f"valid until {until:%Y-%m-%d}" if until else shown.answer.words)


def _token(look: Look, asked: Question) -> Outcome:
    """Whether the API server knows who the Pod is."""
    client = client_pod(look, asked)
    identity = identity_of(look, client)
    if identity.mount is None:
        wanted = no_token_known_to_hurt(look, client)
        says = "no token is mounted, so calls are anonymous"
        return failed(f"{says}; the app wrote: {wanted}") if wanted else skipped(f"{says}; nothing shows that it calls")
    reply = own_call(look, client, identity, "whoami")
    if reply is None:
        return judged_by_configuration(look, identity)
    if reply.good:
        return passed(f"taken: {reply.user}")
    if reply.status == 429:
        return passed("not judged: the API server has no room for its calls")
    if reply.outcome == "no-token":
        return failed(f"there is no token in {identity.mount.folder}")
    if reply.outcome == "answer":
        return failed(reply.words)
    return unknown(reply.words)


def _rights(look: Look, asked: Question) -> Outcome:
    """Whether it may do what it was refused; where nothing tells what it does, what it may do at all."""
    client = client_of(look, asked)
    if client is None:
        return skipped("which Pod it is about is not known")
    identity = identity_of(look, client)
    if identity.mount is None:
        return skipped("no token is mounted")
    reply = own_call(look, client, identity, "whoami")
    if reply is not None and reply.status == 429:
        return failed("HTTP 429: too many requests")
    heard = complaints(look, client, identity.user)
    denied = denied_still(look, identity, heard)
    if denied:
        return failed(f"may not {denied[0].what}, and tries")
    if heard:
        return passed(f"may {heard[0].what} now; it was refused that before")
    return known_rights(look, client, identity)


def _extensions(look: Look, asked: Question) -> Outcome:
    """Webhooks, aggregated APIs and kubelets: the API server can be well and what it depends on not."""
    namespace = asked.source.namespace or asked.namespace
    look.foresee(asks.objects_in(API_SERVICES, ""), failed_creations(namespace))
    webhooks = list(failing_webhooks(look, namespace))
    if webhooks:
        return failed(f"webhook {webhooks[0].name} fails, so {webhooks[0].about.short} makes no Pods")
    client = client_of(look, asked)
    deaf = deaf_kubelet(look, client) if client else None
    if deaf is not None:
        return warned(f"the API server cannot ask the kubelet of {deaf.node}: {deaf.words}")
    missing = unavailable_apis(look)
    if missing:
        return warned(f"{missing[0].name} is not available")
    return passed("webhooks, aggregated APIs and the kubelet answer, as far as can be told")
