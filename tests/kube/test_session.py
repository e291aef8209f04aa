from __future__ import annotations

import gzip
import json
import threading
import time
from typing import Any

import pytest

from kubectl_netdebug.kube.errors import (
    Conflict,
    CredentialProblem,
    Expired,
    Forbidden,
    Garbled,
    KubeError,
    NotFound,
    Rejected,
    ServerFault,
    Throttled,
    TimedOut,
    Unreachable,
)
from kubectl_netdebug.kube.flags import KubeFlags
from kubectl_netdebug.kube.session import Session
from tests.kube import fakeapi
from tests.kube.fakeapi import FakeApi, answer, status

PODS = "/api/v1/namespaces/default/pods"
WEB = f"{PODS}/web"


def pod(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "default", "name": name, "labels": labels}}


def session(api: FakeApi, **flags: Any) -> Session:
    return Session.open(KubeFlags(server=api.url, **flags))


def test_an_object(api: FakeApi) -> None:
    api.add(pod("web"))
    with session(api) as s:
        assert s.get(WEB)["metadata"]["name"] == "web"
        (call,) = s.calls
    assert (call.method, call.path, call.status) == ("GET", WEB, 200)
    assert call.bytes > 0


def test_opening_speaks_to_nobody() -> None:
    with Session.open(KubeFlags(server="https://192.0.2.1:6443", namespace="shop")) as s:
        assert (s.server, s.namespace, s.calls) == ("https://192.0.2.1:6443", "shop", ())


def test_one_connection_serves_many_calls(api: FakeApi) -> None:
    api.add(pod("web"))
    sockets: set[int] = set()

    def note(asked: fakeapi.Asked, wire: fakeapi.Wire) -> None:
        sockets.add(wire.connection.getpeername()[1])
        wire.answer(200, b"{}")

    api.on(WEB, note)
    with session(api) as s:
        for _ in range(5):
            s.get(WEB)
    assert len(sockets) == 1


def test_a_kept_connection_that_has_died_is_replaced(api: FakeApi) -> None:
    def once(asked: fakeapi.Asked, wire: fakeapi.Wire) -> bool:
        wire.answer(200, b"{}")
        return False

    api.on(WEB, once)
    with session(api) as s:
        for _ in range(3):
            assert s.get(WEB) == {}


def test_identity_goes_with_each_request(api: FakeApi) -> None:
    api.on("/version", answer({}))
    with session(api, token="abc", as_user="bob", as_groups=("x", "y"), as_uid="7") as s:
        s.get("/version", {"a": "b c"})
    (asked,) = api.asked
    assert asked.header("authorization") == "Bearer abc"
    assert asked.headers_called("impersonate-group") == ["x", "y"]
    assert (asked.header("impersonate-user"), asked.header("impersonate-uid")) == ("bob", "7")
    assert (asked.header("user-agent") or "").startswith("kubectl-netdebug/")
    assert asked.query == (("a", "b c"),)


def test_a_server_below_a_path() -> None:
    with FakeApi() as api:
        api.on("/k8s/clusters/c-1/version", answer({"ok": 1}))
        with Session.open(KubeFlags(server=f"{api.url}/k8s/clusters/c-1/")) as s:
            assert s.get("/version") == {"ok": 1}


def test_packed_answers(api: FakeApi) -> None:
    api.on(WEB, answer(gzip.compress(b'{"a": 1}'), headers={"Content-Encoding": "gzip"}))
    with session(api) as s:
        assert s.get(WEB) == {"a": 1}


def test_a_packed_answer_cannot_burst(api: FakeApi) -> None:
    api.on(WEB, answer(gzip.compress(b" " * 5_000_000), headers={"Content-Encoding": "gzip"}))
    with session(api) as s, pytest.raises(Garbled, match="larger than"):
        s.get(WEB, most_bytes=1_000_000)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, Rejected),
        (401, CredentialProblem),
        (404, NotFound),
        (409, Conflict),
        (410, Expired),
        (422, Rejected),
        (429, Throttled),
        (500, ServerFault),
        (503, ServerFault),
    ],
)
def test_each_status_has_its_error(api: FakeApi, code: int, kind: type[KubeError]) -> None:
    api.on(WEB, status(code, "because \x1b[31m", {"Retry-After": "0"}))
    with session(api) as s, pytest.raises(kind) as caught:
        s.get(WEB)
    assert "because ␛[31m" in caught.value.message


RBAC = 'pods "web" is forbidden: User "bob" cannot get resource "pods/exec" in API group "" in the namespace "shop"'


def test_forbidden_says_what_is_missing(api: FakeApi) -> None:
    api.on(WEB, status(403, RBAC))
    with session(api) as s, pytest.raises(Forbidden) as caught:
        s.get(WEB)
    assert (caught.value.verb, caught.value.resource, caught.value.namespace) == ("get", "pods/exec", "shop")


