"""Pods and the API server: tokens without their secret, refusals in logs, certificates by signature, the way in."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.api_extensions import _DIAL, deaf_kubelet
from kubectl_netdebug.causes.api_rights import _REFUSED
from kubectl_netdebug.causes.api_view import LOG_LINES
from kubectl_netdebug.causes.mesh import mesh_of
from kubectl_netdebug.causes.webhook import _FAILED, _short
from kubectl_netdebug.kube.execution import ExecResult
from kubectl_netdebug.kube.rim import WITHHELD, admit
from kubectl_netdebug.model.facts import ApiCall, FactKey, Known, PodToken, Unknown, Why, answer_to_json
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import read_pod
from kubectl_netdebug.net.api_spoken import Rule, read_api_reply, read_mounted
from kubectl_netdebug.net.certificate import der_of, fingerprint, issued_by
from kubectl_netdebug.net.token import claims_of, read_claims
from kubectl_netdebug.vantage.api_calls import ApiVantage, _told
from tests.unit.anything import json_values

USER = "system:serviceaccount:shop:web"
SECRET = "s3cr3t-signature"


ESCAPED = (
    rf"deployments.apps \"web\" is forbidden: User \"{USER}\" cannot patch resource \"deployments/scale\" in API "
    r'group \"apps\" in the namespace \"shop\""'
)


def token(claims: dict[str, Any]) -> str:
    parts = (json.dumps({"alg": "RS256"}).encode(), json.dumps(claims).encode())
    return ".".join([*(base64.urlsafe_b64encode(p).decode().rstrip("=") for p in parts), SECRET])


CLAIMS = {
    "iss": "https://kubernetes.default.svc",
    "sub": "system:serviceaccount:shop:web",
    "aud": ["https://kubernetes.default.svc"],
    "exp": 1_800_000_000,
    "kubernetes.io": {"serviceaccount": {"name": "web", "uid": "u-1"}, "pod": {"name": "web-0", "uid": "p-1"}},
}


def test_the_claims_of_a_token_are_told_without_its_signature() -> None:
    told = claims_of(token(CLAIMS))
    assert SECRET not in json.dumps(told)
    claims = read_claims(told)
    assert claims is not None
    assert (claims.account, claims.account_uid, claims.pod) == ("web", "u-1", "web-0")
    assert claims.expires == datetime.fromtimestamp(1_800_000_000, UTC)


@pytest.mark.parametrize("odd", ["", "a.b", "a.b.c", "....", token({})[:-20] + "é", "x." + "!" * 50 + ".y"])
def test_what_is_no_token_has_no_claims_or_empty_ones(odd: str) -> None:
    told = claims_of(odd)
    assert told is None or told["account"] == ""


@given(json_values)
def test_any_claims_are_read(value: Any) -> None:
    body = base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    read_claims(claims_of(f"a.{body}.c"))
    read_claims(value)
    read_mounted(value)
    read_api_reply(value)


class _Session:
    """A session whose containers answer every command alike."""

    def __init__(self, result: ExecResult) -> None:
        self.result = result

    def exec(self, *words: Any, **more: Any) -> ExecResult:
        return self.result


def _exited(stdout: bytes, stderr: bytes = b"", code: int = 0) -> ExecResult:
    return ExecResult("exited", code, stdout, stderr, "")


KEY = PodToken("shop", "web-0", "app", "/var/run/secrets/kubernetes.io/serviceaccount")


def _asked(result: ExecResult) -> Any:
    return ApiVantage(_Session(result), None).token(KEY)  # type: ignore[arg-type]


def test_a_fact_about_a_token_never_holds_it() -> None:
    whole = token(CLAIMS)
    answer = _asked(_exited(whole.encode() + b"-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"))
    assert isinstance(answer, Known)
    written = json.dumps(answer_to_json(answer))
    assert SECRET not in written
    assert whole.split(".")[1] not in written
    assert answer.value["ca"] == ["QUJD"]


@pytest.mark.parametrize("result", [
    ExecResult("failed-to-start", None, b"", b"", "exec: cat: not found"),
    _exited(b"", b"sh: cat: not found", 127),
])  # fmt: skip
def test_an_image_without_cat_leaves_the_token_unknown(result: ExecResult) -> None:
    answer = _asked(result)
    assert isinstance(answer, Unknown)
    assert answer.why is Why.NO_TOOL
    assert answer.unlock


def test_a_folder_without_files_is_an_answer() -> None:
    answer = _asked(_exited(b"", b"cat: can't open 'x/token': No such file or directory", 1))
    assert answer == Known({"claims": None, "ca": []}, how="app")


def test_errors_of_a_token_read_do_not_quote_it() -> None:
    answer = _asked(ExecResult("timed-out", None, token(CLAIMS).encode(), b"", "no end"))
    assert isinstance(answer, Unknown)
    assert SECRET not in answer.says


def test_only_the_address_of_the_api_server_passes_the_rim() -> None:
    env = [{"name": "KUBERNETES_SERVICE_HOST", "value": "10.0.0.1"}, {"name": "KUBERNETES_TOKEN", "value": "x"}]
    admitted = admit(json.dumps({"env": env}))["env"]
    assert [each["value"] for each in admitted] == ["10.0.0.1", WITHHELD]


REFUSED = f'is forbidden: User "{USER}" cannot list resource'


@pytest.mark.parametrize(("line", "found"), [
    (f'pods {REFUSED} "pods" in API group "" in the namespace "shop"', ("", "list", "pods", "", "shop")),
    (ESCAPED, ("web", "patch", "deployments/scale", "apps", "shop")),
    (f'nodes {REFUSED} "nodes" in API group "" at the cluster scope', ("", "list", "nodes", "", "")),
])  # fmt: skip
def test_refusals_are_found_in_logs(line: str, found: tuple[str, ...]) -> None:
    match = _REFUSED.search(line)
    assert match is not None
    assert tuple(match[part] or "" for part in ("name", "verb", "resource", "group", "namespace")) == found


@pytest.mark.parametrize("line", [
    'admission webhook "guard.example" denied the request: no',
    'pods "web" is forbidden: violates PodSecurity "restricted:latest"',
    'pods "web" is forbidden: exceeded quota: q, requested: pods=1',
])  # fmt: skip
def test_other_ways_to_be_forbidden_are_no_refusals_of_rights(line: str) -> None:
    assert _REFUSED.search(line) is None


@given(st.text(max_size=400))
def test_logs_of_any_kind_are_searched(text: str) -> None:
    _REFUSED.search(text)
    _FAILED.search(text)
    _DIAL.search(text)


def test_rules_allow_what_they_say() -> None:
    rule = Rule(("get", "list"), ("",), ("pods", "*/status"), ())
    assert rule.allows("list", "", "pods")
    assert rule.allows("get", "", "nodes/status")
    assert not rule.allows("watch", "", "pods")
    assert not rule.allows("list", "apps", "pods")
    assert not rule.allows("get", "", "pods/log")
    assert not Rule(("get",), ("",), ("pods",), ("one",)).allows("get", "", "pods", "two")
    assert Rule(("*",), ("*",), ("*",), ()).allows("delete", "apps", "deployments")


def test_a_failed_webhook_is_told_in_short() -> None:
    message = (
        'Error creating: Internal error occurred: failed calling webhook "w.example": failed to call webhook: Post '
        '"https://w.shop.svc:443/?timeout=1s": dial tcp 10.0.0.1:443: connect: connection refused'
    )
    match = _FAILED.search(message)
    assert match is not None
    assert match["name"] == "w.example"
    assert _short(match["why"]) == "dial tcp 10.0.0.1:443: connect: connection refused"


def test_what_an_api_server_answers_is_cut_to_what_matters() -> None:
    body = {"kind": "SelfSubjectReview", "status": {"userInfo": {"username": "u", "uid": "1", "extra": {"x": ["y"]}}}}
    told = _told(json.dumps(body).encode())
    assert told["user"] == {"username": "u", "uid": "1"}
    assert "extra" not in json.dumps(told)
    assert _told(b"<html>") == {"message": "<html>"}


def test_calls_are_named_without_a_token() -> None:
    assert "token" not in json.dumps(ApiCall("shop", "web-0", "10.0.0.1", 443).to_json()).lower()


def _certificate(name: str, issuer: str, key: Any, signer: Any, *, authority: bool) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )


def _der(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()


def test_a_chain_leads_to_the_authority_that_signed_it_and_to_no_namesake() -> None:
    root, middle, leaf, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(4))
    top = _certificate("root", "root", root, root, authority=True)
    between = _certificate("middle", "root", middle, root, authority=True)
    server = _certificate("server", "middle", leaf, middle, authority=False)
    namesake = _certificate("root", "root", other, other, authority=True)
    assert issued_by([_der(server), _der(between)], [_der(top)]) is True
    assert issued_by([_der(server)], [_der(between)]) is True
    assert issued_by([_der(server)], [_der(top)]) is False
    assert issued_by([_der(server), _der(between)], [_der(namesake)]) is False
    assert issued_by([_der(top)], [_der(top)]) is True
    assert issued_by([], [_der(top)]) is None
    assert issued_by([_der(server)], ["no certificate"]) is None


def test_pem_is_read_and_told() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate("root", "root", key, key, authority=True)
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    assert der_of(f"text\n{pem}\n-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----") == [_der(certificate)]
    assert fingerprint(_der(certificate)).endswith(":…")
    assert fingerprint("no certificate") == ""


def _pod(containers: list[str], init: list[str], annotations: dict[str, str] | None = None) -> Any:
    def named(names: list[str]) -> list[dict[str, str]]:
        return [{"name": name} for name in names]

    return read_pod(
        {
            "metadata": {"name": "web", "namespace": "shop", "annotations": annotations or {}},
            "spec": {"containers": named(containers), "initContainers": named(init)},
        }
    )


def test_meshes_are_recognised_by_their_sidecar() -> None:
    plain = mesh_of(_pod(["app", "istio-proxy"], []))
    native = mesh_of(_pod(["app"], ["linkerd-init", "linkerd-proxy"]))
    assert plain is not None
    assert (plain.name, plain.native, plain.redirects) == ("Istio", False, False)
    assert native is not None
    assert (native.name, native.native, native.redirects) == ("Linkerd", True, True)
    assert mesh_of(_pod(["app", "proxy"], [])) is None
    assert mesh_of(None) is None


def _client() -> Any:
    return read_pod(
        {
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"containers": [{"name": "app"}], "nodeName": "node-1"},
        }
    )


@pytest.mark.parametrize(("says", "trust"), [
    ('Get "https://172.30.0.11:10250/containerLogs/shop/web/app": remote error: tls: internal error', True),
    ('Get "https://172.30.0.11:10250/containerLogs/shop/web/app": x509: certificate is valid for 10.0.0.1', True),
    ('Get "https://172.30.0.11:10250/containerLogs/x": dial tcp 172.30.0.11:10250: connect: no route to host', False),
])  # fmt: skip
def test_a_kubelet_that_cannot_be_asked_is_known_by_the_api_servers_words(says: str, trust: bool) -> None:
    facts: dict[FactKey, Known | Unknown] = {
        asks.log_of(_client(), "app", lines=LOG_LINES).key: Unknown(Why.ERROR, says),
        asks.pods_in("kube-system").key: Known({"items": [], "complete": True}),
    }
    deaf = deaf_kubelet(Look(facts), _client())
    assert deaf is not None
    assert (deaf.node, deaf.trust) == ("node-1", trust)


@pytest.mark.parametrize("unknown", [
    Unknown(Why.ERROR, 'container "app" in pod "web" is waiting to start: ContainerCreating'),
    Unknown(Why.FORBIDDEN, "you may not get pods/log"),
    Unknown(Why.TIMEOUT, "no answer within 10 s"),
])  # fmt: skip
def test_a_log_that_cannot_be_had_for_other_reasons_accuses_no_kubelet(unknown: Unknown) -> None:
    facts: dict[FactKey, Known | Unknown] = {
        asks.log_of(_client(), "app", lines=LOG_LINES).key: unknown,
        asks.pods_in("kube-system").key: Known({"items": [], "complete": True}),
    }
    assert deaf_kubelet(Look(facts), _client()) is None
