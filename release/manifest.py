"""krew's manifest, filled in from archives: `krew-manifest.yaml` holds all but version, addresses and checksums."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from release.paths import ROOT, archive_name

TEMPLATE = ROOT / "krew-manifest.yaml"


def rendered(release: str, folder: Path, home: str = "", address: str = "") -> str:
    """The manifest for the archives of a version that are in `folder`; platforms without one are left out.

    `home` is the project's page, `address` the folder on the web where the archives are; '' keeps the template's.
    Raises FileNotFoundError where there is no archive at all.
    """
    manifest = template()
    manifest["spec"]["homepage"] = home or manifest["spec"]["homepage"]
    platforms = []
    for platform in manifest["spec"]["platforms"]:
        archive = folder / archive_name(release, target_of(platform))
        if archive.exists():
            where = address or platform["uri"].rpartition("/")[0].replace("v0.0.0", f"v{release}")
            platforms.append({**platform, "uri": f"{where}/{archive.name}", "sha256": sha256(archive)})
    if not platforms:
        raise FileNotFoundError(f"{folder} holds no archive of version {release}")
    manifest["spec"].update(version=f"v{release}", platforms=platforms)
    return yaml.dump(manifest, Dumper=_Plain, sort_keys=False, width=100)


def template() -> dict[str, Any]:
    """The template as data."""
    return dict(yaml.safe_load(TEMPLATE.read_text(encoding="utf-8")))


def target_of(platform: Mapping[str, Any]) -> str:
    """`linux_amd64` from a platform's selector."""
    labels = platform["selector"]["matchLabels"]
    return f"{labels['os']}_{labels['arch']}"


def sha256(path: Path) -> str:
    """The checksum of a file, 64 hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class _Plain(yaml.SafeDumper):
    """Long texts as blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _text)
