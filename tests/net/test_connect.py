"""connect(): its options, the lookup, the race, and what it fails with."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gevent import socket
from gevent.event import AsyncResult, Event

import gnet
from tests.helpers.blackhole import blackhole
from tests.helpers.counts import descriptors
from tests.helpers.servers import on_one_port, port_of, raw_bound, raw_listener

if TYPE_CHECKING:
    from tests.helpers.calls import Call, Calls
    from tests.net.conftest import Net

# All of 127/8 is this host on Linux; elsewhere it is one address.
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs the addresses of 127/8")
HOSTS = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]


Opener = Callable[[int], AbstractContextManager[Any]]


def accepts(host: str, backlog: int = 16) -> Opener:
    return lambda port: raw_listener((port, host), backlog)


def refuses(host: str) -> Opener:
    return lambda port: raw_bound((port, host))


def silent(host: str) -> Opener:
    return lambda port: blackhole(host, port)


class Port:
    """One port on several loopback addresses, each of which accepts, refuses, or is silent."""

    def __init__(self, stack: ExitStack) -> None:
        self.number = 0
        self._stack = stack

    def open(self, *openers: Opener) -> list[Any]:
        """Open the port; gives what each opener gives."""
        opened = self._stack.enter_context(on_one_port(*openers))
        self.number = port_of(opened[0])
        return opened


@pytest.fixture
def port() -> Iterator[Port]:
    with ExitStack() as stack:
        yield Port(stack)


@pytest.fixture
def dial(tcp: Net) -> Callable[..., gnet.Socket]:
    """connect(), for sockets that end with the test."""
    return lambda *args, **options: tcp.keep(gnet.connect(*args, **options))


def answers(*hosts: Any) -> Callable[..., Any]:
    """A lookup hook that always gives these addresses."""
    pairs = [(each, 6 if ":" in each else 4) for each in hosts]

    def lookup(hostname: str, *, family: int = 0, hints: int = 0, all: bool = False) -> Any:
        found = [each for each in pairs if family in (0, each[1])]
        return found if all else found[0]

    return lookup


def record(sock: gnet.Socket) -> list[tuple[Any, ...]]:
    """All that the socket emits about its connecting, in order."""
    seen: list[tuple[Any, ...]] = []
    for event in (
        "lookup",
        "connection_attempt",
        "connection_attempt_failed",
        "connection_attempt_timeout",
        "connect",
        "ready",
        "error",
        "close",
    ):
        sock.on(event, lambda *args, event=event: seen.append((event, *args)))
    return seen


def failure(sock: gnet.Socket) -> Any:
    """The error that the socket's connecting ends with."""
    error: AsyncResult[Any] = AsyncResult()
    sock.on("error", error.set)
    sock.on("connect", lambda: error.set(None))
    closed = Event()
    sock.on("close", lambda had_error: closed.set())
    found = error.get(timeout=8)
    assert closed.wait(5)
    assert sock.destroyed
    return found


# -- where to ------------------------------------------------------------------------------


def forms(server: gnet.Server) -> dict[str, tuple[tuple[Any, ...], dict[str, Any]]]:
    host, _, port = server.address()
    return {
        "(port, host)": ((port, host), {}),
        "(str port, host)": ((str(port), host), {}),
        "((host, port))": (((host, port),), {}),
        "port=, host=": ((), {"port": port, "host": host}),
        "str port=": ((), {"port": str(port), "host": host}),
        "hex port=": ((), {"port": hex(port), "host": host}),
        "(port, host=)": ((port,), {"host": host}),
    }


@pytest.mark.parametrize("form", forms(type("S", (), {"address": lambda s: ("", "", 0)})()))
def test_an_address_has_many_forms(tcp: Net, dial: Callable[..., gnet.Socket], form: Any) -> None:
    server = tcp.server(lambda sock: sock.end(b"hello"))
    args, options = forms(server)[form]
    with dial(*args, **options) as sock:
        assert sock.recv() == b"hello"
        assert sock.remote_port == server.address().port


@pytest.mark.parametrize("form", ["str", "PathLike", "path="])
def test_a_path_has_three_forms(
    dial: Callable[..., gnet.Socket], directory: Path, form: Any
) -> None:
    path = directory / "a.sock"
    with gnet.Server(lambda sock: sock.end(b"hello")).listen(path):
        args: Any = {"str": (str(path),), "PathLike": (path,), "path=": ()}[form]
        with dial(*args, **({"path": path} if form == "path=" else {})) as sock:
            assert sock.recv() == b"hello"


def test_options_of_tcp_are_ignored_for_a_path(
    dial: Callable[..., gnet.Socket], directory: Path
) -> None:
    path = directory / "a.sock"
    with (
        gnet.Server(lambda sock: sock.end(b"hello")).listen(path),
        dial(path=path, no_delay=True, keep_alive=True, family=4) as sock,
    ):
        assert sock.recv() == b"hello"


def test_the_host_is_localhost_by_default(tcp: Net, dial: Callable[..., gnet.Socket]) -> None:
    server = tcp.server()
    sock = dial(server.address().port)
    sock.wait("connect", 5)
    assert sock.remote_address == "127.0.0.1"


def test_a_name_of_both_families_reaches_a_server_on_ipv6_only(
    tcp: Net, dial: Callable[..., gnet.Socket]
) -> None:
    server = tcp.keep(gnet.Server()).listen(0, "::1")
    sock = dial(server.address().port, "some.host", lookup=answers("127.0.0.1", "::1"))
    sock.wait("connect", 5)
    assert sock.remote_address == "::1"
    assert sock.remote_family == "IPv6"


def test_connect_is_create_connection() -> None:
    assert gnet.connect is gnet.create_connection


