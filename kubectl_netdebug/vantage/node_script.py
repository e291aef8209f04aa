"""The script that reads a node, and how its output is taken apart. Pure.

The node's own tools are preferred, run in its mounts; else those of the image; else `/proc` and `/sys`. Every section
is framed by a nonce, so nothing that stands in a file or a rule can pass for a frame.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

NO_TOOL = 127
"""The exit code of a section whose tool is nowhere."""

MISSING = 44
"""The exit code of a section whose file or folder is not there: known, and empty."""

_PRELUDE = """\
LC_ALL=C; export LC_ALL
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/host-bin:/opt/bin; export PATH
nonce={nonce}
host() {{ nsenter -t 1 -m -- "$@"; }}
on_host() {{ nsenter -t 1 -m -- sh -c 'command -v "$0" >/dev/null 2>&1' "$1" 2>/dev/null; }}
tool() {{
  if on_host "$1"; then host "$@"
  elif command -v "$1" >/dev/null 2>&1; then "$@"
  else return 127
  fi
}}
files() {{
  for f in "$@"; do
    if host test -f "$f" 2>/dev/null; then printf '==> %s <==\\n' "$f"; host cat "$f"; printf '\\n'; fi
  done
  return 0
}}
section() {{ printf '\\n%s > %s\\n' "$nonce" "$1"; }}
ended() {{ printf '\\n%s < %s %s\\n' "$nonce" "$1" "$2"; }}
"""

_SYSCTL = """\
for s in {names}; do
  f=/proc/sys/$s
  [ -r "$f" ] && printf '%s = %s\\n' "$s" "$(cat "$f" 2>/dev/null)"
done
true"""

_KUBE_PROXY = r"""for p in /proc/[0-9]*; do
  c=; read -r c 2>/dev/null <"$p/comm" || continue
  case "$c" in
    kube-proxy|k3s|k3s-server|k3s-agent|rke2|hyperkube|cilium-agent|kube-router|ovnkube|antrea-agent)
      printf 'process %s %s %s\n' "${p#/proc/}" "$c" "$(sed -n 's/^State:[^A-Za-z]*//p' "$p/status" 2>/dev/null)"
      tr '\0' '\n' <"$p/cmdline" 2>/dev/null | sed 's/^/arg /';;
  esac
done
ask() { printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" | nc -w 3 127.0.0.1 "$1" 2>/dev/null | tr -d '\r'; }
ask 10256 /healthz | sed 's/^/healthz /'
m=$(ask 10249 /proxyMode | tail -n 1)
if [ -n "$m" ]; then
  printf 'mode %s\n' "$m"
  ask 10249 /metrics | grep -E '^kubeproxy_sync_proxy_rules_.*(failures_total|last_(queued_)?timestamp_seconds)' |
    sed 's/^/metric /'
fi
i=$(host stat -c %i /run/xtables.lock 2>/dev/null)
[ -n "$i" ] && grep ":$i " /proc/locks | while read -r _ _ _ _ pid _; do
  printf 'lock %s %s\n' "$pid" "$(cat "/proc/$pid/comm" 2>/dev/null)"
done
true"""
"""`net.proxy_process` reads it."""

_CNI_CONF = r"""cd /proc/1/root 2>/dev/null || return 1
for d in etc/cni/net.d var/lib/rancher/*/agent/etc/cni/net.d; do
  [ -d "$d" ] && ls "$d" 2>/dev/null | head -n 50 | sed "s#^#file /$d/#"
done
n=0
for f in etc/cni/net.d/*.conf etc/cni/net.d/*.conflist etc/cni/net.d/*.json \
  var/lib/rancher/*/agent/etc/cni/net.d/*.conf var/lib/rancher/*/agent/etc/cni/net.d/*.conflist; do
  { [ -f "$f" ] || host test -f "/$f"; } || continue
  n=$((n + 1)); [ $n -gt 20 ] && break
  printf '==> /%s <==\n' "$f"; host head -c 16384 "/$f" 2>/dev/null; printf '\n'
done
true"""
"""Configurations only: the kubeconfig files that lie beside them are never opened. `net.cni_conf` reads it."""

_CNI_BIN = r"""for d in /opt/cni/bin /usr/libexec/cni /usr/lib/cni /var/lib/rancher/k3s/data/current/bin; do
  host ls -lL "$d" 2>/dev/null | head -n 200 | sed "s#^#$d #"
done
true"""

_RESERVATIONS = r"""d=${1:-/var/lib/cni/networks}
n=0
for f in /proc/1/root"$d"/*/*; do
  [ -f "$f" ] || continue
  case "$f" in */lock|*/last_reserved_ip*) continue;; esac
  n=$((n + 1)); [ $n -gt 5000 ] && break
  id=; dev=; { read -r id; read -r dev; } <"$f" 2>/dev/null
  net=${f%/*}
  printf '%s %s %s %s\n' "${net##*/}" "${f##*/}" "$id" "$dev" | tr -d '\r' | cut -c 1-300
done
if on_host crictl && host crictl pods --no-trunc >/tmp/netdebug.$$ 2>/dev/null; then
  echo by crictl; head -n 5000 /tmp/netdebug.$$; rm -f /tmp/netdebug.$$
elif on_host ctr && host ctr -n k8s.io containers ls -q >/tmp/netdebug.$$ 2>/dev/null; then
  echo by ctr; head -n 5000 /tmp/netdebug.$$ | sed 's/$/ known/'; rm -f /tmp/netdebug.$$
  host ctr -n k8s.io tasks ls 2>/dev/null | sed -n 's/^\([0-9a-f]\{64\}\) .*RUNNING.*/\1 running/p'
else
  rm -f /tmp/netdebug.$$
  echo by cgroups
  cat /proc/[0-9]*/cgroup 2>/dev/null | grep -oE '[0-9a-f]{64}' | sort -u | head -n 5000 | sed 's/$/ running/'
fi
true"""
"""Files of host-local, then the sandboxes that the runtime knows, read after them. `net.ipam` reads both."""

_LISTENERS = r"""l=$(tool ss -lntup) || return $?
printf '%s\n' "$l"
for p in $(printf '%s\n' "$l" | grep -o 'pid=[0-9]*' | sort -u | cut -d= -f2 | head -n 500); do
  c=$(grep -oE 'pod([0-9a-f]{32}|[0-9a-f]{8}([-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})' "/proc/$p/cgroup" 2>/dev/null |
    head -n 1)
  [ -n "$c" ] && printf 'owner %s %s\n' "$p" "$c"
done
true"""
"""Sockets, then the Pods that their processes belong to. `net.listening` reads it."""

_TRACKED = r"""if on_host conntrack || command -v conntrack >/dev/null 2>&1; then
  case {address} in *:*) f=ipv6;; *) f=ipv4;; esac
  tool conntrack -L -f $f -d {address} 2>/dev/null
