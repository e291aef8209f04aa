"""What holds for the text of the repository as a whole."""

from __future__ import annotations

import gzip
import os

from tests.contract.repository import ROOT, tracked

# In two pieces, or this file would break its own rule.
FOREIGN = [("/" + "work/").encode(), ("/" + "root/").encode()]


def test_no_file_leads_to_a_place_on_one_machine() -> None:
    files = tracked()
    found = []
    for path in files:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        found += [f"{path.relative_to(ROOT)}: {word.decode()}" for word in FOREIGN if word in content]

    assert len(files) > 50
    assert found == []


def test_programs_can_be_run() -> None:
    programs = [path for path in tracked() if path.parent == ROOT / "bin" or path == ROOT / ".ci" / "run"]

    assert len(programs) >= 4
    assert [str(path) for path in programs if not os.access(path, os.X_OK)] == []
