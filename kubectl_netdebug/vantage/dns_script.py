"""DNS over UDP from a Pod: one script sends every question by a socket of its own, and prints the answers' bytes. Pure.

A socket of its own for each try matters: a resolver uses a new source port for each question, and kube-proxy chooses a
replica by it. Questions are made and answers read on this side, so no tool's dialect has to be known.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.net.text import sanitise

SECONDS = 3
"""How long an answer is waited for. Resolvers give up on a server after 2.5 s (musl) or 5 s (glibc)."""

AT_ONCE = 500.0
"""Milliseconds below which an end without an answer is a refusal (an ICMP error), not silence."""

NO_TOOL = "no tool"


@dataclass(frozen=True)
class DnsTry:
    """One question to one server. `name` is absolute."""

    server: str
    name: str
    type: str
    port: int = 53


class BadName(ValueError):
    """The name cannot be put into a question."""


def query(name: str, record: str) -> bytes:
    """The question as it goes over the wire. Raises BadName."""
    import dns.exception
    import dns.message

    try:
        return dns.message.make_query(name, record, use_edns=0).to_wire()
    except (dns.exception.DNSException, ValueError) as problem:
        raise BadName(sanitise(str(problem), 100)) from problem


def batch(tries: Sequence[tuple[DnsTry, bytes]], nonce: str, seconds: int = SECONDS) -> str:
    """A script that asks everything side by side and prints `NONCE index milliseconds HEX` for each, in any order."""
    wires = sorted({wire for _, wire in tries})
    variables = "\n".join(f"q{number}='{_octal(wire)}'" for number, wire in enumerate(wires))
    calls = "\n".join(
        f'ask {index} {shlex.quote(each.server)} {each.port} "$q{wires.index(wire)}" &'
        for index, (each, wire) in enumerate(tries)
    )
    return f"{_PRELUDE.format(nonce=shlex.quote(nonce), seconds=seconds)}\n{variables}\n{calls}\nwait\n"


# printf may write piece by piece, and every piece would be a datagram: dd makes one of them. The reader stops at the
# first datagram and takes the time; nc itself lingers until its limit, and nobody waits for it. Each try starts as few
# processes as can be, for on a busy node they take longer than the answers: the clock is a file (10 ms a tick).
_PRELUDE = """\
LC_ALL=C; export LC_ALL
nonce={nonce}
seconds={seconds}
now=0
clock() {{
  if read -r up rest </proc/uptime; then now=${{up%.*}}${{up#*.}}0; else now=$(date +%s)000; fi
}}
tool=none
if command -v nc >/dev/null 2>&1; then
  help=$(nc -h 2>&1 </dev/null; nc --help 2>&1 </dev/null)
  if printf '%s' "$help" | grep -Eq -- '(^|[[:space:][])-[0-9A-Za-z]*u'; then tool=nc; fi
fi
if [ $tool = none ] && command -v bash >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1; then tool=bash; fi
limit=
if timeout 1 true 2>/dev/null; then limit="timeout $seconds"; fi
exchange() {{
  case $tool in
    nc) printf "$3" | dd obs=65535 2>/dev/null | $limit nc -u -w "$seconds" "$1" "$2" 2>/dev/null;;
    bash) printf "$3" | dd obs=65535 2>/dev/null | timeout "$seconds" bash -c \\
      'exec 3<>"/dev/udp/$0/$1" && cat >&3 && exec dd bs=65535 count=1 <&3' "$1" "$2" 2>/dev/null;;
  esac
}}
ask() {{
  if [ $tool = none ]; then printf '%s %s 0 none\\n' "$nonce" "$1"; return; fi
  clock; start=$now
  exchange "$2" "$3" "$4" | {{
    hex=$(dd bs=65535 count=1 2>/dev/null | od -An -v -tx1)
    clock; index=$1
    set -- $hex
    IFS=
    printf '%s %s %s -%s\\n' "$nonce" "$index" "$((now - start))" "$*"
  }}
}}
"""


def _octal(wire: bytes) -> str:
    return "".join(f"\\{byte:03o}" for byte in wire)


@dataclass(frozen=True)
class DnsLine:
    """What came back for one try. `wire` is None where the image has no tool."""

    index: int
    milliseconds: float
    wire: bytes | None


def read_lines(output: str, nonce: str, count: int) -> dict[int, DnsLine]:
    """The lines that are complete, by index; anything that does not carry the nonce is passed over."""
    line = re.compile(rf"{re.escape(nonce)} (\d+) (-?\d+) (none|-[0-9a-f]*)")
    found = {}
    for match in map(line.fullmatch, output.splitlines()):
        if match and int(match[1]) < count and len(match[3]) % 2 != (match[3] == "none"):
            wire = None if match[3] == "none" else bytes.fromhex(match[3][1:])
            found[int(match[1])] = DnsLine(int(match[1]), max(0.0, float(match[2])), wire)
    return found


def outcome_of(line: DnsLine, question: bytes) -> dict[str, Any]:
    """The value of a `Lookup` fact. `line.wire` must not be None."""
    assert line.wire is not None
    if line.wire:
        return {**read_answer(line.wire, question), "ms": line.milliseconds}
    lost = "refused" if line.milliseconds < AT_ONCE else "timed-out"
    return {"outcome": lost, "ms": line.milliseconds}


def read_answer(wire: bytes, question: bytes) -> dict[str, Any]:
    """`{"outcome", "rcode", "truncated", "answers"}` of a message; one for another question is garbage."""
    import dns.exception
    import dns.flags
    import dns.message
    import dns.rcode
    import dns.rdatatype

    try:
        answer = dns.message.from_wire(wire, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError, AssertionError) as problem:
        return {"outcome": "garbage", "rcode": sanitise(str(problem), 100)}
    if wire[:2] != question[:2] or not answer.flags & dns.flags.QR:
        return {"outcome": "garbage", "rcode": "the answer is not for this question"}
    return {
        "outcome": "answer",
        "rcode": dns.rcode.to_text(answer.rcode()),
        "truncated": bool(answer.flags & dns.flags.TC),
        "answers": [
            {
                "name": sanitise(record.name.to_text(), 300),
                "type": dns.rdatatype.to_text(record.rdtype),
                "data": sanitise(item.to_text(), 300),
            }
            for record in answer.answer
            for item in record
        ],
    }
