"""What a Pod's ServiceAccount may do, against what the Pod tries; and whether the API server has room for its calls."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from kubectl_netdebug.causes import api_asks, asks
from kubectl_netdebug.causes.api_account import own_call
from kubectl_netdebug.causes.api_view import Identity, about_api, client_of, identity_of, log_lines
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, apply, kubectl, patch
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop, Outcome, passed, skipped
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.api_spoken import Rule, read_api_reply
from kubectl_netdebug.net.text import sanitise

MOST_COMPLAINTS = 4
ROLES = "roles.rbac.authorization.k8s.io"
LEVELS = "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io"
SCHEMAS = "flowschemas.flowcontrol.apiserver.k8s.io"

_REFUSED = re.compile(
    r'(?:\\?"(?P<name>[^"\\\s]{1,253})\\?" )?is forbidden: User \\*"(?P<user>system:[^"\\]+)\\*" '
    r'cannot (?P<verb>[a-z]+) resource \\*"(?P<resource>[^"\\]+)\\*" in API group \\*"(?P<group>[^"\\]*)\\*"'
    r'(?: in the namespace \\*"(?P<namespace>[^"\\]+)\\*"| at the cluster scope)'
)
"""What the API server says with a 403, in a log, perhaps inside JSON."""


@dataclass(frozen=True)
class Denial:
    """Something that the Pod tried and was refused, in the API server's words in its log."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str
    container: str
    line: str
    confirmed: bool
    """The API server says that it still is refused; else the log alone says so."""

    @property
    def what(self) -> str:
        """`list pods in namespace shop`."""
        where = f"in namespace {self.namespace}" if self.namespace else "in the whole cluster"
        thing = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {thing} {where}"


def complaints(look: Look, client: Pod, user: str) -> tuple[Denial, ...]:
    """What the Pod was refused lately, each once, the latest first."""
    found: dict[tuple[str, ...], Denial] = {}
    for container, line in reversed(log_lines(look, client)):
        for match in _REFUSED.finditer(line):
            parts = {k: sanitise(v or "", 253) for k, v in match.groupdict().items()}
            if parts.pop("user") == user:
                denial = Denial(container=container, line=sanitise(match[0], 240), confirmed=False, **parts)
                found.setdefault((denial.verb, denial.group, denial.resource, denial.namespace), denial)
    return tuple(found.values())[:MOST_COMPLAINTS]


def denied_still(look: Look, identity: Identity, heard: Iterable[Denial]) -> list[Denial]:
    """Those that are refused to this day, by the API server's word: logs are old at once."""
    denials = list(heard)
    reviews = [
        api_asks.may(identity.user, identity.groups, d.verb, d.group, d.resource, d.namespace, d.name) for d in denials
    ]
    allowed = look.all_known(reviews)
    return [
        sure
        for denial, answer in zip(denials, allowed, strict=True)
        if (sure := _still(look, identity, denial, answer))
    ]


def _still(look: Look, identity: Identity, denial: Denial, allowed: bool | None) -> Denial | None:
    """None where it is allowed by now. Who may not ask about others can ask as the Pod itself."""
    if allowed is None and denial.namespace:
        reply = own_call(look, identity.pod, identity, f"rules {denial.namespace}")
        if reply is not None and reply.good:
            allowed = any(r.allows(denial.verb, denial.group, denial.resource, denial.name) for r in reply.rules)
    if allowed:
        return None
    return replace(denial, confirmed=allowed is False)


def known_rights(look: Look, client: Pod, identity: Identity) -> Outcome:
    """What the ServiceAccount may do in its own namespace, where nothing tells what is asked of it."""
    reply = own_call(look, client, identity, f"rules {client.namespace}")
    if reply is None or not reply.good:
        return skipped("not judged: nothing shows what the Pod asks for")
    told = [words for rule in reply.rules if (words := _in_words(rule))]
    more = f" and {len(told) - 3} more" if len(told) > 3 else ""
    if not told:
        return passed(f"no refusal is known of; {identity.account} may do nothing but ask about itself")
    return passed(f"no refusal is known of; {identity.account} may {'; '.join(told[:3])}{more}")


def _in_words(rule: Rule) -> str:
    """'' for what everybody may."""
    if not rule.resources or all(resource.startswith("selfsubject") for resource in rule.resources):
        return ""
    everything = {"*": "do everything"}
    verbs = ", ".join(everything.get(verb, verb) for verb in rule.verbs[:4])
    return f"{verbs} with all resources" if "*" in rule.resources else f"{verbs} {', '.join(rule.resources[:3])}"


RBAC_403 = Cause(
    code="api-rbac-403",
    title="The Pod's ServiceAccount lacks a right",
    says="ServiceAccount {account} may not {what}, and {pod} tries.",
    means="The API server answers that call with 403 Forbidden; the way there and the token are well.",
    symptom="403 Forbidden: User system:serviceaccount:… cannot … resource ….",
    apart="401 means that the token is not taken; a 403 for system:anonymous that none is sent; one that says 'denied "
    "the request' comes from an admission webhook.",
    mend="Grant that right with a Role and a RoleBinding, or bind the Role that exists.",
)


