"""What a certificate says, as plain data (X.509: RFC 5280)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Any

from kubectl_netdebug.net.text import sanitise

MOST_NAMES = 50
MOST_AUTHORITIES = 20
"""Certificates that are read from a bundle."""


def describe_certificate(der: bytes) -> dict[str, Any]:
    """`{"subject", "issuer", "notBefore", "notAfter", "names": [...], "selfSigned": bool}`, or `{"broken": why}`."""
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(der)
        return {
            "subject": sanitise(certificate.subject.rfc4514_string(), 300),
            "issuer": sanitise(certificate.issuer.rfc4514_string(), 300),
            "notBefore": certificate.not_valid_before_utc.isoformat(),
            "notAfter": certificate.not_valid_after_utc.isoformat(),
            "names": _names(certificate),
            "selfSigned": certificate.subject == certificate.issuer,
        }
    except ValueError as problem:
        return {"broken": sanitise(str(problem), 200)}


def _names(certificate: Any) -> list[str]:
    from cryptography import x509

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    names = extension.value.get_values_for_type(x509.DNSName)
    addresses = [str(address) for address in extension.value.get_values_for_type(x509.IPAddress)]
    return [sanitise(name, 300) for name in [*names, *addresses][:MOST_NAMES]]


def covers(names: list[str], wanted: str) -> bool:
    """Whether one of a certificate's names is the wanted one; a wildcard stands for exactly one label (RFC 6125)."""
    wanted = wanted.lower().rstrip(".")
    for name in (n.lower().rstrip(".") for n in names):
        if name == wanted:
            return True
        if name.startswith("*.") and "." in wanted and wanted.split(".", 1)[1] == name[2:]:
            return True
    return False


def issued_by(shown: Sequence[str], authorities: Sequence[str]) -> bool | None:
    """Whether the first certificate shown leads to one of the authorities, by way of the others shown.

    All are DER in base64; dates and names are not judged. None where nothing can be compared.
    """
    chain, trusted = _loaded(shown), _loaded(authorities)
    if not chain or not trusted:
        return None
    current = chain[0]
    for _ in range(len(chain) + 1):
        if current in trusted or any(_signed(current, by) for by in trusted):
            return True
        issuer = next((c for c in chain if c != current and _signed(current, c)), None)
        if issuer is None:
            return False
        current = issuer
    return False


def fingerprint(der: str) -> str:
    """The first bytes of a certificate's SHA-256, for people: `A1:B2:…`; '' for what is no certificate."""
    import hashlib

    try:
        digest = hashlib.sha256(base64.b64decode(der, validate=True)).hexdigest().upper()
    except (binascii.Error, ValueError):
        return ""
    return ":".join(digest[i : i + 2] for i in range(0, 16, 2)) + ":…"


def der_of(pem: str) -> list[str]:
    """The certificates in a PEM text, each as base64 DER; other kinds of blocks are passed over."""
    found = re.findall(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", pem, re.S)
    return ["".join(body.split()) for body in found][:MOST_AUTHORITIES]


def _loaded(certificates: Sequence[str]) -> list[Any]:
    from cryptography import x509

    loaded = []
    for each in certificates:
        try:
            loaded.append(x509.load_der_x509_certificate(base64.b64decode(each, validate=True)))
        except (binascii.Error, ValueError):
            continue
    return loaded


def _signed(certificate: Any, by: Any) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(by)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True
