"""Where resources stand in the API: plural with group, to path."""

from __future__ import annotations

_VERSIONS = {
    "": "v1",
    "admissionregistration.k8s.io": "v1",
    "apiregistration.k8s.io": "v1",
    "apps": "v1",
    "batch": "v1",
    "coordination.k8s.io": "v1",
    "discovery.k8s.io": "v1",
    "flowcontrol.apiserver.k8s.io": "v1",
    "networking.k8s.io": "v1",
    "rbac.authorization.k8s.io": "v1",
    "policy": "v1",
    "gateway.networking.k8s.io": "v1",
    "metallb.io": "v1beta1",
    "security.istio.io": "v1beta1",
    "cilium.io": "v2",
    "crd.projectcalico.org": "v1",
    "policy.networking.k8s.io": "v1alpha1",
    "clusternetworkpolicies.policy.networking.k8s.io": "v1alpha2",
}


_ALWAYS = frozenset(
    {"", "admissionregistration.k8s.io", "apps", "coordination.k8s.io", "discovery.k8s.io", "rbac.authorization.k8s.io"}
)
"""Groups of which every API server serves all that is read here. Others came later, or are installed by somebody."""
_ALWAYS_TOO = frozenset({"networkpolicies.networking.k8s.io", "ingresses.networking.k8s.io"})


def is_always_served(resource: str) -> bool:
    """Whether a list of it is there in every cluster, be it empty."""
    return split(resource)[1] in _ALWAYS or resource in _ALWAYS_TOO


def split(resource: str) -> tuple[str, str]:
    """`deployments.apps` → (`deployments`, `apps`)."""
    plural, _, group = resource.partition(".")
    return plural, group


def path(resource: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The path of a list or an object, not percent-encoded: the session does that. KeyError: no such group."""
    plural, group = split(resource)
    version = _VERSIONS.get(resource) or _VERSIONS[group]
    root = f"/apis/{group}/{version}" if group else f"/api/{version}"
    parts = [root]
    if namespace:
        parts += ["namespaces", namespace]
    parts.append(plural)
    if name:
        parts.append(name)
    if subresource:
        parts.append(subresource)
    return "/".join(parts)
