"""Draws the states of a socket from the table in ``gnet/_core/states.py``: ``docs/states.rst``.

Run it after a change of the table: ``python docs/draw_states.py``. A test compares.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from gnet._core.states import (
    EVENTS,
    FACTS,
    IDLE,
    JOINT_RULES,
    LADDERS,
    LISTENERS,
    TABLE,
    UNMADE,
    WRITABLE,
    Row,
    step,
)

PAGE = Path(__file__).with_name("states.rst")

HEAD = """\
The states of a socket
======================

.. This page is drawn by docs/draw_states.py from gnet/_core/states.py.

A socket stands on four ladders: its life, how far the peer's end has come, how far its own end
has come, and whose it is. Each is a small integer, and one function moves them, by one table
(``gnet/_core/states.py``). Nothing else writes them. The same table says what is done then, in
order: each action is a method of the socket's. :doc:`architecture` says where that is.

The ladders
-----------

An arrow is a move, with the events that make it. A socket that dials again, *connect* when it is
closed, begins at the first rung of each.

"""

TABLE_HEAD = """
The table
---------

Each row that fits, from top to bottom, adds its move and its actions. *Over* means that nothing
is to be expected from the peer any more: its end was read, or what stands in the descriptor may
be another's to read. The last rows look at the state that those above them have led to.

.. list-table::
   :header-rows: 1
   :widths: 16 34 22 28

   * - event
     - when
     - moves to
     - what is done
"""


def page() -> str:
    """The text of the page."""
    ladders = "\n".join(_ladder(name) for name in LADDERS)
    rows = "".join(map(_row, TABLE + JOINT_RULES))
    return HEAD + ladders + TABLE_HEAD + rows


@cache
def steps() -> list[tuple[tuple[int, ...], int, str, tuple[int, ...]]]:
    """Every step that a socket can take: from which rungs, with which facts, by which event."""
    begin = (IDLE, UNMADE, WRITABLE, LISTENERS)
    seen, todo = {begin}, [begin]
    taken = []
    while todo:
        rungs = todo.pop()
        for facts in range(1 << len(FACTS)):
            for event in EVENTS:
                done = step(event, *rungs, facts)[:4]
                taken.append((rungs, facts, event, done))
                if done not in seen:
                    seen.add(done)
                    todo.append(done)
    return taken


def _ladder(name: str) -> str:
    """One ladder: its moves, from the lowest rung up."""
    names = LADDERS[name]
    place = list(LADDERS).index(name)
    moves: dict[tuple[int, int], set[str]] = {}
    for rungs, _, event, done in steps():
        start, end = rungs[place], done[place]
        if start != end and (event != "connect" or name == "life"):
            moves.setdefault((start, end), set()).add(event)
    wide = max(map(len, names))
    lines = [
        f"    {names[start]:<{wide}}  -->  {names[end]:<{wide}}  {_events(events)}".rstrip()
        for (start, end), events in sorted(moves.items())
    ]
    return "\n".join([f"**{name.capitalize()}**", "", ".. code-block:: text", "", *lines, ""])


def _events(events: set[str]) -> str:
    """The names of events, in the order of the table."""
    return ", ".join(event for event in EVENTS if event in events).replace("_", " ")


def _row(row: Row) -> str:
    conditions = [_condition(name, wanted) for name, wanted in row.when.items()]
    moves = [f"{name}: {LADDERS[name][rung]}" for name, rung in row.to.items()]
    cells = (
        ", ".join(row.events.split()).replace("_", " "),
        "; ".join(conditions),
        "; ".join(moves),
        ", ".join(row.do.split()).replace("_", " "),
    )
    lines = [f"     - {cell}".rstrip() for cell in cells]
    lines[0] = lines[0].replace("     -", "   * -", 1)
    return "\n".join(lines) + "\n"


def _condition(name: str, wanted: int | tuple[int, ...]) -> str:
    if name == "over" or name in FACTS:
        return f"{'' if wanted else 'not '}{name}".replace("_", " ")
    rungs = wanted if isinstance(wanted, tuple) else (wanted,)
    return f"{name}: {' or '.join(LADDERS[name][rung] for rung in rungs)}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
