"""So many new connections a second: of all, of one address, and whoever counts as one."""

from __future__ import annotations

from typing import Any

import pytest
import zope.event
from gevent.queue import Queue

import gnet
from gnet import wsgi
from gnet._server import limits
from tests.helpers.peers import python, run
from tests.helpers.servers import counted_addresses, receive_all
from tests.net.conftest import Net

HEADER = "PROXY TCP{} {} {} 1111 2222\r\n"
TRUSTED = gnet.BlockList()
TRUSTED.add_subnet("127.0.0.0", 8)
RATES = ["max_connection_rate", "max_connection_rate_per_address"]


class Clock:
    """A clock that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(limits, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Door:
    """A server, and what becomes of those who come."""

    def __init__(self, net: Net, **options: Any) -> None:
        self.net = net
        self.outcomes: Queue[Any] = Queue()
        self.server = net.server(self.outcomes.put, **options)
        self.server.on("drop", self.outcomes.put)

    def knock(self, says: bytes = b"") -> str:
        """Connect; gives ``"in"``, or why not."""
        peer = self.net.peer(self.server)
        peer.sendall(says)
        outcome = self.outcomes.get()
        if isinstance(outcome, gnet.Socket):
            self.net.keep(outcome)
            return "in"
        assert receive_all(peer) == b""
        return str(outcome.reason)


def proxied(net: Net, **options: Any) -> Door:
    return Door(net, proxy_protocol="require", trusted_proxies=TRUSTED, **options)


def header(host: str) -> bytes:
    if ":" in host:
        return HEADER.format(6, host, "2001:db8:ffff::1").encode()
    return HEADER.format(4, host, "198.51.100.1").encode()


@pytest.mark.parametrize("name", RATES)
def test_more_than_the_rate_are_dropped_and_come_in_later(
    tcp: Net, name: str, clock: Clock
) -> None:
    door = Door(tcp, **{name: 3})
    assert [door.knock() for _ in range(5)] == ["in", "in", "in", "rate", "rate"]
    clock.now += 0.34
    assert [door.knock() for _ in range(2)] == ["in", "rate"]
    clock.now += 60
    assert [door.knock() for _ in range(4)] == ["in", "in", "in", "rate"]


def test_a_slow_rate_lets_one_in_at_once(tcp: Net, clock: Clock) -> None:
    door = Door(tcp, max_connection_rate=0.1)
    assert [door.knock() for _ in range(2)] == ["in", "rate"]
    clock.now += 9.9
    assert door.knock() == "rate"
    clock.now += 0.2
    assert door.knock() == "in"


def test_a_drop_by_the_rate_is_told_with_its_addresses(tcp: Net) -> None:
    seen: list[Any] = []
    zope.event.subscribers.append(seen.append)
    arrived: Queue[gnet.Socket] = Queue()
    dropped: Queue[gnet.DropInfo] = Queue()
    server = tcp.server(arrived.put, max_connection_rate=0.001)
    server.on("drop", dropped.put)
    tcp.peer(server)
    arrived.get()
    peer = tcp.peer(server)
    assert receive_all(peer) == b""
    info = dropped.get()
    assert (info.reason, info.remote_address) == ("rate", "127.0.0.1")
    assert info.remote_port == peer.getsockname()[1]
    assert info.local_port == tcp.target(server)[0]
    tcp.turns()
    told = [each for each in seen if isinstance(each, gnet.events.ConnectionDropped)]
    assert [each.reason for each in told] == ["rate"]


def test_each_address_has_a_rate_of_its_own(tcp: Net, clock: Clock) -> None:
    door = proxied(tcp, max_connection_rate_per_address=1)
    assert door.knock(header("192.0.2.1")) == "in"
    assert door.knock(header("192.0.2.1")) == "rate"
    assert door.knock(header("192.0.2.2")) == "in"
    # An IPv4 address is the same one where IPv6 has written it.
    assert door.knock(header("::ffff:192.0.2.2")) == "rate"


@pytest.mark.parametrize(
    ("prefix", "outcomes"),
    [
        (None, ["in", "drop", "in"]),
        ((32, 128), ["in", "in", "in"]),
        ([32, 48], ["in", "drop", "drop"]),
    ],
)
@pytest.mark.parametrize("limit", ["max_connections_per_address", RATES[1]])
def test_so_many_bits_of_an_ipv6_address_count_as_one(
    tcp: Net, limit: str, prefix: Any, outcomes: list[str]
) -> None:
    options: dict[str, Any] = {limit: 1}
    if prefix is not None:
        options["per_address_prefix"] = prefix
    door = proxied(tcp, **options)
    hosts = ("2001:db8:1::1", "2001:db8:1::2", "2001:db8:1:1::1")
    found = [door.knock(header(host)) for host in hosts]
    assert ["in" if each == "in" else "drop" for each in found] == outcomes


def test_so_many_bits_of_an_ipv4_address_count_as_one(tcp: Net) -> None:
    door = proxied(tcp, max_connections_per_address=1, per_address_prefix=(24, 64))
    assert door.knock(header("192.0.2.1")) == "in"
    assert door.knock(header("192.0.2.200")) == "per_address"
    assert door.knock(header("192.0.3.1")) == "in"


def test_what_another_limit_refuses_takes_no_token(tcp: Net, clock: Clock) -> None:
    blocked = gnet.BlockList()
    blocked.add_address("192.0.2.66")
    door = proxied(
        tcp, max_connection_rate=2, max_connection_rate_per_address=1,
        max_connections_per_address=1, block_list=blocked,
    )  # fmt: skip
    assert door.knock(header("192.0.2.1")) == "in"
    for _ in range(3):
        assert door.knock(header("192.0.2.66")) == "block_list"
        assert door.knock(header("192.0.2.1")) == "per_address"
    # Who is refused for the rate of his address takes none of the server's.
    clock.now += 0.5
    door.server.max_connections = None
    assert door.knock(header("192.0.2.2")) == "in"
    for sock in door.server.connections:
        sock.destroy()
        tcp.closed(sock)
    assert door.knock(header("192.0.2.2")) == "rate"
    assert door.knock(header("192.0.2.3")) == "in"
    assert door.knock(header("192.0.2.4")) == "rate"


def test_a_full_server_says_so_first(tcp: Net) -> None:
    door = Door(tcp, max_connections=1, max_connection_rate=0.001)
    assert [door.knock() for _ in range(2)] == ["in", "max_connections"]


def test_over_a_path_there_is_the_servers_rate_and_none_of_an_address(
    unix: Net, clock: Clock
) -> None:
    door = Door(unix, max_connection_rate=2, max_connection_rate_per_address=1)
    assert [door.knock() for _ in range(3)] == ["in", "in", "rate"]


def test_addresses_are_forgotten_when_they_are_idle(
    tcp: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A second is the shortest that they are remembered.
    door = proxied(tcp, max_connection_rate_per_address=100)
    for last in range(20):
        assert door.knock(header(f"192.0.2.{last}")) == "in"
    assert counted_addresses(door.server) == 20
    while counted_addresses(door.server):
        tcp.turns()


@pytest.mark.parametrize("name", RATES)
def test_a_server_that_listens_anew_begins_anew(tcp: Net, name: str) -> None:
    door = Door(tcp, **{name: 0.001})
    assert [door.knock() for _ in range(2)] == ["in", "rate"]
    door.server.shutdown(grace=0)
    assert counted_addresses(door.server) == 0
    door.server.listen(*tcp.place())
    assert door.knock() == "in"


def test_what_is_remembered_keeps_no_program_running() -> None:
    script = """
