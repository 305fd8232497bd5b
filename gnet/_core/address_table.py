"""A set of intervals of addresses: is this one in any of them?

The line of all addresses is cut at the begin and the end of every interval; each edge knows how
many intervals hold what is between it and the next one. So a question is one binary search,
however many intervals there are and however they overlap.

A table is never changed: what changes it makes another one, and shares with it what is the same.
So whoever asks needs no lock and sees all of a change, or nothing of it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

from .._values import packed

__all__ = ["AddressTable"]

Interval = tuple[bytes, bytes]

# The edges stand in parts, so that a change copies two of them and the list of parts, whatever the
# number of edges: 15 µs among 200,000 where one list of all took 1.5 ms, and searching takes as
# long.
MOST_EDGES = 256


class Part:
    """Neighbouring edges; never empty, and never changed once its table is made.

    :ivar edges: the numbers, in order.
    :ivar depths: how many intervals hold what is between each edge and the next one, beside the
        part's base.
    :ivar uses: how many intervals begin or end at each edge.
    :ivar change: the change that it was made in.
    """

    __slots__ = ("change", "depths", "edges", "uses")

    def __init__(
        self, edges: list[bytes], depths: list[int], uses: list[int], change: object
    ) -> None:
        self.edges = edges
        self.depths = depths
        self.uses = uses
        self.change = change

    def cut(self, begin: int, end: int, change: object) -> Part:
        """A part with some of the edges."""
        return Part(self.edges[begin:end], self.depths[begin:end], self.uses[begin:end], change)


class AddressTable:
    """Intervals of packed addresses, each from its begin up to its end, which is excluded."""

    __slots__ = ("_bases", "_change", "_firsts", "_parts")

    def __init__(
        self, firsts: list[bytes], parts: list[Part], bases: list[int], change: object
    ) -> None:
        self._change = change
        self._firsts = firsts
        self._parts = parts
        # What is added to the depths of all of a part: an interval over many parts costs one
        # addition for each of them.
        self._bases = bases

    @staticmethod
    def of(intervals: Iterable[Interval]) -> AddressTable:
        """The table of these intervals; one that is there twice counts twice."""
        steps: dict[bytes, int] = {}
        uses: dict[bytes, int] = {}
        for begin, end in intervals:
            steps[begin] = steps.get(begin, 0) + 1
            steps[end] = steps.get(end, 0) - 1
            uses[begin] = uses.get(begin, 0) + 1
            uses[end] = uses.get(end, 0) + 1
        edges = sorted(uses)
        depths = []
        depth = 0
        for edge in edges:
            depth += steps[edge]
            depths.append(depth)
        change = object()
        whole = Part(edges, depths, [uses[edge] for edge in edges], change)
        size = MOST_EDGES // 2
        parts = [whole.cut(at, at + size, change) for at in range(0, len(edges), size)]
        return AddressTable([part.edges[0] for part in parts], parts, [0] * len(parts), change)

    def edge(self, key: bytes) -> bytes | None:
        """The edge at a key or next below it, if any interval holds what is behind it."""
        at = packed.place(self._firsts, key) - 1
        if at < 0:
            return None
        part = self._parts[at]
        index = packed.place(part.edges, key) - 1
        return part.edges[index] if self._bases[at] + part.depths[index] > 0 else None

    def edges(self, begin: bytes, end: bytes) -> Iterator[bytes]:
        """All edges from ``begin``, which is one, up to ``end``."""
        at = packed.place(self._firsts, begin) - 1
        index = bisect_left(self._parts[at].edges, begin)
        for part in self._parts[at:]:
            for edge in part.edges[index:]:
                if edge >= end:
                    return
                yield edge
            index = 0

    def added(self, begin: bytes, end: bytes) -> AddressTable:
        """The table with one interval more."""
        table = self._copy()
        table._use(begin)
        table._use(end)
        table._deepen(begin, end, 1)
        return table

    def removed(self, begin: bytes, end: bytes) -> AddressTable:
        """The table without one of these intervals, which it has."""
        table = self._copy()
        table._deepen(begin, end, -1)
        table._leave(begin)
        table._leave(end)
        return table

    # What follows changes a table that nobody else has yet, and replaces what it changes of it.

    def _copy(self) -> AddressTable:
        return AddressTable(self._firsts.copy(), self._parts.copy(), self._bases.copy(), object())

    def _own(self, at: int) -> Part:
        """A part that may be changed."""
        part = self._parts[at]
        if part.change is not self._change:
            part = self._parts[at] = part.cut(0, len(part.edges), self._change)
        return part

    def _use(self, edge: bytes) -> None:
        """There is an interval more that begins or ends at an edge."""
        if not self._parts:
            self._parts.append(Part([edge], [0], [1], self._change))
            self._firsts.append(edge)
            self._bases.append(0)
            return
        at = max(0, packed.place(self._firsts, edge) - 1)
        part = self._own(at)
        index = bisect_left(part.edges, edge)
        if index < len(part.edges) and part.edges[index] == edge:
            part.uses[index] += 1
            return
        # Nothing holds what is before the first edge of all.
        part.depths.insert(index, part.depths[index - 1] if index else -self._bases[at])
        part.edges.insert(index, edge)
        part.uses.insert(index, 1)
        self._firsts[at] = part.edges[0]
        if len(part.edges) > MOST_EDGES:
            self._halve(at, part)

    def _halve(self, at: int, part: Part) -> None:
        middle = len(part.edges) // 2
        self._parts[at : at + 1] = (
            part.cut(0, middle, self._change),
            part.cut(middle, len(part.edges), self._change),
        )
        self._firsts.insert(at + 1, part.edges[middle])
        self._bases.insert(at + 1, self._bases[at])

    def _leave(self, edge: bytes) -> None:
        """There is an interval less that begins or ends at an edge."""
        at = packed.place(self._firsts, edge) - 1
        part = self._own(at)
        index = bisect_left(part.edges, edge)
        part.uses[index] -= 1
        if part.uses[index]:
            return
        del part.edges[index], part.depths[index], part.uses[index]
        if part.edges:
            self._firsts[at] = part.edges[0]
        else:
            del self._parts[at], self._firsts[at], self._bases[at]

    def _deepen(self, begin: bytes, end: bytes, by: int) -> None:
        """So many intervals more hold what is between two edges."""
        first = packed.place(self._firsts, begin) - 1
        last = packed.place(self._firsts, end) - 1
        low = bisect_left(self._parts[first].edges, begin)
        high = bisect_left(self._parts[last].edges, end)
        if first == last:
            self._deepen_part(first, low, high, by)
            return
        self._deepen_part(first, low, len(self._parts[first].edges), by)
        for at in range(first + 1, last):
            self._bases[at] += by
        self._deepen_part(last, 0, high, by)

    def _deepen_part(self, at: int, low: int, high: int, by: int) -> None:
        depths = self._own(at).depths
        for index in range(low, high):
            depths[index] += by
