"""`make permissions`: every question with each right of the printed Roles taken away, one at a time.

The API server is that of a cluster of the laboratory. Each missing right has a user of its own, so runs side
by side do not meet. Writes docs/permissions.json.

Environment: NAME (the cluster, default netlab), JOBS (runs side by side, default 3), ONLY (of the questions those that
contain this; then nothing is written).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import yaml

from kubectl_netdebug.cli.access import roles_yaml
from kubectl_netdebug.cli.rights import DNS_NAMESPACE, RIGHTS, Right, Scope
from tests.failures import judge
from tests.failures.program import Ran
from tests.faults import counts
from tests.faults.laboratory import Lab

NAMESPACE = "default"
"""That of the laboratory's own application: Service web and Pod client."""
PREFIX = "nd-rights"
WHOLE = f"{PREFIX}-whole"
GROUP = "rbac.authorization.k8s.io"
LIMIT = 75.0

QUESTIONS = (
    "service web --probe always",
    "service web --from client --probe never",
    f"service {PREFIX}-deaf --from client --probe always",
    f"service {PREFIX}-lost --probe never",
    f"service {PREFIX}-gone --probe never",
    "path pod/client svc/web:80 --probe always",
    "path pod/client http://example.lab --probe always",
    "path outside svc/web --probe always",
    "path deploy/web self --probe always",
    "dns pod/client --probe always",
    "api pod/client --probe always",
    "node node-1 --allow node",
    f"service {PREFIX}-deaf --from client --allow node",
)
PLAIN = ("access", "cleanup")
"""Commands without a verdict."""


@dataclass(frozen=True)
class Run:
    """A question asked by the user who lacks one right."""

    words: str
    number: int
    right: Right


@dataclass(frozen=True)
class Came:
    """How it came out."""

    run: Run
    outcome: str
    problems: tuple[str, ...]


def main() -> int:
    """Exit 0 when every run held to what it must."""
    lab = Lab(os.environ.get("NAME") or "netlab")
    only = os.environ.get("ONLY") or ""
    began = time.monotonic()
    _tear_down(lab)
    try:
        lab.apply(list(_services()), NAMESPACE)
        for namespace in (NAMESPACE, DNS_NAMESPACE):
            lab.apply(
                [each for each in _grants() if each["metadata"].get("namespace", NAMESPACE) == namespace], namespace
            )
        came = _all(lab, [words for words in (*QUESTIONS, *PLAIN) if only in words])
    finally:
        _tear_down(lab)
    wrong = [f"{each.run.words} without {_shown(each.run.right)}: {p}" for each in came for p in each.problems]
    print(*(f"FAIL {line}" for line in wrong), sep="\n")
    table = counts.rows((each.run.words, each.outcome, bool(each.problems)) for each in came)
    print(*table, sep="\n")
    if not only:
        seconds = round(time.monotonic() - began)
        counts.store("permissions", {"rights": len(RIGHTS), "seconds": seconds, "rows": table, "wrong": wrong})
    failed = sum(bool(each.problems) for each in came)
    print(f"{len(came) - failed} held, {failed} did not")
    return 1 if failed else 0


def _all(lab: Lab, questions: list[str]) -> list[Came]:
    whole = {words: ask(lab, words, WHOLE) for words in questions}
    for words, ran in whole.items():
        print(f"{words}: {ran.state or ran.code} {ran.causes}", flush=True)
    runs = [Run(words, number, right) for words in questions for number, right in enumerate(RIGHTS)]
    with ThreadPoolExecutor(int(os.environ.get("JOBS") or 3)) as pool:
        return list(pool.map(lambda run: _came(run, whole[run.words], ask(lab, run.words, _user(run.number))), runs))


def ask(lab: Lab, words: str, user: str) -> Ran:
    """One run as that user."""
    began = time.monotonic()
    form = "" if words in PLAIN else "-o json --timeout 60"
    code, output, errors = lab.netdebug(f"{words} -n {NAMESPACE} --as {user} {form}", seconds=LIMIT + 60)
    return Ran(code, output, errors, time.monotonic() - began)


