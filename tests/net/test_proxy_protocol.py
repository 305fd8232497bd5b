"""Servers behind proxies: who the client is, who is believed, and what closes a connection."""

from __future__ import annotations

import os
import struct
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket, subprocess
from gevent.event import Event
from gevent.queue import Queue

import gnet
from gnet._server import proxy_gate
from tests.helpers.calls import Calls
from tests.helpers.counts import descriptors
from tests.helpers.peers import program
from tests.helpers.servers import receive, receive_all, send_reset
from tests.helpers.turns import turns_of_the_loop
from tests.net.conftest import Net

HEADER = b"PROXY TCP4 192.0.2.1 198.51.100.2 1111 2222\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
HEADER_2 = SIGNATURE + struct.pack(
    "!BBH4s4sHH", 0x21, 0x11, 12, bytes((192, 0, 2, 1)), bytes((198, 51, 100, 2)), 1111, 2222
)
LOCAL = SIGNATURE + struct.pack("!BBH", 0x20, 0, 0)
CLIENT = ("192.0.2.1", 1111, "IPv4")

LOOPBACK = gnet.BlockList()
LOOPBACK.add_subnet("127.0.0.0", 8)
LOOPBACK.add_address("::1", "ipv6")
NOBODY = gnet.BlockList()


class Behind:
    """A server behind a proxy, its connections and what it has dropped."""

    def __init__(self, net: Net, mode: str = "require", **options: Any) -> None:
        self.net = net
        self.arrived: Queue[gnet.Socket] = Queue()
        self.dropped: Queue[gnet.DropInfo] = Queue()
        options.setdefault("trusted_proxies", LOOPBACK)
        self.server = net.server(self.arrived.put, proxy_protocol=mode, **options)
        self.server.on("drop", self.dropped.put)

    def proxy(self, data: bytes = b"") -> socket.socket:
        """A connection of the proxy, which begins with ``data``."""
        peer = self.net.peer(self.server)
        if data:
            peer.sendall(data)
        return peer


@pytest.fixture
def short_header_time(monkeypatch: pytest.MonkeyPatch) -> float:
    seconds = 0.1
    monkeypatch.setattr(proxy_gate, "HEADER_SECONDS", seconds)
    return seconds


# -- arguments -------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [True, 1, b"require", object()])
def test_a_mode_of_another_kind_is_a_type_error(mode: Any) -> None:
    with pytest.raises(TypeError, match="proxy_protocol") as caught:
        gnet.Server(proxy_protocol=mode, trusted_proxies=LOOPBACK)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"  # type: ignore[attr-defined]


@pytest.mark.parametrize("mode", ["", "REQUIRE", "v2"])
def test_another_mode_is_a_value_error(mode: str) -> None:
    with pytest.raises(ValueError, match="'require' or 'optional'") as caught:
        gnet.Server(proxy_protocol=mode, trusted_proxies=LOOPBACK)
    assert caught.value.code == "ERR_INVALID_ARG_VALUE"  # type: ignore[attr-defined]


@pytest.mark.parametrize("mode", ["require", "optional"])
@pytest.mark.parametrize("trusted", [None, ["127.0.0.1"], "127.0.0.1", True])
def test_without_a_list_of_proxies_nobody_can_be_believed(mode: str, trusted: Any) -> None:
    with pytest.raises(TypeError, match="trusted_proxies") as caught:
        gnet.Server(proxy_protocol=mode, trusted_proxies=trusted)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"  # type: ignore[attr-defined]


# -- who the client is ------------------------------------------------------------------------