import gnet

server = gnet.create_server(max_connection_rate_per_address=0.001).unref()
server.listen(0, "127.0.0.1")
sock = gnet.connect(server.address().port, "127.0.0.1")
(accepted,) = server.wait("connection")
accepted.destroy()
sock.destroy()
# A minute would be too long for this test.
print(gnet.run(60))
"""
    assert run(*python(script)).output.strip() == b"True"


@pytest.mark.parametrize("name", RATES)
def test_every_way_to_a_server_takes_a_rate(name: str) -> None:
    options: dict[str, Any] = {name: 5}
    assert not gnet.create_server(**options).listening
    assert not wsgi.WSGIServer(lambda environ, respond: [], **options).listening
    for serve in (gnet.serve, wsgi.serve):
        with pytest.raises(ValueError, match=f'"{name}".*Received 0'):
            serve(lambda *args: [], 0, **{name: 0})


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("value", ["1", True, [], b"1"])
def test_a_rate_is_a_number(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f'"{name}" argument must be a number') as caught:
        gnet.Server(**{name: value})
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("value", [0, 0.0, -1, float("nan"), float("inf")])
def test_a_rate_is_above_zero(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f'"{name}" argument must be above 0') as caught:
        gnet.Server(**{name: value})  # type: ignore[arg-type]
    assert caught.value.code == "ERR_OUT_OF_RANGE"  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", [64, None, (32,), (32, 64, 128), (32, "64"), (32, True), "ab"])
def test_a_prefix_is_a_pair_of_numbers(value: Any) -> None:
    with pytest.raises(TypeError, match='"per_address_prefix" argument must be two') as caught:
        gnet.Server(per_address_prefix=value)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", [(0, 64), (33, 64), (32, 0), (32, 129), (-1, 64)])
def test_a_prefix_is_within_its_family(value: Any) -> None:
    with pytest.raises(ValueError, match="from 1 to 32 and from 1 to 128") as caught:
        gnet.Server(per_address_prefix=value)
    assert caught.value.code == "ERR_OUT_OF_RANGE"  # type: ignore[attr-defined]