def _came(run: Run, whole: Ran, ran: Ran) -> Came:
    if run.words in PLAIN:
        return Came(run, f"exit {ran.code}", tuple(judge.in_order(ran, LIMIT)))
    if whole.result is None:
        return Came(run, "not run", (f"no verdict even with all rights: {whole.errors.strip()[-200:]}",))
    found = judge.problems(whole, ran, LIMIT, answered=True, gone=(), healed=False)
    found += _unnamed(run.right, whole, ran)
    return Came(run, _outcome(whole, ran), tuple(found))


def _unnamed(right: Right, whole: Ran, ran: Ran) -> Iterator[str]:
    """An answer that stayed open has to name the right that is missing."""
    if ran.state != "inconclusive" or whole.state == "inconclusive" or ran.result is None:
        return
    told = json.dumps([ran.result["unknown"], ran.result["verdict"], ran.result["assumptions"]])
    if right.resource not in told or (right.subresource and right.subresource not in told):
        yield f"open, and the right to {right.shown} is not named"


def _outcome(whole: Ran, ran: Ran) -> str:
    if not ran.result:
        return f"no verdict, exit {ran.code}"
    if (ran.state, ran.causes) == (whole.state, whole.causes):
        return "same verdict"
    return "inconclusive" if ran.state == "inconclusive" else "less known"


def _shown(right: Right) -> str:
    return f"{right.shown} ({right.scope})"


def _user(number: int) -> str:
    return f"{PREFIX}-{number}"


def _services() -> Iterator[dict[str, Any]]:
    """One whose port nobody listens on, and one whose selector has a typing mistake."""
    for name, label, port in ((f"{PREFIX}-deaf", "web", 9), (f"{PREFIX}-lost", "wbe", 8080)):
        ports = [{"port": 80, "targetPort": port, "protocol": "TCP"}]
        metadata = {"name": name, "labels": {"made-for": PREFIX}}
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": {"app": label}, "ports": ports},
        }


def _grants() -> Iterator[dict[str, Any]]:
    """The printed Roles for the user with all rights; for every other user the same, and one without its right."""
    for role, scope in zip(yaml.safe_load_all(roles_yaml(NAMESPACE)), _scopes(), strict=True):
        complete = _labelled(role, f"{PREFIX}-{scope}")
        users = [_user(n) for n, right in enumerate(RIGHTS) if right.scope is not scope]
        yield complete
        yield _binding(complete, [WHOLE, *users])
        for number, right in enumerate(RIGHTS):
            if right.scope is scope:
                lacking = _labelled({**role, "rules": without(role["rules"], right)}, _user(number))
                yield lacking
                yield _binding(lacking, [_user(number)])


def _scopes() -> tuple[Scope, ...]:
    """In the order in which the Roles are printed."""
    return (Scope.HERE, Scope.DNS, Scope.NODE, Scope.CLUSTER)


def without(rules: list[dict[str, Any]], right: Right) -> list[dict[str, Any]]:
    """The rules of a Role less one verb on one resource."""
    kept = []
    for rule in rules:
        if rule["apiGroups"] == [right.group] and rule["resources"] == [right.path]:
            rule = {**rule, "verbs": [verb for verb in rule["verbs"] if verb != right.verb]}
        if rule["verbs"]:
            kept.append(rule)
    return kept


def _labelled(role: dict[str, Any], name: str) -> dict[str, Any]:
    return {**role, "metadata": {**role["metadata"], "name": name, "labels": {"made-for": PREFIX}}}


def _binding(role: dict[str, Any], users: list[str]) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": f"{role['kind']}Binding",
        "metadata": role["metadata"],
        "roleRef": {"apiGroup": GROUP, "kind": role["kind"], "name": role["metadata"]["name"]},
        "subjects": [{"kind": "User", "name": user, "apiGroup": GROUP} for user in users],
    }


def _tear_down(lab: Lab) -> None:
    kinds = "rolebindings,roles,clusterrolebindings,clusterroles"
    for namespace in (NAMESPACE, DNS_NAMESPACE):
        lab.sh(f"kubectl -n {namespace} delete {kinds},services -l made-for={PREFIX} --ignore-not-found", check=False)


if __name__ == "__main__":
    sys.exit(main())
