"""Error messages of real programs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.net.complaint import Complaint, understand


@pytest.mark.parametrize(
    ("text", "kind", "host", "port"),
    [
        ("dial tcp 10.96.14.7:80: connect: connection refused", Complaint.REFUSED, "10.96.14.7", "80"),
        ("dial tcp [2001:db8::1]:443: i/o timeout", Complaint.TIMEOUT, "2001:db8::1", "443"),
        (
            "read tcp 10.244.1.5:41234->10.96.0.1:443: read: connection reset by peer",
            Complaint.RESET,
            "10.96.0.1",
            "443",
        ),
        ("dial tcp: lookup orders on 10.96.0.10:53: no such host", Complaint.NAME, "orders", ""),
        ("curl: (6) Could not resolve host: orders.shop", Complaint.NAME, "orders.shop", ""),
        (
            "curl: (7) Failed to connect to orders port 8080 after 2 ms: Connection refused",
            Complaint.REFUSED,
            "orders",
            "8080",
        ),
        ("getaddrinfo ENOTFOUND db.shop.svc", Complaint.NAME, "db.shop.svc", ""),
        ("connect ECONNREFUSED 10.0.0.5:5432", Complaint.REFUSED, "10.0.0.5", "5432"),
        (
            'Get "https://example.com:8443/x": x509: certificate signed by unknown authority',
            Complaint.CERTIFICATE,
            "example.com",
            "8443",
        ),
        ("ssl.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number", Complaint.NOT_TLS, "", ""),
        ("upstream returned HTTP/1.1 503 Service Unavailable", Complaint.HTTP, "", ""),
        ("wget: can't connect to remote host (10.96.3.4): No route to host", Complaint.NO_ROUTE, "10.96.3.4", ""),
        (
            'pods is forbidden: User "system:serviceaccount:shop:cart" cannot list resource "pods"',
            Complaint.FORBIDDEN,
            "",
            "",
        ),
        ("context deadline exceeded", Complaint.TIMEOUT, "", ""),
        ("it does not work", Complaint.UNKNOWN, "", ""),
        ("", Complaint.UNKNOWN, "", ""),
    ],
)
def test_what_programs_say(text: str, kind: Complaint, host: str, port: str) -> None:
    said = understand(text)

    assert (said.complaint, said.host, said.port) == (kind, host, port)


@given(st.text())
def test_any_text_is_understood_somehow(text: str) -> None:
    assert understand(text).complaint.means
