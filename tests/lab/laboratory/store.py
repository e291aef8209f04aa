"""Images as containerd keeps them, imported once and handed to every node as hard links.

Importing and unpacking is by far the slowest step of a cluster's start. Blobs and unpacked layers never change (a
container writes to a layer of its own), so nodes may share those files; only containerd's two databases are copied.
The shared files also share the page cache, which spares memory."""

import os
import shutil
import signal
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests.lab.laboratory import images
from tests.lab.laboratory.errors import LabError, tail
from tests.lab.laboratory.paths import Home
from tests.lab.laboratory.shell import attempt
from tests.lab.laboratory.waiting import wait_for

CONFIG = """
version = 3
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]
[grpc]
  address = "{state}/containerd.sock"
"""


@cache
def current(home: Home) -> Path:
    """Where the store of today's image content is or will be; told once for each run of the command."""
    return home.stores / images.key(images.describe(home))


def build(home: Home) -> Path:
    """Imports the images into a new store, unless it exists, and drops stores of older content."""
    store = current(home)
    if store.exists():
        return store
    home.stores.mkdir(parents=True, exist_ok=True)
    for old in home.stores.iterdir():  # clusters that run keep their files: they are hard links
        shutil.rmtree(old)
    with tempfile.TemporaryDirectory(dir=home.stores, prefix="new-") as directory:
        work = Path(directory)
        images.write(images.describe(home), work / "images.tar")
        _import(home, work)
        (work / "root").rename(store)
    return store


def hand_out(store: Path, root: Path) -> None:
    """Gives a node its own containerd root with all images in it."""
    for directory, _, files in os.walk(store):
        target = root / Path(directory).relative_to(store)
        target.mkdir(parents=True, exist_ok=True)
        shutil.copystat(directory, target)
        for file in files:
            source = os.path.join(directory, file)
            if file.endswith(".db"):
                shutil.copy2(source, target / file)
            else:
                os.link(source, target / file, follow_symlinks=False)


def _import(home: Home, work: Path) -> None:
    """Runs a containerd of its own, away from the host's network and mounts, to import the archive."""
    config, log, state = work / "config.toml", work / "containerd.log", work / "state"
    config.write_text(CONFIG.format(root=work / "root", state=state))
    ctr = [str(home.bin / "ctr"), "--address", f"{state}/containerd.sock"]
    isolated = ["unshare", "-n", "-m", "-p", "--fork", "--kill-child", "--propagation", "private", "--mount-proc"]
    with log.open("wb") as out:
        daemon = subprocess.Popen(
            [*isolated, str(home.bin / "containerd"), "--config", str(config)],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for("containerd to answer", lambda: attempt([*ctr, "version"]).returncode == 0, 30, log)
        done = attempt([*ctr, "-n", "k8s.io", "images", "import", str(work / "images.tar")])
        if done.returncode:
            raise LabError(f"importing the images failed:\n{tail(done.stderr)}\n{tail(log.read_text())}")
    finally:
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
