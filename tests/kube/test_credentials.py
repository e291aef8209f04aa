from __future__ import annotations

import base64
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kubectl_netdebug.kube import oidc, plugin
from kubectl_netdebug.kube.access import Access, AuthProvider, ExecPlugin, Identity
from kubectl_netdebug.kube.credentials import Credentials
from kubectl_netdebug.kube.errors import ConfigProblem, CredentialProblem
from kubectl_netdebug.kube.flags import KubeFlags
from kubectl_netdebug.kube.resolve import access_from
from kubectl_netdebug.kube.session import Session
from tests.kube.fakeapi import Asked, FakeApi, answer

V1 = "client.authentication.k8s.io/v1"
EXEC = "/api/v1/namespaces/d/pods/p/exec"


def credential(token: str = "printed", expires: float | None = None, **status: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {"token": token, **status}
    if expires is not None:
        fields["expirationTimestamp"] = datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"kind": "ExecCredential", "apiVersion": V1, "status": fields}


def script(directory: Path, body: str, **stanza: Any) -> dict[str, Any]:
    """A user entry whose plugin is a shell script; it notes each run in the file `runs`."""
    path = directory / "login"
    path.write_text(f"#!/bin/sh\necho run >> {directory}/runs\n{body}\n")
    path.chmod(0o700)
    return {"exec": {"apiVersion": V1, "interactiveMode": "Never", "command": "./login", **stanza}}


def prints(content: Any) -> str:
    return f"cat <<'END'\n{json.dumps(content)}\nEND"


def runs(directory: Path) -> int:
    return len((directory / "runs").read_text().splitlines())


def session(api: FakeApi, directory: Path, user: dict[str, Any], **cluster: Any) -> Session:
    return Session.open(KubeFlags(kubeconfig=str(api.kubeconfig(directory, user, **cluster))))


@pytest.fixture
def open_api(api: FakeApi) -> FakeApi:
    api.on("/version", answer({}))
    return api


def test_a_plugin_runs_once_and_its_token_is_used(open_api: FakeApi, tmp_path: Path) -> None:
    user = script(tmp_path, prints(credential(expires=time.time() + 3600)))
    with session(open_api, tmp_path, user) as s:
        s.get("/version")
        s.get("/version")
    assert [asked.header("authorization") for asked in open_api.asked] == ["Bearer printed"] * 2
    assert runs(tmp_path) == 1


def credentials(api: FakeApi, directory: Path, user: dict[str, Any], clock: list[float]) -> Credentials:
    """Credentials whose clock shows the first item of `clock`."""
    access = access_from(KubeFlags(kubeconfig=str(api.kubeconfig(directory, user))), {})
    return Credentials(access, interactive=True, clock=lambda: clock[0])


@pytest.mark.parametrize(("expires", "renewed"), [(3_000.0, 2_991.0), (900.0, 1_031.0)])
def test_an_expired_token_is_renewed(api: FakeApi, tmp_path: Path, expires: float, renewed: float) -> None:
    """Ten seconds before its time; one that was old when it came (a wrong clock) serves for half a minute."""
    clock = [1_000.0]
    held = credentials(api, tmp_path, script(tmp_path, prints(credential(expires=expires))), clock)
    for moment in (1_000.0, renewed - 2, renewed, renewed):
        clock[0] = moment
        assert held.proof().authorization == "Bearer printed"
    assert runs(tmp_path) == 2


def test_a_refused_token_is_renewed_once(api: FakeApi, tmp_path: Path) -> None:
    api.require = lambda asked: asked.header("authorization") == "Bearer 2"
    counting = f"n=$(wc -l < {tmp_path}/runs)\n" + prints(credential("N")).replace('"N"', "\"'$n'\"")
    counting = counting.replace("cat <<'END'", "cat <<END").replace("'$n'", "$(echo $n)")
    api.add({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})
    with session(api, tmp_path, script(tmp_path, counting)) as s:
        assert s.get("/api/v1/nodes/n")["kind"] == "Node"
        assert [call.status for call in s.calls] == [401, 200]
    assert runs(tmp_path) == 2


def test_a_token_that_stays_refused_is_an_error(api: FakeApi, tmp_path: Path) -> None:
    api.require = lambda asked: False
    with session(api, tmp_path, script(tmp_path, prints(credential()))) as s:
        with pytest.raises(CredentialProblem):
            s.get("/version")
        assert len(s.calls) == 1, "the same token again would be refused again"
    assert runs(tmp_path) == 2


