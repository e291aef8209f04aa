"""`service` from the first word to the exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from kubectl_netdebug.causes.catalogue import by_code
from tests.cli import world
from tests.cli.conftest import Program
from tests.contract.repository import ROOT
from tests.kube.fakeapi import Asked, FakeApi, Wire, answer, cut, cut_chunk, drop, garbage, hang, status

SCHEMA = json.loads((ROOT / "docs" / "result.schema.json").read_text(encoding="utf-8"))


def test_healthy_by_configuration(program: Program, healthy: FakeApi) -> None:
    ran = program.run("service", "web", "--probe", "never")

    assert ran.returncode == 0
    assert ran.stdout.startswith("✓ the configuration of web is complete; no connection was tried\n")
    assert "\x1b" not in ran.stdout + ran.stderr
    assert {asked.method for asked in healthy.asked} == {"GET"}


def test_over_tls_with_the_authority_of_the_kubeconfig(program: Program) -> None:
    with FakeApi(tls=True) as server:
        server.add(*world.healthy())
        program.aim(server)
        ran = program.run("service", "web")

    assert (ran.returncode, ran.stderr) == (0, "")


def test_nothing_is_written_without_consent(program: Program, healthy: FakeApi) -> None:
    """Standard input is no terminal here, so nobody could be asked."""
    for words in ([], ["--read-only"], ["--probe", "never"], ["--probe", "auto"]):
        assert program.run("service", "web", *words).returncode == 0

    assert {asked.method for asked in healthy.asked} == {"GET"}


def test_a_typo_is_met_with_the_closest_name(program: Program, healthy: FakeApi) -> None:
    ran = program.run("service", "wbe")

    assert ran.returncode == 1
    assert "There is no Service wbe in namespace default; closest: web" in _one_line(ran.stdout)
    assert "[service-missing, confirmed]" in ran.stdout


def test_the_namespace_of_flag_and_name(program: Program, api: FakeApi) -> None:
    shop = [world.namespace("shop"), *world.healthy()[1:]]
    for item in shop[1:]:
        item["metadata"]["namespace"] = "shop"
    api.add(*shop)

    assert program.run("-n", "shop", "service", "web").returncode == 0
    assert program.run("service", "web", "--namespace=shop").returncode == 0
    assert program.run("service", "web.shop").returncode == 0
    assert program.run("service", "web.shop.svc.cluster.local:80").returncode == 0
    assert program.run("service", "web").returncode == 1


def test_a_port_that_is_not_declared(program: Program, healthy: FakeApi) -> None:
    ran = program.run("service", "web:81", "-o", "json")

    assert ran.returncode == 1
    assert [cause["code"] for cause in json.loads(ran.stdout)["causes"]] == ["service-port-undeclared"]


@pytest.mark.parametrize("words", [["web"], ["web:81"], ["wbe"]], ids=" ".join)
def test_json_keeps_to_the_schema(program: Program, healthy: FakeApi, words: list[str]) -> None:
    ran = program.run("service", *words, "-o", "json")
    result = json.loads(ran.stdout)

    jsonschema.Draft202012Validator(SCHEMA).validate(result)
    assert all(cause["code"] in by_code() for cause in result["causes"])


def test_yaml_says_the_same_as_json(program: Program, healthy: FakeApi) -> None:
    as_json = json.loads(program.run("service", "wbe", "-o", "json").stdout)
    as_yaml = yaml.safe_load(program.run("service", "wbe", "-o", "yaml").stdout)

    assert _without_run(as_yaml) == _without_run(as_json)


def test_a_recording_replays_to_the_same_result(program: Program, healthy: FakeApi, tmp_path: Path) -> None:
    file = str(tmp_path / "run.json.gz")
    live = program.run("service", "web:81", "-o", "json", "--record", file)
    program.env.pop("KUBECONFIG")
    again = program.run("replay", file, "-o", "json")

    assert (live.returncode, again.returncode) == (1, 1)
    assert _without_run(json.loads(again.stdout)) == _without_run(json.loads(live.stdout))


def test_a_recording_holds_no_credentials(program: Program, healthy: FakeApi, tmp_path: Path) -> None:
    import gzip

    file = tmp_path / "run.json.gz"
    program.run("service", "web", "--record", str(file))

    assert b"secret-token" not in gzip.decompress(file.read_bytes())


def test_commands_to_copy_meet_the_same_cluster(program: Program, healthy: FakeApi) -> None:
    chosen = program.env.pop("KUBECONFIG")
    ran = program.run("service", "web:81", "--kubeconfig", chosen, "-o", "json")
    (cause,) = json.loads(ran.stdout)["causes"]

    assert [
        fix["command"].startswith(f"kubectl --kubeconfig {chosen} --context fake -n default") for fix in cause["fixes"]
    ]
    assert f"--kubeconfig {chosen} --context fake" in cause["fixes"][0]["verify"]


@pytest.mark.parametrize(
    ("path", "asked", "right"),
    [
        (world.SERVICE, "web", "get services in namespace default"),
        (world.SLICES, "web", "list endpointslices in namespace default"),
    ],
)
def test_without_an_essential_right_it_is_inconclusive(
    program: Program, healthy: FakeApi, path: str, asked: str, right: str
) -> None:
    verb, _, rest = right.partition(" ")
    healthy.on(path, _denied(verb, rest.split(" ")[0]))
    ran = program.run("service", asked)

    assert ran.returncode == 4
    assert ran.stdout.startswith("? web — Cannot tell")
    assert f"you may not {right}" in _one_line(ran.stdout)
    assert "access --role" in _one_line(ran.stdout)


@pytest.mark.parametrize("asked", ["web", "wbe", "web:81"])
@pytest.mark.parametrize(
    "path",
    [
        *(world.PODS, world.SERVICES, world.ALL_SERVICES, world.NAMESPACE),
        "/apis/apps/v1/namespaces/default/deployments",
        "/apis/apps/v1/namespaces/default/statefulsets",
        "/api/v1/namespaces/default/events",
    ],
)
def test_without_another_right_there_is_still_a_verdict(
    program: Program, healthy: FakeApi, path: str, asked: str
) -> None:
    healthy.on(path, _denied("list", path.rsplit("/", 1)[-1]))
    ran = program.run("service", asked, "-o", "json")

    assert ran.returncode == (0 if asked == "web" else 1)
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(ran.stdout))


@pytest.mark.parametrize("behaviour", [cut, cut_chunk, drop, garbage], ids=lambda b: b.__name__)
@pytest.mark.parametrize("path", [world.SERVICE, world.SLICES, world.PODS])
def test_an_answer_that_breaks_off_ends_in_a_sentence(
    program: Program, healthy: FakeApi, path: str, behaviour: Any
) -> None:
    healthy.on(path, behaviour)
    ran = program.run("service", "web", "-o", "json")
    essential = path != world.PODS

    assert ran.returncode == (4 if essential else 0), ran.stdout + ran.stderr
    verdict = json.loads(ran.stdout)["verdict"]
    assert verdict["state"] == ("inconclusive" if essential else "healthy")
    assert len(verdict["headline"]) > 20


@pytest.mark.parametrize("code", [404, 409, 410, 422, 429, 500, 503])
def test_every_status_leads_to_a_verdict(program: Program, healthy: FakeApi, code: int) -> None:
    healthy.on(world.SLICES, status(code, "no"))
    ran = program.run("service", "web", "-o", "json")

    assert ran.returncode == 4
    assert json.loads(ran.stdout)["unknown"]


def test_a_server_that_hangs_is_left_at_the_time_limit(program: Program, healthy: FakeApi) -> None:
    healthy.on(world.SLICES, hang)
    ran = program.run("service", "web", "--timeout", "1s", "-o", "json")
    result = json.loads(ran.stdout)

    assert ran.returncode == 4
    assert result["run"]["seconds"] < 3
    assert "no answer within 1 s" in result["verdict"]["headline"]


ODD_SERVICES: list[Any] = [
    {},
    {"kind": "Service"},
    {"metadata": None, "spec": None, "status": None},
    {"metadata": {"name": 7, "namespace": []}, "spec": {"ports": None, "selector": None}},
    {"spec": {"ports": "80", "selector": ["app"], "clusterIP": 1, "type": {"a": 1}}},
    {"spec": {"ports": [None, 1, {}, {"port": "http", "targetPort": {"x": 1}}], "selector": {"app": 1, "": ""}}},
    {"spec": {"clusterIP": "None", "ports": [{"port": 10**30, "targetPort": -1}], "ipFamilies": "IPv4"}},
    {"spec": {"type": "ExternalName"}},
    {
        "metadata": {"name": "web", "labels": [1], "annotations": {"a": {"b": []}}},
        "status": {"loadBalancer": {"ingress": 5}},
    },
]
ODD_ITEMS: list[Any] = [
    {},
    {"metadata": None, "spec": None, "status": None, "endpoints": None, "ports": None},
    {"metadata": {"labels": []}, "endpoints": [None, 1, {"addresses": None}], "ports": [None, {"port": "x"}]},
    {
        "status": {"conditions": {"Ready": 1}, "phase": 3, "podIP": []},
        "spec": {"containers": [{}, None, {"ports": [{}]}]},
    },
    {"endpoints": [{"addresses": [1, "10.1.0.1"], "conditions": [], "targetRef": "Pod"}], "addressType": 4},
    {"spec": {"replicas": "0", "template": {"metadata": {"labels": {"app": None}}}}},
]


@pytest.mark.parametrize("odd", ODD_SERVICES, ids=lambda odd: json.dumps(odd)[:60])
def test_a_service_that_is_not_as_it_should_be(program: Program, healthy: FakeApi, odd: Any) -> None:
    healthy.on(world.SERVICE, answer(odd))
    ran = program.run("service", "web", "-o", "json")

    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(ran.stdout))
    _nothing_broke(json.loads(ran.stdout))


@pytest.mark.parametrize("path", [world.SLICES, world.PODS, world.ALL_SERVICES])
def test_items_that_are_not_as_they_should_be(program: Program, healthy: FakeApi, path: str) -> None:
    asked = "wbe" if path == world.ALL_SERVICES else "web"
    for body in (world.listed(*ODD_ITEMS), {"items": None}):
        healthy.on(path, answer(body))
        _nothing_broke(json.loads(program.run("service", asked, "-o", "json").stdout))


def test_what_the_cluster_says_cannot_steer_the_terminal(program: Program, api: FakeApi) -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J\u202e\r\x9b31m"
    api.add(world.namespace(), world.service("web", selector={"app": f"a{hostile}"}), world.pod(app=f"b{hostile}"))
    for form in ("text", "wide", "json", "yaml"):
        ran = program.run("service", "web", "-o", form)

        assert ran.returncode == 1
        # JSON and YAML may escape; then nothing of it stands there raw.
        assert not [c for c in ran.stdout if c in "\x1b\x07\u202e\r\x9b"]


def test_output_without_utf8_is_ascii(program: Program, healthy: FakeApi) -> None:
    ran = program.run("service", "wbe", PYTHONIOENCODING="ascii")

    assert ran.stdout.isascii()
    assert ran.stdout.startswith("x wbe")


def _without_run(result: dict[str, Any]) -> dict[str, Any]:
    path = [{**hop, "elapsedMs": 0} for hop in result["path"]]
    return {**{key: value for key, value in result.items() if key != "run"}, "path": path}


def _nothing_broke(result: dict[str, Any]) -> None:
    """A check that raised says so in its hop or among the unknown."""
    assert "itself failed" not in json.dumps(result)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _denied(verb: str, resource: str) -> Any:
    def behave(asked: Asked, wire: Wire) -> bool | None:
        where = 'in API group "" in the namespace "default"'
        message = f'{resource} is forbidden: User "me" cannot {verb} resource "{resource}" {where}'
        return status(403, message)(asked, wire)

    return behave
