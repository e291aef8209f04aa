"""The start of the frozen program: undoes what freezing changed around it, then runs the command line."""

from __future__ import annotations

import os
import ssl
import sys

AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep the authorities they trust: Debian, Red Hat, SUSE, Alpine and macOS."""


def trust_this_system() -> None:
    """OpenSSL looks for authorities where the machine kept them on which it was built."""
    known = ssl.get_default_verify_paths()
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR") or known.cafile or sys.platform == "win32":
        return
    found = next((path for path in AUTHORITIES if os.path.isfile(path)), None)
    if found:
        os.environ["SSL_CERT_FILE"] = found


def give_back_library_path() -> None:
    """Programs that we start must not load our libraries. The linker has read the variable already."""
    original = os.environ.get("LD_LIBRARY_PATH_ORIG")
    if original is not None:
        os.environ["LD_LIBRARY_PATH"] = original
    else:
        os.environ.pop("LD_LIBRARY_PATH", None)


if __name__ == "__main__":
    trust_this_system()
    give_back_library_path()
    from kubectl_netdebug.cli.main import main

    sys.exit(main())
