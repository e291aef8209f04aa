"""Corefiles: what kubeadm writes, what people make of it, and anything at all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.net.corefile import Corefile, parse_corefile

KUBEADM = """
# comment
.:53 {
    errors
    health {
       lameduck 5s
    }
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    forward . /etc/resolv.conf { # to the node's
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
    }
    loop
    import custom/*.override
}
corp.example:53, shop.example { forward . 10.1.2.3 10.1.2.4:5353
    errors }
import custom/*.server
"""


def test_blocks_plugins_and_nesting() -> None:
    parsed = parse_corefile(KUBEADM)
    assert not parsed.problems
    assert [[z.name for z in b.zones] for b in parsed.blocks] == [[""], ["corp.example", "shop.example"]]
    root = parsed.blocks[0]
    assert [p.name for p in root.plugins] == ["errors", "health", "kubernetes", "forward", "cache", "loop"]
    kubernetes = root.plugin("kubernetes")
    assert kubernetes is not None
    pods = kubernetes.option("pods")
    assert pods is not None
    assert (pods.args, pods.line) == (("insecure",), 9)
    forward = parsed.blocks[1].plugin("forward")
    assert forward is not None
    assert forward.args == (".", "10.1.2.3", "10.1.2.4:5353")


def test_the_longest_zone_answers() -> None:
    parsed = parse_corefile(KUBEADM)
    assert parsed.block_for("www.CORP.example.") is parsed.blocks[1]
    assert parsed.block_for("notcorp.example") is parsed.blocks[0]
    assert parsed.cluster_zones() == ("cluster.local",)
    assert parse_corefile("cluster.local:1053 {\n kubernetes\n}").block_for("a.cluster.local") is None
    assert parse_corefile("my.zone {\n kubernetes\n}").cluster_zones() == ("my.zone",)


def test_imports_of_files_and_snippets() -> None:
    files = {
        "custom/a.server": "private.example {\n forward . 1.2.3.4\n}",
        "custom/log.override": "log\nrewrite name a b",
    }
    parsed = parse_corefile(KUBEADM, files)
    assert [p.name for p in parsed.blocks[0].plugins][-2:] == ["log", "rewrite"]
    assert parsed.blocks[-1].zones[0].name == "private.example"
    snippet = parse_corefile("(common) {\n cache 5\n}\n. {\n import common\n whoami\n}")
    assert [p.name for p in snippet.blocks[0].plugins] == ["cache", "whoami"]


def test_a_file_that_imports_itself_ends() -> None:
    assert parse_corefile("import a", {"a": "import a"}).blocks == ()


def test_without_braces_and_with_quotes() -> None:
    parsed = parse_corefile('.\ntemplate IN A {\n answer "{{ .Name }} 60 IN A 192.0.2.1"\n}\nwhoami')
    template = parsed.blocks[0].plugins[0]
    assert template.option("answer") is not None
    assert template.block[0].args == ("{{ .Name }} 60 IN A 192.0.2.1",)
    assert parsed.blocks[0].plugins[1].name == "whoami"


def test_an_open_brace_is_told() -> None:
    assert parse_corefile(". {\n errors").problems


WORDS = st.sampled_from([".", "a.b", "{", "}", '"', "#", "import", "x", "\n", " ", ":53", "(s)", ",", "forward", "\\"])


@given(st.lists(WORDS, max_size=60).map("".join), st.dictionaries(st.sampled_from(["x", "a.b"]), st.text(), max_size=2))
def test_nothing_makes_it_fail(text: str, files: dict[str, str]) -> None:
    assert isinstance(parse_corefile(text, files), Corefile)


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)


@given(st.lists(st.tuples(NAMES, st.lists(NAMES, max_size=3)), min_size=1, max_size=5))
def test_what_is_written_is_read(plugins: list[tuple[str, list[str]]]) -> None:
    plugins = [(name, args) for name, args in plugins if name != "import"]
    lines = "\n".join(" ".join([name, *args]) for name, args in plugins)
    (block,) = parse_corefile(f"zone.example {{\n{lines}\n}}").blocks
    assert [(p.name, list(p.args)) for p in block.plugins] == plugins
