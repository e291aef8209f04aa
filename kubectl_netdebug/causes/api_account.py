"""As whom a Pod calls the API server: a token that is not there, or that is not taken."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from kubectl_netdebug.causes import api_asks, asks
from kubectl_netdebug.causes.api_view import (
    Identity,
    Mount,
    about_api,
    client_of,
    dialled_by,
    door_of,
    identity_of,
    log_lines,
)
from kubectl_netdebug.causes.owners import is_patchable, owner_of, template_path
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, json_patch, kubectl, patch
from kubectl_netdebug.model.facts import Ask
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop, Outcome, failed, passed
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.api_spoken import ApiReply
from kubectl_netdebug.net.text import sanitise
from kubectl_netdebug.net.token import Claims

TOKEN_LIFE = 3600.0
"""Seconds for which kubelet asks a token; it is renewed before that."""

_WANTS_TOKEN = re.compile(
    r"serviceaccount/token['\"]?:? (?:no such file|not found|does not exist)|serviceaccount/token.{0,40}no such file|"
    r"unable to load in-?cluster config|system:anonymous|(?:can't|cannot|could not|failed to) (?:open|read|load).{0,60}"
    r"serviceaccount|invalid kube-config file|service ?account token.{0,30}(?:missing|not found|not exist)",
    re.I,
)


def account_object(identity: Identity) -> Ask[Mapping[str, Any] | None]:
    """The ServiceAccount as plain data, or None."""
    return asks.raw_object("serviceaccounts", identity.pod.namespace, identity.account)


def own_call(look: Look, client: Pod, identity: Identity, request: str) -> ApiReply | None:
    """What the API server answers to the Pod's own token; None where that cannot be tried."""
    mount, dialled = identity.mount, dialled_by(client, door_of(look))
    if mount is None or not dialled.host or not look.if_known(asks.may_probe()):
        return None
    call = api_asks.api_call(client, dialled.host, dialled.port, request, mount.container, mount.folder)
    return look.if_known(call)


def no_token_known_to_hurt(look: Look, client: Pod) -> str:
    """The line in which an app without a token complains that it has none; '' where nothing shows that it calls."""
    return next((sanitise(line, 160) for _, line in log_lines(look, client) if _WANTS_TOKEN.search(line)), "")


def judged_by_configuration(look: Look, identity: Identity) -> Outcome:
    """The token where it cannot be tried: whether it can be good, by the objects alone."""
    account = look(account_object(identity))
    if account is None:
        return failed(f"ServiceAccount {identity.account} does not exist")
    if _made_anew(identity, account, look(asks.now())):
        return failed(f"ServiceAccount {identity.account} was made anew after the Pod had started")
    return passed(f"of ServiceAccount {identity.account}, mounted; it could not be tried")


def _made_anew(identity: Identity, account: object, now: datetime) -> bool:
    """A Pod is let in only when its account is there: one that is younger is another one."""
    made, began = tree.when(account, "metadata", "creationTimestamp"), identity.pod.created
    return bool(made and began and made > began and (now - made).total_seconds() < TOKEN_LIFE)


TOKEN_MISSING = Cause(
    code="api-token-missing",
    title="The Pod has no token for the API server",
    says="{pod} calls the API server and has no token: {why}.",
    means="The API server takes its calls for those of an anonymous stranger, who may do next to nothing.",
    symptom="The app says that there is no file .../serviceaccount/token, or gets 401, or 403 as system:anonymous.",
    apart="A token that is not taken gives 401; one that is taken gives a 403 that names the ServiceAccount.",
    mend="Let the token be mounted again, in the Pod template or in the ServiceAccount, and start new Pods.",
    explains=("api-rbac-403",),
)


