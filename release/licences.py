"""Whose work is in the archive, and the licences that have to travel with it.

Run by the Python of the frozen environment: python -m release.licences FOLDER CONTENTS writes `FOLDER/licences`, and
prints the names of the distributions that are in the archive, one a line.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

_NAMES = re.compile(r"(licen[cs]e|copying|notice|authors)", re.I)
_BUILDER = "pyinstaller"
"""Its boot loader is the program's first part."""


def bundled(modules: Iterable[str]) -> list[metadata.Distribution]:
    """The distributions that the modules come from, by name."""
    owners = metadata.packages_distributions()
    names = {owner for module in modules for owner in owners.get(module, ())}
    return sorted((metadata.distribution(name) for name in names | {_BUILDER}), key=lambda each: each.name.lower())


def texts_of(distribution: metadata.Distribution) -> list[Path]:
    """The licence files that a distribution brings."""
    files = distribution.files or ()
    found = (Path(str(file.locate())) for file in files if ".dist-info" in str(file) and _NAMES.search(file.name))
    return sorted(path for path in found if path.is_file())


def of_python() -> Path:
    """The licence of the interpreter and its standard library. Raises FileNotFoundError."""
    places = (Path(sysconfig.get_path("stdlib")), Path(sys.base_prefix))
    for place in places:
        if (place / "LICENSE.txt").is_file():
            return place / "LICENSE.txt"
    raise FileNotFoundError(f"Python's LICENSE.txt is not in {' or '.join(map(str, places))}")


def of_system_library(library: Path) -> list[Path]:
    """The licence of a library that belongs to a package of this system: Debian's or Red Hat's kind."""
    for ask, place in (
        (["dpkg", "-S"], "/usr/share/doc/{}"),
        (["rpm", "-qf", "--qf", "%{NAME}"], "/usr/share/licenses/{}"),
    ):
        if not shutil.which(ask[0]):
            continue
        for path in (library, library.resolve(), Path("/usr", *library.resolve().parts[1:])):
            said = subprocess.run([*ask, str(path)], capture_output=True, text=True)
            if said.returncode == 0:
                folder = Path(place.format(said.stdout.partition(":")[0].strip()))
                return sorted(file for file in folder.glob("*") if _NAMES.search(file.name) or file.name == "copyright")
    return []


def system_libraries(native: Iterable[str]) -> list[Path]:
    """Libraries that come neither from a distribution nor with Python."""
    own = tuple({str(Path(sys.prefix).resolve()), str(Path(sys.base_prefix).resolve())})
    return sorted({Path(each) for each in native if not str(Path(each).resolve()).startswith(own)})


def write(folder: Path, modules: Iterable[str], native: Iterable[str]) -> list[str]:
    """Copies all licences into `folder`; returns names of distributions. Raises LookupError where one has no text."""
    shutil.rmtree(folder, ignore_errors=True)
    names = []
    for distribution in bundled(modules):
        texts = texts_of(distribution)
        if not texts:
            raise LookupError(f"{distribution.name} brings no licence text")
        _copy(texts, folder / f"{distribution.name}-{distribution.version}")
        names.append(distribution.name)
    _copy([of_python()], folder / f"python-{sysconfig.get_python_version()}")
    for library in system_libraries(native):
        texts = of_system_library(library)
        if not texts and sys.platform.startswith("linux"):
            raise LookupError(f"no licence was found for {library}")
        _copy(texts, folder / library.name.partition(".so")[0])
    return [name for name in names if name != _BUILDER]


def _copy(texts: Iterable[Path], folder: Path) -> None:
    for text in texts:
        folder.mkdir(parents=True, exist_ok=True)
        # Resolved, because some systems link equal licences to each other and the archive holds no links.
        shutil.copyfile(text.resolve(), folder / text.name)


if __name__ == "__main__":
    what = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    print("\n".join(write(Path(sys.argv[1]) / "licences", what["modules"], [source for _, source in what["native"]])))