@pytest.mark.parametrize(
    "form",
    [
        lambda dial, host, port, f: dial(port, f),
        lambda dial, host, port, f: dial(port, host, f),
        lambda dial, host, port, f: dial((host, port), f),
        lambda dial, host, port, f: dial(port, host, connect_listener=f),
    ],
    ids=["(port, f)", "(port, host, f)", "(tuple, f)", "connect_listener="],
)
def test_a_callable_is_the_listener_wherever_it_may_stand(
    tcp: Net, dial: Callable[..., gnet.Socket], must_call: Calls, form: Any
) -> None:
    server = tcp.server()
    host, _, port = server.address()
    listener = must_call()
    form(dial, host, port, listener)
    assert listener.count == 0
    must_call.wait()
    assert listener.args == ()


# -- the states of a connection ------------------------------------------------------------


def test_connecting_and_pending_before_during_and_after(net: Net) -> None:
    server = net.server()
    sock = net.keep(gnet.Socket())
    assert (sock.connecting, sock.pending, sock.ready_state) == (False, True, "closed")
    assert sock.connect(*net.target(server)) is sock
    assert (sock.connecting, sock.pending, sock.ready_state) == (True, True, "opening")
    sock.wait("connect", 5)
    assert (sock.connecting, sock.pending, sock.ready_state) == (False, False, "open")
    assert not sock.destroyed
    sock.destroy()
    assert (sock.connecting, sock.ready_state) == (False, "closed")
    assert sock.destroyed


def test_ready_follows_connect_at_once(net: Net, must_call: Calls) -> None:
    order: list[str] = []
    sock = net.connect(net.server())
    sock.on("ready", must_call(lambda: order.append("ready")))
    sock.on("connect", must_call(lambda: order.append("connect")))
    must_call.wait()
    assert order == ["connect", "ready"]


def test_connect_again_from_close_on(net: Net) -> None:
    sockets: list[gnet.Socket] = []
    server = net.server(sockets.append)
    sock = net.connect(server)
    chunks: list[Any] = []
    sock.set_encoding("utf-8")
    sock.on("data", chunks.append)
    connected: list[int] = []
    sock.on("connect", lambda: connected.append(1))
    for round_ in (1, 2, 3):
        sock.wait("connect", 5)
        while len(sockets) < round_:
            server.wait("connection", 5)
        assert len(connected) == round_
        assert (sock.bytes_read, sock.bytes_written) == (0, 0)
        sock.write("out")
        assert sock.bytes_written == 3
        sockets[-1].end(b"in")
        sock.wait("close", 5)
        assert sock.bytes_read == 2
        assert chunks == ["in"] * round_
        assert sock.destroyed
        sock.connect(*net.target(server))
        assert sock.pending
        assert sock.connecting
        assert not sock.destroyed


def test_connect_again_in_the_close_listener_after_a_failure(
    tcp: Net, dial: Callable[..., gnet.Socket], port: Port, must_call: Calls
) -> None:
    port.open(refuses("127.0.0.1"))
    server = tcp.server()
    sock = dial(port.number, "127.0.0.1")
    sock.on("error", must_call())
    sock.once("close", lambda had_error: sock.connect(*tcp.target(server)))
    sock.on("connect", must_call())
    must_call.wait()
    assert sock.ready_state == "open"


# -- options that the kernel shows ---------------------------------------------------------


@pytest.mark.parametrize("no_delay", [True, False])
def test_no_delay(tcp: Net, dial: Callable[..., gnet.Socket], no_delay: Any) -> None:
    sock = dial(*tcp.target(tcp.server()), no_delay=no_delay)
    sock.wait("connect", 5)
    assert bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) is no_delay


def keep_alive_of(sock: gnet.Socket) -> tuple[int, int, int, int]:
    tcp_level = socket.IPPROTO_TCP
    return (
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        sock.getsockopt(tcp_level, socket.TCP_KEEPIDLE),
        sock.getsockopt(tcp_level, socket.TCP_KEEPCNT),
        sock.getsockopt(tcp_level, socket.TCP_KEEPINTVL),
    )


def test_keep_alive_with_a_delay_sets_all_three_numbers(
    tcp: Net, dial: Callable[..., gnet.Socket]
) -> None:
    sock = dial(*tcp.target(tcp.server()), keep_alive=True, keep_alive_initial_delay=33.9)
    sock.wait("connect", 5)
    assert keep_alive_of(sock) == (1, 33, 10, 1)


@pytest.mark.parametrize("delay", [0, 0.5, -1, -0.5])
def test_keep_alive_below_a_second_leaves_the_systems_delay(
    tcp: Net, dial: Callable[..., gnet.Socket], delay: Any
) -> None:
    sock = dial(*tcp.target(tcp.server()), keep_alive=True, keep_alive_initial_delay=delay)
    sock.wait("connect", 5)
    with socket.socket() as untouched:
        system = untouched.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
    assert keep_alive_of(sock)[:2] == (1, system)


def test_keep_alive_is_off_by_default(tcp: Net, dial: Callable[..., gnet.Socket]) -> None:
    sock = dial(*tcp.target(tcp.server()))
    sock.wait("connect", 5)
    assert keep_alive_of(sock)[0] == 0


@linux_only
def test_local_address_is_what_the_peer_sees(tcp: Net, dial: Callable[..., gnet.Socket]) -> None:
    server = tcp.server()
    sock = dial(*tcp.target(server), local_address="127.0.0.5")
    accepted = server.wait("connection", 5)[0]
    sock.wait("connect", 5)
    assert accepted.remote_address == sock.local_address == "127.0.0.5"


def test_local_port_is_what_the_peer_sees(tcp: Net, dial: Callable[..., gnet.Socket]) -> None:
    server = tcp.server()
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    sock = dial(*tcp.target(server), local_port=number)
    accepted = server.wait("connection", 5)[0]
    sock.wait("connect", 5)
    assert accepted.remote_port == sock.local_port == number