@explains(Hop.AUTHENTICATION, TOKEN_MISSING)
def token_missing(look: Look, asked: Question) -> Finding | None:
    """Nothing is mounted, and the app complains."""
    client = client_of(look, asked) if about_api(asked) else None
    identity = identity_of(look, client) if client else None
    if client is None or identity is None or identity.mount is not None:
        return None
    complaint = no_token_known_to_hurt(look, client)
    if not complaint:
        return None
    owner = owner_of(look, client)
    field = template_path(owner, "automountServiceAccountToken")
    account = look(account_object(identity))
    by_account = identity.automount is None and tree.dig(account, "automountServiceAccountToken") is False
    switch = "automountServiceAccountToken is false in"
    where = f"ServiceAccount {identity.account}" if by_account else f"{owner.kind} {owner.name}"
    known = by_account or identity.automount is False
    at = ObjectRef("ServiceAccount", client.namespace, identity.account, "automountServiceAccountToken")
    return (TOKEN_MISSING.confirmed if known else TOKEN_MISSING.likely)(
        at=at if by_account else owner.at(field),
        pod=client.name,
        why=f"{switch} {where}" if known else "none is mounted",
        saw=(f"no ServiceAccount token among the volumes of {client.name}", f"it wrote: {complaint}"),
        fixes=_mounting(owner, client, identity),
    )


def _mounting(owner: ObjectRef, client: Pod, identity: Identity) -> tuple[Fix, ...]:
    if is_patchable(owner):
        template = {"spec": {"template": {"spec": {"automountServiceAccountToken": True}}}}
        change = patch(owner.kind.lower(), owner.name, template, owner.namespace)
        return (Fix("mount it; new Pods start with a token", change, Risk.DISRUPTIVE),)
    body = {"automountServiceAccountToken": True}
    change = patch("serviceaccount", identity.account, body, client.namespace)
    note = "the Pod has to be made again, without automountServiceAccountToken: false"
    return (Fix("let the ServiceAccount's token be mounted", change, not_pasteable=note),)


TOKEN_INVALID = Cause(
    code="api-token-invalid",
    title="The API server does not take the Pod's token",
    says="The token of {pod} is not taken: {why}.",
    means="Every call of the Pod ends with 401 Unauthorized, whatever its ServiceAccount may do.",
    symptom="401 Unauthorized, 'the server has asked for the client to provide credentials', from one Pod or workload.",
    apart="403 means that the token was taken and a right is missing.",
    mend="Start the Pods anew, so that they get a token of today; let apps read the file again instead of keeping it.",
    explains=("api-rbac-403",),
)


@explains(Hop.AUTHENTICATION, TOKEN_INVALID)
def token_invalid(look: Look, asked: Question) -> Finding | None:
    """401 to the Pod's own token, with what its claims say about the reason."""
    client = client_of(look, asked) if about_api(asked) else None
    identity = identity_of(look, client) if client else None
    if client is None or identity is None or identity.mount is None:
        return None
    reply = own_call(look, client, identity, "whoami")
    account = look(account_object(identity))
    if reply is None:
        return _by_objects(look, identity, account)
    if reply.status != 401:
        return None
    mount = identity.mount
    mounted = look.if_known(api_asks.mounted(client, mount.container, mount.folder))
    claims = mounted.claims if mounted else None
    sure, why = _reason(identity, claims, account, look(asks.now()))
    return (TOKEN_INVALID.confirmed if sure else TOKEN_INVALID.likely)(
        at=_to_mend(look, identity, account, why),
        pod=client.name,
        why=why,
        saw=(f"a call with its token: {reply.words}", *_told(claims, account)),
        fixes=tuple(_renewing(look, identity, account)),
    )


def _by_objects(look: Look, identity: Identity, account: object) -> Finding | None:
    """Without a try of the token: the account itself shows that it cannot be good."""
    if account is None:
        why = f"its ServiceAccount {identity.account} does not exist any more"
    elif _made_anew(identity, account, look(asks.now())):
        why = f"its ServiceAccount {identity.account} was deleted and made anew"
    else:
        return None
    made = tree.when(account, "metadata", "creationTimestamp")
    saw = f"{identity.pod.name} is older" + (f" than ServiceAccount {identity.account} (made {made})" if made else "")
    return TOKEN_INVALID.likely(
        at=_to_mend(look, identity, account, why),
        pod=identity.pod.name,
        why=why,
        saw=saw if account is not None else f"there is no ServiceAccount {identity.account}",
        fixes=tuple(_renewing(look, identity, account)),
    )


