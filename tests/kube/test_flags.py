from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.kube.flags import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("1m30s", 90), ("5", 5), ("0", 0), ("0s", 0), ("1.5h", 5400), ("250ms", 0.25), (".5s", 0.5)],
)
def test_durations_as_kubectl_takes_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "-1s", "1d", "10 s", "1m30", "nan", "inf", "1e3", "１s", "9" * 1000])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@given(st.text(max_size=20))
def test_any_text_gives_seconds_or_a_sentence(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_duration(text) >= 0


def test_flags_and_errors_import_no_client() -> None:
    """`--help` and `version` must not pay for one; nor a session for exec or for the kubernetes library."""
    program = (
        "import sys, kubectl_netdebug.kube.flags, kubectl_netdebug.kube.errors\n"
        "assert not {'kubernetes', 'urllib3', 'ssl', 'yaml', 'websocket', 'socket'} & set(sys.modules)\n"
        "import kubectl_netdebug.kube.session\n"
        "assert not {'kubernetes', 'urllib3', 'websocket', 'subprocess'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
