from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubectl_netdebug.kube.access import Access, Impersonation
from kubectl_netdebug.kube.errors import ConfigProblem
from kubectl_netdebug.kube.flags import KubeFlags
from kubectl_netdebug.kube.resolve import access_from

LAB: dict[str, Any] = {
    "current-context": "lab",
    "contexts": [
        {"name": "lab", "context": {"cluster": "lab", "user": "admin", "namespace": "shop"}},
        {"name": "production", "context": {"cluster": "prod", "user": "admin"}},
    ],
    "clusters": [
        {"name": "lab", "cluster": {"server": "https://lab:6443/"}},
        {"name": "prod", "cluster": {"server": "https://prod:6443", "tls-server-name": "kubernetes"}},
    ],
    "users": [{"name": "admin", "user": {"token": "t"}}],
}


def written(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def read(path: Path, **flags: Any) -> Access:
    return access_from(KubeFlags(kubeconfig=str(path), **flags), {})


def user_with(path: Path, user: dict[str, Any]) -> Path:
    return written(path, {**LAB, "users": [{"name": "admin", "user": user}]})


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    return written(tmp_path / "config", LAB)


def test_current_context(lab: Path) -> None:
    access = read(lab)
    assert (access.context, access.cluster, access.user) == ("lab", "lab", "admin")
    assert (access.server, access.namespace) == ("https://lab:6443", "shop")
    assert access.identity.token == "t"


def test_flags_go_before_the_file(lab: Path) -> None:
    access = read(lab, context="production", namespace="x", server="https://other:1", token="u", proxy_url="http://p:1")
    assert (access.server, access.namespace, access.identity.token) == ("https://other:1", "x", "u")
    assert access.proxy_url == "http://p:1"
    assert access.tls_server_name is None, "the name belongs to the server in the file"


def test_the_namespace_is_default_when_nobody_says_otherwise(lab: Path) -> None:
    assert read(lab, context="production").namespace == "default"


def test_first_file_wins_as_a_whole(tmp_path: Path, lab: Path) -> None:
    other = {
        "current-context": "other",
        "contexts": [{"name": "other", "context": {"cluster": "lab", "user": "admin"}}],
        "clusters": [{"name": "lab", "cluster": {"server": "https://elsewhere", "tls-server-name": "n"}}],
        "users": [{"name": "admin", "user": {"token": "other", "username": "also"}}],
    }
    second = written(tmp_path / "second", other)
    paths = f"{tmp_path / 'missing'}:{lab}:{second}"
    access = access_from(KubeFlags(context="other"), {"KUBECONFIG": paths})
    assert (access.server, access.identity.token) == ("https://lab:6443", "t")
    assert (access.tls_server_name, access.identity.username) == (None, None)
    assert access_from(KubeFlags(), {"KUBECONFIG": paths}).context == "lab"


def test_home_is_the_last_resort(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    written(tmp_path / ".kube" / "config", LAB)
    assert access_from(KubeFlags(), {"HOME": str(tmp_path)}).context == "lab"


def test_relative_paths_lead_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(b"CA")
    (tmp_path / "me.crt").write_bytes(b"CERT")
    (tmp_path / "me.key").write_bytes(b"KEY")
    user = {
        "client-certificate": "me.crt",
        "client-key": "me.key",
        "tokenFile": "token",
        "exec": {"command": "./login"},
    }
    cluster = {"server": "lab:6443", "certificate-authority": "ca.crt"}
    content = {**LAB, "clusters": [{"name": "lab", "cluster": cluster}], "users": [{"name": "admin", "user": user}]}
    access = read(written(tmp_path / "config", content))
    assert (access.certificate_authority, access.server) == (b"CA", "https://lab:6443")
    assert (access.identity.client_certificate, access.identity.client_key) == (b"CERT", b"KEY")
    assert access.identity.token_file == str(tmp_path / "token")
    assert access.identity.exec_plugin is not None
    assert access.identity.exec_plugin.command == str(tmp_path / "login")


def test_data_goes_before_the_file_beside_it(tmp_path: Path) -> None:
    data = base64.b64encode(b"FROM DATA").decode()
    cluster = {"server": "https://x", "certificate-authority": "gone", "certificate-authority-data": data}
    path = written(tmp_path / "config", {**LAB, "clusters": [{"name": "lab", "cluster": cluster}]})
    assert read(path).certificate_authority == b"FROM DATA"


def test_impersonation_from_the_file_and_from_flags(tmp_path: Path) -> None:
    user = {"token": "t", "as": "bob", "as-groups": ["a", "b"], "as-uid": "7", "as-user-extra": {"k": ["v", "w"]}}
    path = user_with(tmp_path / "config", user)
    assert read(path).impersonation == Impersonation("bob", ("a", "b"), "7", (("k", "v"), ("k", "w")))
    flagged = read(path, as_user="eve", as_groups=("c",)).impersonation
    assert flagged is not None
    assert (flagged.user, flagged.groups) == ("eve", ("c",))


def test_groups_without_a_user_are_refused(lab: Path) -> None:
    with pytest.raises(ConfigProblem, match="--as"):
        read(lab, as_groups=("a",))


def test_inside_a_pod(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "ca.crt").write_text("CA")
    (tmp_path / "namespace").write_text("shop\n")
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443", "HOME": str(tmp_path / "none")}
    access = access_from(KubeFlags(), environ, tmp_path)
    assert (access.server, access.namespace) == ("https://[fd00::1]:443", "shop")
    assert access.identity.token_file == str(tmp_path / "token")


def test_a_server_flag_needs_no_file(tmp_path: Path) -> None:
    access = access_from(KubeFlags(server="http://localhost:8001"), {"HOME": str(tmp_path)})
    assert (access.server, access.namespace, access.context) == ("http://localhost:8001", "default", "")


def test_dates_and_bom_are_text(tmp_path: Path) -> None:
    content = "\ufeff" + json.dumps(LAB).replace('"lab"', "2026-01-01")
    assert read(written(tmp_path / "config", content)).context == "2026-01-01"


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"context": "prodction"}, "Did you mean production"),
        ({"context": "zzz"}, "There are: lab, production"),
        ({"cluster": "lap"}, "Did you mean lab"),
        ({"user": "admn"}, "Did you mean admin"),
        ({"server": "https://bad host"}, "is not a server address"),
        ({"server": "ftp://x"}, "is not a server address"),
        ({"server": "https://x:99999"}, "is not a server address"),
        ({"client_certificate": "/nowhere"}, "No such file"),
    ],
)
def test_a_wrong_flag_is_named(lab: Path, flags: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigProblem, match=says):
        read(lab, **flags)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a: [", "not valid YAML"),
        ("- a list", "top level is a list"),
        ("just text", "top level is text"),
        ("{}", "No kubeconfig"),
        ({**LAB, "current-context": None}, "no current context"),
        ({**LAB, "current-context": "gone"}, "its current-context"),
        ({**LAB, "current-context": 7}, "must be text, it is a number"),
        ({**LAB, "contexts": {"name": "lab"}}, "contexts must be a list"),
        ({**LAB, "contexts": [None]}, "it is null"),
        ({**LAB, "contexts": [{"context": {}}]}, "has no name"),
        ({**LAB, "contexts": [{"name": "lab", "context": []}]}, "context must be an object"),
        ({**LAB, "contexts": [{"name": "lab", "context": None}]}, "names no cluster"),
        ({**LAB, "users": LAB["users"] * 2}, "two users called"),
        ({**LAB, "users": None}, "No user 'admin'"),
        ({**LAB, "clusters": []}, "No cluster 'lab'"),
        ({**LAB, "clusters": [{"name": "lab", "cluster": None}]}, "no server address"),
        (
            {**LAB, "clusters": [{"name": "lab", "cluster": {"server": "x", "certificate-authority-data": "*"}}]},
            "base64",
        ),
        (
            {
                **LAB,
                "clusters": [
                    {
                        "name": "lab",
                        "cluster": {
                            "server": "x",
                            "certificate-authority-data": "QQ==",
                            "insecure-skip-tls-verify": True,
                        },
                    }
                ],
            },
            "remove one",
        ),
    ],
)
def test_bad_content_is_named(tmp_path: Path, content: Any, says: str) -> None:
    path = written(tmp_path / "config", content)
    with pytest.raises(ConfigProblem, match=says):
        read(path)


