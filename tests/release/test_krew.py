"""Installs, runs, upgrades and removes the archive with a real krew. `make archive` first, then `make krew-test`."""

from __future__ import annotations

import functools
import os
import pty
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from release import archive, manifest
from release.paths import DIST, PROGRAM, archive_name, this_platform, version
from tests.release import krew

# One home for all tests of this file, in order: installing takes most of the time.
pytestmark = pytest.mark.timeout(900)
BUILT = DIST / archive_name(version(), this_platform())
LATER = "99.0.0"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> krew.Home:
    if not BUILT.exists():
        pytest.skip(f"{BUILT.name} is not there: run `make archive` first")
    kubectl = krew.kubectl()
    if kubectl is None:
        pytest.skip("there is no kubectl, neither the laboratory's nor on PATH")
    try:
        program = krew.built()
    except RuntimeError as reason:
        pytest.skip(str(reason))
    made = krew.Home(tmp_path_factory.mktemp("home"), kubectl, program)
    published(made, version(), DIST, "https://netdebug.invalid")
    # krew wants an index to be there, also for what comes from a file.
    added = made.run("krew", "index", "add", "own", f"file://{made.folder / 'index'}")
    assert added.returncode == 0, added.stderr
    return made


def published(home: krew.Home, release: str, folder: Path, address: str) -> None:
    """Puts a version into the home's own index, a git repository."""
    index = home.folder / "index"
    (index / "plugins").mkdir(parents=True, exist_ok=True)
    (index / "plugins" / "netdebug.yaml").write_text(manifest.rendered(release, folder, address=address))
    identity = ["-c", "user.name=index", "-c", "user.email=index@example.invalid"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "--allow-empty", "-m", release]):
        subprocess.run(["git", *identity, *words], cwd=index, check=True, capture_output=True)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A web server with the archive as this version and as a later one; its folder and address."""
    folder = tmp_path_factory.mktemp("web")
    shutil.copy(BUILT, folder)
    shutil.copy(BUILT, folder / archive_name(LATER, this_platform()))
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_krew_would_take_the_archive(home: krew.Home) -> None:
    assert archive.problems(BUILT, PROGRAM) == []


def test_installs_from_file(home: krew.Home, tmp_path: Path) -> None:
    file = tmp_path / "netdebug.yaml"
    file.write_text(manifest.rendered(version(), DIST))
    ran = home.run("krew", "install", f"--manifest={file}", f"--archive={BUILT}")

    assert ran.returncode == 0, ran.stderr
    assert (home.root / "bin" / PROGRAM).is_symlink()
    stored = home.root / "store" / "netdebug" / f"v{version()}"
    assert (stored / "LICENSE").exists()
    assert len(list((stored / "licences").iterdir())) > 20
    assert '"CycloneDX"' in (stored / "sbom.cdx.json").read_text()


def test_a_changed_archive_is_refused(home: krew.Home, tmp_path: Path) -> None:
    """That the checksum counts."""
    changed = tmp_path / BUILT.name
    changed.write_bytes(BUILT.read_bytes() + b"\0")
    file = tmp_path / "other.yaml"
    file.write_text(manifest.rendered(version(), DIST).replace("name: netdebug", "name: other"))
    ran = home.run("krew", "install", f"--manifest={file}", f"--archive={changed}")

    assert ran.returncode != 0
    assert "checksum" in ran.stderr


def test_runs_without_python(home: krew.Home) -> None:
    assert shutil.which("python3", path=home.environment["PATH"]) is None

    assert home.run("netdebug", "--version").stdout.strip().endswith(version())
    assert "service-selector-mismatch" in home.run("netdebug", "explain", "--list").stdout
    listed = home.run("netdebug", "demo", "--list")
    assert listed.returncode == 0, listed.stderr
    played = home.run("netdebug", "demo", "service-selector-mismatch", "-o", "wide")
    assert "[service-selector-mismatch, confirmed]" in re.sub(r"\s+", " ", played.stdout), played.stderr
    assert played.returncode == 0, played.stderr
    assert '"schemaVersion"' in home.run("netdebug", "demo", "service-selector-mismatch", "-o", "json").stdout
    assert "schemaVersion" in home.run("netdebug", "demo", "service-selector-mismatch", "-o", "yaml").stdout


def test_every_recording_plays(home: krew.Home) -> None:
    """All causes are in the archive, as they are imported by name: a few recordings of many families."""
    names = home.run("netdebug", "demo", "--list").stdout.split()
    for name in ("dns-loop", "np-ingress-default-deny", "ipam-leaked", "webhook-tls", "tls-cert-invalid"):
        if name in names:
            played = home.run("netdebug", "demo", name)
            assert played.returncode in (0, 1, 4), played.stderr
            assert "Traceback" not in played.stderr


def test_the_client_is_in_it(home: krew.Home, tmp_path: Path) -> None:
    """A cluster that is not there, and a login that is renewed by the kubernetes package."""
    config = {
        "current-context": "c",
        "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:9"}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "users": [{"name": "u", "user": {}}],
    }
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(config))
    ran = home.run("netdebug", "service", "web", KUBECONFIG=str(file))
    assert ran.returncode == 3, ran.stderr
    assert "127.0.0.1:9" in ran.stderr

    login = {"idp-issuer-url": "http://127.0.0.1:9", "refresh-token": "x", "client-id": "a"}
    config["users"] = [{"name": "u", "user": {"auth-provider": {"name": "oidc", "config": login}}}]
    file.write_text(yaml.safe_dump(config))
    ran = home.run("netdebug", "service", "web", KUBECONFIG=str(file))
    assert ran.returncode == 3, ran.stderr
    assert "could not be renewed" in ran.stderr
    assert "MaxRetryError" in ran.stderr, "the kubernetes package did not even try"


def test_the_app_opens(home: krew.Home) -> None:
    master, slave = pty.openpty()
    words = [str(home.folder / "tools" / "kubectl"), "netdebug", "demo"]
    variables = {**home.environment, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    process = subprocess.Popen(words, env=variables, stdin=slave, stdout=slave, stderr=slave, cwd=home.folder)
    os.close(slave)
    shown = b""
    deadline = time.monotonic() + 120
    while b"service-selector-mismatch" not in shown and b"demo" not in shown.lower() and time.monotonic() < deadline:
        try:
            shown += os.read(master, 65536)
        except OSError:
            break
    os.write(master, b"\x11")  # ctrl+q
    threading.Thread(target=_drain, args=(master,), daemon=True).start()
    try:
        assert process.wait(60) in (0, 130), shown[-2000:]
    finally:
        process.kill()
    assert b"Traceback" not in shown
    assert b"\x1b[?1049h" in shown, "no full screen was opened"


def _drain(master: int) -> None:
    try:
        while os.read(master, 65536):
            pass
    except OSError:
        return


def test_uninstalls_what_came_from_a_file(home: krew.Home) -> None:
    ran = home.run("krew", "uninstall", "netdebug")

    assert ran.returncode == 0, ran.stderr
    assert not (home.root / "bin" / PROGRAM).exists()
    assert home.run("netdebug", "--version").returncode != 0


def test_installs_upgrades_and_uninstalls_from_an_index(home: krew.Home, web: tuple[Path, str]) -> None:
    """A plugin that was installed from a file is not upgraded by krew, so this one comes from an index of our own."""
    folder, address = web
    published(home, version(), folder, address)
    assert home.run("krew", "update").returncode == 0
    ran = home.run("krew", "install", "--no-update-index", "own/netdebug")
    assert ran.returncode == 0, ran.stderr
    assert f"/v{version()}/" in str((home.root / "bin" / PROGRAM).resolve())

    published(home, LATER, folder, address)
    ran = home.run("krew", "upgrade", "netdebug")
    assert ran.returncode == 0, ran.stderr
    assert f"/v{LATER}/" in str((home.root / "bin" / PROGRAM).resolve())
    assert home.run("netdebug", "demo", "--list").returncode == 0

    assert home.run("krew", "uninstall", "netdebug").returncode == 0
    assert not (home.root / "bin" / PROGRAM).is_symlink()
    assert not (home.root / "store" / "netdebug").exists()
