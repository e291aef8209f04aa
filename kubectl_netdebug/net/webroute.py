"""Which rule a host and a path meet, as the Ingress and Gateway APIs define it."""

from __future__ import annotations


def host_matches(rule: str, host: str) -> bool:
    """An exact name, `*.name` for exactly one further label, or '' for every host (networking.k8s.io/v1)."""
    rule, host = rule.lower(), host.lower().rstrip(".")
    if not rule:
        return True
    if rule.startswith("*."):
        return host.partition(".")[2] == rule[2:] and bool(host.partition(".")[0])
    return rule == host


def hostname_matches(pattern: str, host: str) -> bool:
    """As the Gateway API has it: `*.name` stands for any number of further labels."""
    pattern, host = pattern.lower(), host.lower().rstrip(".")
    if not pattern:
        return True
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) > len(pattern[1:])
    return pattern == host


def hostnames_meet(one: str, other: str) -> bool:
    """Whether a listener's and a route's host name can be the same host; '' is every one."""
    if not one or not other or one.lower() == other.lower():
        return True
    return hostname_matches(one, other.removeprefix("*.")) or hostname_matches(other, one.removeprefix("*."))


def path_matches(rule: str, kind: str, path: str) -> bool:
    """`Exact`, `Prefix` by whole elements (`/a` meets `/a/b` and not `/ab`), else a plain prefix."""
    path = path.partition("?")[0] or "/"
    rule = rule or "/"
    if kind == "Exact":
        return path == rule
    if kind in ("Prefix", "PathPrefix"):
        stem = rule.rstrip("/")
        return path == stem or path.startswith(stem + "/") or not stem
    return path.startswith(rule)


def host_rank(rule: str) -> int:
    """Exact hosts come before wildcards, these before no host at all; smaller comes first."""
    return 2 if not rule else 1 if rule.startswith("*.") else 0


def path_rank(rule: str, kind: str) -> tuple[int, int]:
    """Longest path first, and of equal ones the exact."""
    return -len(rule), 0 if kind == "Exact" else 1
