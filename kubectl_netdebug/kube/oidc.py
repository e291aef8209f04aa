"""The `auth-provider` stanza: oidc works, through the kubernetes library; the others left kubectl in 1.26."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

from kubectl_netdebug.kube.access import AuthProvider
from kubectl_netdebug.kube.errors import ConfigProblem, CredentialProblem

_SUCCESSORS = {
    "gcp": "run `gke-gcloud-auth-plugin --version`, install it if needed, then `gcloud container clusters "
    "get-credentials`",
    "azure": "run `kubelogin convert-kubeconfig`",
}
_LEEWAY_SECONDS = 10.0


def provider_token(provider: AuthProvider, user: str) -> str:
    """A bearer token from an auth-provider; refreshes it over the network when it has expired.

    Raises ConfigProblem for a provider that kubectl does not know any more, CredentialProblem without a token.
    """
    if provider.name != "oidc":
        advice = _SUCCESSORS.get(provider.name, "let your provider's tool write the kubeconfig anew, with `exec`")
        raise ConfigProblem(
            f"User {user!r} has the auth-provider {provider.name!r}, which kubectl itself no longer supports: {advice}."
        )
    token = provider.config.get("id-token", "")
    if token and not _expired(token):
        return token
    if not provider.config.get("refresh-token"):
        state = "has expired" if token else "is missing"
        raise CredentialProblem(
            f"The id-token of user {user!r} {state} and there is no refresh-token: log in again with the tool that "
            "wrote the kubeconfig."
        )
    return _refreshed(provider.config, user)


def _expired(token: str) -> bool:
    """Whether a JWT says so; one that cannot be read is for the server to judge."""
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return float(claims["exp"]) <= time.time() + _LEEWAY_SECONDS
    except (IndexError, KeyError, TypeError, ValueError, RecursionError):
        return False


def _refreshed(config: Mapping[str, str], user: str) -> str:
    # Imported here: it costs as much as the rest of the program, and hardly anybody needs it.
    from kubernetes.config import kube_config

    library: Any = kube_config

    content = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://unused.invalid"}}],
        "users": [{"name": "u", "user": {"auth-provider": {"name": "oidc", "config": _complete(config)}}}],
    }
    try:
        loader = library.KubeConfigLoader(content, active_context="c", config_persister=None)
        loader._load_authentication()
        bearer = getattr(loader, "token", None)
    except Exception as problem:  # whatever three libraries raise on a login that did not work
        reason = f"{type(problem).__name__}: {problem}"
        raise CredentialProblem(f"The login of user {user!r} could not be renewed ({reason}): log in again.") from None
    if not isinstance(bearer, str) or not bearer.removeprefix("Bearer "):
        raise CredentialProblem(f"The login of user {user!r} could not be renewed: log in again.")
    return bearer.removeprefix("Bearer ")


def _complete(config: Mapping[str, str]) -> dict[str, str]:
    """The loader indexes these without asking; a token long expired makes it refresh."""
    claims = base64.urlsafe_b64encode(b'{"exp": 1}').decode().rstrip("=")
    return {"client-id": "", "client-secret": "", **config, "id-token": f"e30.{claims}.x"}
