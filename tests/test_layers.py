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
    "errors",
    "_validate",
    "address",
    "blocklist",
    "emitter",
    "events",
    "_publish",
    "_state",
    "_race",
    "_buffer",
    "_encoding",
    "_target",
    "_names",
    "_destinations",
    "_records",
    "_signal",
    "_timers",
    "_dispatch",
    "_filewire",
    "_wire",
    "_file",
    "_completion",
    "_pipeaccess",
    "_namedpipe",
    "_options",
    "_hosts",
    "_resolv_conf",
    "_search",
    "_answer",
    "_answer_cache",
    "_nameserver",
    "_questions",
    "_resolver",
    "dns",
    "ipc",
    "_bind",
    "_acceptor",
    "_endpoint",
    "_pipe",
    "_writing",
    "_reading",
    "_pysocket",
    "connect",
    "socket",
    "server",
    "_fork",
    "_channel",
    "_handles",
    "_member",
    "_backoff",
    "__init__",
    "_worker",
    "_primary",
    "cluster",
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
        found.update(_imported(node))
    return found & modules()


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if not node.level:
            if base.partition(".")[0] != "gnet":
                return
            base = base.partition(".")[2]
        yield base
        yield from (f"{base}.{alias.name}".lstrip(".") for alias in node.names)
    elif isinstance(node, ast.Import):
        yield from (
            alias.name.removeprefix("gnet.")
            for alias in node.names
            if alias.name.startswith("gnet.")
        )


def test_every_module_has_its_place() -> None:
    assert sorted(ORDER) == sorted(modules())


@pytest.mark.parametrize("name", ORDER)
def test_a_module_imports_only_those_before_it(name: str) -> None:
    assert imports(name) <= set(ORDER[: ORDER.index(name)])