def test_forbidden_in_other_words_is_told_from_the_path(api: FakeApi) -> None:
    api.on(f"{WEB}/log", answer(b"<html><h1>Go away</h1></html>", 403))
    with session(api) as s, pytest.raises(Forbidden, match="Go away") as caught:
        s.get(f"{WEB}/log")
    assert (caught.value.verb, caught.value.resource, caught.value.namespace) == ("get", "pods/log", "default")


def test_admission_is_no_missing_right(api: FakeApi) -> None:
    api.on(PODS, status(403, 'pods "x" is forbidden: violates PodSecurity "restricted:latest"'))
    with session(api) as s, pytest.raises(Rejected, match="PodSecurity"):
        s.send("POST", PODS, pod("x"))


def test_a_patch_says_its_type(api: FakeApi) -> None:
    api.on(WEB, answer({"patched": True}))
    with session(api) as s:
        kind = "application/strategic-merge-patch+json"
        assert s.send("PATCH", WEB, {"a": 1}, query={"dryRun": "All"}, content_type=kind) == {"patched": True}
    (asked,) = api.asked
    assert (asked.method, asked.json, asked.header("content-type")) == ("PATCH", {"a": 1}, kind)
    assert asked.first("dryRun") == "All"


@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_a_server_that_is_busy_is_asked_again(api: FakeApi, code: int) -> None:
    busy = status(code, headers={"Retry-After": "0"})
    api.on(WEB, busy, busy, answer({"ok": 1}))
    with session(api) as s:
        assert s.get(WEB) == {"ok": 1}
        assert [call.status for call in s.calls] == [code, code, 200]


def test_no_more_than_twice_again(api: FakeApi) -> None:
    api.on(WEB, status(503, headers={"Retry-After": "0"}))
    with session(api) as s, pytest.raises(ServerFault):
        s.get(WEB)
    assert len(api.asked) == 3


def test_a_wait_beyond_the_deadline_is_not_begun(api: FakeApi) -> None:
    api.on(WEB, status(429, headers={"Retry-After": "60"}))
    started = time.monotonic()
    with session(api) as s, pytest.raises(Throttled) as caught:
        s.get(WEB, deadline=5)
    assert caught.value.retry_after == 60
    assert time.monotonic() - started < 2


def test_a_write_is_never_repeated(api: FakeApi) -> None:
    api.on(PODS, status(503, headers={"Retry-After": "0"}))
    with session(api) as s, pytest.raises(ServerFault):
        s.send("POST", PODS, pod("x"))
    assert len(api.asked) == 1


@pytest.mark.parametrize("behaviour", [fakeapi.hang, fakeapi.drip, fakeapi.drip_head])
def test_the_deadline_is_by_the_clock(api: FakeApi, behaviour: fakeapi.Behaviour) -> None:
    api.on(WEB, behaviour)
    started = time.monotonic()
    with session(api) as s, pytest.raises(TimedOut):
        s.get(WEB, deadline=0.2)
    assert time.monotonic() - started < 1.5


def test_request_timeout_is_the_default_deadline(api: FakeApi) -> None:
    api.on(WEB, fakeapi.hang)
    with session(api, request_timeout=0.1) as s, pytest.raises(TimedOut):
        s.get(WEB)


@pytest.mark.parametrize("behaviour", [fakeapi.cut, fakeapi.cut_chunk, fakeapi.garbage])
def test_what_is_cut_or_no_http_is_garbled(api: FakeApi, behaviour: fakeapi.Behaviour) -> None:
    api.on(WEB, behaviour)
    with session(api) as s, pytest.raises(Garbled):
        s.get(WEB)


def test_a_connection_closed_without_a_word(api: FakeApi) -> None:
    api.on(WEB, fakeapi.drop)
    with session(api) as s, pytest.raises(Unreachable) as caught:
        s.get(WEB)
    assert caught.value.cause == "reset"


def test_size_is_bound(api: FakeApi) -> None:
    api.on(WEB, fakeapi.huge(2_000_000))
    with session(api) as s, pytest.raises(Garbled, match="larger than"):
        s.get(WEB, most_bytes=1_000_000)


@pytest.mark.parametrize("body", [b"[]", b"1", b"", b"<html>login</html>"])
def test_what_is_no_object_is_garbled(api: FakeApi, body: bytes) -> None:
    api.on(WEB, answer(body))
    with session(api) as s, pytest.raises(Garbled):
        s.get(WEB)


