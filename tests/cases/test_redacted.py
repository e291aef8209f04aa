"""Every recording without its names and addresses: the same verdict and codes, and nothing of the original left."""

from __future__ import annotations

import gzip
import ipaddress
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubectl_netdebug.cli.replay import diagnose_recording
from kubectl_netdebug.engine.recording import Recording
from kubectl_netdebug.engine.redact import PROGRAMS, SYSTEM_NAMESPACES, VOCABULARY, redacted
from kubectl_netdebug.net.masks import KEPT, KINDS, says_nothing
from kubectl_netdebug.report.data import as_json

FILES = sorted(Path(__file__).parent.glob("*.json.gz"))
KEY = b"not a secret, so that a failure can be looked at"

each_recording = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.removesuffix(".json.gz"))


@each_recording
def test_it_says_the_same_and_names_nobody(path: Path) -> None:
    original = Recording.from_bytes(path.read_bytes())
    masked = Recording.from_bytes(redacted(original, KEY).to_bytes())
    before, after = diagnose_recording(original), diagnose_recording(masked)

    assert after.verdict.state == before.verdict.state, after.verdict.headline
    assert [cause.code for cause in after.causes] == [cause.code for cause in before.causes]
    text = gzip.decompress(masked.to_bytes()).decode()
    # The title of a case and its number were written by people about the case.
    told = json.dumps({k: v for k, v in json.loads(text).items() if k != "case"}, ensure_ascii=False) + as_json(after)
    assert [name for name in sorted(names_of(original)) if holds(told, name)] == []
    assert sorted(addresses_of(original) & words_like_addresses(told)) == []


def names_of(recording: Recording) -> set[str]:
    """Names of Namespaces, Services, Pods and nodes, but for those of the system and the words of the field."""
    data = json.loads(gzip.decompress(recording.to_bytes()))
    found = {data["question"]["namespace"], data["question"]["source"]["namespace"], data["question"]["source"]["name"]}
    found |= {data["question"]["service"], data["question"].get("pod", ""), data["question"].get("node", "")}
    for fact in data["facts"]:
        found |= set(_names(fact["key"], fact["answer"].get("value")))
    kept = {"", "kubernetes", *SYSTEM_NAMESPACES, *VOCABULARY}
    return {name for name in found - kept if re.fullmatch(r"[a-z0-9][-a-z0-9.]+", name) and not is_a_program(name)}


def is_a_program(name: str) -> bool:
    """A Pod of a well-known program, such as `traefik-5cd65f66fb-cfwz6`."""
    return all(part in PROGRAMS or says_nothing(part) for part in re.split("[-.]", name))


def _names(key: dict[str, Any], value: Any) -> Iterator[str]:
    if key.get("namespace") not in SYSTEM_NAMESPACES:
        yield from (key.get("namespace", ""), str(key.get("pod", "")).removeprefix("node/"), key.get("node", ""))
        if key.get("resource") in ("services", "pods", "nodes", "namespaces"):
            yield key.get("name", "")
            for item in value.get("items", [value]) if isinstance(value, dict) else ():
                metadata = item.get("metadata") or {}
                if metadata.get("namespace") not in SYSTEM_NAMESPACES:
                    yield from (metadata.get("name", ""), metadata.get("namespace", ""))


def holds(text: str, name: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![a-z0-9_])", text) is not None


def addresses_of(recording: Recording) -> set[str]:
    """Addresses of Pods, Services and nodes that mean something in one place alone."""
    text = gzip.decompress(recording.to_bytes()).decode()
    return {word for word in words_like_addresses(text) if is_somewhere(word)}


def words_like_addresses(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]\w)", text))


def is_somewhere(word: str) -> bool:
    try:
        address = ipaddress.ip_address(word)
    except ValueError:
        return False
    first_of_a_kind = any(address == network.network_address for network in KINDS)
    return not first_of_a_kind and not any(address in network for network in KEPT if network.version == 4)
