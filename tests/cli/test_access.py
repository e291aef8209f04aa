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
    assert {asked.json["spec"]["resourceAttributes"].get("namespace") for asked in api.asked} == {"shop", None}


def test_reviews_that_are_not_allowed_end_in_a_sentence(program: Program, api: FakeApi) -> None:
    api.on(REVIEWS, status(403, "no reviews for you"))
    ran = program.run("access")

    assert ran.returncode == 4
    assert len([line for line in ran.stderr.splitlines() if line.startswith("netdebug: ")]) == 1


OF_THE_CLUSTER = {"nodes", "namespaces", "servicecidrs", "ipaddresses"}
"""Resources without a namespace, which no Role can grant."""


def test_the_role_grants_what_access_asks_for(program: Program, api: FakeApi) -> None:
    program.run("access", "-n", "shop")
    wanted = {_right(asked.json["spec"]["resourceAttributes"]) for asked in api.asked}
    role = yaml.safe_load(program.run("access", "--role", "-n", "shop").stdout)
    granted = {
        (verb, group, resource)
        for rule in role["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }

    assert (role["kind"], role["metadata"]) == ("Role", {"name": "netdebug", "namespace": "shop"})
    assert granted == {right for right in wanted if right[2] not in OF_THE_CLUSTER}


def _right(attributes: dict[str, Any]) -> tuple[str, str, str]:
    resource = attributes["resource"]
    subresource = attributes.get("subresource")
    return attributes["verb"], attributes.get("group", ""), f"{resource}/{subresource}" if subresource else resource
