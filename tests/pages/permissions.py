# ruff: noqa: E501 - lines of a page
"""`docs/permissions.md`: the rights that are used, and the Roles as `access --role` prints them."""

from __future__ import annotations

from kubectl_netdebug.cli.access import roles_yaml
from kubectl_netdebug.cli.rights import RIGHTS, Scope

NAMESPACE = "shop"
TITLES = {
    Scope.HERE: "In the namespace of the question",
    Scope.DNS: "In the namespace of the cluster's DNS",
    Scope.NODE: "In the namespace of Pods that look at nodes",
    Scope.CLUSTER: "In the whole cluster",
}


def page() -> str:
    """The page as Markdown."""
    lines = [
        "# Permissions",
        "",
        "`kubectl netdebug` uses the rights of whoever runs it and has none of its own. `kubectl netdebug access` says which",
        "are there; `access --role` prints the Roles below for your namespace. What may not be read becomes a line under",
        "*unknown* with the right that would settle it, and never a guess.",
        "",
        "There are three steps, and each is useful without the next:",
        "",
        "1. **Read.** All verbs `get` and `list`: configuration is judged, nothing is added anywhere.",
        "2. **Probe.** `patch pods/ephemeralcontainers`, and both verbs of `pods/exec` (API servers before 1.35 ask for `get`,",
        "   later ones for `create` as well). Without them, `--probe never` is what happens, and the result says so. Drop these",
        "   rules from the first Role to hand out reading alone.",
        "3. **Look at nodes.** The Role `netdebug-node` allows making privileged Pods: whoever has it can do anything on any",
        "   node. Even then nothing is made without `--allow node` or a yes.",
        "",
        "Secrets are not among the rights: no Role below lets a Secret be read.",
    ]
    for scope, title in TITLES.items():
        lines += ["", f"## {title}", "", "| right | what it is for |", "|---|---|"]
        lines += [
            f"| `{right.shown}`{f' ({right.group})' if right.group else ''} | "
            f"{right.purpose}{'; **without it most questions stay open**' if right.essential else ''} |"
            for right in RIGHTS
            if right.scope is scope
        ]
    lines += ["", "## The Roles", "", f"`kubectl netdebug access --role -n {NAMESPACE}` prints:", ""]
    lines += [
        "```yaml",
        *roles_yaml(NAMESPACE).rstrip("\n").split("\n"),
        "```",
        "",
        "Bind them to a person or a group:",
    ]
    lines += ["", "```", f"kubectl -n {NAMESPACE} create rolebinding netdebug --role=netdebug --user=jane"]
    lines += ["kubectl -n kube-system create rolebinding netdebug-dns --role=netdebug-dns --user=jane"]
    lines += ["kubectl create clusterrolebinding netdebug-cluster --clusterrole=netdebug-cluster --user=jane", "```"]
    return "\n".join(lines) + "\n"
