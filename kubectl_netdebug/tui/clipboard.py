"""Gets text into the clipboard of the person in front of the terminal, wherever this program runs."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

MOST_BYTES = 74_000
"""What all terminals that know OSC 52 take; more is cut off by some, silently."""

SECONDS = 1.0

_TOOLS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
    ("", ("pbcopy",)),
    ("", ("clip.exe",)),
)
"""(variable that says that its display is there, command that reads standard input)."""


def osc52(text: str, env: Mapping[str, str]) -> str:
    """The sequence that asks the terminal to take the text; wrapped for tmux and screen. '' for what is too long."""
    data = text.encode()
    if len(data) > MOST_BYTES:
        return ""
    sequence = f"\x1b]52;c;{base64.b64encode(data).decode()}\x07"
    if env.get("TMUX"):
        return sequence + f"\x1bPtmux;{sequence.replace(chr(27), chr(27) * 2)}\x1b\\"
    if env.get("TERM", "").startswith("screen"):
        return f"\x1bP{sequence}\x1b\\"
    return sequence


def local_tool(env: Mapping[str, str]) -> Sequence[str]:
    """The clipboard command of this desktop; none over SSH, where it would be the wrong machine's."""
    if env.get("SSH_TTY") or env.get("SSH_CONNECTION"):
        return ()
    for variable, command in _TOOLS:
        if (not variable or env.get(variable)) and shutil.which(command[0]):
            return command
    return ()


def copy_locally(text: str, command: Sequence[str]) -> bool:
    """Whether the tool took it. A tool that hangs is left alone after a second."""
    try:
        done = subprocess.run(
            command,
            input=text.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            start_new_session=True,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def environment() -> Mapping[str, str]:
    """This process's own."""
    return os.environ
