"""What a server said when it was spoken to: the views of the facts `Http`, `Tls` and `Lookup`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubectl_netdebug.model.objects import tree


@dataclass(frozen=True)
class HttpReply:
    """How one GET ended; `status` is 0 where no HTTP answer came."""

    outcome: str
    status: int
    reason: str
    body: str
    milliseconds: float
    first_byte: float = 0.0
    """Milliseconds from the request to the first byte of the answer."""

    @property
    def answered(self) -> bool:
        """The far side speaks HTTP/1."""
        return self.outcome == "answer"

    @property
    def good(self) -> bool:
        """A status that kubelet takes for success: 200 to 399."""
        return self.answered and 200 <= self.status < 400

    @property
    def nothing(self) -> bool:
        """Connected, and neither an answer nor an end of the connection within the time limit."""
        return self.outcome == "timed-out"

    @property
    def wants_tls(self) -> bool:
        """The complaint with which common servers meet plain HTTP on a TLS port (Go, nginx, Apache, Tomcat, Envoy)."""
        return self.status in (400, 497) and bool(_WANTS_TLS.search(f"{self.reason} {self.body}"))

    @property
    def words(self) -> str:
        """`HTTP 200 in 4 ms`."""
        if self.answered:
            return f"HTTP {self.status} in {self.milliseconds:.0f} ms"
        if self.outcome == "proxy":
            return f"the proxy says {self.status} {self.reason}" if self.status else f"the proxy: {self.reason}"
        return {"closed": "closed without an answer", "timed-out": "no answer", "not-http": "no HTTP"}.get(
            self.outcome, self.outcome
        )


_WANTS_TLS = re.compile(
    r"to an? https (server|port)|http request was sent to https|to an ssl[- ]enabled|requires tls", re.I
)


def read_reply(value: Any) -> HttpReply:
    """The view of an `Http` fact's value."""
    return HttpReply(
        outcome=tree.text(value, "outcome"),
        status=tree.number(value, "status"),
        reason=tree.text(value, "reason"),
        body=tree.text(value, "body"),
        milliseconds=_milliseconds(value),
        first_byte=_milliseconds(value, "firstByteMs"),
    )


@dataclass(frozen=True)
class Certificate:
    """What a certificate says of itself. `names` are its alternative names, `common_name` the old place for one."""

    subject: str
    issuer: str
    not_before: datetime | None
    not_after: datetime | None
    names: tuple[str, ...]
    self_signed: bool

    @property
    def common_name(self) -> str:
        """The CN of the subject, or ''."""
        found = re.search(r"(?:^|,)CN=((?:\\.|[^,\\])*)", self.subject)
        return found[1] if found else ""

    @property
    def all_names(self) -> tuple[str, ...]:
        """The alternative names; where there are none, the common name."""
        return self.names or ((self.common_name,) if self.common_name else ())


@dataclass(frozen=True)
class TlsAnswer:
    """How a handshake ended. `certificate` is the server's own, where one was shown."""

    outcome: str
    protocol: str
    alert: str
    certificate: Certificate | None
    milliseconds: float
    alpn: str = ""
    """The protocol that was agreed on inside, such as h2."""

    @property
    def speaks_tls(self) -> bool:
        """A handshake that was done, or refused in TLS's own words (a client certificate or a known name is wanted)."""
        return self.outcome in ("tls", "alert")

    @property
    def words(self) -> str:
        """`TLSv1.3 in 6 ms, certificate CN=…`."""
        if self.outcome == "tls":
            subject = f", certificate {self.certificate.subject}" if self.certificate else ""
            return f"{self.protocol} in {self.milliseconds:.0f} ms{subject}"
        return {
            "alert": f"TLS alert: {self.alert}",
            "not-tls": "no TLS",
            "closed": "closed during the handshake",
            "timed-out": "no answer to the handshake",
            "proxy": "the proxy gives no way through",
        }.get(self.outcome, self.outcome)


def read_tls(value: Any) -> TlsAnswer:
    """The view of a `Tls` fact's value."""
    first = next((c for c in tree.entries(value, "chain") if "broken" not in c), None)
    return TlsAnswer(
        outcome=tree.text(value, "outcome"),
        protocol=tree.text(value, "protocol"),
        alert=tree.text(value, "alert"),
        certificate=_certificate(first) if first else None,
        milliseconds=_milliseconds(value),
        alpn=tree.text(value, "alpn"),
    )


def _certificate(raw: Mapping[str, Any]) -> Certificate:
    return Certificate(
        subject=tree.text(raw, "subject"),
        issuer=tree.text(raw, "issuer"),
        not_before=tree.when(raw, "notBefore"),
        not_after=tree.when(raw, "notAfter"),
        names=tree.strings(raw, "names"),
        self_signed=tree.flag(raw, "selfSigned"),
    )


@dataclass(frozen=True)
class DnsAnswer:
    """How one DNS question ended. `rcode` is '' where no answer came; `truncated` means "ask again over TCP"."""

    outcome: str
    rcode: str
    addresses: tuple[str, ...]
    milliseconds: float = 0.0
    truncated: bool = False
    aliases: tuple[str, ...] = ()
    """Targets of the CNAME records in the answer, in its order."""

    @property
    def answered(self) -> bool:
        """The server gave an answer of any kind."""
        return self.outcome == "answer"

    @property
    def lost(self) -> bool:
        """Nothing came back within the time limit."""
        return self.outcome in ("timed-out", "silent")

    @property
    def no_such_name(self) -> bool:
        """NXDOMAIN: the server knows that there is no such name."""
        return self.rcode == "NXDOMAIN"

    @property
    def words(self) -> str:
        """The addresses, or why there are none."""
        if self.addresses:
            return ", ".join(self.addresses)
        if self.outcome == "refused":
            return "refused at once: nothing serves DNS there"
        if not self.answered:
            return "no answer from the name server"
        return "no address record" if self.rcode == "NOERROR" else self.rcode


def read_dns(value: Any) -> DnsAnswer:
    """The view of a `Lookup` fact's value."""
    records = list(tree.entries(value, "answers"))
    return DnsAnswer(
        outcome=tree.text(value, "outcome"),
        rcode=tree.text(value, "rcode"),
        addresses=tuple(tree.text(r, "data") for r in records if tree.text(r, "type") in ("A", "AAAA")),
        milliseconds=_milliseconds(value),
        truncated=tree.flag(value, "truncated"),
        aliases=tuple(tree.text(r, "data") for r in records if tree.text(r, "type") == "CNAME"),
    )


def _milliseconds(value: Any, name: str = "ms") -> float:
    found = tree.dig(value, name)
    return float(found) if isinstance(found, int | float) else 0.0
