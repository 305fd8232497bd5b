"""What ``gnet top`` shows above its table: one connection, and a question."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import localtime, strftime
from typing import Any, ClassVar

import gevent
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Footer, Label, RichLog, Static

from ..errors import printable
from ..live.client import LiveError, There
from .asker import NAME, tell

__all__ = ["Details", "Question", "title_of"]

Row = dict[str, Any]


class Question(ModalScreen[bool]):
    """Whether something that cannot be undone is to be done."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        with Vertical(id="question"):
            yield Label(Text(self._question))
            with Horizontal():
                yield Button("Yes (y)", variant="error", id="yes")
                yield Button("No (n)", id="no")

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)


class Details(ModalScreen[None]):
    """One connection: what there is to say of it, and what happens to it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "app.pop_screen", "Back"),
        Binding("k", "close('close')", "Close it"),
        Binding("x", "close('reset')", "Reset it"),
    ]

    def __init__(self, program: There, row: Row, act: Callable[[str, str, str], object]) -> None:
        """:param act: called to close or reset the connection: how, its id, and its name."""
        super().__init__()
        self._program = program
        self._row = row
        self._act = act
        self._over = threading.Event()

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="details"):
            yield Static(Text(title_of(self._row), style="bold"))
            yield Static("", id="facts", markup=False)
            yield Static(Text("Its greenlet", style="bold"), classes="heading")
            yield Static("", id="stack", markup=False)
            yield Static(Text("What happens", style="bold"), classes="heading")
            yield RichLog(id="happened", markup=False, highlight=False, max_lines=500)
        yield Footer()

    def on_mount(self) -> None:
        threading.Thread(target=self._follow, name=NAME, daemon=True).start()

    def on_unmount(self) -> None:
        self._over.set()

    def action_close(self, verb: str) -> None:
        self._act(verb, self._row["id"], title_of(self._row))

    # In a thread of its own, as long as this is shown.
    def _follow(self) -> None:
        number = self._row["id"]
        try:
            for line in self._program.ask("details", id=number):
                tell(self, self._show, line["connection"])
            for line in self._program.ask("events", id=number):
                if self._over.is_set():
                    break
                if "event" in line:
                    tell(self, self._happened, line["event"])
        except LiveError as exc:
            tell(self, self._happened, {"name": str(exc)})
        finally:
            gevent.get_hub().destroy(destroy_loop=True)

    def _show(self, facts: Row) -> None:
        stack = facts.pop("stack", None) or ["none at the moment"]
        width = max(map(len, facts), default=0)
        lines = [f"{name.replace('_', ' '):{width}}  {_shown(facts[name])}" for name in facts]
        self.query_one("#facts", Static).update(Text("\n".join(lines)))
        self.query_one("#stack", Static).update(Text("\n".join(map(printable, stack))))

    def _happened(self, event: Row) -> None:
        at = event.pop("time", None)
        clock = "" if at is None else strftime("%H:%M:%S ", localtime(at))
        words = " ".join(_shown(value) for value in event.values())
        self.query_one("#happened", RichLog).write(Text(clock + words))


def _shown(value: object) -> str:
    return "–" if value is None else printable(str(value))


def title_of(row: Row) -> str:
    return printable(f"{row['peer'] or row['name'] or 'a connection'} on {row['local']}")