@explains(Hop.AUTHORIZATION, RBAC_403)
def rbac_403(look: Look, asked: Question) -> Finding | None:
    """The log quotes a refusal, and the API server confirms that it still holds."""
    client = client_of(look, asked) if about_api(asked) else None
    if client is None:
        return None
    identity = identity_of(look, client)
    denied = denied_still(look, identity, complaints(look, client, identity.user))
    if not denied:
        return None
    first = denied[0]
    return (RBAC_403.confirmed if first.confirmed else RBAC_403.likely)(
        at=ObjectRef("ServiceAccount", client.namespace, identity.account),
        account=identity.account,
        what=first.what,
        pod=client.name,
        saw=tuple(f"container {d.container} wrote: … {d.line}" for d in denied[:3]),
        fixes=_granting(look, identity, [d for d in denied if d.namespace == first.namespace]),
    )


def _granting(look: Look, identity: Identity, denied: list[Denial]) -> tuple[Fix, ...]:
    """The Role that is there already and only has to be bound, else a new one with what is missing."""
    namespace = denied[0].namespace
    subject = {"kind": "ServiceAccount", "name": identity.account, "namespace": identity.pod.namespace}
    role = _ready_made(look, namespace, denied) if namespace else None
    name = f"{identity.account}-{denied[0].resource.replace('/', '-')}"
    if role:
        whose = f"--serviceaccount={identity.pod.namespace}:{identity.account}"
        bind = kubectl("create", "rolebinding", name, f"--role={role}", whose, namespace=namespace)
        return (Fix(f"bind Role {role}, which allows it", bind),)
    scope = "" if namespace else "Cluster"
    api = "rbac.authorization.k8s.io"
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    rules = [{"apiGroups": [d.group], "resources": [d.resource], "verbs": _verbs(d, denied)} for d in _each(denied)]
    items = [
        {"apiVersion": f"{api}/v1", "kind": f"{scope}Role", "metadata": meta, "rules": rules},
        {
            "apiVersion": f"{api}/v1",
            "kind": f"{scope}RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": api, "kind": f"{scope}Role", "name": name},
            "subjects": [subject],
        },
    ]
    return (Fix("allow exactly that", apply({"apiVersion": "v1", "kind": "List", "items": items}, namespace)),)


def _each(denied: list[Denial]) -> list[Denial]:
    return list({(d.group, d.resource): d for d in reversed(denied)}.values())


def _verbs(denial: Denial, denied: list[Denial]) -> list[str]:
    """The verbs that were refused on this resource; who lists usually watches next."""
    verbs = {d.verb for d in denied if (d.group, d.resource) == (denial.group, denial.resource)}
    return sorted(verbs | ({"list", "watch"} if verbs & {"list", "watch"} else set()))


def _ready_made(look: Look, namespace: str, denied: list[Denial]) -> str:
    for role in look.if_known(asks.objects_in(ROLES, namespace)) or ():
        rules = read_api_reply({"rules": tree.dig(role, "rules")}).rules
        if all(any(r.allows(d.verb, d.group, d.resource, d.name) for r in rules) for d in denied):
            return tree.text(role, "metadata", "name")
    return ""


THROTTLED = Cause(
    code="api-throttled-429",
    title="The API server has no room for the Pod's calls",
    says="Calls of {pod} are turned away with 429: priority level {level} is full{schema}.",
    means="API Priority and Fairness rejects what comes by that flow; clients wait and try again, or give up.",
    symptom="429 Too Many Requests, 'the server has received too many requests', slow lists, from some clients only.",
    apart="A slow API server is slow for everybody; here the headers of the answer name the flow that is turned away.",
    mend="Let the client ask less (watch instead of list); or give its priority level more shares.",
)


@explains(Hop.AUTHORIZATION, THROTTLED)
def throttled(look: Look, asked: Question) -> Finding | None:
    """A call with the Pod's token gets 429, and its headers say which flow it was."""
    client = client_of(look, asked) if about_api(asked) else None
    if client is None:
        return None
    reply = own_call(look, client, identity_of(look, client), "whoami")
    if reply is None or reply.status != 429:
        return None
    level = _named(look, LEVELS, reply.headers.get("x-kubernetes-pf-prioritylevel-uid", ""))
    schema = _named(look, SCHEMAS, reply.headers.get("x-kubernetes-pf-flowschema-uid", ""))
    body = {"spec": {"limited": {"nominalConcurrencyShares": 30}}}
    return THROTTLED.confirmed(
        at=ObjectRef("PriorityLevelConfiguration", "", level or "unknown", "spec.limited"),
        pod=client.name,
        level=level or "of its flow",
        schema=f" (chosen by FlowSchema {schema})" if schema else "",
        saw=f"a call with its token: {reply.words}",
        fix=Fix(
            "give the level room",
            kubectl("patch", "prioritylevelconfiguration", level, "--type=merge", "-p", _json(body)),
            Risk.REVERSIBLE,
        )
        if level
        else None,
    )


def _json(body: object) -> str:
    return patch("", "", body).argv[-1]  # type: ignore[arg-type]


def _named(look: Look, resource: str, uid: str) -> str:
    """The name of the object with this uid, or ''."""
    objects = look.if_known(asks.objects_in(resource, "")) if uid else None
    return next((tree.text(o, "metadata", "name") for o in objects or () if tree.text(o, "metadata", "uid") == uid), "")
