"""TLS as client-go does it: whom to trust, who we are, and what a failure means in words."""

from __future__ import annotations

import contextlib
import os
import ssl
from pathlib import Path

from kubectl_netdebug.kube.errors import ConfigProblem, CredentialProblem


def context_for(
    authority: bytes | None,
    *,
    insecure: bool,
    certificate: bytes | None = None,
    key: bytes | None = None,
) -> ssl.SSLContext:
    """A client context. `authority`, `certificate` and `key` are PEM; no authority means the system's.

    Raises ConfigProblem on an unreadable authority, CredentialProblem on an unusable client certificate.
    """
    # Not ssl.create_default_context(): it always loads the system's trust store, which takes longer than the
    # rest of a connection, and from Python 3.13 on it refuses authorities that many clusters have.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    context.hostname_checks_common_name = False
    # Go accepts any certificate it was told to trust as an anchor, self-signed or not.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif authority is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _trust(context, authority)
    if certificate is not None and key is not None:
        _present(context, certificate, key)
    return context


def explain(problem: ssl.SSLError | ssl.CertificateError, host: str) -> str:
    """One clause that says what is wrong with a TLS handshake and what to look at."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        return _explain_verification(problem, host)
    reason = (getattr(problem, "reason", None) or str(problem)).upper()
    if "WRONG_VERSION_NUMBER" in reason or "HTTP_REQUEST" in reason or "RECORD_LAYER_FAILURE" in reason:
        return "what answers there does not speak TLS: check the port, and whether the address begins with http://"
    if "EOF" in reason:
        return "the connection was closed during the TLS handshake: something between may cut TLS"
    return f"the TLS handshake failed ({reason.replace('_', ' ').lower()})"


def _explain_verification(problem: ssl.SSLCertVerificationError, host: str) -> str:
    detail = problem.verify_message or str(problem)
    if "mismatch" in detail or "is not valid for" in detail:
        return f"its certificate is for another name than {host}: --tls-server-name can say which name to expect"
    if "expired" in detail:
        return "its certificate has expired (or this machine's clock is wrong)"
    if "not yet valid" in detail:
        return "its certificate is not valid yet (or this machine's clock is wrong)"
    # A cluster made anew often has an authority of the same name with another key: a signature failure.
    if any(word in detail for word in ("self-signed", "self signed", "issuer", "signature")):
        return (
            "its certificate is signed by an authority that the kubeconfig does not trust: the cluster was made "
            "anew since the kubeconfig was written, or a proxy opens TLS on the way"
        )
    return f"its certificate does not verify ({detail})"


def _trust(context: ssl.SSLContext, authority: bytes) -> None:
    try:
        context.load_verify_locations(cadata=authority.decode("ascii"))
    except (ssl.SSLError, ValueError) as problem:
        raise ConfigProblem(f"The certificate authority is not a readable PEM certificate: {problem}.") from None


def _present(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """OpenSSL takes a client certificate from a file only, so there is one for the length of this call."""
    import tempfile  # only those with a client certificate pay for it

    directory = tempfile.mkdtemp(prefix="kubectl-netdebug-")  # 0700
    path = Path(directory) / "client.pem"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as stream:
            stream.write(certificate + b"\n" + key)
        # An empty password makes an encrypted key fail; otherwise OpenSSL would ask on the terminal.
        context.load_cert_chain(path, password="")
    except (ssl.SSLError, OSError) as problem:
        raise CredentialProblem(
            f"The client certificate cannot be used: certificate and key do not fit or are not PEM ({problem})."
        ) from None
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.rmdir(directory)
