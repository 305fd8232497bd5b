"""Proxies that are not gnet, and one that says what it is told to."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import gevent
from gevent import socket

from tests.helpers.peers import Peer, running
from tests.helpers.servers import MOST_PORTS, raw_listener, receive

CONFIGURATION = """\
    Port {port}
    Listen 127.0.0.1
    Timeout 20
    MaxClients 10
    LogFile "{log}"
    {login}
"""
#: Seconds between two looks whether a program listens.
PAUSE = 0.02


@contextmanager
def socks_proxy(*login: str) -> Iterator[int]:
    """A SOCKS5 proxy, ``microsocks``, on the loopback; gives its port.

    :param login: the user and the password that it wants.
    """
    options = ("-u", login[0], "-P", login[1]) if login else ()
    for _ in range(MOST_PORTS):
        port = _free_port()
        command = ("microsocks", "-i", "127.0.0.1", "-p", str(port), *options)
        with running(*command) as process:
            if _listens(process, port):
                yield port
                return
    raise AssertionError("no port was free")


@contextmanager
def http_proxy(directory: Path, *login: str) -> Iterator[int]:
    """An HTTP proxy, ``tinyproxy``; gives its port."""
    for _ in range(MOST_PORTS):
        port = _free_port()
        file = directory / "tinyproxy.conf"
        text = textwrap.dedent(CONFIGURATION).format(
            port=port,
            log=directory / "tinyproxy.log",
            login=f"BasicAuth {' '.join(login)}" if login else "",
        )
        file.write_text(text, encoding="utf-8")
        with running("tinyproxy", "-d", "-c", str(file)) as process:
            if _listens(process, port):
                yield port
                return
    raise AssertionError("no port was free")


def _free_port() -> int:
    # Neither program takes over a socket: the port may be another's when it listens, and then
    # another one is tried.
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _listens(process: Peer, port: int) -> bool:
    """Wait until the program listens; ``False`` when it has ended instead."""
    while process.runs:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return True
        gevent.sleep(PAUSE)
    return False


@contextmanager
def scripted(*answers: tuple[int, bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """A server of one client: it receives so many bytes, sends an answer, and so on.

    Gives its port, and what it was sent.
    """
    asked: list[bytes] = []
    with raw_listener() as listener:
        server = gevent.spawn(_play, listener, answers, asked)
        try:
            yield listener.getsockname()[1], asked
        finally:
            server.kill()


def _play(
    listener: socket.socket, answers: Sequence[tuple[int, bytes]], asked: list[bytes]
) -> None:
    peer, _ = listener.accept()
    with peer:
        for size, answer in answers:
            asked.append(receive(peer, size))
            peer.sendall(answer)
