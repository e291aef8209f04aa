"""Archives as krew takes them: files and folders alone, the program at the top, a licence among them."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from release.paths import PROGRAM, ROOT

LARGEST = 40 * 2**20
"""Bytes. krew holds an archive in memory while it unpacks it."""


def pack(folder: Path, archive: Path) -> None:
    """Packs a folder's contents; the same contents make the same bytes. Links are packed as what they lead to."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    (_zip if archive.suffix == ".zip" else _tar)(folder, archive)


def problems(archive: Path, program: str) -> list[str]:
    """What krew or its index would refuse, a line each."""
    names, strange = [], []
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            names = opened.namelist()
            strange = [each.filename for each in opened.infolist() if (each.external_attr >> 16) & 0o170000 == 0o120000]
    else:
        with tarfile.open(archive) as tar:
            members = tar.getmembers()
        names = [member.name for member in members]
        strange = [member.name for member in members if not (member.isfile() or member.isdir())]
    found = [f"{name} is neither a file nor a folder" for name in strange]
    found += [f"{name} leads out of the archive" for name in names if ".." in name or name.startswith("/")]
    found += [f"{name} is missing" for name in (program, "LICENSE") if name not in names]
    if archive.stat().st_size > LARGEST:
        found.append(f"it is larger than {LARGEST} bytes")
    return found


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path


def _mode(path: Path) -> int:
    return 0o755 if os.access(path, os.X_OK) or path.name.startswith(PROGRAM) else 0o644


def _tar(folder: Path, archive: Path) -> None:
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, path in _files(folder):
            entry = tarfile.TarInfo(name)
            content = path.read_bytes()
            entry.size, entry.mode, entry.mtime = len(content), _mode(path), _when()
            tar.addfile(entry, io.BytesIO(content))


def _zip(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name, path in _files(folder):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o100000 | _mode(path)) << 16
            packed.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)


def _when() -> int:
    """Seconds since 1970: $SOURCE_DATE_EPOCH, else when the last change was committed."""
    if os.environ.get("SOURCE_DATE_EPOCH"):
        return int(os.environ["SOURCE_DATE_EPOCH"])
    try:
        said = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, check=True).stdout
        return int(said)
    except (OSError, ValueError, subprocess.CalledProcessError):
        print("release: no commit is known, so files in the archive are from 1980.", file=sys.stderr)
        return 315532800
