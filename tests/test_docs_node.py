"""The page "Coming from Node": every name of gnet's that is on it exists."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "node.rst"
TEXT = PAGE.read_text(encoding="utf-8")

# ``gnet.Server.listen(backlog=)`` is a parameter, ``gnet.Server "drop"`` an event.
ROLE = re.compile(r":(\w+):`~?([\w.]+)`")
LITERAL = re.compile(r"``(gnet\.[\w.]+)(?:\((\w+)=\)| \"(\w+)\")?``")


class Row(NamedTuple):
    """A name of Node's: a row of a table, or an item of the list of what is the same."""

    section: str
    node: str
    gnet: str
    note: str


SAME = "The same."


def rows() -> Iterator[Row]:
    sections = re.split(r"^(.+)\n-{3,}\n", TEXT, flags=re.MULTILINE)
    for section, text in zip(sections[1::2], sections[2::2]):
        for row in re.split(r"^   \* - ", text, flags=re.MULTILINE)[1:]:
            cells = re.match(r"(.+)\n     - \| (.+)\n       \| ((?:.+\n?)+)", row)
            if cells:
                yield Row(section, cells[1], cells[2], " ".join(cells[3].split()))
        for item in re.finditer(r"^\* (``.+``): (.+)$", text, re.MULTILINE):
            yield Row(section, item[1], item[2], SAME)


ROWS = list(rows())


def found(name: str) -> Any:
    """What has a name that begins with ``gnet``; ``None`` for what only objects of a class have.

    :raises AttributeError: nothing has it.
    """
    thing: Any = importlib.import_module("gnet")
    path = "gnet"
    for part in name.split(".")[1:]:
        path += f".{part}"
        if part in inspect.get_annotations(thing) and not hasattr(thing, part):
            return None
        if inspect.ismodule(thing) and not hasattr(thing, part):
            importlib.import_module(path)
        thing = getattr(thing, part)
    return thing


@pytest.mark.parametrize("name", sorted({name for _, name in ROLE.findall(TEXT)}))
def test_a_name_that_is_linked_to_exists(name: str) -> None:
    if name.partition(".")[0] == "gnet":
        found(name)


@pytest.mark.parametrize(
    "match", list(LITERAL.finditer(TEXT)), ids=lambda match: match[0].strip("`")
)
def test_a_name_that_is_written_exists(match: re.Match[str]) -> None:
    name, parameter, event = match.groups()
    thing = found(name)
    if parameter is not None:
        assert parameter in inspect.signature(thing).parameters
    if event is not None:
        assert re.search(rf"``{event}\(", inspect.getdoc(thing) or "")


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: f"{row.section}: {row.node}".replace("`", "")
)
def test_every_row_says_what_there_is_in_gnet_and_what_differs(row: Row) -> None:
    assert ROLE.search(row.gnet) or LITERAL.search(row.gnet)
    assert row.note.endswith(".")


def test_what_is_the_same_stands_in_the_lists() -> None:
    assert re.search(r"^The same are:$", TEXT, re.MULTILINE)
    assert not re.search(r"^       \| The same\.$", TEXT, re.MULTILINE)


def test_the_page_has_all_of_the_specification() -> None:
    assert len(ROWS) == 146
    overloaded = r"``(options|data|onread)\."
    names = [row[:2] for row in ROWS if not re.match(overloaded, row.node)]
    assert len(names) == len(set(names))