@pytest.mark.parametrize(
    ("user", "says"),
    [
        ({"token": 5}, "token must be text"),
        ({"exec": {"args": []}}, "no command"),
        ({"exec": {"command": "x", "args": [1]}}, "every item of args"),
        ({"exec": {"command": "x", "env": [{"value": "v"}]}}, "no usable name"),
        ({"exec": {"command": "x", "interactiveMode": "Maybe"}}, "none of Never"),
        ({"client-certificate-data": "QQ=="}, "lack a client-key"),
        ({"tokenFile": ["a"]}, "tokenFile must be text"),
        ({"as-groups": "a"}, "must be a list"),
    ],
)
def test_bad_user_is_named(tmp_path: Path, user: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigProblem, match=says):
        read(user_with(tmp_path / "config", user))


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80")
    (tmp_path / "deep").write_text("[" * 5_000)
    with pytest.raises(ConfigProblem, match="directory"):
        read(tmp_path)
    with pytest.raises(ConfigProblem, match="not UTF-8"):
        read(tmp_path / "binary")
    with pytest.raises(ConfigProblem, match="no kubeconfig at"):
        read(tmp_path / "missing")
    with pytest.raises(ConfigProblem):
        read(tmp_path / "deep")
    with pytest.raises(ConfigProblem, match="looked at"):
        access_from(KubeFlags(), {"HOME": str(tmp_path)})


ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_odd_value_anywhere_gives_access_or_a_sentence(tmp_path: Path, data: st.DataObject) -> None:
    content = json.loads(json.dumps(LAB))
    places: list[tuple[Any, Any]] = []
    pending: list[Any] = [content]
    while pending:
        container = pending.pop()
        keys = list(container) if isinstance(container, dict) else list(range(len(container)))
        places += [(container, key) for key in keys]
        pending += [container[key] for key in keys if isinstance(container[key], (dict, list))]
    container, key = data.draw(st.sampled_from(places))
    container[key] = data.draw(ODD)
    path = tmp_path / "odd"
    path.write_text(json.dumps(content))
    with contextlib.suppress(ConfigProblem):
        read(path)


def test_credentials_in_a_server_address_go_nowhere(lab: Path) -> None:
    assert read(lab, server="https://me:pw@x:1/p@th/").server == "https://x:1/p@th"
    with pytest.raises(ConfigProblem) as caught:
        read(lab, server="ftp://me:pw@x")
    assert "pw" not in caught.value.message


def test_representations_hold_no_secret(lab: Path) -> None:
    flags = KubeFlags(kubeconfig=str(lab), token="sesame", proxy_url="http://u:sesame@p:1")
    assert "sesame" not in repr(flags) + repr(access_from(flags, {}))
