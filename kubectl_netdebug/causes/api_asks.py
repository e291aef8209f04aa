"""The facts that only questions about the API server ask for, with the words in which they are told."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.model.facts import AccessReview, ApiCall, Ask, Object, Objects, OwnServer, PodToken, Tls
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.objects.slices import SERVICE_LABEL, EndpointSlice, read_slice
from kubectl_netdebug.net.api_spoken import ApiReply, Mounted, read_api_reply, read_mounted
from kubectl_netdebug.net.certificate import der_of

NAMESPACE, NAME = "default", "kubernetes"
"""The Service of the API server, which every cluster has under this name."""

ROOT_CA = "kube-root-ca.crt"
"""The ConfigMap that a controller keeps in every namespace."""


def api_service() -> Ask[Service | None]:
    """Service `default/kubernetes`."""
    return asks.service_named(NAMESPACE, NAME)


def api_slices() -> Ask[tuple[EndpointSlice, ...]]:
    """Its EndpointSlices, which the API servers write themselves."""
    return Ask(
        Objects(asks.SLICES, NAMESPACE, labels=f"{SERVICE_LABEL}={NAME}"),
        lambda v: tuple(map(read_slice, asks.items(v))),
        lambda slices: (
            f"endpoints of {NAMESPACE}/{NAME}: "
            + (", ".join(sorted(e.address for s in slices for e in s.endpoints)) or "none")
        ),
    )


def mounted(pod: Pod, container: str, folder: str) -> Ask[Mounted]:
    """The claims of a container's token, and the CA beside it."""

    def says(found: Mounted) -> str:
        if found.claims is None:
            return f"no token in {folder} of {pod.name}"
        ends = f", until {found.claims.expires:%Y-%m-%d %H:%M} UTC" if found.claims.expires else ""
        return f"token of {pod.name}: {found.claims.subject}{ends}"

    return Ask(PodToken(pod.namespace, pod.name, container, folder), read_mounted, says)


def api_call(pod: Pod, host: str, port: int, request: str, container: str = "", folder: str = "") -> Ask[ApiReply]:
    """One call from the Pod; without a container an anonymous one."""
    key = ApiCall(pod.namespace, pod.name, host, port, request, container, folder)
    whose = "with its token" if container else "without a token"
    return Ask(key, read_api_reply, lambda reply: f"{pod.name} calls {host}:{port} {whose}: {reply.words}")


def chain_at(pod: Pod, host: str, port: int) -> Ask[tuple[str, ...]]:
    """The certificates that a server shows to a client of the Pod, as base64 DER; none where it speaks no TLS."""
    return Ask(Tls(pod.namespace, pod.name, host, port), lambda v: tree.strings(v, "der"))


def root_ca(namespace: str) -> Ask[tuple[str, ...] | None]:
    """The certificates in the ConfigMap that Pods of a namespace mount; None where there is none."""
    return Ask(
        Object("configmaps", namespace, ROOT_CA),
        lambda v: None if v is None else tuple(der_of(tree.text(v, "data", "ca.crt"))),
        lambda found: (
            f"no ConfigMap {namespace}/{ROOT_CA}"
            if found is None
            else f"ConfigMap {namespace}/{ROOT_CA} holds {len(found)} certificates"
        ),
    )


def may(
    user: str, groups: tuple[str, ...], verb: str, group: str, resource: str, namespace: str, name: str = ""
) -> Ask[bool]:
    """Whether a user has a right, by the API server's own word. `resource` with its subresource: `pods/log`."""
    plain, _, part = resource.partition("/")
    where = f"in namespace {namespace}" if namespace else "in the whole cluster"
    return Ask(
        AccessReview(user, groups, verb, group, plain, part, namespace, name),
        lambda v: tree.flag(v, "allowed"),
        lambda allowed: f"{user} {'may' if allowed else 'may not'} {verb} {resource} {where}",
    )


def own_server() -> Ask[tuple[str, int]]:
    """The API server that answers here."""
    return Ask(OwnServer(), lambda v: (tree.text(v, "host"), tree.number(v, "port")))
