"""What a socket or a server takes over is checked first: what is refused stays its owner's."""

from __future__ import annotations

import errno
import os
import socket as std_socket
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent.ssl
import pytest
from gevent import socket

import gnet

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="there are handles, not files")


@contextmanager
def plain_pair() -> Iterator[tuple[std_socket.socket, std_socket.socket]]:
    """Two plain sockets with each other, in blocking mode."""
    here, there = std_socket.socketpair()
    with here, there:
        yield here, there


# -- refused options ------------------------------------------------------------------------------

WRONG: dict[str, Any] = {
    "allow_half_open": "yes",
    "readable": "yes",
    "writable": 2,
    "onread": print,
    "signal": 42,
    "high_water_mark": -1,
    "write_limit": "much",
    "when_over": "nonsense",
    "first_byte_timeout": -1,
    "write_timeout": "1",
    "lifetime": [],
    "no_such_option": 1,
}


@pytest.mark.parametrize("option", WRONG)
def test_a_wrong_option_leaves_the_handle_alone(option: str) -> None:
    with plain_pair() as (here, there):
        with pytest.raises((TypeError, ValueError), match=option):
            gnet.Socket(handle=here, **{option: WRONG[option]})
        assert here.fileno() >= 0
        assert here.gettimeout() is None
        there.sendall(b"still there")
        assert here.recv(100) == b"still there"


@pytest.mark.parametrize("option", ["port", "host", "timeout", "lookup", "no_such_option"])
@pytest.mark.parametrize("by", ["handle", "fd"])
def test_a_wrong_option_of_connect_leaves_the_descriptor_alone(option: str, by: str) -> None:
    with std_socket.socket() as mine:
        given = {"handle": mine, "fd": mine.fileno()}[by]
        arguments = {"port": 1, "host": "127.0.0.1", by: given, option: object()}
        with pytest.raises(TypeError, match=option):
            gnet.connect(**arguments)
        assert mine.getsockopt(std_socket.SOL_SOCKET, std_socket.SO_TYPE)


@pytest.mark.parametrize("option", ["backlog", "signal", "ipv6_only", "listening_listener"])
def test_a_wrong_option_of_listen_leaves_the_handle_alone(option: str) -> None:
    with std_socket.create_server(("127.0.0.1", 0)) as mine:
        server = gnet.Server()
        with pytest.raises(TypeError, match=option):
            server.listen(mine, **{option: object()})
        assert mine.getsockname()
        assert not server.listening


@pytest.mark.parametrize("option", ["backlog", "grace", "no_delay", "no_such_option"])
def test_a_wrong_option_of_serve_leaves_the_handle_alone(option: str) -> None:
    with std_socket.create_server(("127.0.0.1", 0)) as mine:
        with pytest.raises(TypeError, match=option):
            gnet.serve(print, mine, **{option: object()})
        assert mine.getsockname()


@on_posix
@pytest.mark.parametrize("take", [gnet.Socket, gnet.Server().listen], ids=["Socket", "listen"])
def test_what_is_refused_blocks_as_before(take: Callable[..., Any]) -> None:
    """The mode of a descriptor is everybody's who has it."""
    with std_socket.socket(std_socket.AF_INET, std_socket.SOCK_DGRAM) as datagrams:
        os.set_blocking(datagrams.fileno(), True)
        with pytest.raises((OSError, ValueError)):
            take(fd=datagrams.fileno())
        assert os.get_blocking(datagrams.fileno())


@on_posix
def test_a_connected_socket_that_cannot_listen_blocks_as_before() -> None:
    with plain_pair() as (here, _):
        os.set_blocking(here.fileno(), True)
        with pytest.raises(OSError) as caught:
            gnet.Server().listen(here)
        assert caught.value.errno == errno.EINVAL
        assert os.get_blocking(here.fileno())


@on_posix
def test_a_file_is_no_handle_and_stays_open() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as file, open(writing, "wb"):
        with pytest.raises(TypeError, match="handle"):
            gnet.Socket(handle=file)
        os.fstat(reading)


# -- TLS ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [ssl, gevent.ssl], ids=["ssl", "gevent.ssl"])
@pytest.mark.parametrize("call", ["Socket", "connect", "listen", "serve"])
def test_a_socket_with_tls_is_refused_with_what_to_do(module: Any, call: str) -> None:
    calls: dict[str, Callable[[Any], Any]] = {
        "Socket": lambda tls: gnet.Socket(handle=tls),
        "connect": lambda tls: gnet.connect(1, handle=tls),
        "listen": lambda tls: gnet.Server().listen(tls),
        "serve": lambda tls: gnet.serve(print, tls),
    }
    context = module.SSLContext(module.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    here, there = socket.socketpair()
    with here, there:
        tls = context.wrap_socket(here, do_handshake_on_connect=False)
        with tls:
            with pytest.raises(TypeError) as caught:
                calls[call](tls)
            assert "tls=" in str(caught.value)
            assert "start_tls" in str(caught.value)
            assert caught.value.code == "ERR_INVALID_ARG_TYPE"  # type: ignore[attr-defined]
            assert tls.fileno() >= 0
