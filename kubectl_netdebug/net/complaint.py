"""What an error message of a program says: which kind of failure, and against which name, address or port. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

LONGEST = 20_000
"""Characters that are read; a log pasted whole is cut."""


class Complaint(StrEnum):
    """The kind of failure that the words speak of."""

    REFUSED = "refused"
    TIMEOUT = "timeout"
    NO_ROUTE = "no-route"
    RESET = "reset"
    NAME = "name"
    CERTIFICATE = "certificate"
    NOT_TLS = "not-tls"
    HTTP = "http"
    FORBIDDEN = "forbidden"
    UNKNOWN = "unknown"

    @property
    def means(self) -> str:
        """One sentence for the person."""
        return _MEANS[self]


_MEANS = {
    Complaint.REFUSED: "Something answered and said no: the address is reached, and nothing listens there.",
    Complaint.TIMEOUT: "Nothing answered at all: the packet or its answer is dropped on the way.",
    Complaint.NO_ROUTE: "The network says that nobody has that address, or that there is no way to it.",
    Complaint.RESET: "The connection was accepted and then broken off: often TLS against plain text.",
    Complaint.NAME: "The name could not be turned into an address: this is DNS, no connection was tried yet.",
    Complaint.CERTIFICATE: "The connection stands, and the client does not trust the certificate for that name.",
    Complaint.NOT_TLS: "One side speaks TLS and the other does not.",
    Complaint.HTTP: "An HTTP server or proxy answered; the connection as such works up to there.",
    Complaint.FORBIDDEN: "The API server answered and does not let this identity do it.",
    Complaint.UNKNOWN: "These words do not say which part failed.",
}

_WORDS = (
    (
        Complaint.NAME,
        *("no such host", "NXDOMAIN", "name or service not known", "temporary failure in name resolution"),
        *("could not resolve", "EAI_AGAIN", "ENOTFOUND", "getaddrinfo", "UnknownHostException", "SERVFAIL"),
        *("bad address", r"lookup \S+ on", "nodename nor servname"),
    ),
    (
        Complaint.CERTIFICATE,
        *("x509", "certificate", "CERT_", "unable to get local issuer", "self[- ]signed", "PKIX", "SSLHandshake"),
    ),
    (
        Complaint.NOT_TLS,
        *("wrong version number", "first record does not look like a TLS", "plain HTTP request was sent"),
        *("HTTP request to an HTTPS server", "server gave HTTP response to HTTPS client", "packet length too long"),
    ),
    (
        Complaint.FORBIDDEN,
        *("is forbidden: User", "Unauthorized", "provide credentials", r"system:serviceaccount:\S+ cannot"),
    ),
    (Complaint.REFUSED, "connection refused", "ECONNREFUSED", "actively refused"),
    (
        Complaint.NO_ROUTE,
        *("no route to host", "network is unreachable", "EHOSTUNREACH", "ENETUNREACH", "host is unreachable"),
    ),
    (
        Complaint.RESET,
        *("connection reset", "ECONNRESET", "broken pipe", "EPIPE", "unexpected EOF", "empty reply", "socket hang up"),
    ),
    (
        Complaint.TIMEOUT,
        *("i/o timeout", "timed? ?out", "ETIMEDOUT", "deadline exceeded", "context deadline", r"Client\.Timeout"),
    ),
    (
        Complaint.HTTP,
        *(r"\b(?:HTTP(?:/\d(?:\.\d)?)? ?|status(?: code)?:? ?)[45]\d\d\b", r"\b50[234]\b", "bad gateway"),
        *("service unavailable", "gateway time-?out"),
    ),
)
_KINDS = tuple((kind, re.compile("|".join(words), re.I)) for kind, *words in _WORDS)


@dataclass(frozen=True)
class Said:
    """What was understood. `host` and `port` are the far end, '' where the words name none."""

    complaint: Complaint
    host: str = ""
    port: str = ""
    scheme: str = ""


def understand(text: str) -> Said:
    """Reads an error message or a piece of a log."""
    text = text[:LONGEST]
    kind = next((kind for kind, pattern in _KINDS if pattern.search(text)), Complaint.UNKNOWN)
    scheme, host, port = _far_end(text, kind)
    return Said(kind, host, port, scheme)


_HOST = r"[A-Za-z0-9_](?:[-A-Za-z0-9_.]{0,251}[A-Za-z0-9_])?"
_PORT = r"\d{1,5}"


_PLACES = (
    rf"->\[?([0-9a-fA-F:.]+?)\]?:({_PORT})\b",
    rf"\bdial (?:tcp|udp)[46]? \[?({_HOST}|[0-9a-fA-F:]+)\]?:({_PORT})\b",
    rf"(?:ENOTFOUND|EAI_AGAIN|bad address) [\"']?({_HOST})[\"']?()",
    rf"remote host \(({_HOST})\)()",
    rf"(?:connect to|resolve host:) [\"'(]?({_HOST})[\"')]?(?:[: ](?:port )?({_PORT}))?\b",
    rf"\b({_HOST}\.{_HOST}):({_PORT})\b",
)
"""Where programs name the far end, the surest first; groups: host, port."""


def _far_end(text: str, kind: Complaint) -> tuple[str, str, str]:
    """(scheme, host, port). In `lookup NAME on SERVER:53` the name is meant, and in `A->B` the far side."""
    looked_up = re.search(rf"lookup ({_HOST})\.?(?: on|:)", text)
    if kind is Complaint.NAME and looked_up:
        return "", looked_up[1], ""
    url = re.search(rf"\b(https?)://(\[[0-9a-fA-F:.]+\]|{_HOST})(?::({_PORT}))?", text)
    if url:
        return url[1], url[2].strip("[]"), url[3] or ""
    for pattern in _PLACES:
        found = re.search(pattern, text, re.I)
        if found and not found[1].isdecimal():
            return "", found[1], found[2] or ""
    return "", "", ""
