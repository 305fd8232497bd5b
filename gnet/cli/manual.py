"""The manual page, from the parser: ``python -m gnet.cli.manual > docs/gnet.1``."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator

import gnet

from .completion import Verb, actions_of, help_of, verbs_of
from .parser import DESCRIPTION, make_parser

__all__ = ["manual"]

TARGETS = """A port, 8124; a host and a port, localhost:8124 or [::1]:8124; or a Unix socket,
unix:/run/app.sock, or unix:@name for one of Linux's abstract names. Port 0 is any free one, and
the command says which it was. connect and listen also take a host and a port as two arguments, as
nc does. To listen, a port alone is one of the loopback, and *:8124 is one of every address."""
STATUS = """0; 1 after an error, which is one line on standard error; 2 when the command was called
wrongly; and 128 and the number of the signal when a transfer was stopped by one. A server that is
stopped by SIGINT (Ctrl-C) or SIGTERM ends its connections, and that is no failure."""


def manual() -> str:
    """The page, in the language of man(7)."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    verbs = verbs_of(make_parser())
    yield f'.TH GNET 1 "" "gnet {gnet.__version__}" "User Commands"'
    yield from (".SH NAME", f"gnet \\- {_text(DESCRIPTION.rstrip('.').lower())}")
    yield ".SH SYNOPSIS"
    for verb in verbs:
        yield from (".B gnet " + verb.name, _usage(verb), ".br")
    yield from (".SH TARGETS", _text(TARGETS), ".SH COMMANDS")
    for verb in verbs:
        yield from (f".SS gnet {verb.name}", _text(verb.parser.description or ""))
        for action in actions_of(verb.parser):
            yield from (".TP", _name(action), _text(help_of(action)))
    yield from (".SH EXIT STATUS", _text(STATUS), ".SH SEE ALSO", r".BR nc (1), \ socat (1)")


def _usage(verb: Verb) -> str:
    places = [each for each in actions_of(verb.parser) if not each.option_strings]
    optional = [
        f"[{_value(each)}]" if each.nargs in ("?", "*") else _value(each) for each in places
    ]
    return "[OPTIONS] " + " ".join(map(_text, optional))


def _name(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else rf" \fI{_text(_value(action))}\fR"
    if not action.option_strings:
        return value.lstrip()
    return ", ".join(rf"\fB{_text(each)}\fR" for each in action.option_strings) + value


def _value(action: argparse.Action) -> str:
    return str(action.metavar or action.dest)


def _text(text: str) -> str:
    """Text without effects in roff."""
    line = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return re.sub(r"^([.'])", r"\\&\1", line)


if __name__ == "__main__":
    sys.stdout.write(manual())
