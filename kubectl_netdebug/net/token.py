"""What a ServiceAccount token claims (RFC 7519), without its signature and without the token itself."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.net.text import sanitise

MOST_AUDIENCES = 10


def claims_of(token: str) -> dict[str, Any] | None:
    """`{"issuer", "subject", "audiences", "expires", "issued", "notBefore", "account", "accountUid", "pod", "podUid"}`.

    Times are seconds since 1970, 0 where absent. None for what is no token.
    """
    parts = token.strip().split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    if not isinstance(claims, Mapping):
        return None
    bound = tree.dig(claims, "kubernetes.io")
    audiences = claims.get("aud")
    listed = [audiences] if isinstance(audiences, str) else audiences if isinstance(audiences, list) else []
    return {
        "issuer": _text(claims, "iss"),
        "subject": _text(claims, "sub"),
        "audiences": [sanitise(a, 300) for a in listed if isinstance(a, str)][:MOST_AUDIENCES],
        "expires": _seconds(claims, "exp"),
        "issued": _seconds(claims, "iat"),
        "notBefore": _seconds(claims, "nbf"),
        "account": _text(bound, "serviceaccount", "name") or _text(claims, _OLD + "service-account.name"),
        "accountUid": _text(bound, "serviceaccount", "uid") or _text(claims, _OLD + "service-account.uid"),
        "pod": _text(bound, "pod", "name"),
        "podUid": _text(bound, "pod", "uid"),
    }


_OLD = "kubernetes.io/serviceaccount/"
"""How tokens that are kept in Secrets name their claims."""


def _text(claims: Any, *path: str) -> str:
    return sanitise(tree.text(claims, *path), 300)


def _seconds(claims: Any, name: str) -> int:
    value = tree.dig(claims, name)
    fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11
    return int(value) if fits else 0


@dataclass(frozen=True)
class Claims:
    """The view of what `claims_of` gives."""

    issuer: str
    subject: str
    audiences: tuple[str, ...]
    expires: datetime | None
    issued: datetime | None
    not_before: datetime | None
    account: str
    account_uid: str
    pod: str
    pod_uid: str


def read_claims(value: Any) -> Claims | None:
    """None where there is no token."""
    if not isinstance(value, Mapping):
        return None
    return Claims(
        issuer=tree.text(value, "issuer"),
        subject=tree.text(value, "subject"),
        audiences=tree.strings(value, "audiences"),
        expires=_time(value, "expires"),
        issued=_time(value, "issued"),
        not_before=_time(value, "notBefore"),
        account=tree.text(value, "account"),
        account_uid=tree.text(value, "accountUid"),
        pod=tree.text(value, "pod"),
        pod_uid=tree.text(value, "podUid"),
    )


def _time(value: Any, name: str) -> datetime | None:
    seconds = tree.number(value, name)
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < 1e11 else None
