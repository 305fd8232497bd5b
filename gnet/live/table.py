"""What is shown of a program: its list, taken in piece by piece, searched, sorted and cut."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from time import monotonic
from typing import Any

from ..errors import printable

__all__ = ["COLUMNS", "Listing", "Rates", "View", "cells", "duration", "size"]

Row = dict[str, Any]
_DIGITS = re.compile("([0-9]+)")


@dataclass(frozen=True)
class Column:
    """A column of the table of connections.

    :ivar name: its name in JSON.
    :ivar title: its heading.
    :ivar show: makes a text of a value.
    """

    name: str
    title: str
    show: Callable[[Any], str]

    @property
    def is_number(self) -> bool:
        """Whether it stands to the right, and begins with the largest when it is sorted by."""
        return self.show is not _text


def _text(value: Any) -> str:
    return printable(str(value)) if value else ""


def size(value: float | None) -> str:
    """A number of bytes in few characters: ``"1.5M"``."""
    if value is None:
        return ""
    number = float(value)
    for unit in ("", "K", "M", "G", "T"):
        if number < 1000 or unit == "T":
            break
        number /= 1024
    return f"{number:.0f}{unit}" if number >= 10 or not unit else f"{number:.1f}{unit}"


def duration(seconds: float | None) -> str:
    """A time in few characters: ``"5s"``, ``"3m20"``, ``"2h05"``, ``"4d03h"``."""
    if seconds is None:
        return ""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


def _rate(value: float | None) -> str:
    return f"{size(value)}/s" if value else ""


def _queued(value: int) -> str:
    return size(value) if value else ""


#: The columns of the table of connections.
COLUMNS = (
    Column("age", "Age", duration),
    Column("peer", "Peer", _text),
    Column("proxy", "Proxy", _text),
    Column("local", "Local", _text),
    Column("server", "Server", _text),
    Column("state", "State", _text),
    Column("style", "Style", _text),
    Column("bytes_in", "In", size),
    Column("bytes_out", "Out", size),
    Column("queued", "Queued", _queued),
    Column("rate", "Rate", _rate),
    Column("waits_in", "Waits in", _text),
)
NAMES = tuple(each.name for each in COLUMNS)
_SEARCHED = ("id", "peer", "proxy", "local", "server", "state", "style", "waits_in", "name")


def cells(row: Row) -> list[str]:
    """A connection as texts without effects, one for each of :data:`COLUMNS`.

    The name that was asked for stands beside the address that has it.
    """
    told = dict(row)
    whose = "server" if row["server"] else "peer"
    host = row[whose].rpartition(":")[0].strip("[]")
    if row["name"] and row["name"] != host:
        told[whose] = f"{row['name']} {row[whose]}".rstrip()
    return [each.show(told[each.name]) for each in COLUMNS]


@dataclass
class View:
    """What somebody wants to see of the connections.

    :ivar sort: the name of the column to sort by.
    :ivar descending: whether the largest comes first.
    :ivar search: a text that every shown connection has somewhere.
    :ivar server: the address of the only server to show; ``""`` for all.
    :ivar limit: how many to show at most; ``None`` for all.
    """

    sort: str = "age"
    descending: bool = False
    search: str = ""
    server: str = ""
    limit: int | None = 500

    def wants(self, row: dict[str, Any]) -> bool:
        """Whether it shows a connection."""
        if self.server and row["server"] != self.server:
            return False
        sought = self.search.casefold()
        return not sought or any(sought in str(row[name]).casefold() for name in _SEARCHED)

    def key(self, row: dict[str, Any]) -> Any:
        """What a connection is sorted by; no other has the same."""
        value = row[self.sort]
        if isinstance(value, str):
            # Numbers in a text by their value: port 80 is ahead of 8080.
            parts = _DIGITS.split(value.casefold())
            parts[1::2] = map(int, parts[1::2])
            return parts, row["id"]
        return value or 0, row["id"]

    def cut(self, rows: list[tuple[Any, Row]]) -> list[tuple[Any, Row]]:
        """The first of the rows, in order, each behind its :meth:`key`."""
        count = len(rows) if self.limit is None else self.limit
        choose = heapq.nlargest if self.descending else heapq.nsmallest
        return choose(count, rows, itemgetter(0))


class Rates:
    """How many bytes a second each connection moves, since it was last looked at."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, int]] = {}
        self._now: dict[str, tuple[float, int]] = {}

    def begin(self) -> None:
        """A list comes: what it does not have is forgotten."""
        self._last, self._now = self._now, {}

    def of(self, row: dict[str, Any]) -> float:
        """The rate of a connection: of its whole life when it is seen for the first time."""
        now, moved = monotonic(), row["bytes_in"] + row["bytes_out"]
        self._now[row["id"]] = now, moved
        before = self._last.get(row["id"])
        since, bytes_before = (now - row["age"], 0) if before is None else before
        # One that connects again begins anew.
        gained: int = moved - bytes_before if moved >= bytes_before else moved
        seconds: float = max(now - since, 0.001)
        return gained / seconds


class Listing:
    """A list of a program as it comes: :meth:`take` each line, then look.

    :param view: which connections are wanted.
    :param rates: what the last list was like.
    :ivar processes: the program's processes; the first is the one that was asked.
    :ivar total: how many connections there are.
    :ivar matching: how many of them the view wants, before it is cut.
    """

    def __init__(self, view: View, rates: Rates) -> None:
        self.view = view
        self._rates = rates
        self.processes: list[Row] = []
        self.total: int = 0
        self.matching: int = 0
        self._rows: list[tuple[Any, Row]] = []
        self._columns: list[str] = []
        rates.begin()

    @classmethod
    def of(cls, lines: Iterable[Row], view: View, rates: Rates) -> Listing:
        """A whole answer to ``list``."""
        listing = cls(view, rates)
        for line in lines:
            listing.take(line)
        return listing

    def take(self, line: Row) -> None:
        """A line of the answer."""
        if "servers" in line:
            self._columns = line["columns"]
            self.processes.append({"process": {}, **line})
            return
        if "process" in line:
            self.processes[-1]["process"] = line["process"]
        for values in line.get("connections", ()):
            row = dict(zip(self._columns, values))
            row["rate"] = self._rates.of(row)
            self.total += 1
            if self.view.wants(row):
                self.matching += 1
                self._rows.append((self.view.key(row), row))
        # Of very many only those are kept that may be shown: to sort them all would take long.
        if self.view.limit is not None and len(self._rows) > 2 * self.view.limit:
            self._rows = self.view.cut(self._rows)

    @property
    def servers(self) -> list[Row]:
        """The servers of all processes."""
        return [each for process in self.processes for each in process["servers"]]

    def shown(self) -> list[Row]:
        """The connections in the order of the view, as many as it shows."""
        return [row for _, row in self.view.cut(self._rows)]


def lines_of(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The connections as a table of plain text, with its heading."""
    table = [[each.title.upper() for each in COLUMNS], *map(cells, rows)]
    widths = [max(map(len, column)) for column in zip(*table)]
    for texts in table:
        pieces = [
            text.rjust(width) if column.is_number else text.ljust(width)
            for text, width, column in zip(texts, widths, COLUMNS)
        ]
        yield "  ".join(pieces).rstrip()
