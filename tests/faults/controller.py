"""A real ingress controller for one case: Traefik in the case's namespace, behind a load balancer that is imitated.

Its Service gets an address by its status, as a cloud's controller would give it, and the person's machine a route to
that address by way of a node, where kube-proxy serves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

IMAGE = "docker.io/library/traefik:v3.7.13"
OWN = "netlab-case"
"""A label on everything that stands outside the case's namespace; its value is that namespace."""


def manifests(options: Mapping[str, Any], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """`options` may hold `gateway: true`, and `strict: false` for a controller that takes Ingresses without a class."""
    ns, label = names["ns"], {"app.kubernetes.io/name": "traefik"}
    # Listeners of a Gateway name the ports that clients use, so the program has to listen on these.
    web, secure = (80, 443) if options.get("gateway") else (8000, 8443)
    outside = {"labels": {OWN: ns}}
    arguments = [
        *(
            f"--entrypoints.web.address=:{web}",
            f"--entrypoints.websecure.address=:{secure}",
            "--entrypoints.traefik.address=:9000",
        ),
        *("--ping=true", "--global.checknewversion=false", "--global.sendanonymoususage=false"),
        *("--serverstransport.insecureskipverify=true", "--log.level=INFO"),
    ]
    if options.get("gateway"):
        arguments += [
            "--providers.kubernetesgateway=true",
            "--providers.kubernetesgateway.statusaddress.service.name=traefik",
            f"--providers.kubernetesgateway.statusaddress.service.namespace={ns}",
        ]
    else:
        arguments += [
            *("--providers.kubernetesingress=true", f"--providers.kubernetesingress.namespaces={ns}"),
            f"--providers.kubernetesingress.ingressendpoint.publishedservice={ns}/traefik",
        ]
        # Without it the routers of Ingresses serve plain HTTP alone, on whatever port.
        arguments.append("--entrypoints.websecure.http.tls=true")
        if options.get("strict", True):
            arguments.append(f"--providers.kubernetesingress.ingressclass={class_name(names)}")
    container = {
        "name": "traefik",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": arguments,
        "ports": [{"name": "web", "containerPort": web}, {"name": "websecure", "containerPort": secure}],
        "readinessProbe": {"httpGet": {"path": "/ping", "port": 9000}, "periodSeconds": 1},
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "traefik"}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"{ns}-traefik", **outside},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "traefik", "namespace": ns}],
        },
        _class(options, names, outside),
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "traefik", "labels": label},
            "spec": {
                "selector": {"matchLabels": label},
                "template": {
                    "metadata": {"labels": label},
                    "spec": {
                        "serviceAccountName": "traefik",
                        "terminationGracePeriodSeconds": 1,
                        "containers": [container],
                    },
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "traefik", "labels": label},
            "spec": {
                "type": "LoadBalancer",
                "selector": label,
                "ports": [
                    {"name": "web", "port": 80, "targetPort": "web"},
                    {"name": "websecure", "port": 443, "targetPort": "websecure"},
                ],
            },
        },
    ]


def class_name(names: Mapping[str, str]) -> str:
    """The class that the controller serves."""
    return f"{names['word']}-{names['ns']}"


def _class(options: Mapping[str, Any], names: Mapping[str, str], outside: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {"name": class_name(names), **outside}
    if options.get("gateway"):
        spec = {"controllerName": "traefik.io/gateway-controller"}
        return {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "GatewayClass",
            "metadata": metadata,
            "spec": spec,
        }
    spec = {"controller": "traefik.io/ingress-controller"}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": metadata, "spec": spec}


def balance(service: str, names: Mapping[str, str]) -> str:
    """A shell line that gives a Service its address, and the person's machine a way there."""
    status = '{"status":{"loadBalancer":{"ingress":[{"ip":"' + names["lb"] + '"}]}}}'
    return (
        f"kubectl -n {names['ns']} patch svc {service} --subresource=status --type=merge -p '{status}' && "
        f"ip route replace {names['lb']}/32 via $(kubectl get node {names['node_a']} "
        "-o jsonpath='{.status.addresses[0].address}')"
    )


def clean_up(names: Mapping[str, str]) -> str:
    """A shell line that takes away what stands outside the namespace."""
    kinds = "clusterrolebindings,ingressclasses"
    return (
        f"kubectl delete {kinds} -l {OWN}={names['ns']} --ignore-not-found; "
        f"kubectl delete gatewayclasses -l {OWN}={names['ns']} --ignore-not-found 2>/dev/null; "
        f"ip route del {names['lb']}/32 2>/dev/null; true"
    )
