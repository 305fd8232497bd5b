"""The verb ``ps``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from ..live.requests import VERSION
from ..live.table import Listing, Rates, View, lines_of
from .output import print_lines
from .program import add_program, chosen
from .session import Session

__all__ = ["PS", "add_ps"]

PS = """Print the connections of a program that has a live view: started with GNET_LIVE=path, or
after gnet.live.enable()."""


def ps(session: Session, options: argparse.Namespace) -> None:
    """``gnet ps``"""
    program = chosen(session, options)
    listing = Listing.of(program.ask("list"), View(limit=None), Rates())
    print_lines([json.dumps(_whole(listing))] if options.json else _table(listing))


def _table(listing: Listing) -> Iterator[str]:
    yield from lines_of(listing.shown())


def _whole(listing: Listing) -> dict[str, Any]:
    """All of it, for programs."""
    return {
        "version": VERSION,
        "pid": listing.processes[0]["pid"],
        "servers": listing.servers,
        "connections": listing.shown(),
        "processes": [
            {name: value for name, value in each.items() if name not in ("servers", "columns")}
            for each in listing.processes
        ],
    }


def add_ps(parser: argparse.ArgumentParser) -> None:
    add_program(parser)
    parser.add_argument(
        "--json", action="store_true",
        help="print one object of JSON, with version, pid, servers and connections",
    )  # fmt: skip
    parser.set_defaults(run=ps, late="program")
