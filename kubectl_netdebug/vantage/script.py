"""The shell scripts that run in Pods, and how their output is read. Pure.

A batch of connects is one POSIX script. Every line it reports carries a nonce, so nothing that a server or an image
prints can pass for a result.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from kubectl_netdebug.net.outcome import Attempt, Outcome
from kubectl_netdebug.net.text import sanitise

CONNECT_SECONDS = 2
"""How long one connect may take. Lost SYNs are repeated after 1 s, so a single lost packet is survived."""

NO_TOOL = "no tool"
"""What the script says where nothing in the image can connect."""


@dataclass(frozen=True)
class Target:
    """One address to connect to."""

    protocol: str
    host: str
    port: int


def batch(targets: Sequence[Target], nonce: str, seconds: int = CONNECT_SECONDS) -> str:
    """A script that connects to all targets side by side and prints `NONCE index milliseconds exit-code tool: words`.

    Tools are looked for, not assumed: `nc` in any of its dialects, agnhost's `connect`, bash's `/dev/tcp`.
    """
    calls = "\n".join(
        f"try {index} {target.protocol} {shlex.quote(target.host)} {target.port} &"
        for index, target in enumerate(targets)
    )
    return (
        f"{_PRELUDE.format(nonce=shlex.quote(nonce), seconds=seconds)}\n{calls}\nwait\necho {shlex.quote(nonce)} end\n"
    )


# Some nc look up the name of every address unless told not to (-n), and would wait for a DNS that is the very fault.
# `nc -z` connects and leaves; dialects without it take `-e PROGRAM`, which starts after the connect and ends it at
# once. UDP has no connect: one datagram is sent, and an ICMP error within a second says "refused". A host that looks
# like an option is nobody's address, and hosts reach bash as arguments, never as a part of its program. A `date` that
# does not know %N prints it, or leaves 10 digits: seconds alone.
_PRELUDE = """\
LC_ALL=C; export LC_ALL
nonce={nonce}
seconds={seconds}
now() {{
  t=$(date +%s%N 2>/dev/null)
  case "$t" in
    *[!0-9]*|''|??????????) t=$(cut -d' ' -f1 /proc/uptime); echo "${{t%.*}}${{t#*.}}0";;
    *) echo "${{t%??????}}";;
  esac
}}
tool=none
numeric=
if command -v nc >/dev/null 2>&1; then
  help=$(nc -h 2>&1 </dev/null; nc --help 2>&1 </dev/null)
  if printf '%s' "$help" | grep -q -- '-z[[:space:]]'; then tool=nc-z
  elif printf '%s' "$help" | grep -q -- '-e PROG'; then tool=nc-e
  else tool=nc
  fi
  if printf '%s' "$help" | grep -Eq -- '(^|[[:space:]])-n[[:space:]]'; then numeric=-n; fi
elif [ -x /agnhost ]; then tool=agnhost
elif command -v bash >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1; then tool=bash
fi
tcp() {{
  n=
  case "$1" in *:*) n=$numeric;; *[!0-9.]*) ;; *) n=$numeric;; esac
  case $tool in
    nc-z) nc $n -z -v -w "$seconds" "$1" "$2" </dev/null 2>&1;;
    nc-e) nc $n -w "$seconds" "$1" "$2" -e true </dev/null 2>&1;;
    nc) nc $n -v -w "$seconds" "$1" "$2" </dev/null 2>&1;;
    agnhost) case "$1" in *:*) h="[$1]";; *) h=$1;; esac; /agnhost connect --timeout="${{seconds}}s" "$h:$2" 2>&1;;
    bash) timeout "$seconds" bash -c ': <"/dev/tcp/$0/$1"' "$1" "$2" 2>&1;;
    *) echo no tool; return 127;;
  esac
}}
udp() {{
  case "$1" in *:*) h="[$1]";; *) h=$1;; esac
  case $tool in
    nc*)
      if command -v nslookup >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1; then
        timeout 1 nslookup -type=a netdebug "$h:$2" 2>&1
      elif printf '%s' "$help" | grep -Eq -- '(^|[[:space:][])-[0-9A-Za-z]*u'; then
        printf '\\n' | nc -u -w 1 "$1" "$2" 2>&1
      else echo no tool; return 127
      fi;;
    agnhost) /agnhost connect --protocol=udp --timeout=1s "$h:$2" 2>&1;;
    *) echo no tool; return 127;;
  esac
}}
try() {{
  start=$(now)
  case "$2 $3" in
    *' -'*) words='bad address'; code=1;;
    UDP*) words=$(udp "$3" "$4" | head -c 300 | tr -d '\\000'); code=$?;;
    *) words=$(tcp "$3" "$4"); code=$?;;
  esac
  end=$(now)
  words=$(printf '%s' "$words" | tr '\\n\\r\\t' '   ' | cut -c1-300)
  printf '%s %s %s %s %s: %s\\n' "$nonce" "$1" "$((end - start))" "$code" "$tool" "$words"
}}
"""


def read_batch(output: str, nonce: str, targets: Sequence[Target]) -> list[Attempt | None]:
    """One attempt for each target, None where the script gave no line for it (it was cut off)."""
    line = re.compile(rf"{re.escape(nonce)} (\d+) (-?\d+) (\d+) ([a-z-]+): ?(.*)")
    found: list[Attempt | None] = [None] * len(targets)
    for match in map(line.fullmatch, output.splitlines()):
        if match and int(match[1]) < len(targets):
            index = int(match[1])
            found[index] = classify(targets[index].protocol, float(match[2]), int(match[3]), match[4], match[5])
    return found


_ERRORS = (
    (re.compile(r"refused", re.I), Outcome.REFUSED),
    (re.compile(r"timed? ?out|TIMEOUT|in progress", re.I), Outcome.TIMED_OUT),
    (re.compile(r"no route to host|host is unreachable|EHOSTUNREACH", re.I), Outcome.HOST_UNREACHABLE),
    (re.compile(r"network (is )?unreachable|ENETUNREACH", re.I), Outcome.NET_UNREACHABLE),
    (re.compile(r"not permitted|permission denied|EPERM|EACCES", re.I), Outcome.NOT_PERMITTED),
    (re.compile(r"cannot assign|can't assign|EADDRNOTAVAIL|address not available", re.I), Outcome.NO_LOCAL_ADDRESS),
    (
        re.compile(r"bad address|resolve|name resolution|unknown host|^DNS|not known|invalid host", re.I),
        Outcome.NAME_ERROR,
    ),
    (re.compile(r"reset", re.I), Outcome.RESET),
)


_ANSWERED = re.compile(r"can't find|NXDOMAIN|SERVFAIL|NOTIMP|FORMERR|^Name:|authoritative", re.I | re.M)
"""What nslookup says when a name server answered, be it with the code REFUSED, which is no refused connection."""


def classify(protocol: str, milliseconds: float, code: int, tool: str, words: str) -> Attempt:
    """The outcome behind a tool's exit code and words.

    `timeout` ends with 124 (or 143); agnhost prints its own classes. Where there is no tool, `detail` is NO_TOOL.
    """
    detail = sanitise(words, 200)
    milliseconds = max(0.0, milliseconds)
    error = next((outcome for pattern, outcome in _ERRORS if pattern.search(words)), None)
    if words.strip() == NO_TOOL:
        return Attempt(Outcome.OTHER, milliseconds, NO_TOOL)
    if protocol == "UDP" and _ANSWERED.search(words):
        return Attempt(Outcome.CONNECTED, milliseconds)
    if protocol == "UDP":
        return Attempt(error if error is Outcome.REFUSED else Outcome.SILENT, milliseconds, detail if error else "")
    if code == 0:
        return Attempt(Outcome.CONNECTED, milliseconds)
    if tool == "bash" and code in (124, 143):
        return Attempt(Outcome.TIMED_OUT, milliseconds)
    if error is None and milliseconds >= CONNECT_SECONDS * 1000 - 100:
        return Attempt(Outcome.TIMED_OUT, milliseconds, detail)
    return Attempt(error or Outcome.OTHER, milliseconds, detail)


def socket_files(output: str) -> dict[str, str]:
    """Splits `cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6` at the header lines.

    UDP headers end in "drops"; addresses of 32 digits are IPv6. Files that do not exist are simply missing.
    """
    files: dict[str, str] = {}
    udp = False
    for line in output.splitlines():
        if "local_address" in line:
            udp = "drops" in line
            continue
        address = line.split(":", 2)[1].strip() if line.count(":") > 2 else ""
        name = ("udp" if udp else "tcp") + ("6" if len(address) == 32 else "")
        files[name] = files.get(name, "") + line + "\n"
    return files
