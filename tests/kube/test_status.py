from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.kube.errors import Forbidden, Garbled, KubeError, Unreachable
from kubectl_netdebug.kube.status import failure, retry_after
from kubectl_netdebug.kube.streams import ending

PATH = "/api/v1/namespaces/shop/pods/web/exec"
BODIES = st.binary(max_size=80) | st.builds(
    lambda value: json.dumps(value).encode(),
    st.dictionaries(st.sampled_from(["message", "reason", "details", "status"]), st.none() | st.text() | st.integers()),
)


@given(st.sampled_from(["GET", "POST", "X"]), st.text(), st.integers(100, 999), BODIES)
def test_any_answer_becomes_an_error_with_a_sentence(method: str, path: str, code: int, body: bytes) -> None:
    problem = failure(method, path, code, {}, body)
    assert isinstance(problem, KubeError)
    assert problem.message
    assert problem.message.isprintable() or set(problem.message) & {"\n", "\t"} or not problem.message.isascii()


@given(BODIES)
def test_any_message_on_the_last_channel_is_an_ending(data: bytes) -> None:
    assert ending(data).outcome in ("exited", "failed-to-start", "dropped")


@pytest.mark.parametrize(
    ("message", "verb", "resource", "namespace"),
    [
        ('User "u" cannot list resource "pods" in API group "" at the cluster scope', "list", "pods", None),
        ('User "u" cannot get path "/metrics"', "get", "/metrics", None),
        (
            'users "eve" is forbidden: User "u" cannot impersonate resource "users" in API group ""',
            "impersonate",
            "users",
            None,
        ),
        ("no", "get", "pods/exec", "shop"),
    ],
)
def test_what_is_forbidden(message: str, verb: str, resource: str, namespace: str | None) -> None:
    problem = failure("GET", PATH, 403, {}, json.dumps({"message": message}).encode())
    assert isinstance(problem, Forbidden)
    assert (problem.verb, problem.resource, problem.namespace) == (verb, resource, namespace)


def test_a_login_page_is_no_api_server() -> None:
    problem = failure("GET", PATH, 302, {}, b"<html><title>Sign in</title></html>")
    assert isinstance(problem, Garbled)
    assert "Sign in" in problem.message


def test_http_where_tls_is_spoken() -> None:
    problem = failure("GET", PATH, 400, {}, b"Client sent an HTTP request to an HTTPS server.\n")
    assert isinstance(problem, Unreachable)
    assert (problem.cause, "https://" in problem.message) == ("tls", True)


def test_an_api_group_that_is_not_served() -> None:
    problem = failure("GET", "/apis/x/v1/y", 404, {}, b"404 page not found\n")
    assert problem.message == "The API server has nothing at /apis/x/v1/y."


@pytest.mark.parametrize(
    ("value", "seconds"), [("5", 5), ("0", 0), ("", None), ("-1", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)]
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value}) == seconds
