"""`access`: what the person may do here, what each right is for, and the Role to ask for."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from kubectl_netdebug.cli.arguments import kube_flags
from kubectl_netdebug.cli.exits import Exit
from kubectl_netdebug.cli.output import style_for, write
from kubectl_netdebug.kube.session import Session


@dataclass(frozen=True)
class Right:
    """One right, what it is for, and whether a diagnosis is impossible without it."""

    verb: str
    group: str
    resource: str
    purpose: str
    subresource: str = ""
    namespaced: bool = True
    essential: bool = False

    @property
    def shown(self) -> str:
        """`get pods/exec`."""
        return f"{self.verb} {self.resource}{'/' + self.subresource if self.subresource else ''}"


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
    Right("get", "", "nodes", "an image that is on the node already", namespaced=False),
    Right("list", "", "nodes", "addresses for NodePorts", namespaced=False),
    Right("get", "", "namespaces", "whether a namespace exists", namespaced=False),
    Right("list", "networking.k8s.io", "networkpolicies", "whether policies admit the traffic"),
    Right("list", "networking.k8s.io", "ingresses", "names that a certificate may be for"),
    Right("list", "networking.k8s.io", "servicecidrs", "the range of Service addresses", namespaced=False),
    Right("list", "networking.k8s.io", "ipaddresses", "how full that range is", namespaced=False),
)


def access(args: argparse.Namespace) -> Exit:
    """Prints the rights, or with --role the Role. Exit 4 where an essential right is missing."""
    with Session.open(kube_flags(args)) as session:
        namespace = getattr(args, "namespace", None) or session.namespace or "default"
        if args.role:
            write(role_yaml(namespace))
            return Exit.HEALTHY
        return _report(args, session, namespace)


def _report(args: argparse.Namespace, session: Session, namespace: str) -> Exit:
    style = style_for(args)
    lines = [f"In namespace {namespace}" + (f" (context {session.context})" if session.context else "") + ":"]
    missing = False
    for right in RIGHTS:
        granted = session.may(
            right.verb,
            right.resource,
            group=right.group,
            subresource=right.subresource,
            namespace=namespace if right.namespaced else None,
        )
        missing |= right.essential and not granted
        mark = style.glyph("✓" if granted else "✗" if right.essential else "!")
        lines.append(f"  {mark} {right.shown.ljust(32)} {right.purpose}")
    if missing:
        lines += ["", "Without the rights marked ✗ most questions stay open. Ask for this Role:"]
    lines += ["", f"  more: kubectl netdebug access --role -n {namespace}"]
    write(style.finish("\n".join(lines) + "\n"))
    return Exit.INCONCLUSIVE if missing else Exit.HEALTHY


def role_yaml(namespace: str) -> str:
    """A Role with everything that can be granted in a namespace, as YAML."""
    import yaml

    rules: dict[tuple[str, str], set[str]] = {}
    for right in RIGHTS:
        if right.namespaced:
            resource = f"{right.resource}/{right.subresource}" if right.subresource else right.resource
            rules.setdefault((right.group, resource), set()).add(right.verb)
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "netdebug", "namespace": namespace},
        "rules": [
            {"apiGroups": [group], "resources": [resource], "verbs": sorted(verbs)}
            for (group, resource), verbs in rules.items()
        ],
    }
    return str(yaml.safe_dump(role, sort_keys=False))