@linux_only
def test_a_bound_address_is_named_by_the_error(
    dial: Callable[..., gnet.Socket], port: Port
) -> None:
    port.open(refuses("127.0.0.1"))
    sock = dial(port.number, "127.0.0.1", local_address="127.0.0.5")
    error = failure(sock)
    assert isinstance(error, ConnectionRefusedError)
    assert error.local_address == "127.0.0.5"
    assert isinstance(error.local_port, int)
    assert str(error).endswith(
        f"connect ECONNREFUSED 127.0.0.1:{port.number} - Local (127.0.0.5:{error.local_port})"
    )


def test_a_local_address_that_is_not_ours_is_the_error(
    tcp: Net, dial: Callable[..., gnet.Socket]
) -> None:
    error = failure(dial(*tcp.target(tcp.server()), local_address="203.0.113.9"))
    assert error.code == "EADDRNOTAVAIL"
    assert "203.0.113.9" in str(error)


def test_a_bound_address_picks_the_family(tcp: Net, dial: Callable[..., gnet.Socket]) -> None:
    server = tcp.keep(gnet.Server()).listen(0, "::1")
    hook = answers("127.0.0.1", "::1")
    sock = dial(server.address().port, "some.host", local_address="::1", lookup=hook)
    sock.wait("connect", 5)
    assert sock.remote_address == "::1"


def test_timeout_is_the_idle_timeout_from_the_beginning(
    dial: Callable[..., gnet.Socket], port: Port, must_call: Calls
) -> None:
    port.open(silent("127.0.0.1"))
    sock = dial(port.number, "127.0.0.1", timeout=0.02)
    assert sock.timeout == 0.02
    sock.on("timeout", must_call())
    must_call.wait()
    assert sock.connecting
    sock.destroy()


def test_allow_half_open_and_high_water_mark_are_the_sockets(
    tcp: Net, dial: Callable[..., gnet.Socket]
) -> None:
    sock = dial(*tcp.target(tcp.server()), allow_half_open=True, high_water_mark=2)
    assert sock.allow_half_open is True
    assert sock.write(b"abc") is False


# -- family, hints, lookup -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "address"), [(4, "127.0.0.1"), ("IPv4", "127.0.0.1"), (6, "::1"), ("IPv6", "::1")]
)
def test_family_is_the_only_one_that_is_tried(
    tcp: Net, dial: Callable[..., gnet.Socket], family: Any, address: Any
) -> None:
    server = tcp.keep(gnet.Server()).listen(0)
    hook = answers("127.0.0.1", "::1", "127.0.0.2")
    sock = dial(server.address().port, "some.host", family=family, lookup=hook)
    seen = record(sock)
    sock.wait("connect", 5)
    assert sock.remote_address == address
    assert {each[1] for each in seen if each[0] == "connection_attempt"} == {address}


def test_the_hook_gets_the_name_and_the_options(
    tcp: Net, dial: Callable[..., gnet.Socket]
) -> None:
    server = tcp.server()
    calls: list[tuple[Any, ...]] = []

    def lookup(hostname: str, **options: Any) -> Any:
        calls.append((hostname, options))
        return [("127.0.0.1", 4)] if options["all"] else ("127.0.0.1", 4)

    port = server.address().port
    for options in ({}, {"family": 4, "hints": socket.AI_ADDRCONFIG}):
        dial(port, "some.host", lookup=lookup, **options).wait("connect", 5)
    dial(port, "some.host", lookup=lookup, auto_select_family=False).wait("connect", 5)
    assert [hostname for hostname, _ in calls] == ["some.host"] * 3
    assert calls[0][1] == {"family": 0, "hints": 0, "all": True}
    assert calls[1][1]["family"] == 4
    assert calls[1][1]["hints"] == socket.AI_ADDRCONFIG
    assert calls[2][1]["all"] is False


def test_the_hook_may_block(tcp: Net, dial: Callable[..., gnet.Socket]) -> None:
    server, gate = tcp.server(), Event()

    def lookup(hostname: str, **options: Any) -> Any:
        gate.wait()
        return [("127.0.0.1", 4)]

    sock = dial(server.address().port, "some.host", lookup=lookup)
    tcp.turns()
    assert sock.connecting
    gate.set()
    sock.wait("connect", 5)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_literal_skips_the_hook(
    tcp: Net, dial: Callable[..., gnet.Socket], must_not_call: Callable[..., Call], host: Any
) -> None:
    server = tcp.keep(gnet.Server()).listen(0, host)
    sock = dial(server.address().port, host, lookup=must_not_call())
    seen = record(sock)
    sock.wait("connect", 5)
    tcp.turns()
    assert not [each for each in seen if each[0] == "lookup"]


def test_lookup_is_emitted_before_connect(tcp: Net, dial: Callable[..., gnet.Socket]) -> None:
    server = tcp.server()
    sock = dial(server.address().port, "some.host", lookup=answers("127.0.0.1"))
    seen = record(sock)
    sock.wait("ready", 5)
    tcp.turns()
    number = server.address().port
    assert seen == [
        ("lookup", None, "127.0.0.1", 4, "some.host"),
        ("connection_attempt", "127.0.0.1", number, 4),
        ("connect",),
        ("ready",),
    ]


def test_gnets_own_lookup_is_such_a_hook(tcp: Net, dial: Callable[..., gnet.Socket]) -> None:
    server = tcp.server()
    sock = dial(server.address().port, "localhost", family=4, lookup=gnet.dns.lookup)
    sock.wait("connect", 5)


def test_a_name_that_is_none_is_enotfound(dial: Callable[..., gnet.Socket]) -> None:
    name = "x" * 64 + ".test"
    sock = dial(80, name)
    seen = record(sock)
    error = failure(sock)
    assert isinstance(error, socket.gaierror)
    assert (error.code, error.hostname, error.syscall) == ("ENOTFOUND", name, "getaddrinfo")
    assert f"getaddrinfo ENOTFOUND {name}" in str(error)
    assert [each[0] for each in seen] == ["lookup", "error", "close"]
    assert seen[0] == ("lookup", error, None, None, name)
    assert seen[-1] == ("close", True)