def _reason(identity: Identity, claims: Claims | None, account: object, now: datetime) -> tuple[bool, str]:
    """(whether that is certain, why it is not taken), the surest first."""
    if account is None:
        return True, f"its ServiceAccount {identity.account} does not exist any more"
    if claims is None:
        return False, "what is mounted is not a token of a ServiceAccount"
    if claims.account_uid and claims.account_uid != tree.text(account, "metadata", "uid"):
        same = claims.account in ("", identity.account)
        return True, (
            f"its ServiceAccount {identity.account} was deleted and made anew"
            if same
            else f"it belongs to ServiceAccount {claims.account}, not to {identity.account}"
        )
    if claims.expires and claims.expires < now:
        return True, f"it expired on {claims.expires:%Y-%m-%d %H:%M} UTC"
    if claims.not_before and claims.not_before > now:
        return True, f"it is not valid before {claims.not_before:%Y-%m-%d %H:%M} UTC"
    if claims.pod_uid and claims.pod_uid != identity.pod.uid:
        return True, f"it was issued to another Pod, {claims.pod}"
    if claims.audiences and claims.issuer not in claims.audiences:
        return False, f"it is meant for {', '.join(claims.audiences[:2])}, not for the API server"
    return False, "the API server does not know the key that signed it, or not its issuer"


def _told(claims: Claims | None, account: object) -> Iterator[str]:
    if claims is None:
        return
    if claims.account_uid:
        now = tree.text(account, "metadata", "uid") or "none"
        yield f"the token is for ServiceAccount {claims.account}, uid {claims.account_uid}; today's uid is {now}"
    if claims.expires:
        yield f"it is valid until {claims.expires:%Y-%m-%d %H:%M} UTC, for {', '.join(claims.audiences[:2])}"


def _to_mend(look: Look, identity: Identity, account: object, why: str) -> ObjectRef:
    if account is None:
        return ObjectRef("ServiceAccount", identity.pod.namespace, identity.account)
    owner = owner_of(look, identity.pod)
    return owner.at(template_path(owner, "volumes")) if "meant for" in why else owner


def _without_audience(owner: ObjectRef, mount: Mount) -> Fix:
    """Without an audience a token is meant for the API server."""
    place = f"/spec/template/spec/volumes/{mount.volume}/projected/sources/{mount.source}/serviceAccountToken/audience"
    change = json_patch(owner.kind.lower(), owner.name, [{"op": "remove", "path": place}], owner.namespace)
    return Fix("have it made for the API server", change, Risk.DISRUPTIVE)


def _renewing(look: Look, identity: Identity, account: object) -> Iterator[Fix]:
    pod = identity.pod
    owner = owner_of(look, pod)
    if account is None:
        create = kubectl("create", "serviceaccount", identity.account, namespace=pod.namespace)
        yield Fix("make the ServiceAccount again, with its bindings; then start the Pods anew", create)
    mount = identity.mount
    if mount is not None and mount.audience and is_patchable(owner):
        yield _without_audience(owner, mount)
    elif is_patchable(owner):
        restart = kubectl("rollout", "restart", owner.short, namespace=owner.namespace)
        yield Fix("start new Pods, with a token of today", restart, Risk.DISRUPTIVE)
    else:
        note = "" if pod.owner_kind else "nothing makes this Pod again: keep its manifest"
        delete = kubectl("delete", "pod", pod.name, namespace=pod.namespace)
        yield Fix("make the Pod anew", delete, Risk.DISRUPTIVE, not_pasteable=note)
