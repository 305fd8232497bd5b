"""Which program is looked at: an argument of ``ps``, ``top`` and ``live``."""

from __future__ import annotations

import argparse

from ..errors import printable
from ..live.client import SeveralProgramsError, There, choose
from .session import CommandError, Session

__all__ = ["PROGRAM", "add_program", "chosen"]

PROGRAM = """the control socket of a program, or the number of its process; default: the only
program of yours that has a live view"""


def add_program(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("program", metavar="PROGRAM", nargs="?", help=PROGRAM)


def chosen(session: Session, options: argparse.Namespace) -> There:
    """The program that is meant.

    :raises CommandError: it is not said which of several.
    :raises OSError: there is none.
    """
    try:
        return choose(options.program)
    except SeveralProgramsError as exc:
        for each in exc.programs:
            session.console.say(f"{each.pid:>8}  {printable(each.path)}")
        raise CommandError("several programs have a live view: say which of them") from exc
