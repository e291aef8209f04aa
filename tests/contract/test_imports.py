"""What every start pays for: help, version and explanations must not load a client, a screen or TLS."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.contract.repository import ROOT

EXPENSIVE = {"kubernetes", "textual", "urllib3", "yaml", "ssl", "cryptography", "dns", "psutil", "websocket", "asyncio"}

PROGRAM = """
import sys
from kubectl_netdebug.cli.main import main
try:
    code = main(sys.argv[1:])
except SystemExit as leaving:
    code = leaving.code
sys.stderr.write("\\n".join(sorted(sys.modules)))
sys.exit(code)
"""


@pytest.mark.parametrize(
    "words",
    [["--help"], ["service", "--help"], ["--version"], ["explain", "service-selector-mismatch"], ["explain", "--list"]],
    ids=" ".join,
)
def test_cheap_commands_import_nothing_expensive(words: list[str]) -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM, *words], cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert ran.returncode == 0
    assert ran.stdout
    loaded = ran.stderr.split("\n")
    assert "kubectl_netdebug.cli.main" in loaded
    assert sorted(EXPENSIVE & {name.partition(".")[0] for name in loaded}) == []


def test_layers_hold() -> None:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert ran.returncode == 0, ran.stdout
    assert "0 broken" in ran.stdout