def test_an_exception_of_the_hook_is_passed_on_as_that_same_object(
    dial: Callable[..., gnet.Socket],
) -> None:
    mine = KeyError("mine")

    def lookup(hostname: str, **options: Any) -> Any:
        raise mine

    sock = dial(80, "some.host", lookup=lookup)
    seen = record(sock)
    assert failure(sock) is mine
    assert seen[0][:2] == ("lookup", mine)


@pytest.mark.parametrize(
    ("mine", "code", "text"),
    [
        (
            socket.gaierror(socket.EAI_NONAME, "no such name"),
            "ENOTFOUND",
            "getaddrinfo ENOTFOUND some.host",
        ),
        (OSError(errno.ENETUNREACH, "no way there"), "ENETUNREACH", "no way there"),
        (TimeoutError("nobody answers"), "ETIMEDOUT", "nobody answers"),
        (OSError("my own words"), "UNKNOWN", "my own words"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_system_error_of_the_hook_gets_what_it_lacks(
    dial: Callable[..., gnet.Socket], mine: Any, code: str, text: str
) -> None:
    def lookup(hostname: str, **options: Any) -> Any:
        raise mine

    assert failure(dial(80, "some.host", lookup=lookup)) is mine
    assert (mine.code, mine.syscall, mine.hostname) == (code, "getaddrinfo", "some.host")
    assert text in str(mine)


def test_what_an_error_of_the_hook_says_of_itself_stays(dial: Callable[..., gnet.Socket]) -> None:
    mine: Any = socket.gaierror(socket.EAI_NONAME, "my own words")
    mine.code = "EMINE"

    def lookup(hostname: str, **options: Any) -> Any:
        raise mine

    assert failure(dial(80, "some.host", lookup=lookup)) is mine
    assert (mine.code, mine.strerror, hasattr(mine, "syscall")) == ("EMINE", "my own words", False)


@pytest.mark.parametrize("select", [True, False])
@pytest.mark.parametrize(
    ("result", "codes"),
    [
        ([], {"ENOTFOUND"}),
        (None, {"ENOTFOUND", "ERR_INVALID_IP_ADDRESS", "ERR_INVALID_ARG_TYPE"}),
        (5, {"ERR_INVALID_IP_ADDRESS", "ERR_INVALID_ARG_TYPE", "ERR_INVALID_RETURN_VALUE"}),
        ([5], {"ERR_INVALID_IP_ADDRESS", "ERR_INVALID_ARG_TYPE", "ERR_INVALID_RETURN_VALUE"}),
        ([("nonsense", 4)], {"ERR_INVALID_IP_ADDRESS"}),
        ([(None, 4)], {"ERR_INVALID_IP_ADDRESS"}),
        ([("127.0.0.1", 5)], {"ERR_INVALID_ADDRESS_FAMILY"}),
        ([("127.0.0.1", None)], {"ERR_INVALID_ADDRESS_FAMILY"}),
        (("nonsense", 4), {"ERR_INVALID_IP_ADDRESS"}),
        (("127.0.0.1", 100), {"ERR_INVALID_ADDRESS_FAMILY"}),
    ],
    ids=repr,
)
def test_nonsense_from_the_hook_is_a_clear_error(
    dial: Callable[..., gnet.Socket], select: Any, result: Any, codes: Any
) -> None:
    before = descriptors()

    def lookup(hostname: str, *, all: bool, **options: Any) -> Any:
        if all or not isinstance(result, list) or not result:
            return result
        return result[0]

    sock = dial(80, "some.host", lookup=lookup, auto_select_family=select)
    error = failure(sock)
    assert error.code in codes
    assert str(error)
    if error.code == "ERR_INVALID_ADDRESS_FAMILY":
        assert (error.host, error.port) == ("some.host", 80)
    assert descriptors() == before


@linux_only
def test_without_family_selection_the_first_address_is_the_only_one(
    dial: Callable[..., gnet.Socket], port: Port
) -> None:
    port.open(refuses("127.0.0.1"), accepts("127.0.0.2"))
    sock = dial(port.number, "some.host", lookup=answers(*HOSTS[:2]), auto_select_family=False)
    assert isinstance(failure(sock), ConnectionRefusedError)


# -- the race ------------------------------------------------------------------------------


@linux_only
def test_a_refused_address_hands_over_to_the_next_without_an_error(
    dial: Callable[..., gnet.Socket], port: Port, must_not_call: Callable[..., Call]
) -> None:
    port.open(refuses("127.0.0.1"), accepts("127.0.0.2"))
    sock = dial(port.number, "some.host", lookup=answers("127.0.0.1", "127.0.0.2"))
    seen = record(sock)
    sock.on("error", must_not_call())
    sock.wait("ready", 5)
    n = port.number
    failed = seen.pop(3)
    assert failed[:4] == ("connection_attempt_failed", "127.0.0.1", n, 4)
    assert isinstance(failed[4], ConnectionRefusedError)
    assert (failed[4].address, failed[4].port) == ("127.0.0.1", n)
    assert seen == [
        ("lookup", None, "127.0.0.1", 4, "some.host"),
        ("lookup", None, "127.0.0.2", 4, "some.host"),
        ("connection_attempt", "127.0.0.1", n, 4),
        ("connection_attempt", "127.0.0.2", n, 4),
        ("connect",),
        ("ready",),
    ]
    assert sock.auto_select_family_attempted_addresses == [f"127.0.0.1:{n}", f"127.0.0.2:{n}"]
    assert sock.remote_address == "127.0.0.2"


@linux_only
def test_a_silent_address_is_overtaken_after_the_delay_and_closed_at_once(
    dial: Callable[..., gnet.Socket], port: Port, tcp: Net
) -> None:
    port.open(silent("127.0.0.1"), accepts("127.0.0.2"))
    before = descriptors()
    sock = dial(
        port.number,
        "some.host",
        lookup=answers("127.0.0.1", "127.0.0.2"),
        auto_select_family_attempt_timeout=0.02,
    )
    seen = record(sock)
    sock.wait("ready", 5)
    n = port.number
    assert seen[2:] == [
        ("connection_attempt", "127.0.0.1", n, 4),
        ("connection_attempt_timeout", "127.0.0.1", n, 4),
        ("connection_attempt", "127.0.0.2", n, 4),
        ("connect",),
        ("ready",),
    ]
    assert len(descriptors()) == len(before) + 1
    assert sock.remote_address == "127.0.0.2"


@linux_only
def test_a_slow_address_stays_in_the_race_and_may_win_it(
    dial: Callable[..., gnet.Socket], port: Port
) -> None:
    # The queue of the first becomes free after its delay; the kernel asks again after a second.
    slow, _ = port.open(silent("127.0.0.1"), silent("127.0.0.2"))
    sock = dial(
        port.number,
        "some.host",
        lookup=answers("127.0.0.1", "127.0.0.2"),
        auto_select_family_attempt_timeout=0.02,
    )
    seen = record(sock)
    assert sock.wait("connection_attempt_timeout", 5)[0] == "127.0.0.1"
    slow.open_up()
    sock.wait("connect", 8)
    assert sock.remote_address == "127.0.0.1"
    assert ("connection_attempt", "127.0.0.2", port.number, 4) in seen
    assert "error" not in [each[0] for each in seen]


@linux_only
def test_the_last_address_is_not_reported_as_slow(
    dial: Callable[..., gnet.Socket], port: Port, tcp: Net
) -> None:
    port.open(silent("127.0.0.1"), silent("127.0.0.2"))
    sock = dial(
        port.number,
        "some.host",
        lookup=answers("127.0.0.1", "127.0.0.2"),
        auto_select_family_attempt_timeout=0.01,
        timeout=0.1,
    )
    seen = record(sock)
    sock.wait("timeout", 5)
    names = [each[:2] for each in seen if each[0] == "connection_attempt_timeout"]
    assert names == [("connection_attempt_timeout", "127.0.0.1")]
    sock.destroy()
    sock.wait("close", 5)


@linux_only
def test_families_take_turns_beginning_with_that_of_the_first_address(
    dial: Callable[..., gnet.Socket], port: Port
) -> None:
    hosts = ["127.0.0.1", "127.0.0.2", "::1"]
    port.open(*map(refuses, hosts))
    sock = dial(port.number, "some.host", lookup=answers(*hosts))
    seen = record(sock)
    failure(sock)
    order = [each[1] for each in seen if each[0] == "connection_attempt"]
    assert order == ["127.0.0.1", "::1", "127.0.0.2"]
    assert sock.auto_select_family_attempted_addresses is not None
    assert len(sock.auto_select_family_attempted_addresses) == 3


@linux_only
def test_an_ipv6_address_is_tried_before_an_ipv4_one_where_it_came_first(
    dial: Callable[..., gnet.Socket], port: Port
) -> None:
    port.open(refuses("::1"), accepts("127.0.0.1"))
    sock = dial(port.number, "some.host", lookup=answers("::1", "127.0.0.1"))
    seen = record(sock)
    sock.wait("connect", 5)
    order = [(each[1], each[3]) for each in seen if each[0] == "connection_attempt"]
    assert order == [("::1", 6), ("127.0.0.1", 4)]


@linux_only
def test_when_all_fail_one_aggregate_error_has_every_attempt(
    dial: Callable[..., gnet.Socket], port: Port
) -> None:
    before = descriptors()
    port.open(*map(refuses, HOSTS))
    opened = descriptors()
    sock = dial(port.number, "some.host", lookup=answers(*HOSTS))
    seen = record(sock)
    error = failure(sock)
    assert isinstance(error, gnet.AggregateError)
    assert [(each.address, each.port, each.code) for each in error.errors] == [
        (host, port.number, "ECONNREFUSED") for host in HOSTS
    ]
    assert (error.code, error.errno) == ("ECONNREFUSED", errno.ECONNREFUSED)
    assert [each for each in seen if each[0] == "error"] == [("error", error)]
    assert [each[4] for each in seen if each[0] == "connection_attempt_failed"] == error.errors
    assert seen[-1] == ("close", True)
    assert descriptors() == opened
    assert len(before) < len(opened)


def test_one_address_that_fails_is_no_aggregate(
    dial: Callable[..., gnet.Socket], port: Port
) -> None:
    port.open(refuses("127.0.0.1"))
    error = failure(dial(port.number, "some.host", lookup=answers("127.0.0.1")))
    assert type(error) is ConnectionRefusedError


def test_a_literal_has_its_attempt_too(dial: Callable[..., gnet.Socket], port: Port) -> None:
    port.open(refuses("127.0.0.1"))
    sock = dial(port.number, "127.0.0.1")
    seen = record(sock)
    error = failure(sock)
    n = port.number
    assert seen == [
        ("connection_attempt", "127.0.0.1", n, 4),
        ("connection_attempt_failed", "127.0.0.1", n, 4, error),
        ("error", error),
        ("close", True),
    ]
    assert isinstance(error, ConnectionRefusedError)
    assert f"connect ECONNREFUSED 127.0.0.1:{n}" in str(error)
    assert (error.code, error.syscall) == ("ECONNREFUSED", "connect")
    assert (error.address, error.port, error.errno) == ("127.0.0.1", n, errno.ECONNREFUSED)


@linux_only
def test_the_default_of_family_selection_counts(
    dial: Callable[..., gnet.Socket], port: Port
) -> None:
    port.open(refuses("127.0.0.1"), accepts("127.0.0.2"))
    assert gnet.get_default_auto_select_family() is True
    gnet.set_default_auto_select_family(False)
    try:
        sock = dial(port.number, "some.host", lookup=answers("127.0.0.1", "127.0.0.2"))
        assert isinstance(failure(sock), ConnectionRefusedError)
    finally:
        gnet.set_default_auto_select_family(True)
    dial(port.number, "some.host", lookup=answers("127.0.0.1", "127.0.0.2")).wait("connect", 5)


@linux_only
def test_the_default_of_the_attempts_time_counts_and_is_at_least_10_milliseconds(
    dial: Callable[..., gnet.Socket], port: Port
) -> None:
    assert gnet.get_default_auto_select_family_attempt_timeout() == 0.25
    port.open(silent("127.0.0.1"), accepts("127.0.0.2"))
    hook = answers("127.0.0.1", "127.0.0.2")
    try:
        gnet.set_default_auto_select_family_attempt_timeout(60)
        slow = dial(port.number, "some.host", lookup=hook)
        with pytest.raises(TimeoutError):
            slow.wait("connect", 0.3)
        gnet.set_default_auto_select_family_attempt_timeout(0.001)
        assert gnet.get_default_auto_select_family_attempt_timeout() == 0.01
        dial(port.number, "some.host", lookup=hook).wait("connect", 5)
        assert slow.connecting
    finally:
        gnet.set_default_auto_select_family_attempt_timeout(0.25)


# -- block_list ----------------------------------------------------------------------------


def blocking(*addresses: str) -> gnet.BlockList:
    blocked = gnet.BlockList()
    for each in addresses:
        blocked.add_address(each, "ipv6" if ":" in each else "ipv4")
    return blocked


@pytest.mark.parametrize("host", ["127.0.0.1", "some.host"])
@pytest.mark.parametrize("select", [True, False])
def test_a_blocked_address_is_not_connected_to(
    dial: Callable[..., gnet.Socket], port: Port, host: Any, select: Any
) -> None:
    [listener] = port.open(accepts("127.0.0.1"))
    before = descriptors()
    sock = dial(
        port.number,
        host,
        lookup=answers("127.0.0.1"),
        block_list=blocking("127.0.0.1"),
        auto_select_family=select,
    )
    error = failure(sock)
    assert error.code == "ERR_IP_BLOCKED"
    assert "127.0.0.1" in str(error)
    assert isinstance(error, OSError)
    assert descriptors() == before
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.accept()


@linux_only
def test_the_race_goes_on_with_what_is_not_blocked(
    dial: Callable[..., gnet.Socket], port: Port
) -> None:
    port.open(accepts("127.0.0.1"), accepts("127.0.0.2"))
    sock = dial(
        port.number,
        "some.host",
        lookup=answers("127.0.0.1", "127.0.0.2"),
        block_list=blocking("127.0.0.1"),
    )
    sock.wait("connect", 5)
    assert sock.remote_address == "127.0.0.2"


def test_a_mapped_literal_is_blocked_by_an_ipv4_rule(dial: Callable[..., gnet.Socket]) -> None:
    sock = dial(80, "::ffff:127.0.0.1", block_list=blocking("127.0.0.1"))
    assert failure(sock).code == "ERR_IP_BLOCKED"


# -- signal --------------------------------------------------------------------------------

SIGNALS: list[Callable[[], tuple[Any, Callable[[], object]]]] = [
    lambda: (lambda e: (e, e.set))(Event()),
    lambda: (lambda r: (r, lambda: r.set(None)))(AsyncResult()),
    lambda: (lambda e: (gevent.spawn(e.wait), e.set))(Event()),
]
every_signal = pytest.mark.parametrize("make", SIGNALS, ids=["Event", "AsyncResult", "Greenlet"])


def aborted(sock: gnet.Socket) -> None:
    error = failure(sock)
    assert isinstance(error, gnet.errors.AbortError)
    assert error.code == "ABORT_ERR"


def test_a_signal_before_opens_nothing(
    tcp: Net, dial: Callable[..., gnet.Socket], must_not_call: Callable[..., Call]
) -> None:
    server = tcp.server(must_not_call())
    signal = Event()
    signal.set()
    before = descriptors()
    sock = dial(*tcp.target(server), signal=signal)
    aborted(sock)
    assert descriptors() == before
    tcp.turns()


@every_signal
def test_a_signal_while_looking_up(dial: Callable[..., gnet.Socket], make: Any) -> None:
    signal, abort = make()
    entered, gate = Event(), Event()

    def lookup(hostname: str, **options: Any) -> Any:
        entered.set()
        gate.wait()
        return [("127.0.0.1", 4)]

    sock = dial(80, "some.host", lookup=lookup, signal=signal)
    entered.wait()
    abort()
    aborted(sock)
    gate.set()


@every_signal
def test_a_signal_while_connecting(
    dial: Callable[..., gnet.Socket], port: Port, make: Any
) -> None:
    signal, abort = make()
    port.open(silent("127.0.0.1"))
    before = descriptors()
    sock = dial(port.number, "127.0.0.1", signal=signal)
    sock.wait("connection_attempt", 5)
    abort()
    aborted(sock)
    assert descriptors() == before


@every_signal
def test_a_signal_after_connecting_destroys_the_socket(net: Net, make: Any) -> None:
    signal, abort = make()
    server = net.server()
    sock = net.connect(server, signal=signal)
    sock.wait("connect", 5)
    error: AsyncResult[Any] = AsyncResult()
    sock.on("error", error.set)
    abort()
    assert error.get(timeout=5).code == "ABORT_ERR"
    sock.wait("close", 5)
    assert sock.destroyed


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_signal_destroys_a_socket_that_has_never_connected(when: str) -> None:
    signal = Event()
    if when == "before":
        signal.set()
    sock = gnet.Socket(signal=signal)
    if when == "after":
        gevent.spawn(signal.set)
    aborted(sock)


def test_a_signal_destroys_a_socket_that_was_made_from_a_descriptor(tcp: Net) -> None:
    here, there = socket.socketpair()
    with there:
        signal = Event()
        sock = tcp.keep(gnet.Socket(fd=here.detach(), readable=True, writable=True, signal=signal))
        gevent.spawn(signal.set)
        aborted(sock)
        assert there.recv(1) == b""


def test_a_blocked_reader_raises_the_abort(tcp: Net) -> None:
    signal = Event()
    sock, _ = tcp.connected(signal=signal)
    gevent.spawn(signal.set)
    with pytest.raises(gnet.errors.AbortError):
        sock.recv()


# -- destroy, and other early ends ---------------------------------------------------------


def test_destroying_while_looking_up_drops_the_late_answer(
    dial: Callable[..., gnet.Socket], must_not_call: Callable[..., Call], tcp: Net
) -> None:
    entered, gate = Event(), Event()

    def lookup(hostname: str, **options: Any) -> Any:
        entered.set()
        gate.wait()
        return [("127.0.0.1", 80)]

    before = descriptors()
    sock = dial(80, "some.host", lookup=lookup)
    seen = record(sock)
    entered.wait()
    assert sock.destroy() is sock
    assert not sock.connecting
    sock.wait("close", 5)
    gate.set()
    tcp.turns()
    assert seen == [("close", False)]
    assert descriptors() == before


def test_destroying_while_connecting(
    dial: Callable[..., gnet.Socket], port: Port, tcp: Net
) -> None:
    port.open(silent("127.0.0.1"))
    before = descriptors()
    sock = dial(port.number, "127.0.0.1")
    seen = record(sock)
    sock.wait("connection_attempt", 5)
    sock.destroy()
    sock.wait("close", 5)
    tcp.turns()
    assert seen == [("connection_attempt", "127.0.0.1", port.number, 4), ("close", False)]
    assert descriptors() == before


def test_destroying_in_the_same_turn(net: Net, must_not_call: Callable[..., Call]) -> None:
    server = net.server()
    sock = net.connect(server)
    sock.on("connect", must_not_call())
    sock.destroy()
    assert sock.wait("close", 5) == (False,)
    net.turns()


def test_destroying_with_an_error_while_connecting(
    dial: Callable[..., gnet.Socket], port: Port
) -> None:
    port.open(silent("127.0.0.1"))
    sock = dial(port.number, "127.0.0.1")
    mine = ValueError("mine")
    gevent.spawn(sock.destroy, mine)
    assert failure(sock) is mine


@linux_only
def test_destroying_ends_every_attempt_of_a_race(
    dial: Callable[..., gnet.Socket], port: Port
) -> None:
    port.open(silent("127.0.0.1"), silent("127.0.0.2"))
    before = descriptors()
    sock = dial(
        port.number,
        "some.host",
        lookup=answers("127.0.0.1", "127.0.0.2"),
        auto_select_family_attempt_timeout=0.01,
    )
    sock.wait("connection_attempt_timeout", 5)
    sock.destroy()
    sock.wait("close", 5)
    assert descriptors() == before


def test_a_destroyed_and_redialled_socket_is_not_hit_by_the_old_lookup(
    tcp: Net, dial: Callable[..., gnet.Socket]
) -> None:
    server = tcp.server()
    gate, entered = Event(), Event()

    def lookup(hostname: str, **options: Any) -> Any:
        entered.set()
        gate.wait()
        raise KeyError("late")

    sock = dial(80, "some.host", lookup=lookup)
    entered.wait()
    sock.destroy()
    sock.wait("close", 5)
    sock.connect(*tcp.target(server))
    sock.wait("connect", 5)
    gate.set()
    tcp.turns()
    assert sock.ready_state == "open"


# -- paths ---------------------------------------------------------------------------------


def test_a_path_that_is_not_there_is_enoent(
    dial: Callable[..., gnet.Socket], directory: Path
) -> None:
    path = str(directory / "none.sock")
    error = failure(dial(path))
    assert isinstance(error, FileNotFoundError)
    assert (error.code, error.syscall, error.address) == ("ENOENT", "connect", path)
    assert f"connect ENOENT {path}" in str(error)


def test_a_path_that_nobody_listens_to_is_econnrefused(
    dial: Callable[..., gnet.Socket], directory: Path
) -> None:
    path = str(directory / "stale.sock")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    error = failure(dial(path))
    assert isinstance(error, ConnectionRefusedError)
    assert error.address == path


def test_a_path_that_is_too_long_is_einval_with_the_limit(
    dial: Callable[..., gnet.Socket], directory: Path
) -> None:
    path = str(directory / ("x" * 200))
    error = failure(dial(path))
    assert (error.code, error.errno) == ("EINVAL", errno.EINVAL)
    assert any(limit in str(error) for limit in ("103", "104", "107", "108"))
    assert path in str(error)


# -- in blocking style ---------------------------------------------------------------------


def test_with_raises_what_the_connection_failed_with(port: Port) -> None:
    port.open(refuses("127.0.0.1"))
    with (
        pytest.raises(ConnectionRefusedError, match="connect ECONNREFUSED") as caught,
        gnet.connect(port.number, "127.0.0.1"),
    ):
        pytest.fail("there is no connection")
    assert caught.value.port == port.number


@pytest.mark.parametrize(
    "call",
    [
        lambda sock: sock.recv(),
        lambda sock: sock.sendall(b"x"),
        lambda sock: sock.makefile("rb").read(),
        lambda sock: sock.wait("connect"),
        lambda sock: list(sock),
    ],
    ids=["recv", "sendall", "makefile", "wait", "iteration"],
)
def test_a_blocking_call_raises_what_the_connection_failed_with(
    dial: Callable[..., gnet.Socket], port: Port, call: Any
) -> None:
    port.open(refuses("127.0.0.1"))
    sock = dial(port.number, "127.0.0.1")
    with pytest.raises(ConnectionRefusedError):
        call(sock)
    with pytest.raises(ConnectionRefusedError):
        call(sock)


def test_with_waits_for_the_connection_and_closes(net: Net) -> None:
    server = net.server()
    with gnet.connect(*net.target(server)) as sock:
        assert not sock.connecting
        assert sock.ready_state == "open"
    sock.wait("close", 5)
    assert sock.destroyed


def test_ten_slow_connects_run_side_by_side(tcp: Net, dial: Callable[..., gnet.Socket]) -> None:
    server = tcp.server()
    gates = [Event() for _ in range(10)]

    def hook(gate: Event) -> Callable[..., Any]:
        def lookup(hostname: str, **options: Any) -> Any:
            started.append(gate)
            gate.wait()
            return [("127.0.0.1", 4)]

        return lookup

    started: list[Event] = []
    sockets = [dial(server.address().port, "some.host", lookup=hook(gate)) for gate in gates]
    tcp.turns()
    assert len(started) == 10
    for gate in reversed(gates):
        gate.set()
    for sock in sockets:
        sock.wait("connect", 5)


# -- what else may happen ------------------------------------------------------------------


def test_connecting_what_is_connected_is_an_error_that_harms_nothing(tcp: Net) -> None:
    sock, peer = tcp.connected()
    with pytest.raises((OSError, RuntimeError)) as caught:
        sock.connect(*tcp.target(tcp.server()))
    assert isinstance(caught.value.code, str)
    sock.sendall(b"still")
    assert peer.recv(100) == b"still"


def test_connecting_what_is_connecting_is_an_error_that_harms_nothing(tcp: Net) -> None:
    server = tcp.server(lambda sock: sock.end(b"hello"))
    sock = tcp.connect(server)
    with pytest.raises((OSError, RuntimeError)) as caught:
        sock.connect(*tcp.target(server))
    assert isinstance(caught.value.code, str)
    assert sock.recv() == b"hello"


def test_a_bound_address_of_the_other_family_is_an_error(
    tcp: Net, dial: Callable[..., gnet.Socket]
) -> None:
    error = failure(dial(*tcp.target(tcp.server()), local_address="::1"))
    assert isinstance(error, OSError)
    assert isinstance(error.code, str)
    assert "::1" in str(error)


def test_a_bound_port_that_is_taken_is_eaddrinuse(
    tcp: Net, dial: Callable[..., gnet.Socket]
) -> None:
    taken = tcp.listening_peer().getsockname()[1]
    target = tcp.target(tcp.server())
    error = failure(dial(*target, local_address="127.0.0.1", local_port=taken))
    assert error.code == "EADDRINUSE"
    assert str(taken) in str(error)


def test_every_connection_of_one_socket_may_go_to_another_kind_of_place(
    tcp: Net, dial: Callable[..., gnet.Socket], directory: Path
) -> None:
    path = directory / "a.sock"
    over_tcp = tcp.server(lambda sock: sock.end(b"tcp"))
    with gnet.Server(lambda sock: sock.end(b"path")).listen(path):
        sock = dial(*tcp.target(over_tcp))
        assert b"".join(sock) == b"tcp"
        sock.destroy().wait("close", 5)
        sock.connect(path)
        assert b"".join(sock) == b"path"
        assert sock.remote_port is None
        sock.destroy().wait("close", 5)


def test_a_write_before_the_connection_is_sent_with_it(net: Net) -> None:
    server = net.server(lambda sock: sock.pipe(sock))
    sock = net.connect(server)
    assert sock.write("before ") is True
    assert sock.bytes_written == 7
    sock.end(b"and end")
    assert b"".join(sock) == b"before and end"


def test_the_callback_of_a_write_before_a_failed_connection_gets_an_error(
    dial: Callable[..., gnet.Socket], port: Port, must_call: Calls
) -> None:
    port.open(refuses("127.0.0.1"))
    sock = dial(port.number, "127.0.0.1")
    called = must_call()
    sock.write(b"x", callback=called)
    failure(sock)
    must_call.wait()
    assert isinstance(called.args[0], Exception)


def test_a_connection_that_was_refused_tells_its_last_target(
    dial: Callable[..., gnet.Socket], port: Port
) -> None:
    port.open(refuses("127.0.0.1"))
    sock = dial(port.number, "127.0.0.1")
    failure(sock)
    assert "closed" in repr(sock)
    assert sock.ready_state == "closed"
    assert sock.fileno() == -1


@linux_only
def test_an_abandoned_race_ends_with_the_greenlet_that_waited_for_it(port: Port, tcp: Net) -> None:
    """A ``with`` that is interrupted while it waits leaves no attempt behind."""
    port.open(silent("127.0.0.1"))
    before = descriptors()
    with gevent.Timeout(0.05, False), gnet.connect(port.number, "127.0.0.1"):
        pytest.fail("nobody answers")
    tcp.turns()
    assert descriptors() == before


@linux_only
def test_many_races_at_once_each_find_their_way(
    dial: Callable[..., gnet.Socket], port: Port
) -> None:
    port.open(refuses("127.0.0.1"), accepts("127.0.0.2", backlog=64))
    hook = answers("127.0.0.1", "127.0.0.2")
    sockets = [dial(port.number, "some.host", lookup=hook) for _ in range(50)]
    for sock in sockets:
        sock.wait("connect", 5)
        assert sock.remote_address == "127.0.0.2"
