"""Builds what a cluster is made of, each part once for each recipe."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.lab.laboratory import packages, recipes, shell, store
from tests.lab.laboratory.errors import LabError, tail
from tests.lab.laboratory.lock import locked
from tests.lab.laboratory.paths import Home
from tests.lab.laboratory.recipes import Recipe, Step

NEEDED = {
    "bridge": ("kubernetes", "containers"),
    "calico": ("kubernetes", "containers", "calico"),
    "vxlan": ("kubernetes", "containers"),
}
"""The parts that each kind of Pod network takes."""


def build(home: Home, parts: Sequence[str], install: bool = False, quiet: bool = False) -> None:
    """Brings the named parts and the images up to date. `quiet` says nothing about what is so already."""
    packages.ensure(packages.RUNNING, install)
    _ensure_kernel()
    wanted = [recipe for recipe in _recipes() if recipe.name in parts]
    with locked(home, "build", "another build", wait=True):
        for recipe in wanted:
            if _up_to_date(home, recipe):
                _say(recipe.name, "is up to date", quiet)
                continue
            packages.ensure(_requirements(recipe), install)
            began = time.monotonic()
            verb = "was there already" if _adopt(home, recipe) else "built"
            if verb == "built":
                _make(home, recipe)
            _stamp(home, recipe).write_text(recipe.hash)
            _say(recipe.name, f"{verb}, {time.monotonic() - began:.0f} s")
        _links(home)
        _images(home, quiet)


def _recipes() -> list[Recipe]:
    return [recipes.kubernetes(), recipes.containers(), recipes.calico(), recipes.traefik()]


def _images(home: Home, quiet: bool) -> None:
    began = time.monotonic()
    if store.current(home).exists():
        _say("images", "are up to date", quiet)
        return
    store.build(home)
    _say("images", f"imported, {time.monotonic() - began:.0f} s")


def _requirements(recipe: Recipe) -> tuple[packages.Requirement, ...]:
    return packages.BUILDING + (packages.BUILDING_CALICO if recipe.name == "calico" else ())


def _up_to_date(home: Home, recipe: Recipe) -> bool:
    stamp = _stamp(home, recipe)
    return stamp.exists() and stamp.read_text() == recipe.hash and _all_there(home, recipe)


def _all_there(home: Home, recipe: Recipe) -> bool:
    complete = all((home.bin / program).exists() for program in recipe.programs)
    return complete and (recipe.name != "calico" or home.calico_crds.exists())


def _stamp(home: Home, recipe: Recipe) -> Path:
    home.stamps.mkdir(parents=True, exist_ok=True)
    return home.stamps / recipe.name


def _adopt(home: Home, recipe: Recipe) -> bool:
    """Whether programs that bear no stamp are nevertheless those of the recipe, as they say themselves."""
    if _stamp(home, recipe).exists() or not all((home.bin / name).exists() for name in recipe.programs):
        return False
    for name, (module, version) in recipe.programs.items():
        said = shell.attempt(["go", "version", "-m", str(home.bin / name)]).stdout
        if not re.search(rf"\s{re.escape(module)}\s+{re.escape(version)}", said):
            return False
    if recipe.name == "kubernetes":
        said = shell.attempt([f"{home.bin}/kubectl", "version", "--client"]).stdout
        return recipes.KUBERNETES in said
    if recipe.name == "calico":
        return _copy_crds(home)
    return True


def _make(home: Home, recipe: Recipe) -> None:
    source, out = home.src / recipe.name, home.root / f"new-{recipe.name}"
    log = home.root / f"build-{recipe.name}.log"
    shutil.rmtree(source, ignore_errors=True)
    shutil.rmtree(out, ignore_errors=True)
    for directory in (source, out, home.bin):
        directory.mkdir(parents=True, exist_ok=True)
    for file, text in recipe.files.items():
        (source / file).parent.mkdir(parents=True, exist_ok=True)
        (source / file).write_text(text)
    print(f"{recipe.name:<12} is being built, see {log}", flush=True)
    with log.open("w") as output:
        for step in recipe.steps:
            _run(step, source, out, log, output.fileno())
    for program in recipe.programs:  # replaced, not overwritten: a running cluster keeps the old file
        os.replace(out / program, home.bin / program)
    shutil.rmtree(out)
    if recipe.name == "calico" and not _copy_crds(home):
        raise LabError(f"Calico's module holds no resource definitions, see {log}")


def _run(step: Step, source: Path, out: Path, log: Path, output: int) -> None:
    argv = [word.replace(recipes.OUT, str(out)) for word in step.argv]
    own = {key: value.replace(recipes.OUT, str(out)) for key, value in step.env.items()}
    os.write(output, f"$ {' '.join(argv)}\n".encode())
    environment = {**os.environ, **_toolchain(), **own}
    done = subprocess.run(argv, cwd=source, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    if done.returncode:
        raise LabError(f"`{' '.join(argv)}` failed; the end of {log}:\n{tail(log.read_text())}")


def _toolchain() -> dict[str, str]:
    """Lets an older Go fetch the toolchain that the modules ask for."""
    found = re.search(r"go(\d+)\.(\d+)", shell.output(["go", "version"]))
    wanted = tuple(map(int, recipes.GO.split(".")[:2]))
    if found and tuple(map(int, found.groups())) >= wanted:
        return {}
    return {"GOTOOLCHAIN": "auto"}


def _copy_crds(home: Home) -> bool:
    """Keeps Calico's resource definitions, so that the module cache may be emptied."""
    source = home.src / "calico"
    if not (source / "go.mod").exists():
        return False
    environment = {**os.environ, **_toolchain(), "GOFLAGS": "-mod=mod"}
    listing = subprocess.run(
        ["go", "list", "-m", "-f", "{{.Dir}}", recipes.CALICO_MODULE],
        cwd=source, env=environment, text=True, capture_output=True,
    )  # fmt: skip
    definitions = Path(listing.stdout.strip()) / "libcalico-go/config/crd"
    if listing.returncode or not definitions.is_dir():
        return False
    shutil.rmtree(home.calico_crds, ignore_errors=True)
    home.calico_crds.mkdir(parents=True)
    for file in definitions.glob("*.yaml"):
        shutil.copyfile(file, home.calico_crds / file.name)
    return True


def _links(home: Home) -> None:
    home.person_path.mkdir(parents=True, exist_ok=True)
    link = home.person_path / "kubectl"
    if not link.is_symlink():
        link.symlink_to(home.bin / "kubectl")


def _ensure_kernel() -> None:
    """Loading modules would change the host, so the person is asked to."""
    if not Path("/proc/sys/net/bridge").exists():
        raise LabError("the kernel module br_netfilter is not loaded: run `modprobe br_netfilter`", code=2)
    if "overlay" not in Path("/proc/filesystems").read_text():
        raise LabError("the kernel has no overlay file system: run `modprobe overlay`", code=2)


def _say(part: str, what: str, quiet: bool = False) -> None:
    if not quiet:
        print(f"{part:<12} {what}", flush=True)
