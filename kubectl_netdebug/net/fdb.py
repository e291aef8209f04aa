"""Forwarding entries, from `bridge -j fdb` or `bridge fdb`: where a bridge or a VXLAN device sends which MAC."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from kubectl_netdebug.model.objects import tree

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True)
class Entry:
    """`remote` is the machine that a VXLAN device sends to ('' on a plain bridge); `master` the bridge of a port."""

    mac: str
    device: str
    remote: str
    permanent: bool
    master: str = ""


def read_fdb(text: str) -> tuple[Entry, ...]:
    """Of either form; lines that are none are passed over."""
    if text.lstrip()[:1] != "[":
        return tuple(entry for entry in map(_text_entry, text.splitlines()) if entry is not None)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    return tuple(
        Entry(
            mac=tree.text(each, "mac").lower(),
            device=tree.text(each, "ifname"),
            remote=tree.text(each, "dst"),
            permanent=tree.text(each, "state") == "permanent",
            master=tree.text(each, "master"),
        )
        for each in tree.entries({"list": value}, "list")
        if tree.text(each, "mac")
    )


def remotes_of(entries: tuple[Entry, ...], device: str, mac: str) -> tuple[str, ...]:
    """The machines that a VXLAN device sends frames for a MAC to."""
    return tuple(e.remote for e in entries if e.device == device and e.mac == mac.lower() and e.remote)


def _text_entry(line: str) -> Entry | None:
    """`5e:0f:1a:00:00:03 dev flannel.1 dst 172.30.0.13 self permanent`"""
    words = line.split()
    if not words or not _MAC.fullmatch(words[0].lower()):
        return None
    given = {name: words[words.index(name) + 1] for name in ("dev", "dst", "master") if name in words[:-1]}
    permanent = "permanent" in words
    return Entry(words[0].lower(), given.get("dev", ""), given.get("dst", ""), permanent, given.get("master", ""))
