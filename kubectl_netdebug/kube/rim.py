"""What may pass from an API server into the program: sanitised JSON without secrets.

The rim is the one place where hostile text is made harmless and where values that must never reach a screen,
a recording or a bug report are left behind: the contents of Secrets, the values of environment variables
(their names stay; proxy variables stay too, without credentials, and so does the address of the API server, because
they decide where traffic goes), and the two places where the API server repeats an object inside itself.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from kubectl_netdebug.kube.errors import Garbled
from kubectl_netdebug.net.text import HOSTILE, sanitise_json

WITHHELD = "<value>"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
TYPES_LEFT_OUT = "policyTypes left out"
"""All that stays of the last applied configuration, of a NetworkPolicy alone; `model.objects.policy` reads it."""

_PROXY_VARIABLES = frozenset({"http_proxy", "https_proxy", "no_proxy", "all_proxy"})
_API_VARIABLES = frozenset({"KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"})
_SECRET_FIELDS = ("data", "stringData")
# Greedy up to the last "@": a password may hold "@" and "/" that nobody escaped.
_USERINFO = re.compile(r"^(\s*[A-Za-z][A-Za-z0-9+.-]*://)?.*@", re.DOTALL)
# An escape in the JSON text that can turn into a hostile character. Go escapes <, > and & in every string, so
# those three must not cost the slow way.
_SUSPECT_ESCAPE = re.compile(r"\\(?:u(?!00(?:3[cCeE]|26))|[bfr])")


def admit(text: str) -> Any:
    """The JSON value in `text`, sanitised and stripped of secrets. Raises Garbled when it is not JSON."""
    value = _parsed(text)
    if _is_suspect(text):
        value = sanitise_json(value)
    _withhold(value)
    return value


def without_userinfo(proxy: str) -> str:
    """A proxy address without user name and password."""
    return _USERINFO.sub(r"\1", proxy)


def _is_suspect(text: str) -> bool:
    """Whether JSON that parsed may hold hostile characters.

    Deciding once over the whole text is far cheaper than looking at each string of a long list.
    """
    # JSON does not parse with raw control characters below 0x20, which leaves one in ASCII.
    raw = "\x7f" in text if text.isascii() else HOSTILE.search(text) is not None
    return raw or _SUSPECT_ESCAPE.search(text) is not None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise Garbled("The answer is JSON nested too deeply to be an API object.") from None
    except ValueError as problem:
        raise Garbled(f"The answer is not JSON ({problem}): it starts with {text[:60]!r}.") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _withhold(value: Any) -> None:
    """Strips a freshly parsed value in place; nobody else holds it yet."""
    pending = [value]
    while pending:
        container = pending.pop()
        if isinstance(container, dict):
            _withhold_in(container)
            pending.extend(item for item in container.values() if item.__class__ in (dict, list))
        elif isinstance(container, list):
            pending.extend(item for item in container if item.__class__ in (dict, list))


def _withhold_in(container: dict[str, Any]) -> None:
    container.pop("managedFields", None)
    if _left_out_policy_types(container.pop(LAST_APPLIED, None)):
        container[LAST_APPLIED] = TYPES_LEFT_OUT
    if "env" in container:
        _withhold_environment(container["env"])
    kind = container.get("kind")
    if kind == "Secret":
        _withhold_contents(container)
    elif kind == "SecretList":
        _each(container.get("items"), _withhold_contents)


def _left_out_policy_types(last_applied: Any) -> bool:
    """Whether this is a NetworkPolicy whose author wrote no `policyTypes`, which the API fills in without a trace."""
    if not isinstance(last_applied, str) or '"kind":"NetworkPolicy"' not in last_applied:
        return False
    return '"egress":[' in last_applied and '"policyTypes"' not in last_applied


def _each(items: Any, action: Any) -> None:
    """Applies `action` to the objects of a list; items of a list carry no kind of their own."""
    if isinstance(items, list):
        for item in items:
            if isinstance(item, dict):
                action(item)


def _withhold_contents(secret: dict[str, Any]) -> None:
    for field in _SECRET_FIELDS:
        if field in secret:
            contents = secret[field]
            secret[field] = dict.fromkeys(contents) if isinstance(contents, dict) else None


def _withhold_environment(variables: Any) -> None:
    """`env` as Pods write it, a list of name and value, and as many charts' own kinds write it, an object."""
    _each(variables, _withhold_variable)
    if isinstance(variables, dict):
        for name, value in variables.items():
            if isinstance(value, str):
                variables[name] = _shown_value(name, value)


def _withhold_variable(variable: dict[str, Any]) -> None:
    if variable.get("value") is not None:
        variable["value"] = _shown_value(str(variable.get("name")), str(variable["value"]))


def _shown_value(name: str, value: str) -> str:
    shown = name.lower() in _PROXY_VARIABLES or name in _API_VARIABLES
    return without_userinfo(value) if shown else WITHHELD
