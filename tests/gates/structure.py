"""How the package is built: the length of its modules, its floors, and who reaches into whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import gnet
from tests import test_layers

PACKAGE = Path(gnet.__file__).parent

# What named tuples and enumerations have for everybody.
OF_EVERYBODY = {"_asdict", "_fields", "_make", "_replace"}


class Access(NamedTuple):
    """An attribute of another file's class, private by its name.

    :ivar file: whose access it is, below the package.
    :ivar line: where.
    :ivar name: the attribute's name.
    :ivar inherited: whether it is the object's own, by a base class of another file.
    """

    file: str
    line: int
    name: str
    inherited: bool


def module_lengths() -> dict[str, int]:
    """The number of lines of each module."""
    return {_name(path): _text(path).count("\n") for path in _modules()}


def floors() -> int:
    """How many storeys the house has, by the longest way down."""
    return max(map(test_layers.floor, test_layers.ROOMS))


@cache
def foreign_accesses() -> tuple[Access, ...]:
    """Where a module uses private names that no class of its own file defines."""
    defined = {path: set(_defined(ast.parse(_text(path)))) for path in _modules()}
    somewhere = set().union(*defined.values())
    found: list[Access] = []
    for path in _modules():
        for node in ast.walk(ast.parse(_text(path))):
            if not isinstance(node, ast.Attribute) or not _is_private(node.attr):
                continue
            if node.attr in defined[path]:
                continue
            inherited = _is_own(node.value)
            # What no class of gnet's defines is a base class' of another package.
            if not inherited or node.attr in somewhere:
                found.append(Access(_name(path), node.lineno, node.attr, inherited))
    return tuple(found)


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name not in OF_EVERYBODY


def _is_own(value: ast.expr) -> bool:
    """Whether it is ``self``, ``cls`` or ``super()``."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return value.func.id == "super"
    return isinstance(value, ast.Name) and value.id in ("self", "cls")


def _defined(tree: ast.Module) -> Iterator[str]:
    """The names that the classes of a module define: methods, slots, and what they assign."""
    for each in ast.walk(tree):
        if isinstance(each, ast.ClassDef):
            for node in ast.walk(each):
                yield from _defines(node)


def _defines(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef):
        yield node.name
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        if _is_own(node.value):
            yield node.attr
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.Assign):
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        yield from names
        if "__slots__" in names:
            for each in ast.walk(node.value):
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    yield each.value
