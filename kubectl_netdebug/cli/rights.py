"""The rights that this program can use: which, where, and what each is for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

DNS_NAMESPACE = "kube-system"
NODE_NAMESPACE = "kube-system"


class Scope(StrEnum):
    """Where a right is wanted."""

    HERE = "here"
    """In the namespace of the question."""
    DNS = "dns"
    """In the namespace of the cluster's own DNS."""
    NODE = "node"
    """In the namespace where Pods that look at nodes are made."""
    CLUSTER = "cluster"
    """On objects without a namespace, or in all of them."""


@dataclass(frozen=True)
class Right:
    """One right, what it is for, and whether a diagnosis is impossible without it."""

    verb: str
    group: str
    resource: str
    purpose: str
    subresource: str = ""
    scope: Scope = Scope.HERE
    essential: bool = False

    @property
    def path(self) -> str:
        """`pods/exec`, as rules of a Role have it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    @property
    def shown(self) -> str:
        """`get pods/exec`."""
        return f"{self.verb} {self.path}"


_ADMISSION = "admissionregistration.k8s.io"

RIGHTS = (
    Right("get", "", "services", "the Service asked about", essential=True),
    Right("list", "discovery.k8s.io", "endpointslices", "what stands behind it", essential=True),
    Right("get", "", "pods", "why a Pod is not ready", essential=True),
    Right("list", "", "pods", "Pods that the selector matches", essential=True),
    Right("list", "", "services", "closest names"),
    Right("list", "", "events", "what kubelet and scheduler say"),
    Right("get", "", "pods", "last words of a crashed container", subresource="log"),
    Right("get", "", "configmaps", "references that lead nowhere"),
    Right("get", "", "endpoints", "hand-made endpoints that are not mirrored"),
    Right("get", "apps", "replicasets", "the Deployment behind a Pod"),
    Right("list", "apps", "replicasets", "whether a rollout can be undone"),
    Right("list", "apps", "controllerrevisions", "whether a rollout can be undone"),
    Right("get", "apps", "deployments", "a workload without a Service"),
    Right("list", "apps", "deployments", "workloads scaled to 0"),
    Right("list", "apps", "statefulsets", "workloads scaled to 0"),
    Right("patch", "", "pods", "add a probe container", subresource="ephemeralcontainers"),
    Right("get", "", "pods", "run a probe", subresource="exec"),
    Right("create", "", "pods", "run a probe", subresource="exec"),
    Right("get", "", "nodes", "an image that is on the node already", scope=Scope.CLUSTER),
    Right("list", "", "nodes", "addresses for NodePorts", scope=Scope.CLUSTER),
    Right("get", "", "namespaces", "whether a namespace exists", scope=Scope.CLUSTER),
    Right("list", "networking.k8s.io", "networkpolicies", "whether policies admit the traffic"),
    Right("list", "networking.k8s.io", "ingresses", "names that a certificate may be for"),
    Right("get", "", "serviceaccounts", "whether a Pod's token can be good"),
    Right("list", "rbac.authorization.k8s.io", "roles", "a Role that only has to be bound"),
    Right("create", "authorization.k8s.io", "localsubjectaccessreviews", "what a Pod's ServiceAccount may do"),
    Right("list", _ADMISSION, "validatingwebhookconfigurations", "webhooks that fail", scope=Scope.CLUSTER),
    Right("list", _ADMISSION, "mutatingwebhookconfigurations", "webhooks that fail", scope=Scope.CLUSTER),
    Right("list", "apiregistration.k8s.io", "apiservices", "aggregated APIs that are not there", scope=Scope.CLUSTER),
    Right("get", "networking.k8s.io", "ingresses", "an Ingress as the way in"),
    Right("list", "networking.k8s.io", "ingressclasses", "who serves an Ingress", scope=Scope.CLUSTER),
    Right("get", "gateway.networking.k8s.io", "gateways", "a Gateway as the way in"),
    Right("list", "gateway.networking.k8s.io", "httproutes", "the routes of a Gateway"),
    Right("list", "gateway.networking.k8s.io", "referencegrants", "backends in other namespaces"),
    Right("get", "gateway.networking.k8s.io", "gatewayclasses", "who serves a Gateway", scope=Scope.CLUSTER),
    Right("list", "networking.k8s.io", "servicecidrs", "the range of Service addresses", scope=Scope.CLUSTER),
    Right("list", "networking.k8s.io", "ipaddresses", "how full that range is", scope=Scope.CLUSTER),
    Right("get", "", "services", "the cluster's DNS Service", scope=Scope.DNS),
    Right("list", "", "services", "the cluster's DNS Service", scope=Scope.DNS),
    Right("list", "discovery.k8s.io", "endpointslices", "the replicas of the cluster's DNS", scope=Scope.DNS),
    Right("get", "", "pods", "why a replica is not ready", scope=Scope.DNS),
    Right("list", "", "pods", "why a replica is not ready", scope=Scope.DNS),
    Right("get", "", "pods", "what the DNS server complains of", subresource="log", scope=Scope.DNS),
    Right("get", "", "configmaps", "the DNS server's configuration", scope=Scope.DNS),
    Right("list", "apps", "deployments", "whether the DNS is scaled to 0", scope=Scope.DNS),
    Right("list", "apps", "daemonsets", "a DNS server on every node", scope=Scope.DNS),
    Right("get", "apps", "replicasets", "the Deployment behind a replica", scope=Scope.DNS),
    Right("create", "", "pods", "a privileged Pod on a node", scope=Scope.NODE),
    Right("get", "", "pods", "whether it runs", scope=Scope.NODE),
    Right("list", "", "pods", "what runs left behind", scope=Scope.NODE),
    Right("delete", "", "pods", "remove it again", scope=Scope.NODE),
    Right("get", "", "pods", "read the node", subresource="exec", scope=Scope.NODE),
    Right("create", "", "pods", "read the node", subresource="exec", scope=Scope.NODE),
    Right("list", "apps", "daemonsets", "the network plugin's agents", scope=Scope.CLUSTER),
    Right("get", "coordination.k8s.io", "leases", "when a kubelet was heard of last", scope=Scope.CLUSTER),
    Right("get", "rbac.authorization.k8s.io", "clusterroles", "what the DNS server may read", scope=Scope.CLUSTER),
    Right("get", "rbac.authorization.k8s.io", "clusterrolebindings", "what it may read", scope=Scope.CLUSTER),
)
