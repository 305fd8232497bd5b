"""The table of ``gnet top``, which textual draws.

Its loop is asyncio's; a thread of its own asks the program. Every text is shown as it is, without
markup.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from time import time
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Input, Static

from ..errors import printable
from ..live.client import There
from ..live.table import COLUMNS, NAMES, Listing, cells, duration, size
from .asker import Asker, tell
from .panes import Details, Question, title_of

__all__ = ["Screen"]

Row = dict[str, Any]
Table = DataTable[Text]


class Screen(App[int]):
    """What fills the terminal.

    :param program: whose connections.
    :param interval: how often the table is made anew, in seconds.
    """

    TITLE: str | None = "gnet top"
    ENABLE_COMMAND_PALETTE: ClassVar[bool] = False
    CSS: ClassVar[str] = """
    #head { height: 1; padding: 0 1; background: $panel; }
    #servers { height: auto; max-height: 8; }
    #connections { height: 1fr; }
    #search { dock: bottom; display: none; height: 3; }
    #search.shown { display: block; }
    Question, Details { align: center middle; }
    #question { width: auto; max-width: 80%; height: auto; padding: 1 2; border: round $error;
                background: $surface; }
    #question Horizontal { width: auto; height: auto; margin-top: 1; }
    #question Button { margin-right: 2; }
    #details { width: 90%; height: 90%; padding: 1 2; border: round $primary;
               background: $surface; }
    .heading { margin-top: 1; }
    #happened { height: 12; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave", "Quit"),
        Binding("enter", "details", "Details"),
        Binding("slash", "search", "Search"),
        Binding("s", "sort(1)", "Sort by the next"),
        Binding("S", "sort(-1)", "… the one before", show=False),
        Binding("r", "reverse", "Reverse"),
        Binding("f", "filter", "Server"),
        Binding("k", "end('close')", "Close"),
        Binding("x", "end('reset')", "Reset"),
        Binding("d", "drain", "Drain"),
        Binding("p", "pause", "Pause"),
        Binding("escape", "clear", "All", show=False),
    ]

    def __init__(self, program: There, interval: float) -> None:
        super().__init__()
        self._asker = Asker(program, interval, self._listed, self._failed)
        self._program = program
        self._listing: Listing | None = None
        self._rows: list[Row] = []
        self._servers: list[Row] = []
        self._trouble = ""

    def compose(self) -> ComposeResult:
        yield Static("", id="head", markup=False)
        yield DataTable(id="servers", cursor_type="none", zebra_stripes=False)
        yield DataTable(id="connections", cursor_type="row", zebra_stripes=True)
        yield Input(placeholder="search: every part of a row counts", id="search")
        yield Footer()

    def on_mount(self) -> None:
        servers = self.query_one("#servers", DataTable)
        titles = ("Server", "Open", "Accepted", "Dropped", "In", "Out", "Queued", "For")
        servers.add_columns(*titles)
        connections = self.query_one("#connections", DataTable)
        for column in COLUMNS:
            # With room for the mark of what it is sorted by.
            connections.add_column(Text(column.title + "  "), key=column.name)
        connections.focus()
        # What gevent has for it is not called while asyncio's loop runs.
        with suppress(NotImplementedError, ValueError):
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGTERM, self.exit, 128 + signal.SIGTERM)
        self._asker.start()

    def on_unmount(self) -> None:
        self._asker.stop()

    # -- what the thread says -------------------------------------------------------------------

    def _listed(self, listing: Listing) -> None:
        tell(self, self._show, listing)

    def _failed(self, trouble: str) -> None:
        tell(self, self._complain, trouble)

    def _complain(self, trouble: str) -> None:
        self._trouble = trouble
        self._show_head()

    def _show(self, listing: Listing) -> None:
        self._listing, self._trouble = listing, ""
        self._rows = listing.shown()
        self._servers = listing.servers
        self._show_head()
        # Another screen may be above.
        base = self.screen_stack[0]
        _fill(base.query_one("#servers", DataTable), [], map(_server_cells, self._servers))
        table = base.query_one("#connections", DataTable)
        view = listing.view
        for key, column in zip(NAMES, COLUMNS):
            mark = (" ▼" if view.descending else " ▲") if key == view.sort else "  "
            table.columns[key].label = Text(column.title + mark)  # type: ignore[index]
        _fill(table, [row["id"] for row in self._rows], map(_cells, self._rows))

    def _show_head(self) -> None:
        parts = [self._trouble] if self._trouble else []
        if self._listing is not None:
            first = self._listing.processes[0]
            workers = len(self._listing.processes) - 1
            view = self._asker.view
            parts.append(
                f"process {first['pid']}" + (f" and {workers} workers" if workers else "")
            )
            total = self._listing.total
            parts.append(f"{total} connection{'' if total == 1 else 's'}")
            if view.search or view.server:
                parts.append(f"{self._listing.matching} match")
            if view.search:
                parts.append(f"search: {view.search}")
            if view.server:
                parts.append(f"server: {view.server}")
            if self._asker.paused:
                parts.append("paused")
        text = Text(printable("  ·  ".join(parts)), style="bold red" if self._trouble else "")
        self.screen_stack[0].query_one("#head", Static).update(text)

    # -- what the user does -----------------------------------------------------------------------

    def action_leave(self) -> None:
        self.exit(0)

    def action_sort(self, step: int) -> None:
        view = self._asker.view
        index = (NAMES.index(view.sort) + step) % len(NAMES)
        self._sort_by(index, COLUMNS[index].is_number)

    def action_reverse(self) -> None:
        self._look(descending=not self._asker.view.descending)

    def _sort_by(self, index: int, descending: bool) -> None:
        self._look(sort=NAMES[index], descending=descending)

    @on(DataTable.HeaderSelected, "#connections")
    def header_chosen(self, event: DataTable.HeaderSelected) -> None:
        view = self._asker.view
        again = NAMES[event.column_index] == view.sort
        down = not view.descending if again else COLUMNS[event.column_index].is_number
        self._sort_by(event.column_index, down)

    @on(DataTable.RowSelected, "#connections")
    def row_chosen(self) -> None:
        self.action_details()

    def action_details(self) -> None:
        row = self._row()
        if row is not None:
            self.push_screen(Details(self._program, row, self.ask_and_act))

    def action_search(self) -> None:
        search = self.query_one("#search", Input)
        search.add_class("shown")
        search.focus()

    @on(Input.Changed, "#search")
    def searched(self, event: Input.Changed) -> None:
        self._look(search=event.value)

    @on(Input.Submitted, "#search")
    def search_done(self) -> None:
        self._leave_search()

    def _leave_search(self) -> None:
        self.query_one("#search", Input).remove_class("shown")
        self.query_one("#connections", DataTable).focus()

    def action_clear(self) -> None:
        """Show all again."""
        self.query_one("#search", Input).value = ""
        self._leave_search()
        self._look(search="", server="")

    def action_filter(self) -> None:
        """Show the connections of the next server alone; behind the last those of all."""
        names = ["", *dict.fromkeys(each["address"] for each in self._servers)]
        now = self._asker.view.server
        index = names.index(now) if now in names else 0
        self._look(server=names[(index + 1) % len(names)])

    def action_pause(self) -> None:
        self._asker.paused = not self._asker.paused
        self._show_head()

    def action_end(self, verb: str) -> None:
        row = self._row()
        if row is not None:
            self.ask_and_act(verb, row["id"], title_of(row))

    def action_drain(self) -> None:
        """Have the chosen server, or the chosen connection's, accept no more."""
        row = self._row()
        address = self._asker.view.server or (row["server"] if row is not None else "")
        found = [each for each in self._servers if each["address"] == address]
        if not found and len(self._servers) == 1:
            found = self._servers
        if not found:
            self.notify("Choose a server with f, or a connection of it", markup=False)
            return
        self._drain(found)

    def _drain(self, servers: list[Row]) -> None:
        def answered(sure: bool | None) -> None:
            for each in servers if sure else ():
                self._asker.act("drain", each["id"])

        name = printable(servers[0]["address"])
        self.push_screen(Question(f"Have {name} accept no more connections?"), answered)

    def ask_and_act(self, verb: str, number: str, name: str) -> None:
        """End a connection, if the user is sure."""

        def answered(sure: bool | None) -> None:
            if sure:
                self._asker.act(verb, number)

        self.push_screen(Question(f"{verb.capitalize()} {name}?"), answered)

    def _look(self, **changes: Any) -> None:
        self._asker.look(replace(self._asker.view, **changes))

    def _row(self) -> Row | None:
        """The connection that the cursor is on."""
        index = self.query_one("#connections", DataTable).cursor_row
        return self._rows[index] if 0 <= index < len(self._rows) else None


def _cells(row: Row) -> list[Text]:
    return [
        Text(text, justify="right" if column.is_number else "left", no_wrap=True)
        for text, column in zip(cells(row), COLUMNS)
    ]


def _server_cells(server: Row) -> list[Text]:
    since = server["listening_since"]
    texts = [
        printable(server["address"]),
        str(server["active"]),
        str(server["accepted"]),
        str(sum(server["refused"].values())),
        size(server["bytes_in"]),
        size(server["bytes_out"]),
        size(server["queued"]),
        "closing" if since is None else duration(max(0.0, time() - since)),
    ]
    return [Text(text) for text in texts]


def _fill(table: Table, keys: list[str], rows: Iterable[list[Text]]) -> None:
    """Have the table show the rows; the cursor stays on its connection, and the view in place."""
    chosen = None
    if keys and table.row_count:
        with suppress(Exception):
            chosen = table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value
    x, y = table.scroll_offset
    table.clear()
    for index, texts in enumerate(rows):
        table.add_row(*texts, key=keys[index] if keys else None)
    if chosen in keys:
        table.move_cursor(row=keys.index(chosen), scroll=False)
    table.scroll_to(x, y, animate=False)
