"""kubectl's own connection flags, as data. Cheap to import: `--help` must not pay for a client."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_TERM = re.compile(rf"({_NUMBER})(ns|us|µs|μs|ms|s|m|h)")
_DURATION = re.compile(rf"(?:{_TERM.pattern})+")
_LONGEST_DURATION_TEXT = 64


@dataclass(frozen=True)
class KubeFlags:
    """The flags of `kubectl options` that decide where to connect and as whom; None means not given.

    `request_timeout` is in seconds; 0 means no limit, None means this program's default.
    """

    kubeconfig: str | None = None
    context: str | None = None
    cluster: str | None = None
    user: str | None = None
    namespace: str | None = None
    server: str | None = None
    token: str | None = field(default=None, repr=False)
    as_user: str | None = None
    as_groups: tuple[str, ...] = ()
    as_uid: str | None = None
    request_timeout: float | None = None
    insecure_skip_tls_verify: bool = False
    tls_server_name: str | None = None
    certificate_authority: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    proxy_url: str | None = field(default=None, repr=False)


def parse_duration(text: str) -> float:
    """Seconds in a duration as `--request-timeout` takes it: `10s`, `1m30s`, `1.5h`, or bare seconds.

    Raises ValueError with a sentence for the user.
    """
    written = text.strip()
    if len(written) <= _LONGEST_DURATION_TEXT:
        if re.fullmatch(_NUMBER, written, re.ASCII):
            return float(written)
        if _DURATION.fullmatch(written):
            return sum(float(amount) * _UNIT_SECONDS[unit] for amount, unit in _TERM.findall(written))
    shown = written[:_LONGEST_DURATION_TEXT]
    raise ValueError(f"{shown!r} is not a duration: write 10s, 1m30s, or seconds such as 5")