@pytest.mark.parametrize("header", [HEADER, HEADER_2], ids=["v1", "v2"])
@pytest.mark.parametrize("mode", ["require", "optional"])
def test_the_remote_address_is_the_clients(net: Net, mode: str, header: bytes) -> None:
    behind = Behind(net, mode)
    peer = behind.proxy(header + b"hello")
    sock = behind.arrived.get()
    assert (sock.remote_address, sock.remote_port, sock.remote_family) == CLIENT
    assert (sock.local_address, sock.local_port) == ("198.51.100.2", 2222)
    # The system's name of the peer is the proxy's.
    assert sock.getpeername() == peer.getsockname()
    assert sock.recv() == b"hello"
    sock.sendall(b"answer")
    assert receive(peer, 6) == b"answer"
    assert "192.0.2.1:1111" in repr(sock)


def test_an_ipv6_client_behind_an_ipv4_proxy(tcp: Net) -> None:
    behind = Behind(tcp)
    behind.proxy(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n")
    sock = behind.arrived.get()
    assert (sock.remote_address, sock.remote_family) == ("2001:db8::1", "IPv6")


def test_the_clients_address_is_readable_in_close(tcp: Net, must_call: Calls) -> None:
    behind = Behind(tcp)
    behind.proxy(HEADER).close()
    sock = behind.arrived.get()
    sock.on("close", must_call(lambda had_error: seen.append(sock.remote_address)))
    seen: list[Any] = []
    must_call.wait()
    assert seen == ["192.0.2.1"]


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", LOCAL], ids=["v1", "v2"])
def test_a_proxy_that_speaks_for_itself_is_the_client(tcp: Net, header: bytes) -> None:
    behind = Behind(tcp)
    peer = behind.proxy(header + b"check")
    sock = behind.arrived.get()
    assert (sock.remote_address, sock.remote_port) == peer.getsockname()
    assert sock.recv() == b"check"


def test_the_events_of_the_process_have_the_clients_address(tcp: Net) -> None:
    import zope.event

    seen: list[Any] = []
    zope.event.subscribers.append(seen.append)
    behind = Behind(tcp)
    behind.proxy(HEADER)
    behind.arrived.get()
    (accepted,) = [each for each in seen if type(each).__name__ == "ConnectionAccepted"]
    assert "192.0.2.1" in repr(accepted)


# -- nothing behind the header is lost ---------------------------------------------------------


@pytest.mark.parametrize("mode", ["require", "optional"])
@pytest.mark.parametrize("header", [HEADER, HEADER_2], ids=["v1", "v2"])
@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_header_may_come_in_any_pieces(tcp: Net, mode: str, header: bytes, size: int) -> None:
    behind = Behind(tcp, mode)
    peer = behind.proxy()
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    message = header + b"and all the rest"
    for start in range(0, len(message), size):
        peer.sendall(message[start : start + size])
        gevent.sleep(0)
    sock = behind.arrived.get()
    assert sock.remote_address == "192.0.2.1"
    assert receive(sock, 16) == b"and all the rest"  # type: ignore[arg-type]


@pytest.mark.parametrize("split", [*range(1, len(HEADER_2) + 4, 3)])
def test_every_byte_behind_the_header_is_the_connections(tcp: Net, split: int) -> None:
    behind = Behind(tcp)
    data = os.urandom(1_000_000)
    peer = behind.proxy()
    message = HEADER_2 + data
    sender = gevent.spawn(_send_in_two, peer, message[:split], message[split:])
    sock = behind.arrived.get()
    assert b"".join(sock) == data
    assert sock.bytes_read == len(data)
    sender.get()


def _send_in_two(peer: socket.socket, first: bytes, second: bytes) -> None:
    peer.sendall(first)
    gevent.sleep(0)
    peer.sendall(second)
    peer.shutdown(socket.SHUT_WR)


def test_a_header_within_the_data_is_data(tcp: Net) -> None:
    behind = Behind(tcp)
    behind.proxy(HEADER + HEADER + HEADER_2)
    sock = behind.arrived.get()
    assert receive(sock, len(HEADER + HEADER_2)) == HEADER + HEADER_2  # type: ignore[arg-type]


def test_the_largest_header_with_tlvs_is_taken_whole(tcp: Net) -> None:
    tlvs = b"\x04\x0f\xe1" + bytes(4096 - 28 - 3)
    header = SIGNATURE + struct.pack("!BBH", 0x21, 0x11, 12 + len(tlvs)) + HEADER_2[16:] + tlvs
    assert len(header) == 4096
    behind = Behind(tcp)
    behind.proxy(header + b"x")
    assert behind.arrived.get().recv() == b"x"


def test_connections_of_one_proxy_do_not_wait_for_each_other(tcp: Net) -> None:
    behind = Behind(tcp)
    slow = behind.proxy(HEADER[:10])
    behind.proxy(HEADER)
    behind.arrived.get()
    slow.sendall(HEADER[10:])
    assert behind.arrived.get().remote_address == "192.0.2.1"


# -- who is believed --------------------------------------------------------------------------


def test_a_header_of_an_untrusted_peer_closes_the_connection(tcp: Net) -> None:
    behind = Behind(tcp, trusted_proxies=NOBODY)
    peer = behind.proxy()
    assert receive_all(peer) == b""
    info = behind.dropped.get()
    assert info.reason == "proxy_protocol"
    assert info.remote_port == peer.getsockname()[1]
    assert behind.arrived.empty()


@pytest.mark.parametrize("header", [HEADER, HEADER_2], ids=["v1", "v2"])
def test_an_untrusted_header_closes_also_where_headers_are_optional(
    tcp: Net, header: bytes
) -> None:
    behind = Behind(tcp, "optional", trusted_proxies=NOBODY)
    peer = behind.proxy(header)
    assert closed_by_server(peer)
    assert behind.dropped.get().reason == "proxy_protocol"
    assert behind.arrived.empty()


def test_an_untrusted_peer_without_a_header_is_served_where_it_is_optional(tcp: Net) -> None:
    behind = Behind(tcp, "optional", trusted_proxies=NOBODY)
    peer = behind.proxy(b"GET / HTTP/1.1\r\n")
    sock = behind.arrived.get()
    assert (sock.remote_address, sock.remote_port) == peer.getsockname()
    assert sock.recv() == b"GET / HTTP/1.1\r\n"


def test_a_proxy_by_its_mapped_address_is_the_same_proxy() -> None:
    net = Net("ipv4")
    arrived: Queue[gnet.Socket] = Queue()
    with gnet.Server(arrived.put, proxy_protocol="require", trusted_proxies=LOOPBACK) as server:
        server.listen(0, "::")
        address = server.address()
        assert isinstance(address, gnet.AddressInfo)
        with socket.create_connection(("127.0.0.1", address.port)) as peer:
            peer.sendall(HEADER)
            with arrived.get() as sock:
                assert sock.remote_address == "192.0.2.1"
    net.end_all()


# -- what closes ------------------------------------------------------------------------------


def closed_by_server(peer: socket.socket) -> bool:
    """Block until the server has closed; what was unread makes that a reset."""
    try:
        return receive_all(peer) == b""
    except ConnectionResetError:
        return True


BAD = {
    "another protocol": b"GET / HTTP/1.1\r\n\r\n",
    "malformed v1": b"PROXY TCP4 1.2.3.4 here 1 2\r\n",
    "malformed v2": SIGNATURE + b"\x31\x11\x00\x00",
    "oversized v1": b"PROXY TCP4 " + b"1" * 200,
    "oversized v2": SIGNATURE + struct.pack("!BBH", 0x21, 0x11, 65535),
    "wrong case": b"proxy ",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_what_is_no_header_closes_the_connection(net: Net, data: bytes) -> None:
    behind = Behind(net)
    peer = behind.proxy(data)
    assert closed_by_server(peer)
    assert behind.dropped.get().reason == "proxy_protocol"
    assert behind.arrived.empty()
    # The next one is served.
    behind.proxy(HEADER)
    behind.arrived.get()


@pytest.mark.parametrize("name", [name for name in BAD if "v" in name[-2:]])
def test_a_bad_header_closes_also_where_headers_are_optional(tcp: Net, name: str) -> None:
    behind = Behind(tcp, "optional")
    assert closed_by_server(behind.proxy(BAD[name]))
    assert behind.dropped.get().reason == "proxy_protocol"


@pytest.mark.parametrize("begun", [b"", b"P", b"PROXY TCP4 ", SIGNATURE, HEADER[:-1]])
def test_a_slow_header_closes_the_connection(
    tcp: Net, begun: bytes, short_header_time: float
) -> None:
    behind = Behind(tcp)
    peer = behind.proxy(begun)
    assert closed_by_server(peer)
    assert behind.dropped.get().reason == "proxy_protocol"


@pytest.mark.parametrize("begun", [b"P", b"PROXY TCP4 ", SIGNATURE, HEADER[:-1]])
def test_a_slow_header_closes_also_where_headers_are_optional(
    tcp: Net, begun: bytes, short_header_time: float
) -> None:
    behind = Behind(tcp, "optional")
    assert closed_by_server(behind.proxy(begun))
    assert behind.dropped.get().reason == "proxy_protocol"


def test_a_header_of_one_byte_after_another_has_no_more_time(
    tcp: Net, short_header_time: float
) -> None:
    behind = Behind(tcp)
    peer = behind.proxy()

    def trickle() -> None:
        # Each of them in time, all of them not.
        for byte in HEADER:
            peer.sendall(bytes((byte,)))
            gevent.sleep(short_header_time / 4)

    trickling = behind.net.start(trickle)
    assert closed_by_server(peer)
    assert behind.dropped.get().reason == "proxy_protocol"
    trickling.get()


@pytest.mark.parametrize("begun", [b"", b"PROX", HEADER[:-1], SIGNATURE])
def test_an_end_within_the_header_closes_the_connection_at_once(tcp: Net, begun: bytes) -> None:
    behind = Behind(tcp)
    peer = behind.proxy(begun)
    peer.shutdown(socket.SHUT_WR)
    assert behind.dropped.get().reason == "proxy_protocol"
    assert closed_by_server(peer)


def test_a_reset_within_the_header_harms_nobody(tcp: Net) -> None:
    behind = Behind(tcp)
    send_reset(behind.proxy(HEADER[:10]))
    assert behind.dropped.get().reason == "proxy_protocol"
    behind.proxy(HEADER)
    behind.arrived.get()


def test_a_client_that_says_nothing_is_served_where_headers_are_optional(
    tcp: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As with protocols in which the server speaks first.
    monkeypatch.setattr(proxy_gate, "OPTIONAL_SECONDS", 0.02)
    behind = Behind(tcp, "optional")
    peer = behind.proxy()
    sock = behind.arrived.get()
    sock.write(b"220 hello\r\n")
    assert receive(peer, 11) == b"220 hello\r\n"


@pytest.mark.parametrize("data", [b"P", b"PRO", b"\r\n", b"\r\n\r\n\0"])
def test_what_only_might_begin_a_header_is_given_back(tcp: Net, data: bytes) -> None:
    behind = Behind(tcp, "optional")
    peer = behind.proxy(data)
    behind.net.turns()
    assert behind.arrived.empty()
    peer.sendall(b"!")
    assert behind.arrived.get().recv() == data + b"!"


def test_a_part_of_a_header_does_not_keep_the_loop_busy(tcp: Net) -> None:
    for mode, begun in (("require", b"P"), ("require", HEADER[:20]), ("optional", b"PROX")):
        behind = Behind(tcp, mode)
        for _ in range(10):
            behind.proxy(begun)
        assert turns_of_the_loop(0.2) < 150
        behind.server.close()


# -- limits are the client's -------------------------------------------------------------------


def test_a_block_list_is_asked_about_the_client(tcp: Net) -> None:
    blocked = gnet.BlockList()
    blocked.add_address("192.0.2.1")
    behind = Behind(tcp, block_list=blocked)
    assert closed_by_server(behind.proxy(HEADER))
    info = behind.dropped.get()
    assert (info.reason, info.remote_address) == ("block_list", "192.0.2.1")
    behind.proxy(HEADER.replace(b"192.0.2.1", b"192.0.2.2"))
    assert behind.arrived.get().remote_address == "192.0.2.2"


def test_a_block_list_with_the_proxy_in_it_blocks_no_client(tcp: Net) -> None:
    behind = Behind(tcp, block_list=LOOPBACK)
    behind.proxy(HEADER)
    assert behind.arrived.get().remote_address == "192.0.2.1"


def test_a_mapped_client_is_blocked_by_its_ipv4_rule(tcp: Net) -> None:
    blocked = gnet.BlockList()
    blocked.add_address("192.0.2.1")
    behind = Behind(tcp, block_list=blocked)
    assert closed_by_server(behind.proxy(b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n"))
    assert behind.dropped.get().reason == "block_list"


def test_the_limit_per_address_is_the_clients(tcp: Net) -> None:
    behind = Behind(tcp, max_connections_per_address=1)
    behind.proxy(HEADER)
    first = behind.arrived.get()
    behind.proxy(HEADER.replace(b"192.0.2.1", b"192.0.2.2"))
    behind.arrived.get()
    for same in (HEADER, HEADER_2, b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n"):
        assert closed_by_server(behind.proxy(same))
        info = behind.dropped.get()
        assert info.reason == "per_address"
    first.destroy()
    tcp.closed(first)
    behind.proxy(HEADER)
    assert behind.arrived.get().remote_address == "192.0.2.1"


def test_connections_without_a_header_yet_count_for_max_connections(tcp: Net) -> None:
    behind = Behind(tcp, max_connections=2)
    silent = [behind.proxy() for _ in range(2)]
    assert closed_by_server(behind.proxy(HEADER))
    assert behind.dropped.get().reason == "max_connections"
    silent[0].sendall(HEADER)
    behind.arrived.get()


def test_connections_without_a_header_yet_count_where_others_wait(tcp: Net) -> None:
    behind = Behind(tcp, max_connections=2, when_full="wait")
    silent = [behind.proxy() for _ in range(2)]
    waiting = behind.proxy(HEADER + b"third")
    tcp.turns()
    assert behind.arrived.empty()
    # One comes in, one gives up: there is room for the third.
    silent[0].sendall(HEADER)
    behind.arrived.get()
    silent[1].close()
    assert behind.arrived.get().recv() == b"third"
    assert behind.dropped.get().reason == "proxy_protocol"
    assert behind.dropped.empty()
    waiting.close()


# -- closing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["close", "shutdown"])
def test_closing_the_server_closes_what_has_not_come_in(tcp: Net, call: str) -> None:
    behind = Behind(tcp)
    peers = [behind.proxy(HEADER[:20]), behind.proxy()]
    tcp.turns()
    getattr(behind.server, call)()
    behind.server.wait_closed()
    assert all(map(closed_by_server, peers))
    assert behind.arrived.empty()


def test_a_header_costs_no_descriptor_and_no_watcher(tcp: Net) -> None:
    behind = Behind(tcp)
    before = len(descriptors())
    for data in [HEADER, HEADER_2, b"x", HEADER[:9]] * 5:
        behind.proxy(data).close()
    gone = 0
    while gone < 20:
        if not behind.arrived.empty():
            tcp.closed(behind.arrived.get())
        else:
            behind.dropped.get()
        gone += 1
    assert len(descriptors()) == before


def test_a_unix_sockets_peer_needs_no_rule(unix: Net) -> None:
    behind = Behind(unix, trusted_proxies=NOBODY)
    behind.proxy(HEADER)
    assert behind.arrived.get().remote_address == "192.0.2.1"


# -- a real proxy -----------------------------------------------------------------------------

CONFIGURATION = """
    defaults
        mode tcp
        timeout connect 5s
        timeout client 10s
        timeout server 10s
    frontend front
        bind {front}
        default_backend back
    backend back
        server gnet 127.0.0.1:{port} {option}
"""


@contextmanager
def haproxy(directory: Path, server: gnet.Server, option: str) -> Iterator[str]:
    """A running HAProxy; gives the path that its clients connect to."""
    address = server.address()
    assert isinstance(address, gnet.AddressInfo)
    front = str(directory / "front.sock")
    listener = socket.socket(socket.AF_INET)
    listener.bind(("127.0.0.1", 0))
    listener.listen(16)
    # It inherits the listening socket: no port is reserved, released and hoped for.
    configuration = directory / "haproxy.cfg"
    configuration.write_text(
        textwrap.dedent(CONFIGURATION).format(
            front=f"fd@{listener.fileno()}", port=address.port, option=option
        )
    )
    process = subprocess.Popen(
        [program("haproxy"), "-db", "-q", "-f", str(configuration)],
        pass_fds=[listener.fileno()],
        stderr=subprocess.DEVNULL,
    )
    try:
        yield listener.getsockname()
    finally:
        process.kill()
        process.wait()
        listener.close()
        Path(front).unlink(missing_ok=True)


@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl"])
@pytest.mark.limit(30)
def test_behind_haproxy_the_client_is_the_client(tcp: Net, directory: Path, option: str) -> None:
    behind = Behind(tcp)
    data = os.urandom(1_000_000)
    with haproxy(directory, behind.server, option) as front:
        with socket.create_connection(front) as client:
            sender = gevent.spawn(_send_in_two, client, data[:1000], data[1000:])
            sock = behind.arrived.get()
            assert (sock.remote_address, sock.remote_port) == client.getsockname()
            assert (sock.local_address, sock.local_port) == front
            assert b"".join(sock) == data
            sender.get()
            sock.sendall(data)
            sock.end()
            assert receive_all(client) == data
        tcp.closed(sock)


@pytest.mark.limit(30)
def test_haproxys_health_checks_are_no_clients(tcp: Net, directory: Path) -> None:
    behind = Behind(tcp)
    # It resets the connection as soon as that is made.
    behind.server.on("connection", lambda sock: sock.on("error", lambda exc: None))
    with haproxy(directory, behind.server, "send-proxy-v2 check inter 50ms"):
        sock = behind.arrived.get()
        # LOCAL: it is the proxy itself.
        assert sock.remote_address == "127.0.0.1"
        tcp.closed(sock)


@pytest.mark.limit(30)
def test_behind_haproxy_a_limit_is_the_clients(tcp: Net, directory: Path) -> None:
    blocked = gnet.BlockList()
    blocked.add_address("127.0.0.2")
    behind = Behind(tcp, block_list=blocked, max_connections_per_address=1)
    with haproxy(directory, behind.server, "send-proxy-v2") as front:
        with socket.socket() as bad:
            bad.bind(("127.0.0.2", 0))
            bad.connect(front)
            assert closed_by_server(bad)
        info = behind.dropped.get()
        assert (info.reason, info.remote_address) == ("block_list", "127.0.0.2")
        with socket.create_connection(front) as first:
            sock = behind.arrived.get()
            with socket.create_connection(front) as second:
                assert closed_by_server(second)
            assert behind.dropped.get().reason == "per_address"
            first.close()
            sock.resume()
            tcp.closed(sock)


@pytest.mark.limit(30)
def test_killing_haproxy_in_mid_transfer_ends_the_connection(tcp: Net, directory: Path) -> None:
    behind = Behind(tcp)
    ended = Event()
    with haproxy(directory, behind.server, "send-proxy") as front:
        client = tcp.keep(socket.create_connection(front))
        sock = behind.arrived.get()
        sock.on("error", lambda exc: None)
        sock.on("close", lambda had_error: ended.set())
        sock.on("data", lambda chunk: None)
        sender: Callable[..., Any] = client.sendall
        behind.net.start(sender, bytes(1 << 24))
        sock.wait("data")
    ended.wait()
    assert sock.closed
