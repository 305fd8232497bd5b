"""The verb ``lookup``."""

from __future__ import annotations

import argparse
from typing import Any

import gnet

from ..errors import printable
from .arguments import positive_seconds
from .output import print_lines
from .session import Session

__all__ = ["LOOKUP", "add_lookup"]

_ZONE_ORDER = {
    "MX": ("priority", "exchange"),
    "SRV": ("priority", "weight", "port", "name"),
    "NAPTR": ("order", "preference", "flags", "service", "regexp", "replacement"),
}
LOOKUP = """Look up the addresses of a name as programs do, in the hosts file and in DNS; or ask
for the records of a type."""


def lookup(session: Session, options: argparse.Namespace) -> None:
    """``gnet lookup``"""
    resolver = gnet.dns.Resolver(options.server, timeout=options.timeout)
    name, rdtype = options.name, options.type
    records: list[Any]
    if rdtype is None:
        records = [address for address, _ in resolver.lookup(name, all=True)]
    elif rdtype.upper() == "PTR" and gnet.is_ip(name):
        records = resolver.reverse(name)
    else:
        records = resolver.resolve(name, rdtype)
    print_lines(map(_record_text, records))


def _record_text(record: Any) -> str:
    if isinstance(record, str):
        text = record
    elif isinstance(record, list):
        # The pieces of a TXT record belong together.
        text = "".join(record)
    else:
        # The numbers come first in a zone file, and here, whatever their order in Node.
        fields = _ZONE_ORDER.get(type(record).__name__, record._fields)
        text = " ".join(str(getattr(record, each)) for each in fields)
    # It is a stranger's text, and this may be a terminal.
    return printable(text)


def add_lookup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument(
        "type", metavar="TYPE", nargs="?", type=_record_type, help="A, AAAA, MX, TXT, SRV, PTR …"
    )
    parser.add_argument(
        "--server", action="append", metavar="ADDRESS", type=_name_server,
        help="the name server to ask, with a port or without; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=positive_seconds, metavar="SECONDS", default=5.0,
        help="for everything; default %(default)g",
    )  # fmt: skip
    parser.set_defaults(run=lookup)


def _record_type(text: str) -> str:
    from ..dns.settings import record_type

    try:
        record_type(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no type of DNS records") from None
    return text


def _name_server(text: str) -> str:
    if gnet.SocketAddress.parse(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not an IP address, with or without a port")
    return text
