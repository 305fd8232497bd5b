"""The verb ``proxy``."""

from __future__ import annotations

import argparse
import ipaddress

import gnet

from .arguments import add_serving, add_target, argument
from .copying import relay
from .session import Session

__all__ = ["PROXY", "add_proxy"]

PROXY = "Pass every connection that comes at FROM on to TO."


def proxy(session: Session, options: argparse.Namespace) -> None:
    """``gnet proxy``"""
    block_list = gnet.BlockList()
    for network in options.block:
        family = f"ipv{network.version}"
        block_list.add_subnet(str(network.network_address), network.prefixlen, family)

    def relayed(client: gnet.Socket) -> None:
        upstream = gnet.connect(**options.upstream.options, allow_half_open=True, no_delay=True)
        client.on("error", session.ignore)

        upstream.on("error", session.complain_unless_peers)
        relay(client, upstream)

    server = gnet.create_server(
        relayed, allow_half_open=True, no_delay=True, block_list=block_list
    )
    session.serve(server, options)


def add_proxy(parser: argparse.ArgumentParser) -> None:
    add_target(parser, "FROM")
    add_target(parser, "TO", "upstream")
    parser.add_argument(
        "--block", action="append", type=_network, metavar="CIDR", default=[],
        help="drop the connections that come from there; may be repeated",
    )  # fmt: skip
    add_serving(parser)
    parser.set_defaults(run=proxy)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    with argument():
        return ipaddress.ip_network(text, strict=False)
