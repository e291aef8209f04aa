"""Masks for names and addresses: the same name has the same mask, and what an address lies in its mask lies in.

Names are masked part by part between hyphens and dots, so that a Pod's name still begins with its Deployment's, and
parts that are spelt alike get masks that are. Addresses keep their kind (private, link-local, …) and their last byte;
the bits between are replaced so that equal prefixes stay equal (the idea of Crypto-PAn, Xu et al., 2002).
"""

from __future__ import annotations

import difflib
import hashlib
import hmac
import ipaddress
import itertools
import re
import string
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

ALIKE = 0.7
"""How alike (0 to 1) two parts are spelt whose masks must be alike as well: as much as causes ask of a misspelling."""

_RANDOM = re.compile(r"[0-9]+|[bcdfghjklmnpqrstvwxz2456789]{4,10}|[0-9a-f]*[0-9][0-9a-f]{4,}")
"""Parts that say nothing: numbers, and what controllers make up."""

_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"

_KEPT_4 = (
    *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "192.0.2.0/24"),
    *("198.51.100.0/24", "203.0.113.0/24", "192.0.0.0/24", "192.88.99.0/24"),
)
_KEPT_6 = ("::/127", "ff00::/8", "2001:db8::/32", "::ffff:0:0/96", "64:ff9b::/96")
_KINDS_4 = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15")
_KINDS_6 = ("fc00::/7", "fe80::/10", "2000::/3")
KEPT = tuple(ipaddress.ip_network(text) for text in (*_KEPT_4, *_KEPT_6))
"""Ranges that mean the same everywhere: loopback, link-local, multicast, documentation."""
KINDS = tuple(ipaddress.ip_network(text) for text in (*_KINDS_4, *_KINDS_6))
"""Ranges in which an address stays, because programs treat them differently."""


class Names:
    """Masks of names. `names` are all there are: the order of their parts is that of the masks, because what is first
    by name is chosen first. `taken` are words that no mask may be, `kept` parts that stay.
    """

    def __init__(
        self, key: bytes, names: Iterable[str], taken: Iterable[str] = (), kept: frozenset[str] = frozenset()
    ) -> None:
        self._key = key
        self._kept = kept
        parts = sorted({part for name in names for part in self._masked_parts(name)})
        self._masks = self._in_order(parts, set(taken))

    def mask(self, name: str) -> str:
        """A valid DNS name of the same number of parts. KeyError for a name that was not among all there are."""
        masked = self._masked_parts(name)
        return "".join(self._masks[piece] if piece in masked else piece for piece in re.split(r"([-.])", name))

    def _masked_parts(self, name: str) -> list[str]:
        pieces = re.split(r"[-.]", name)
        words = [piece for piece in pieces if piece and piece not in self._kept and not says_nothing(piece)]
        # Of a name that is nothing but numbers, the first one has to go.
        return words or [piece for piece in pieces[:1] if piece and piece not in self._kept]

    def _in_order(self, parts: list[str], taken: set[str]) -> dict[str, str]:
        words: set[str] = set()
        number = 0
        while len(words) < len(parts):
            word = self._word(number)
            number += 1
            if word not in taken:
                words.add(word)
        masks = dict(zip(parts, sorted(words), strict=True))
        for part, after in itertools.pairwise(parts):
            if _alike(part, after):
                masks[after] = _next_to(masks[part], {*taken, *masks.values()})
        return masks

    def _word(self, number: int) -> str:
        """Four syllables out of a keyed hash, which nobody turns back."""
        seed = hmac.new(self._key, f"word {number}".encode(), hashlib.sha256).digest()
        return "".join(
            _CONSONANTS[seed[2 * i] % len(_CONSONANTS)] + _VOWELS[seed[2 * i + 1] % len(_VOWELS)] for i in range(4)
        )


def _alike(first: str, second: str) -> bool:
    return min(len(first), len(second)) > 3 and difflib.SequenceMatcher(None, first, second).ratio() >= ALIKE


def _next_to(mask: str, taken: set[str]) -> str:
    """The mask with one more letter: spelt alike, and right behind it in order."""
    return next(mask + letter for letter in string.ascii_lowercase if mask + letter not in taken)


def says_nothing(part: str) -> bool:
    """Whether a part of a name is a number, or one of the hashes that controllers make up."""
    return _RANDOM.fullmatch(part) is not None


class Addresses:
    """Masks of addresses and ranges. `known` are all addresses there are, `ranges` those that they must not leave.

    A bit is replaced where all known addresses agree in it, so that their order stays; what is first is chosen first.
    """

    def __init__(self, key: bytes, known: Iterable[Address] = (), ranges: Iterable[Network] = ()) -> None:
        self._key = key
        networks = set(ranges)
        self._forks = _forks([*known, *(network.network_address for network in networks)])
        self._bases: dict[Address, Address] = {}
        for network in sorted(networks, key=lambda n: (n.version, -n.prefixlen)):
            self._bases[network.network_address] = self.network(network).network_address

    def address(self, address: Address) -> Address:
        """The mask of an address; that of a range's first address is the first of the masked range."""
        return self._bases.get(address) or self._masked(address)

    def network(self, network: Network) -> Network:
        """The mask of a range: of the same length."""
        masked = self._masked(network.network_address)
        return ipaddress.ip_network((int(masked) >> _host_bits(network) << _host_bits(network), network.prefixlen))

    def _masked(self, address: Address) -> Address:
        if any(address.version == n.version and address in n for n in KEPT):
            return address
        kind = next((n for n in KINDS if n.version == address.version and address in n), None)
        found = self._scrambled(address, kind.prefixlen if kind else 8)
        return address if kind is None and _is_special(found) else found

    def _scrambled(self, address: Address, first: int) -> Address:
        """Flips bits from `first` to the last byte (of IPv6, the host's half) by a keyed hash of the bits before."""
        size, number, flips = address.max_prefixlen, int(address), 0
        for bit in range(first, size - 8 if address.version == 4 else 64):
            prefix = number >> (size - bit)
            if (address.version, bit, prefix) not in self._forks:
                seed = hmac.new(self._key, f"{address.version} {bit} {prefix}".encode(), hashlib.sha256).digest()
                flips |= (seed[0] & 1) << (size - 1 - bit)
        return type(address)(number ^ flips)


def _forks(known: Iterable[Address]) -> set[tuple[int, int, int]]:
    """(version, length, prefix) of every prefix behind which both bits occur."""
    seen: set[tuple[int, int, int]] = set()
    for address in known:
        size = address.max_prefixlen
        seen |= {(address.version, bit, int(address) >> (size - bit)) for bit in range(1, min(size, 64) + 1)}
    return {(v, bit - 1, prefix >> 1) for v, bit, prefix in seen if (v, bit, prefix ^ 1) in seen}


def _host_bits(network: Network) -> int:
    return network.max_prefixlen - network.prefixlen


def _is_special(address: Address) -> bool:
    return any(address.version == n.version and address in n for n in (*KEPT, *KINDS[: len(_KINDS_4)]))
