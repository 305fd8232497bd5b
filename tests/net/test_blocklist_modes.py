"""Servers, connects and the guards of gnet.monkey ask a list of either mode, as it is now."""

from __future__ import annotations

import socket as std_socket
from typing import Any

import pytest
from gevent import socket as gevent_socket
from gevent.queue import Queue

import gnet
from gnet import monkey
from gnet.errors import IPBlockedError
from tests.helpers.servers import echoing, receive_all
from tests.net.conftest import Net


def allowing(*cidrs: str) -> gnet.BlockList:
    allowed = gnet.BlockList("allow")
    allowed.add_cidrs(cidrs)
    return allowed


def test_a_server_lets_in_whom_the_list_allows(tcp: Net) -> None:
    allowed = allowing("192.0.2.0/24")
    dropped: Queue[gnet.DropInfo] = Queue()
    arrived: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrived.put, block_list=allowed)
    server.on("drop", dropped.put)
    assert receive_all(tcp.peer(server)) == b""
    assert dropped.get().reason == "block_list"
    allowed.add_cidr("127.0.0.0/8")
    tcp.peer(server)
    assert arrived.get().remote_address == "127.0.0.1"
    allowed.remove_cidr("127.0.0.0/8")
    assert receive_all(tcp.peer(server)) == b""
    assert dropped.get().reason == "block_list"
    assert (allowed.hits("Subnet: IPv4 192.0.2.0/24"), arrived.qsize()) == (0, 0)


def test_an_empty_list_of_the_allowed_lets_in_nobody(tcp: Net) -> None:
    dropped: Queue[gnet.DropInfo] = Queue()
    server = tcp.server(block_list=gnet.BlockList("allow"))
    server.on("drop", dropped.put)
    assert receive_all(tcp.peer(server)) == b""
    assert dropped.get().reason == "block_list"


def test_a_path_has_no_address_that_could_be_refused(unix: Net) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    unix.peer(unix.server(arrived.put, block_list=gnet.BlockList("allow")))
    arrived.get()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("select", [True, False])
def test_a_connect_goes_where_the_list_allows(tcp: Net, host: str, select: bool) -> None:
    allowed = gnet.BlockList("allow")
    options: Any = {"block_list": allowed, "auto_select_family": select}
    port = tcp.target(tcp.server())[0]
    sock = tcp.keep(gnet.connect(port, host, **options))
    with pytest.raises(OSError) as caught:
        sock.wait("connect")
    assert caught.value.code == "ERR_IP_BLOCKED"  # type: ignore[attr-defined]
    allowed.add_cidrs(gnet.BlockList.PRIVATE_RANGES)
    tcp.keep(gnet.connect(port, host, **options)).wait("connect")
    assert allowed.hits("Subnet: IPv4 127.0.0.0/8") >= 1


def test_a_ban_that_ends_by_itself_ends_for_servers_and_connects(tcp: Net) -> None:
    blocked = gnet.BlockList()
    port = tcp.target(tcp.server())[0]
    blocked.add_address("127.0.0.1", ttl=60)
    with pytest.raises(IPBlockedError):
        tcp.keep(gnet.connect(port, "127.0.0.1", block_list=blocked)).wait("connect")
    # The later one holds, until the clock goes on.
    blocked.add_address("127.0.0.1", ttl=1e-9)
    while blocked.check("127.0.0.1"):
        tcp.turns()
    tcp.keep(gnet.connect(port, "127.0.0.1", block_list=blocked)).wait("connect")


@pytest.mark.parametrize("kind", [std_socket.socket, gevent_socket.socket])
def test_the_guards_of_the_patch_let_through_what_is_allowed(kind: type) -> None:
    allowed = allowing("192.0.2.0/24")
    with echoing(at=(0, "127.0.0.1")) as server, monkey.patch(block_list=allowed):
        place = ("127.0.0.1", server.address().port)  # type: ignore[union-attr]
        ways: list[Any] = [
            lambda sock: sock.connect(place),
            lambda sock: sock.connect_ex(place),
        ]
        if hasattr(std_socket, "MSG_FASTOPEN"):
            ways += [
                lambda sock: sock.sendto(b"x", std_socket.MSG_FASTOPEN, place),
                lambda sock: sock.sendmsg([b"x"], [], std_socket.MSG_FASTOPEN, place),
            ]
        for connect in ways:
            with kind() as sock, pytest.raises(IPBlockedError):
                connect(sock)
        with pytest.raises(IPBlockedError):
            std_socket.create_connection(place)
        allowed.add_address("127.0.0.1")
        with kind() as sock:
            sock.connect(place)
        std_socket.create_connection(place).close()
        assert allowed.hits("Address: IPv4 127.0.0.1") >= 2


@pytest.mark.parametrize("mode", ["block", "allow"])
def test_the_rules_of_the_trusted_are_the_trusted_in_either_mode(tcp: Net, mode: str) -> None:
    header = b"PROXY TCP4 192.0.2.9 192.0.2.1 40000 80\r\n"
    for cidr, believed in (("127.0.0.0/8", True), ("10.0.0.0/8", False)):
        trusted = gnet.BlockList(mode)
        trusted.add_cidr(cidr)
        arrived: Queue[gnet.Socket] = Queue()
        server = tcp.server(arrived.put, proxy_protocol="require", trusted_proxies=trusted)
        peer = tcp.peer(server)
        if believed:
            peer.sendall(header)
            assert arrived.get().remote_address == "192.0.2.9"
        else:
            assert receive_all(peer) == b""
            assert arrived.empty()
