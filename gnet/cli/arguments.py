"""What several verbs take on their command lines."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .place import FORMS, Place
from .session import GRACE

__all__ = ["add_serving", "add_target", "argument", "count", "positive_seconds"]


def add_target(parser: argparse.ArgumentParser, name: str = "TARGET", to: str = "target") -> None:
    parser.add_argument(to, metavar=name, type=_place, help=f"one of {FORMS}")


def add_serving(parser: argparse.ArgumentParser, grace: float = GRACE) -> None:
    parser.add_argument(
        "--max-connections", type=count, metavar="N",
        help="drop the connections that are more than so many at once",
    )  # fmt: skip
    parser.add_argument(
        "--grace", type=_seconds, metavar="SECONDS", default=grace,
        help="how long connections have to end when the server is stopped; default %(default)g",
    )  # fmt: skip


# Of what a type raises argparse shows the text only for its own error.


def _place(text: str) -> Place:
    with argument():
        return Place.parse(text)


def count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _seconds(text: str) -> float:
    with suppress(ValueError):
        seconds = float(text)
        if 0 <= seconds <= 2**31:
            return seconds
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")


def positive_seconds(text: str) -> float:
    seconds = _seconds(text)
    if not seconds:
        raise argparse.ArgumentTypeError("no time at all is too short")
    return seconds


@contextmanager
def argument() -> Iterator[None]:
    try:
        yield
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc
