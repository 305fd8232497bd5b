"""What the command says, and how it counts."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnet.cli.console import CLEAR, Console
from gnet.cli.traffic import amount


class Screen(io.StringIO):
    """A text stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (12_345_678, "12.3 MB"),
        (10**30, "1000000000000.0 EB"),
    ],
)
def test_an_amount_has_a_decimal_prefix(count: int, text: str) -> None:
    assert amount(count) == text


@given(st.integers(0, 10**20))
def test_an_amount_is_right_within_its_digits(count: int) -> None:
    number, unit = amount(count).split()
    factor = 1000 ** " kMGTPE".index(unit.removesuffix("B") or " ")
    assert abs(float(number) * factor - count) <= 0.051 * factor


def test_the_status_is_written_over_and_stays_below_what_is_said() -> None:
    screen = Screen()
    console = Console(screen)
    console.show("1 B")
    console.show("2 B")
    console.say("hello")
    console.show("")
    console.say("bye")
    assert screen.getvalue() == f"{CLEAR}1 B{CLEAR}2 B{CLEAR}hello\n2 B{CLEAR}bye\n"


def test_no_status_is_shown_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    Console(stream).show("1 B")
    assert stream.getvalue() == ""


@given(st.text())
def test_whatever_is_said_is_one_line(text: str) -> None:
    stream = io.StringIO(newline="")
    Console(stream).say(text)
    assert stream.getvalue().splitlines() == [stream.getvalue()[:-1]]
    assert all(each.isprintable() for each in stream.getvalue()[:-1])


def test_a_console_whose_stream_is_closed_is_silent() -> None:
    stream = io.StringIO()
    console = Console(stream)
    stream.close()
    console.say("hello")
    console.say("bye")
    assert not console.is_terminal