def test_exec_renews_too(api: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("old\n")

    def require(asked: Asked) -> bool:
        (tmp_path / "token").write_text("new\n")
        return asked.header("authorization") == "Bearer new"

    api.require = require
    api.exec = lambda stream: stream.exit(0)
    with session(api, tmp_path, {"tokenFile": "token"}) as s:
        assert s.exec("d", "p", None, ["true"]).outcome == "exited"
        assert [call.status for call in s.calls] == [401, 101]


def test_what_a_plugin_is_told(open_api: FakeApi, tmp_path: Path) -> None:
    body = f'printf %s "$KUBERNETES_EXEC_INFO" > {tmp_path}/info; echo "$EXTRA:$1" > {tmp_path}/rest\n'
    user = script(
        tmp_path,
        body + prints(credential()),
        provideClusterInfo=True,
        env=[{"name": "EXTRA", "value": "e"}],
        args=["first"],
    )
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}
    with session(open_api, tmp_path, user, extensions=[extension]) as s:
        s.get("/version")
    info = json.loads((tmp_path / "info").read_text())
    assert (info["apiVersion"], info["kind"]) == (V1, "ExecCredential")
    assert info["spec"] == {"interactive": False, "cluster": {"server": open_api.url, "config": {"audience": "a"}}}
    assert (tmp_path / "rest").read_text() == "e:first\n"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("echo 'please log in \x1b[1m' >&2; exit 3", r"exit code 3.*please log in ␛\[1m"),
        ("echo no json", "printed something unusable"),
        (prints({"kind": "ExecCredential", "apiVersion": "other", "status": {}}), "instead of"),
        (prints({"kind": "ExecCredential", "apiVersion": V1}), "no status"),
        (prints({"kind": "ExecCredential", "apiVersion": V1, "status": {"token": ""}}), "neither a token"),
        (prints(credential(clientCertificateData="x")), "without a key"),
        (prints(credential(expirationTimestamp="soon")), "unusable"),
        (prints(credential("täg")), "characters that no token has"),
    ],
)
def test_a_plugin_that_fails_says_so(open_api: FakeApi, tmp_path: Path, body: str, says: str) -> None:
    with session(open_api, tmp_path, script(tmp_path, body)) as s, pytest.raises(CredentialProblem, match=says):
        s.get("/version")
    assert open_api.asked == []


def test_a_missing_plugin_says_how_to_get_it(open_api: FakeApi, tmp_path: Path) -> None:
    stanza = {"apiVersion": V1, "command": "no-such-login", "installHint": "Install it\nwith brew"}
    with (
        session(open_api, tmp_path, {"exec": stanza}) as s,
        pytest.raises(CredentialProblem, match=r"not installed\. Install it with brew"),
    ):
        s.get("/version")


def test_a_plugin_that_hangs_is_ended(open_api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "PLUGIN_SECONDS", 0.3)
    started = time.monotonic()
    with (
        session(open_api, tmp_path, script(tmp_path, "echo waiting >&2; sleep 60 & wait")) as s,
        pytest.raises(CredentialProblem, match=r"did not finish.*waiting"),
    ):
        s.get("/version")
    assert time.monotonic() - started < 5


def test_an_unknown_version_and_a_plugin_that_must_ask(open_api: FakeApi, tmp_path: Path) -> None:
    old = script(tmp_path, "", apiVersion="client.authentication.k8s.io/v1alpha1")
    with session(open_api, tmp_path, old) as s, pytest.raises(ConfigProblem, match="v1alpha1"):
        s.get("/version")
    asking = script(tmp_path, "", interactiveMode="Always")
    with session(open_api, tmp_path, asking) as s, pytest.raises(CredentialProblem, match="in a terminal"):
        s.get("/version")


def test_a_plugin_cannot_read_from_us(open_api: FakeApi, tmp_path: Path) -> None:
    body = f"cat > {tmp_path}/input; test -t 0 && exit 9\n" + prints(credential())
    with session(open_api, tmp_path, script(tmp_path, body)) as s:
        s.get("/version")
    assert (tmp_path / "input").read_text() == ""


def test_a_frozen_build_gives_back_the_library_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    login = ExecPlugin(V1, "x", env=(("A", "b"),))
    inherited = {"LD_LIBRARY_PATH": "/bundle", "LD_LIBRARY_PATH_ORIG": "/usr/mine", "PATH": "/bin"}
    assert plugin.plugin_environment(login, "{}", inherited) == {
        "LD_LIBRARY_PATH": "/usr/mine",
        "PATH": "/bin",
        "A": "b",
        "KUBERNETES_EXEC_INFO": "{}",
    }
    assert "LD_LIBRARY_PATH" not in plugin.plugin_environment(login, "{}", {"LD_LIBRARY_PATH": "/bundle"})


