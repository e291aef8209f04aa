"""What is remembered between starts: theme, keys, images, consent. A file that cannot be read is as good as none."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import platformdirs

CONSENT = ("ask", "yes", "no")


@dataclass(frozen=True)
class Settings:
    """`keys` maps ids of bindings to keys, as in `{"run.again": "f5"}`."""

    theme: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    image: str = ""
    node_image: str = ""
    consent_pods: str = "ask"
    """`ask`, `yes` or `no`: a container in a Pod. Pods on nodes are always asked for."""


class Remembered:
    """The settings as they are now, shared by all who ask; each change is written at once."""

    def __init__(self, now: Settings | None = None) -> None:
        self.now = now or Settings()

    def change(self, **what: Any) -> str:
        """Fields of `Settings`; returns the file that holds them from now on, '' where it could not be written."""
        self.now = replace(self.now, **what)
        return save(self.now)


def place() -> Path:
    """The file; NETDEBUG_SETTINGS names another one."""
    named = os.environ.get("NETDEBUG_SETTINGS")
    return Path(named) if named else Path(platformdirs.user_config_dir("kubectl-netdebug")) / "settings.json"


def load(path: Path | None = None) -> Settings:
    """Never raises: what is missing or strange is left as it is by default."""
    try:
        data = json.loads((path or place()).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Settings()
    return _read(data) if isinstance(data, dict) else Settings()


def _read(data: Mapping[str, Any]) -> Settings:
    found = Settings()
    for name in ("theme", "image", "node_image"):
        if isinstance(data.get(name), str):
            found = replace(found, **{name: data[name]})
    if data.get("consent_pods") in CONSENT:
        found = replace(found, consent_pods=data["consent_pods"])
    keys = data.get("keys")
    if isinstance(keys, dict):
        found = replace(found, keys={str(k): str(v) for k, v in keys.items()})
    return found


def save(settings: Settings, path: Path | None = None) -> str:
    """Where it was written, '' where it could not be."""
    path = path or place()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(asdict(settings), indent=2) + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError:
        return ""
    return str(path)
