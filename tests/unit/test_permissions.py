"""The permission matrix takes away exactly one right."""

from __future__ import annotations

import pytest
import yaml

from kubectl_netdebug.cli.access import roles_yaml
from kubectl_netdebug.cli.rights import RIGHTS, Right
from tests.faults.permissions import without


@pytest.mark.parametrize("right", RIGHTS, ids=lambda right: f"{right.scope}-{right.shown}-{right.group}")
def test_one_verb_less(right: Right) -> None:
    roles = list(yaml.safe_load_all(roles_yaml("shop")))
    before = [_triples(role["rules"]) for role in roles]
    after = [_triples(without(role["rules"], right)) for role in roles]
    lacking = [old - new for old, new in zip(before, after, strict=True)]

    assert (right.verb, right.group, right.path) in set().union(*lacking)
    assert all(len(each) <= 1 for each in lacking)


def _triples(rules: list[dict[str, list[str]]]) -> set[tuple[str, str, str]]:
    return {(verb, rule["apiGroups"][0], rule["resources"][0]) for rule in rules for verb in rule["verbs"]}