else cat /proc/net/nf_conntrack 2>/dev/null || return 127
fi"""
"""Tracked connections to one address. `net.tracked` shortens and reads it."""

READINGS = {
    "iptables": "tool iptables-save -c",
    "iptables-legacy": "tool iptables-legacy-save -c",
    "ip6tables": "tool ip6tables-save -c",
    "ip6tables-legacy": "tool ip6tables-legacy-save -c",
    "nft": "tool nft list ruleset",
    "ipvs": "cat /proc/net/ip_vs 2>/dev/null || return 44",
    "versions": "uname -r; tool iptables --version; tool nft --version; true",
    "addresses": "tool ip -j address 2>/dev/null || tool ip address",
    "links": "tool ip -j -d link 2>/dev/null || tool ip link",
    "routes": "tool ip -j route show table all 2>/dev/null || tool ip route show table all || cat /proc/net/route",
    "routes6": "tool ip -6 -j route show table all 2>/dev/null || tool ip -6 route || cat /proc/net/ipv6_route",
    "rules": "tool ip -j rule 2>/dev/null || tool ip rule",
    "rules6": "tool ip -6 -j rule 2>/dev/null || tool ip -6 rule",
    "neighbours": "tool ip -j neigh 2>/dev/null || cat /proc/net/arp",
    "fdb": "tool bridge -j fdb 2>/dev/null || tool bridge fdb",
    "ports": "tool bridge -j -d link 2>/dev/null || tool bridge -d link",
    "kube-proxy": _KUBE_PROXY,
    "counters": "cat /proc/net/snmp /proc/net/netstat",
    "interfaces": "cat /proc/net/dev",
    "conntrack": "tool conntrack -S 2>/dev/null || cat /proc/net/stat/nf_conntrack",
    "sockets": "cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6",
    "listeners": _LISTENERS,
    "cni-conf": _CNI_CONF,
    "cni-bin": _CNI_BIN,
    "reservations": _RESERVATIONS,
    "qdiscs": "tool tc qdisc show",
    "kernel-log": "host dmesg 2>/dev/null | tail -n 400",
}
"""What can be read, by name, as shell. `files`, `sysctl` and `tracked` take parameters and stand in `_snippet`."""


@dataclass(frozen=True)
class Wanted:
    """One section: the name of a reading and its parameters."""

    what: str
    about: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """The end of a section: which one, and its exit code."""

    index: int
    code: int


def script(wanted: Sequence[Wanted], nonce: str) -> str:
    """One shell script for all sections, one after the other; compressed where the image can.

    Raises KeyError for a reading that nobody knows.
    """
    body = "\n".join(f"section {index}\n( {_snippet(each)}\n)\nended {index} $?" for index, each in enumerate(wanted))
    packed = "if command -v gzip >/dev/null 2>&1; then everything | gzip -1; else everything; fi"
    return f"{_PRELUDE.format(nonce=shlex.quote(nonce))}\neverything() {{\n{body}\n}}\n{packed}\n"


def _snippet(wanted: Wanted) -> str:
    words = " ".join(map(shlex.quote, wanted.about))
    match wanted.what:
        case "sysctl":
            return _SYSCTL.format(names=words)
        case "files":
            return f"files {words}"
        case "reservations" if words:
            return f"set -- {words}\n{_RESERVATIONS}"
        case "tracked":
            return _TRACKED.format(address=words).replace("return", "exit")
        case "list":
            return f"host ls -la {words} 2>/dev/null; true"
    # `about` of the rules says what this side is to keep of them.
    return READINGS[wanted.what].replace("return", "exit")


def sections(lines: Iterable[str], nonce: str) -> Iterator[str | Section]:
    """The lines as they come, with a `Section` at the end of each; what stands outside of sections is left out."""
    begin = re.compile(rf"{re.escape(nonce)} > (\d+)")
    end = re.compile(rf"{re.escape(nonce)} < (\d+) (\d+)")
    inside = False
    for line in lines:
        if nonce in line:
            if begin.fullmatch(line):
                inside = True
            ending = end.fullmatch(line)
            if ending:
                inside = False
                yield Section(int(ending[1]), int(ending[2]))
        elif inside:
            yield line