def test_an_extension_that_is_no_plain_data() -> None:
    circle: list[Any] = []
    circle.append(circle)
    access = Access("https://x", "d", Identity())
    login = ExecPlugin(V1, "x", provide_cluster_info=True, cluster_config=circle)
    with pytest.raises(ConfigProblem, match="not plain data"):
        plugin.exec_info(login, access, interactive=False)


def test_a_token_file_goes_before_the_token(open_api: FakeApi, tmp_path: Path) -> None:
    user = {"token": "inline", "tokenFile": "token"}
    with session(open_api, tmp_path, user) as s:
        s.get("/version")
    (tmp_path / "token").write_text("from-file\n")
    with session(open_api, tmp_path, user) as s:
        s.get("/version")
    assert [asked.header("authorization") for asked in open_api.asked] == ["Bearer inline", "Bearer from-file"]


def test_a_token_file_that_is_not_there(open_api: FakeApi, tmp_path: Path) -> None:
    with (
        session(open_api, tmp_path, {"tokenFile": "gone"}) as s,
        pytest.raises(CredentialProblem, match="No such file"),
    ):
        s.get("/version")


def test_basic_authentication(open_api: FakeApi, tmp_path: Path) -> None:
    with session(open_api, tmp_path, {"username": "me", "password": "pä:ss"}) as s:
        s.get("/version")
    value = open_api.asked[0].header("authorization") or ""
    assert base64.b64decode(value.removeprefix("Basic ")).decode() == "me:pä:ss"


def jwt(expires: float) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expires}).encode()).decode().rstrip("=")
    return f"e30.{claims}.sig"


def test_an_oidc_token_that_is_still_good(open_api: FakeApi, tmp_path: Path) -> None:
    token = jwt(time.time() + 600)
    user = {"auth-provider": {"name": "oidc", "config": {"id-token": token}}}
    with session(open_api, tmp_path, user) as s:
        s.get("/version")
    assert open_api.asked[0].header("authorization") == f"Bearer {token}"


@pytest.mark.parametrize(
    ("provider", "kind", "says"),
    [
        (AuthProvider("gcp", {}), ConfigProblem, "gke-gcloud-auth-plugin"),
        (AuthProvider("azure", {}), ConfigProblem, "kubelogin"),
        (AuthProvider("", {}), ConfigProblem, "no longer supports"),
        (AuthProvider("oidc", {"id-token": jwt(1)}), CredentialProblem, "has expired and there is no refresh-token"),
        (AuthProvider("oidc", {}), CredentialProblem, "is missing"),
        (
            AuthProvider("oidc", {"id-token": jwt(1), "refresh-token": "r", "idp-issuer-url": "http://127.0.0.1:1"}),
            CredentialProblem,
            "could not be renewed",
        ),
    ],
)
def test_providers_without_a_token(provider: AuthProvider, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        oidc.provider_token(provider, "me")


def test_an_expired_oidc_token_is_renewed_at_its_issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    renewed = jwt(time.time() + 600)
    with FakeApi() as issuer:
        issuer.on("/.well-known/openid-configuration", answer({"token_endpoint": f"{issuer.url}/token"}))
        tokens = {"id_token": renewed, "refresh_token": "r2", "access_token": "a", "token_type": "Bearer"}
        issuer.on("/token", answer(tokens))
        config = {"idp-issuer-url": issuer.url, "client-id": "c", "refresh-token": "r", "id-token": jwt(1)}
        assert oidc.provider_token(AuthProvider("oidc", config), "me") == renewed
    assert os.environ["OAUTHLIB_INSECURE_TRANSPORT"] == "1"


def test_a_slow_login_does_not_count_for_the_call(open_api: FakeApi, tmp_path: Path) -> None:
    user = script(tmp_path, "sleep 0.3\n" + prints(credential()))
    with session(open_api, tmp_path, user) as s:
        assert s.get("/version", deadline=0.25) == {}
    with session(open_api, tmp_path, user) as s:
        s.log_in()
        assert runs(tmp_path) == 2
        assert s.calls == ()


def test_only_the_first_login_may_ask(api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "_has_terminal", lambda: True)
    body = f'echo "$KUBERNETES_EXEC_INFO" >> {tmp_path}/infos\n' + prints(credential(expires=2_000))
    clock = [1_000.0]
    held = credentials(api, tmp_path, script(tmp_path, body, interactiveMode="IfAvailable"), clock)
    held.proof()
    clock[0] = 3_000.0
    held.proof()
    infos = [json.loads(line) for line in (tmp_path / "infos").read_text().splitlines()]
    assert [info["spec"]["interactive"] for info in infos] == [True, False]
