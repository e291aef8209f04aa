"""python -m release archive | wheel | manifest | checksums"""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path

from release import archive, bom, environment, manifest
from release.freeze import freeze
from release.paths import BUILD, DIST, PROGRAM, ROOT, archive_name, this_platform, version


def main() -> None:
    """Runs one of the commands; leaves with a message where it fails."""
    parser = argparse.ArgumentParser(prog="python -m release", description="Makes what people install, in dist/.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("archive", help="the self-contained archive for this platform")
    commands.add_parser("wheel", help="wheel and sdist")
    commands.add_parser("checksums", help="SHA256SUMS of what is in dist/")
    krew = commands.add_parser("manifest", help="krew's manifest for the archives in dist/")
    krew.add_argument("--repository", default="", help="OWNER/NAME on GitHub, whose release has the archives")
    krew.add_argument("--address", default="", help="another folder on the web where the archives are")
    args = parser.parse_args()
    match args.command:
        case "archive":
            make_archive()
        case "wheel":
            environment.run([environment.tools(), "-m", "build", "--outdir", DIST, ROOT])
        case "checksums":
            write_checksums()
        case "manifest":
            write_manifest(args.repository, args.address)


def make_archive() -> None:
    """Freezes the program, adds licences and the bill of materials, packs, and checks what was packed."""
    target = this_platform()
    made = freeze()
    folder = made.folder
    shutil.copy(ROOT / "LICENSE", folder)
    words = [environment.frozen(), "-m", "release.licences", folder, BUILD / "work" / "netdebug" / "contents.json"]
    said = subprocess.run([str(word) for word in words], cwd=ROOT, capture_output=True, text=True)
    if said.returncode:
        raise SystemExit(f"release: {said.stderr.strip().splitlines()[-1]}")
    bom.write(folder / bom.NAME, said.stdout.split())
    packed = DIST / archive_name(version(), target)
    archive.pack(folder, packed)
    shutil.copy(folder / bom.NAME, DIST / f"{PROGRAM}_v{version()}_{target}.{bom.NAME}")
    found = archive.problems(packed, PROGRAM + (".exe" if target.startswith("windows") else ""))
    if found:
        packed.unlink()
        raise SystemExit("release: krew would refuse the archive: " + "; ".join(found))
    print(f"{packed.relative_to(ROOT)}  {packed.stat().st_size / 2**20:.1f} MiB  sha256 {manifest.sha256(packed)}")


def write_manifest(repository: str, address: str) -> None:
    """Writes `dist/netdebug.yaml`, the name that it has in krew's index."""
    home = f"https://github.com/{repository}" if repository else ""
    address = address or (f"{home}/releases/download/v{version()}" if home else "")
    try:
        text = manifest.rendered(version(), DIST, home, address)
    except FileNotFoundError as problem:
        raise SystemExit(f"release: {problem}: run `make archive` first.") from None
    target = DIST / "netdebug.yaml"
    target.write_text(text, encoding="utf-8")
    print(target.relative_to(ROOT))


def write_checksums() -> None:
    """In the form of `sha256sum`."""
    files: list[Path] = sorted(path for path in DIST.glob("*") if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{manifest.sha256(path)}  {path.name}\n" for path in files]
    (DIST / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
