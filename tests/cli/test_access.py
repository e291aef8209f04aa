"""`access`: what one may do, and the Role to ask for."""

from __future__ import annotations

from typing import Any

import yaml

from tests.cli.conftest import Program
from tests.kube.fakeapi import FakeApi, status

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def test_everything_allowed(program: Program, api: FakeApi) -> None:
    ran = program.run("access")

    assert ran.returncode == 0
    assert "✗" not in ran.stdout
    assert "✓ get services" in ran.stdout


def test_an_essential_right_is_missing(program: Program, api: FakeApi) -> None:
    api.may = lambda attributes: attributes["resource"] != "endpointslices"
    ran = program.run("access")

    assert ran.returncode == 4
    assert "✗ list endpointslices" in ran.stdout
    assert "access --role -n default" in ran.stdout


def test_a_right_that_merely_helps_is_missing(program: Program, api: FakeApi) -> None:
    api.may = lambda attributes: attributes["resource"] != "nodes"
    ran = program.run("access", "-n", "shop")

    assert ran.returncode == 0
    assert "! list nodes" in ran.stdout
    assert {asked.json["spec"]["resourceAttributes"].get("namespace") for asked in api.asked} == {
        "shop",
        "kube-system",
        None,
    }


def test_reviews_that_are_not_allowed_end_in_a_sentence(program: Program, api: FakeApi) -> None:
    api.on(REVIEWS, status(403, "no reviews for you"))
    ran = program.run("access")

    assert ran.returncode == 4
    assert len([line for line in ran.stderr.splitlines() if line.startswith("netdebug: ")]) == 1


def test_the_roles_grant_what_access_asks_for(program: Program, api: FakeApi) -> None:
    program.run("access", "-n", "shop")
    attributes = [asked.json["spec"]["resourceAttributes"] for asked in api.asked]
    roles = list(yaml.safe_load_all(program.run("access", "--role", "-n", "shop").stdout))
    places = ("shop", "kube-system", None)

    assert [(role["kind"], role["metadata"].get("namespace")) for role in roles] == [
        ("Role", "shop"),
        ("Role", "kube-system"),
        ("Role", "kube-system"),
        ("ClusterRole", None),
    ]
    for place in places:
        granted = {
            (verb, group, resource)
            for role in roles
            if role["metadata"].get("namespace") == place
            for rule in role["rules"]
            for verb in rule["verbs"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
        }
        assert granted == {_right(each) for each in attributes if each.get("namespace") == place}


def _right(attributes: dict[str, Any]) -> tuple[str, str, str]:
    resource = attributes["resource"]
    subresource = attributes.get("subresource")
    return attributes["verb"], attributes.get("group", ""), f"{resource}/{subresource}" if subresource else resource
