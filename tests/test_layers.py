"""The tree is the architecture: each module of gnet imports only those above it in ORDER."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import gnet

PACKAGE = Path(gnet.__file__).parent

# Neither a descriptor nor a clock; then the loop and what is watched on it; then the resolver;
# then connections, and what is made of them.
ORDER = (
    "_namesake",
    "_compiled.__init__",
    "errors",
    "_validate",
    "address",
    "blocklist",
    "_report",
    "_timers",
    "emitter",
    "events",
    "_publish",
    "_state",
    "_race",
    "_sigpipe",
    "_splice",
    "_buffer",
    "_encoding",
    "_target",
    "_dns.__init__",
    "_dns.names",
    "_dns.turns",
    "_dns.destinations",
    "_dns.records",
    "_signal",
    "_watchdog",
    "_filewire",
    "_winsock",
    "_wire",
    "_peerwatch",
    "_dispatch",
    "_completion",
    "_pipeaccess",
    "_namedpipe",
    "_options",
    "_dns.hosts",
    "_dns.resolv_conf",
    "_dns.search",
    "_dns.wire",
    "_dns.answer",
    "_dns.cache",
    "_dns.nameserver",
    "_dns.questions",
    "_dns.resolver",
    "dns",
    "ipc",
    "_bind",
    "_inherit",
    "_channel",
    "_acceptor",
    "_handover",
    "_proxyheader",
    "_proxygate",
    "_admission",
    "_held",
    "_endpoint",
    "_outfile",
    "_pipe",
    "_writing",
    "_onread",
    "_textfile",
    "_file",
    "_departure",
    "_flowing",
    "_reading",
    "_closing",
    "_messages",
    "_pysocket",
    "connect",
    "socket",
    "server",
    "_notify",
    "_serve",
    "_fork",
    "_exit",
    "_threads",
    "_handles",
    "_member",
    "_backoff",
    "__init__",
    "_worker",
    "_primary",
    "cluster",
    "logging",
    "monkey",
    "_wsgi.__init__",
    "_wsgi.refusal",
    "_wsgi.head",
    "_wsgi.intake",
    "_wsgi.body",
    "_wsgi.files",
    "_wsgi.response",
    "_wsgi.environ",
    "_wsgi.access",
    "_wsgi.stall",
    "_wsgi.threads",
    "_wsgi.handler",
    "wsgi",
    "_cli.__init__",
    "_cli.place",
    "_cli.console",
    "_cli.traffic",
    "_cli.streams",
    "_cli.copying",
    "_cli.child",
    "_cli.report",
    "_cli.version",
    "_cli.web",
    "cli",
    "__main__",
)


def modules() -> set[str]:
    """The names of the package's modules, below ``gnet``."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py")
    }


def imports(name: str) -> set[str]:
    """The package's modules that a module imports, anywhere in it and for whatever purpose."""
    source = PACKAGE.joinpath(*name.split(".")).with_suffix(".py").read_text(encoding="utf-8")
    found = set()
    for node in ast.walk(ast.parse(source)):
        found.update(_imported(node, name))
    return found & modules()


def _imported(node: ast.AST, importer: str) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = importer.split(".")[: -node.level]
            base = ".".join([*package, base]).rstrip(".")
        elif base.partition(".")[0] == "gnet":
            base = base.partition(".")[2]
        else:
            return
        yield base
        yield from (f"{base}.{alias.name}".lstrip(".") for alias in node.names)
    elif isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name == "gnet":
                yield "__init__"
            elif alias.name.startswith("gnet."):
                yield alias.name.removeprefix("gnet.")


def test_every_module_has_its_place() -> None:
    assert sorted(ORDER) == sorted(modules())


@pytest.mark.parametrize("name", ORDER)
def test_a_module_imports_only_those_before_it(name: str) -> None:
    assert imports(name) <= set(ORDER[: ORDER.index(name)])
