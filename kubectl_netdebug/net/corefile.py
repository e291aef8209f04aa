"""The configuration of CoreDNS: server blocks, plugins, snippets and imports (format: corefile(5)). Pure, never raises.

What cannot be read is passed over and told under `problems`; CoreDNS itself is the judge of its file.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

DEEPEST = 8
"""How far imports and blocks may be nested."""

SCHEMES = ("dns", "tls", "quic", "grpc", "https", "https3")


@dataclass(frozen=True)
class Directive:
    """One line of a server block with the lines in its braces. `line` counts from 1; `file` is '' for the main one."""

    name: str
    args: tuple[str, ...]
    block: tuple[Directive, ...] = ()
    line: int = 0
    file: str = ""

    def option(self, name: str) -> Directive | None:
        """The last line of that name within the braces."""
        return next((each for each in reversed(self.block) if each.name == name), None)

    @property
    def text(self) -> str:
        """The line itself, without its braces."""
        return " ".join((self.name, *self.args))


@dataclass(frozen=True)
class Zone:
    """What a server block serves. `name` is lower case without a dot at its end: '' is the root."""

    name: str
    port: int
    scheme: str

    def holds(self, name: str) -> bool:
        """Whether a name lies in the zone."""
        plain = plain_name(name)
        return not self.name or plain == self.name or plain.endswith("." + self.name)


@dataclass(frozen=True)
class ServerBlock:
    """One server: its zones and its plugins."""

    zones: tuple[Zone, ...]
    plugins: tuple[Directive, ...]
    line: int = 0

    def plugin(self, name: str) -> Directive | None:
        """The first plugin of that name."""
        return next(self.all(name), None)

    def all(self, name: str) -> Iterator[Directive]:
        """Every plugin of that name."""
        return (each for each in self.plugins if each.name == name)


@dataclass(frozen=True)
class Corefile:
    """A whole configuration."""

    blocks: tuple[ServerBlock, ...]
    problems: tuple[str, ...] = ()

    def block_for(self, name: str, port: int = 53) -> ServerBlock | None:
        """The server block that answers for a name: the one with the longest zone on that port."""
        found = [(len(z.name), b) for b in self.blocks for z in b.zones if z.port == port and z.holds(name)]
        return max(found, key=lambda pair: pair[0])[1] if found else None

    def cluster_zones(self) -> tuple[str, ...]:
        """The forward zones that the plugin `kubernetes` serves."""
        found = []
        for block in self.blocks:
            for plugin in block.all("kubernetes"):
                named = [plain_name(arg) for arg in plugin.args] or [zone.name for zone in block.zones]
                found += [name for name in named if name and not name.endswith(".arpa") and "/" not in name]
        return tuple(dict.fromkeys(found))


def plain_name(name: str) -> str:
    """Lower case, and no dot at its end."""
    return name.lower().rstrip(".")


@dataclass(frozen=True)
class _Token:
    text: str
    line: int
    file: str
    quoted: bool = False


def parse_corefile(text: str, files: Mapping[str, str] | None = None) -> Corefile:
    """The configuration in `text`; `files` are those that `import` may mean, by path or name."""
    problems: list[str] = []
    parser = _Parser(_tokens(text, ""), files or {}, problems)
    return Corefile(tuple(parser.blocks()), tuple(problems))


def _tokens(text: str, file: str) -> list[_Token]:
    """Words with their lines. A word in double quotes may hold anything; `#` where a word may begin is a comment."""
    found: list[_Token] = []
    line, place, end = 1, 0, len(text)
    while place < end:
        char = text[place]
        if char == "\n":
            line += 1
            place += 1
        elif char.isspace():
            place += 1
        elif char == "#":
            place = _find(text, "\n", place)
        elif char == '"':
            word, after = _quoted(text, place + 1)
            found.append(_Token(word, line, file, quoted=True))
            line += text.count("\n", place, after)
            place = after
        else:
            after = place
            while after < end and not text[after].isspace():
                after += 1
            found.append(_Token(text[place:after], line, file))
            place = after
    return found


def _find(text: str, char: str, start: int) -> int:
    place = text.find(char, start)
    return len(text) if place < 0 else place


def _quoted(text: str, place: int) -> tuple[str, int]:
    """The word up to the closing quote, and where it goes on behind that."""
    word = []
    while place < len(text) and text[place] != '"':
        if text[place] == "\\" and text[place + 1 : place + 2] == '"':
            place += 1
        word.append(text[place])
        place += 1
    return "".join(word), min(place + 1, len(text))


class _Parser:
    """Reads tokens line by line; a line ends where the next token stands on another one."""

    def __init__(self, tokens: list[_Token], files: Mapping[str, str], problems: list[str]) -> None:
        self._lines = _lines(tokens)
        self._place = 0
        self._files = files
        self._problems = problems
        self._snippets: dict[str, tuple[Directive, ...]] = {}

    def blocks(self) -> list[ServerBlock]:
        """Server blocks; snippets are kept aside, and files that stand beside blocks are read in their place."""
        found: list[ServerBlock] = []
        while self._place < len(self._lines):
            line = self._lines[self._place]
            keys = [t.text for t in line]
            if keys[0] == "import":
                self._place += 1
                for text, name in self._imported(keys[1:], line[0]):
                    found += self._inner(_tokens(text, name)).blocks()
            elif keys[0] == "}":
                self._problems.append(f"line {line[0].line}: a brace closes nothing")
                self._place += 1
            else:
                found += self._block()
        return found

    def _block(self) -> list[ServerBlock]:
        start = self._lines[self._place][0].line
        keys: list[str] = []
        opened = False
        while self._place < len(self._lines) and not opened:
            line = self._lines[self._place]
            words = [t.text for t in line]
            opened = words[-1] == "{" and not line[-1].quoted
            keys += words[:-1] if opened else words
            self._place += 1
            if not opened and not words[-1].endswith(","):
                break
        plugins = self._directives(0) if opened else self._rest()
        if len(keys) == 1 and keys[0].startswith("(") and keys[0].endswith(")"):
            self._snippets[keys[0][1:-1]] = plugins
            return []
        zones = tuple(_zone(key) for key in (k.strip(",") for k in keys) if key)
        return [ServerBlock(zones, plugins, start)]

    def _rest(self) -> tuple[Directive, ...]:
        """Without braces, everything up to the end is one block."""
        found: list[Directive] = []
        while self._place < len(self._lines):
            found += self._directive(0)
        return tuple(found)

    def _directives(self, depth: int) -> tuple[Directive, ...]:
        """Up to the closing brace."""
        found: list[Directive] = []
        while self._place < len(self._lines):
            first = self._lines[self._place][0]
            if first.text == "}" and not first.quoted:
                rest = self._lines[self._place][1:]
                self._lines[self._place : self._place + 1] = [rest] if rest else []
                return tuple(found)
            found += self._directive(depth)
        self._problems.append("a brace is not closed")
        return tuple(found)

    def _directive(self, depth: int) -> list[Directive]:
        line = self._lines[self._place]
        self._place += 1
        words = [t.text for t in line]
        opened = len(words) > 1 and words[-1] == "{" and not line[-1].quoted
        if opened and depth >= DEEPEST:
            self._problems.append(f"line {line[0].line}: nested too deeply")
            opened = False
        block = self._directives(depth + 1) if opened else ()
        args = tuple(words[1:-1] if words[-1] == "{" and not line[-1].quoted else words[1:])
        if words[0] == "import":
            return self._import(args, line[0])
        return [Directive(words[0], args, block, line[0].line, line[0].file)]

    def _import(self, args: tuple[str, ...], at: _Token) -> list[Directive]:
        if args and args[0] in self._snippets:
            return list(self._snippets[args[0]])
        found: list[Directive] = []
        for text, name in self._imported(list(args), at):
            found += self._inner(_tokens(text, name))._rest()
        return found

    def _imported(self, args: list[str], at: _Token) -> list[tuple[str, str]]:
        """Text and name of each file that is meant. A pattern that matches nothing is no fault."""
        if not args or at.file.count("/") >= DEEPEST:
            return []
        matched = [name for name in sorted(self._files) if _means(args[0], name)]
        if not matched and not any(char in args[0] for char in "*?["):
            self._problems.append(f"line {at.line}: import {args[0]}: not found")
        return [(self._files[name], f"{at.file}/{posixpath.basename(name)}") for name in matched]

    def _inner(self, tokens: list[_Token]) -> _Parser:
        inner = _Parser(tokens, self._files, self._problems)
        inner._snippets = self._snippets
        return inner


def _means(pattern: str, name: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(
        posixpath.basename(name), posixpath.basename(pattern)
    )


def _lines(tokens: list[_Token]) -> list[list[_Token]]:
    """Tokens by line; a word behind an opening brace begins a line of its own, and so does a closing one."""
    found: list[list[_Token]] = []
    previous: _Token | None = None
    for token in tokens:
        closes = token.text == "}" and not token.quoted
        behind = previous is not None and previous.text in ("{", "}") and not previous.quoted
        if previous is None or (previous.line, previous.file) != (token.line, token.file) or closes or behind:
            found.append([])
        found[-1].append(token)
        previous = token
    return found


def _zone(key: str) -> Zone:
    """`dns://cluster.local:1053`, `.:53`, `.`."""
    scheme, separator, rest = key.partition("://")
    if not separator:
        scheme, rest = "dns", key
    name, colon, port = rest.rpartition(":")
    if not colon or not port.isdecimal() or len(port) > 5:
        name, port = rest, "853" if scheme in ("tls", "quic") else "443" if scheme in ("grpc", "https") else "53"
    return Zone(plain_name(name), int(port), scheme.lower())
