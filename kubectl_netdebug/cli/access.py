"""`access`: what the person may do here, what each right is for, and the Roles to ask for."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from kubectl_netdebug.cli.arguments import kube_flags
from kubectl_netdebug.cli.exits import Exit
from kubectl_netdebug.cli.output import style_for, write
from kubectl_netdebug.cli.rights import DNS_NAMESPACE, NODE_NAMESPACE, RIGHTS, Right, Scope
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.report.style import Style


def access(args: argparse.Namespace) -> Exit:
    """Prints the rights, or with --role the Roles. Exit 4 where an essential right is missing."""
    with Session.open(kube_flags(args)) as session:
        namespace = getattr(args, "namespace", None) or session.namespace or "default"
        if args.role:
            write(roles_yaml(namespace))
            return Exit.HEALTHY
        return _report(args, session, namespace)


def _report(args: argparse.Namespace, session: Session, namespace: str) -> Exit:
    style = style_for(args)
    titles = {
        Scope.HERE: f"In namespace {namespace}" + (f" (context {session.context})" if session.context else "") + ":",
        Scope.DNS: f"In namespace {DNS_NAMESPACE}, for questions about names:",
        Scope.NODE: f"In namespace {NODE_NAMESPACE}, for questions about nodes (--allow node):",
        Scope.CLUSTER: "In the whole cluster:",
    }
    places = {Scope.HERE: namespace, Scope.DNS: DNS_NAMESPACE, Scope.NODE: NODE_NAMESPACE, Scope.CLUSTER: None}
    lines: list[str] = []
    missing = False
    for scope, title in titles.items():
        lines += ["", title] if lines else [title]
        for right in (right for right in RIGHTS if right.scope is scope):
            granted = _may(session, right, places[scope])
            missing |= right.essential and not granted
            lines.append(_line(style, right, granted=granted))
    if missing:
        lines += ["", "Without the rights marked ✗ most questions stay open. Ask for these Roles:"]
    lines += ["", f"  more: kubectl netdebug access --role -n {namespace}"]
    write(style.finish("\n".join(lines) + "\n"))
    return Exit.INCONCLUSIVE if missing else Exit.HEALTHY


def _may(session: Session, right: Right, namespace: str | None) -> bool:
    return session.may(
        right.verb, right.resource, group=right.group, subresource=right.subresource, namespace=namespace
    )


def _line(style: Style, right: Right, *, granted: bool) -> str:
    mark = style.glyph("✓" if granted else "✗" if right.essential else "!")
    return f"  {mark} {right.shown.ljust(32)} {right.purpose}"


def roles_yaml(namespace: str) -> str:
    """Four documents, the first of which is enough for most questions, as YAML with a comment before each."""
    import yaml

    documents = (
        ("For questions about this namespace.", _role("Role", "netdebug", namespace, Scope.HERE)),
        ("For questions about names: the cluster's DNS.", _role("Role", "netdebug-dns", DNS_NAMESPACE, Scope.DNS)),
        (
            "For questions about nodes. Whoever has it can do anything on any node: give it to those who may.",
            _role("Role", "netdebug-node", NODE_NAMESPACE, Scope.NODE),
        ),
        ("For what has no namespace, such as nodes.", _role("ClusterRole", "netdebug-cluster", "", Scope.CLUSTER)),
    )
    return "---\n".join(f"# {comment}\n{yaml.safe_dump(role, sort_keys=False)}" for comment, role in documents)


def _role(kind: str, name: str, namespace: str, scope: Scope) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace} if namespace else {"name": name},
        "rules": _rules(right for right in RIGHTS if right.scope is scope),
    }


def _rules(rights: Iterable[Right]) -> list[dict[str, list[str]]]:
    verbs: dict[tuple[str, str], set[str]] = {}
    for right in rights:
        verbs.setdefault((right.group, right.path), set()).add(right.verb)
    return [
        {"apiGroups": [group], "resources": [path], "verbs": sorted(granted)}
        for (group, path), granted in verbs.items()
    ]
