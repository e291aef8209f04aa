from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.kube.errors import Garbled
from kubectl_netdebug.kube.rim import LAST_APPLIED, WITHHELD, admit, without_userinfo


def passed(value: Any) -> Any:
    return admit(json.dumps(value))


def test_ordinary_objects_pass_unchanged() -> None:
    pod = {"kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [{"name": "a", "ports": [1]}]}}
    assert passed(pod) == pod


def test_values_of_variables_stay_outside_and_names_pass() -> None:
    env = [{"name": "PASSWORD", "value": "hunter2"}, {"name": "FROM", "valueFrom": {"secretKeyRef": {"name": "s"}}}]
    pod = {"spec": {"template": {"spec": {"initContainers": [{"env": env}], "containers": [{"env": env}]}}}}
    clean = passed(pod)["spec"]["template"]["spec"]
    for containers in clean.values():
        assert containers[0]["env"][0] == {"name": "PASSWORD", "value": WITHHELD}
        assert containers[0]["env"][1] == env[1]


def test_proxy_variables_pass_without_credentials() -> None:
    env = [
        {"name": "HTTPS_PROXY", "value": "http://me:s3cret@proxy:3128"},
        {"name": "no_proxy", "value": "10.0.0.0/8,.svc"},
    ]
    values = [variable["value"] for variable in passed({"env": env})["env"]]
    assert values == ["http://proxy:3128", "10.0.0.0/8,.svc"]


def test_variables_written_as_an_object() -> None:
    assert passed({"env": {"KEY": "v", "http_proxy": "http://p:1"}})["env"] == {
        "KEY": WITHHELD,
        "http_proxy": "http://p:1",
    }


@pytest.mark.parametrize("wrapped", [False, True])
def test_contents_of_secrets_stay_outside(wrapped: bool) -> None:
    contents = {"type": "kubernetes.io/tls", "data": {"tls.crt": "QUJD", "tls.key": "REVG"}, "stringData": {"a": "b"}}
    seen = (
        passed({"kind": "SecretList", "items": [contents]})["items"][0]
        if wrapped
        else passed({"kind": "Secret", **contents})
    )
    assert seen["data"] == {"tls.crt": None, "tls.key": None}
    assert seen["stringData"] == {"a": None}
    assert seen["type"] == "kubernetes.io/tls"


def test_config_maps_pass() -> None:
    assert passed({"kind": "ConfigMap", "data": {"Corefile": ".:53 {}"}})["data"] == {"Corefile": ".:53 {}"}


def test_an_object_is_not_repeated_inside_itself() -> None:
    metadata = {"name": "a", "managedFields": [{}], "annotations": {LAST_APPLIED: "{}", "b": "c"}}
    assert passed({"metadata": metadata}) == {"metadata": {"name": "a", "annotations": {"b": "c"}}}


def test_hostile_strings_are_made_visible_however_they_are_written() -> None:
    assert admit('{"a": "\\u001b[2J", "\\u202e": "\u202e", "b": "\\r"}') == {
        "a": "␛[2J",
        "\\u{202E}": "\\u{202E}",
        "b": "␍",
    }


def test_what_go_escapes_is_harmless() -> None:
    assert admit('{"a": "\\u003cb\\u003e \\u0026"}') == {"a": "<b> &"}


@pytest.mark.parametrize("text", ["", "<html>", '{"a": 1', "NaN", "[" * 100_000, '{"a": ' + "9" * 10_000 + "}"])
def test_what_is_no_json_is_garbled(text: str) -> None:
    with pytest.raises(Garbled):
        admit(text)


@pytest.mark.parametrize("odd", [{"env": 1}, {"env": [1, None, {"value": 3}]}, {"kind": "Secret", "data": []}, [], 1])
def test_odd_shapes_do_no_harm(odd: Any) -> None:
    assert "3" not in json.dumps(passed(odd))


@given(st.text(), st.text())
def test_no_password_survives(user: str, password: str) -> None:
    assert without_userinfo(f"http://{user}:{password}@proxy:3128") == "http://proxy:3128"
