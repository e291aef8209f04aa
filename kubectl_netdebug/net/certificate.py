"""What a certificate says, as plain data (X.509: RFC 5280)."""

from __future__ import annotations

from typing import Any

from kubectl_netdebug.net.text import sanitise

MOST_NAMES = 50


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
