"""The bill of materials (CycloneDX 1.6, JSON) of an archive: exactly the distributions whose code is in it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from release.environment import frozen, run, tools
from release.paths import BUILD, ROOT

NAME = "sbom.cdx.json"


def write(target: Path, bundled: Collection[str]) -> None:
    """Writes the bill for the distributions named. Leaves with a message where one is not in the environment."""
    everything = BUILD / "environment.cdx.json"
    words: list[str | Path] = [
        "environment",
        "--pyproject",
        ROOT / "pyproject.toml",
        "--output-format",
        "JSON",
        "--spec-version",
        "1.6",
    ]
    run([tools(), "-m", "cyclonedx_py", *words, "--output-reproducible", "--output-file", everything, frozen()])
    bill = only(json.loads(everything.read_text(encoding="utf-8")), bundled)
    missing = {_plain(name) for name in bundled} - {_plain(each["name"]) for each in bill["components"]}
    if missing:
        raise SystemExit(f"release: the bill of materials lacks {', '.join(sorted(missing))}.")
    bill["components"].append(_python())
    target.write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")
    run([tools(), "-m", "release.bom", target])


def only(bill: Mapping[str, Any], bundled: Collection[str]) -> dict[str, Any]:
    """The bill with the components named, and the dependencies among them."""
    names = {_plain(name) for name in bundled}
    kept = [each for each in bill.get("components", ()) if _plain(each["name"]) in names]
    root = bill["metadata"]["component"]["bom-ref"]
    refs = {each["bom-ref"] for each in kept} | {root}
    dependencies = [
        {**each, "dependsOn": [ref for ref in each.get("dependsOn", ()) if ref in refs]}
        for each in bill.get("dependencies", ())
        if each["ref"] in refs
    ]
    return {**bill, "components": kept, "dependencies": dependencies}


def _python() -> dict[str, Any]:
    """The interpreter that is frozen in."""
    ask = "import platform; print(platform.python_version())"
    version = subprocess.run([frozen(), "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    return {
        "type": "platform",
        "bom-ref": f"python=={version}",
        "name": "python",
        "version": version,
        "licenses": [{"license": {"id": "PSF-2.0"}}],
        "purl": f"pkg:generic/python@{version}",
    }


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _validate(path: Path) -> int:
    """Against the schema of the format, with the library's own validator; run by the Python of the tools."""
    from cyclonedx.schema import SchemaVersion  # type: ignore[import-not-found, unused-ignore]
    from cyclonedx.validation.json import JsonStrictValidator  # type: ignore[import-not-found, unused-ignore]

    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(path.read_text(encoding="utf-8"))
    if problem:
        print(f"{path}: {problem}", file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(_validate(Path(sys.argv[1])))