def test_objects_are_cleaned_on_entry(api: FakeApi) -> None:
    api.on(WEB, answer({"kind": "Secret", "data": {"k": "djE="}, "m": "\x1b]0;x\x07"}))
    with session(api) as s:
        assert s.get(WEB) == {"kind": "Secret", "data": {"k": None}, "m": "␛]0;x␇"}


def test_a_list_over_many_pages(api: FakeApi) -> None:
    api.add(*(pod(f"p{n}") for n in range(7)))
    with session(api) as s:
        result = s.list("/api/v1/pods", limit=3)
    assert [item["metadata"]["name"] for item in result.items] == [f"p{n}" for n in range(7)]
    assert result.complete
    assert result.resource_version == "1"
    assert [asked.first("continue") for asked in api.asked] == ["", "3", "6"]


@pytest.mark.parametrize(("most", "complete"), [(4, False), (7, True), (9, True)])
def test_a_list_up_to_a_number(api: FakeApi, most: int, complete: bool) -> None:
    api.add(*(pod(f"p{n}") for n in range(7)))
    with session(api) as s:
        result = s.list(PODS, {"labelSelector": ""}, limit=3, most=most)
    assert (len(result.items), result.complete) == (min(most, 7), complete)


def test_a_list_starts_again_once_when_its_position_expired(api: FakeApi) -> None:
    first = answer({"items": [pod("a")], "metadata": {"continue": "x"}})
    last = answer({"items": [pod("b")], "metadata": {}})
    api.on(PODS, first, status(410), first, last)
    with session(api) as s:
        assert len(s.list(PODS).items) == 2
    api.on(PODS, first, status(410), first, status(410))
    with session(api) as s, pytest.raises(Expired):
        s.list(PODS)


def test_a_list_without_end_is_noticed(api: FakeApi) -> None:
    api.on(PODS, answer({"items": [], "metadata": {"continue": "x"}}))
    with session(api) as s, pytest.raises(Garbled, match="repeats"):
        s.list(PODS)


def test_null_means_an_empty_list(api: FakeApi) -> None:
    api.on(PODS, answer({"items": None, "metadata": None}))
    with session(api) as s:
        assert s.list(PODS).items == ()


@pytest.mark.parametrize("content", [{"items": {}}, {"items": [1]}, {"metadata": []}])
def test_a_list_of_a_wrong_shape(api: FakeApi, content: dict[str, Any]) -> None:
    api.on(PODS, answer(content))
    with session(api) as s, pytest.raises(Garbled):
        s.list(PODS)


def test_logs_are_cut_and_sanitised(api: FakeApi) -> None:
    api.on(f"{WEB}/log", answer(b"\x1b[1m" + b"x" * 1_000, headers={"Content-Type": "text/plain"}))
    with session(api) as s:
        assert s.get_text(f"{WEB}/log", {"tailLines": "5"}, most_bytes=10) == "␛[1mxxxxxx"


def test_rights_are_asked_once(api: FakeApi) -> None:
    seen = []

    def may(attributes: dict[str, Any]) -> bool:
        seen.append(attributes)
        return bool(attributes["verb"] == "get")

    api.may = may
    with session(api) as s:
        assert s.may("get", "pods", subresource="exec", namespace="shop")
        assert s.may("get", "pods", subresource="exec", namespace="shop")
        assert not s.may("create", "pods", group="apps")
    assert seen == [
        {"verb": "get", "resource": "pods", "subresource": "exec", "namespace": "shop"},
        {"verb": "create", "resource": "pods", "group": "apps"},
    ]


def test_an_access_review_that_says_nothing(api: FakeApi) -> None:
    api.on("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", answer({"status": {}}, 201))
    with session(api) as s, pytest.raises(Garbled):
        s.may("get", "pods")


def test_many_threads_share_a_session(api: FakeApi) -> None:
    api.add(*(pod(f"p{n}") for n in range(20)))
    names: list[str] = []
    with session(api) as s:

        def read(n: int) -> None:
            names.append(s.get(f"{PODS}/p{n}")["metadata"]["name"])

        threads = [threading.Thread(target=read, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(names) == sorted(f"p{n}" for n in range(20))
        assert len(s.calls) == 20


def test_hostile_names_cannot_leave_their_path(api: FakeApi) -> None:
    with session(api) as s:
        for name in ("a b", "a\r\nX: y", "ä", "a?b#c", "%2e%2e/%2e%2e", "\ud800"):
            with pytest.raises(NotFound):
                s.get(f"{PODS}/{name}")
    assert all(asked.query == () for asked in api.asked)


def test_secrets_stay_out_of_representations() -> None:
    flags = KubeFlags(server="https://me:pw@x", token="sesame")
    with Session.open(flags) as s:
        assert "pw" not in s.server
        assert "sesame" not in json.dumps(repr(s.__dict__))
