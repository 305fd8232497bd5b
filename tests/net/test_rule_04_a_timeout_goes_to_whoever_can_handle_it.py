"""Rule 4: the idle timeout is emitted, or raised in the blocked call; the connection stays."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gevent.event import Event

import gnet
from tests.helpers.calls import Call, Calls

if TYPE_CHECKING:
    from tests.net.conftest import Net

MustNotCall = Callable[..., Call]

SHORT = 0.03
LONG = 60.0


class Interrupted(Exception):
    """What the timeouts of these tests raise."""


# ---------------------------------------------------------------------------------------------
# Emitted, or raised.


def test_inactivity_emits_timeout_and_the_connection_stays_open(
    net: Net, must_call: Calls
) -> None:
    sock, peer = net.accepted()
    timeout = must_call()
    sock.on("timeout", timeout)
    begun = time.monotonic()
    assert sock.set_timeout(SHORT) is sock
    assert timeout.wait() == ()
    assert time.monotonic() - begun >= SHORT * 0.9
    sock.set_timeout(None)
    assert not sock.destroyed
    peer.sendall(b"request")
    assert sock.recv() == b"request"
    sock.sendall(b"answer")
    assert peer.recv(100) == b"answer"


@pytest.mark.parametrize("call", ["recv", "recv_into", "readline", "iter", "wait"])
def test_without_a_listener_a_blocked_read_raises_and_the_socket_stays_usable(
    net: Net, call: str
) -> None:
    sock, peer = net.accepted()
    sock.set_timeout(SHORT)
    calls: dict[str, Callable[[], Any]] = {
        "recv": sock.recv,
        "recv_into": lambda: sock.recv_into(bytearray(10)),
        "readline": lambda: sock.makefile("rb").readline(),
        "iter": lambda: next(iter(sock)),
        "wait": lambda: sock.wait("end"),
    }
    for _ in range(2):
        begun = time.monotonic()
        with pytest.raises(TimeoutError) as caught:
            calls[call]()
        assert time.monotonic() - begun >= SHORT * 0.9
        assert caught.value.code == "ETIMEDOUT"  # type: ignore[attr-defined]
    assert not sock.destroyed
    sock.set_timeout(0)
    peer.sendall(b"late")
    assert sock.recv() == b"late"


def test_without_a_listener_a_blocked_sendall_raises(net: Net) -> None:
    sock, _peer = net.accepted()
    sock.set_timeout(SHORT)
    with pytest.raises(TimeoutError):
        sock.sendall(bytes(10_000_000))
    assert not sock.destroyed


def test_without_a_listener_a_wait_for_the_connection_raises(tcp: Net) -> None:
    resolved = Event()
    sock = tcp.resolving(resolved.wait)
    sock.set_timeout(SHORT)
    with pytest.raises(TimeoutError):
        sock.wait("connect")
    with pytest.raises(TimeoutError):
        sock.recv()
    assert sock.connecting
    resolved.set()
    sock.set_timeout(None)
    sock.wait("connect")


def test_without_a_listener_every_blocked_call_raises(net: Net) -> None:
    sock, _ = net.accepted()

    def attempt(function: Callable[..., Any], *args: Any) -> bool:
        with pytest.raises(TimeoutError):
            function(*args)
        return True

    sock.set_timeout(SHORT)
    calls = [
        gevent.spawn(attempt, sock.recv),
        gevent.spawn(attempt, sock.wait, "close"),
        gevent.spawn(attempt, sock.wait, "finish"),
    ]
    assert all(call.get() for call in calls)
    assert not sock.destroyed


def test_with_a_listener_a_blocked_recv_goes_on_waiting(net: Net, must_call: Calls) -> None:
    sock, peer = net.accepted()
    sock.on("timeout", must_call(lambda: peer.sendall(b"late")))
    sock.set_timeout(SHORT)
    assert sock.recv() == b"late"


def test_without_anybody_a_timeout_is_no_error(
    net: Net, must_not_call: MustNotCall, hub_errors: list[BaseException]
) -> None:
    sock, _peer = net.accepted()
    sock.on("error", must_not_call("error"))
    sock.on("close", must_not_call("close"))
    sock.set_timeout(0.01)
    gevent.sleep(0.05)
    assert not sock.destroyed
    sock.remove_all_listeners()


def test_a_wait_for_timeout_returns(net: Net) -> None:
    sock, _ = net.accepted()
    sock.set_timeout(SHORT)
    assert sock.wait("timeout") == ()


# ---------------------------------------------------------------------------------------------
# Activity.


def test_activity_of_either_side_puts_the_timeout_off(net: Net) -> None:
    sock, peer = net.accepted()
    fired: list[float] = []
    sock.on("timeout", lambda: fired.append(time.monotonic()))
    sock.on("data", lambda chunk: None)
    sock.set_timeout(0.2)
    for _ in range(5):
        gevent.sleep(0.08)
        peer.sendall(b"x")
    for _ in range(5):
        gevent.sleep(0.08)
        sock.write(b"x")
    last = time.monotonic()
    assert fired == []
    sock.wait("timeout")
    assert time.monotonic() - last >= 0.18


def test_a_slow_reader_that_reads_puts_the_timeout_of_a_write_off(net: Net) -> None:
    sock, peer = net.accepted()
    sock.set_timeout(0.3)
    writer = gevent.spawn(sock.sendall, bytes(10_000_000))
    received = 0
    while received < 10_000_000:
        gevent.sleep(0.01)
        received += len(peer.recv(1_000_000))
    writer.get()


def test_a_timeout_comes_again_after_activity(net: Net) -> None:
    sock, peer = net.accepted()
    sock.on("data", lambda chunk: None)
    sock.set_timeout(SHORT)
    for _ in range(3):
        sock.wait("timeout")
        peer.sendall(b"x")
        sock.wait("data")


# ---------------------------------------------------------------------------------------------
# Setting it.


@pytest.mark.parametrize("off", [0, 0.0, None])
def test_zero_and_none_switch_it_off(net: Net, off: Any, must_not_call: MustNotCall) -> None:
    sock, _ = net.accepted()
    sock.on("timeout", must_not_call("timeout"))
    sock.set_timeout(SHORT)
    sock.set_timeout(off)
    assert sock.gettimeout() is None
    assert not sock.timeout
    gevent.sleep(SHORT * 2)


def test_it_is_off_in_the_beginning(net: Net) -> None:
    sock, _ = net.accepted()
    assert sock.gettimeout() is None
    assert gnet.Socket().gettimeout() is None


def test_settimeout_and_set_timeout_are_the_same(net: Net) -> None:
    sock, _ = net.accepted()
    sock.settimeout(5)
    assert sock.timeout == sock.gettimeout() == 5
    sock.set_timeout(7.5)
    assert sock.timeout == sock.gettimeout() == 7.5
    sock.settimeout(None)
    assert sock.gettimeout() is None
    sock.settimeout(SHORT)
    with pytest.raises(TimeoutError):
        sock.recv()


def test_a_timeout_of_zero_is_pythons_nonblocking_mode(net: Net) -> None:
    sock, _ = net.connected()
    sock.settimeout(0)
    assert sock.gettimeout() == 0.0
    with pytest.raises(BlockingIOError):
        sock.recv()
    sock.setblocking(True)
    assert sock.gettimeout() is None


@pytest.mark.parametrize("wrong", [-1, -0.5, float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("method", ["set_timeout", "settimeout"])
def test_an_impossible_number_is_a_value_error(method: str, wrong: float) -> None:
    sock = gnet.Socket()
    with pytest.raises(ValueError, match="timeout") as caught:
        getattr(sock, method)(wrong)
    assert caught.value.code == "ERR_OUT_OF_RANGE"  # type: ignore[attr-defined]
    assert sock.gettimeout() is None


@pytest.mark.parametrize("wrong", ["1", True, b"1", object(), [1]])
@pytest.mark.parametrize("method", ["set_timeout", "settimeout"])
def test_what_is_no_number_is_a_type_error(method: str, wrong: Any) -> None:
    sock = gnet.Socket()
    with pytest.raises(TypeError, match="timeout") as caught:
        getattr(sock, method)(wrong)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"  # type: ignore[attr-defined]


def test_a_callback_is_a_listener_for_the_next_timeout(net: Net, must_call: Calls) -> None:
    sock, peer = net.accepted()
    sock.on("data", lambda chunk: None)
    sock.set_timeout(SHORT, must_call())
    assert sock.listener_count("timeout") == 1
    must_call.wait()
    peer.sendall(b"x")
    sock.wait("timeout")
    assert sock.listener_count("timeout") == 0


def test_a_callback_that_cannot_be_called_is_a_type_error() -> None:
    sock = gnet.Socket()
    with pytest.raises(TypeError) as caught:
        sock.set_timeout(1, "callback")  # type: ignore[arg-type]
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"  # type: ignore[attr-defined]
    assert sock.gettimeout() is None


def test_the_timeout_option_of_a_connection_is_set_while_it_connects(
    tcp: Net, must_call: Calls
) -> None:
    resolved = Event()

    def lookup(hostname: str, **options: Any) -> Any:
        resolved.wait()
        return [("127.0.0.1", 4)]

    port, _ = tcp.target(tcp.server())
    sock = tcp.keep(gnet.connect(port, "some.name", lookup=lookup, timeout=SHORT))
    assert sock.timeout == SHORT
    sock.on("timeout", must_call(resolved.set))
    sock.wait("connect")
    assert sock.timeout == SHORT


def test_it_may_be_set_before_the_connection(net: Net) -> None:
    sock = net.keep(gnet.Socket())
    sock.set_timeout(SHORT)
    sock.connect(*net.target(net.server()))
    with pytest.raises(TimeoutError):
        sock.recv()


def test_a_destroyed_socket_has_no_timeouts(net: Net, must_not_call: MustNotCall) -> None:
    sock, _ = net.accepted()
    sock.on("timeout", must_not_call("timeout"))
    sock.set_timeout(SHORT)
    sock.destroy()
    gevent.sleep(SHORT * 2)


# ---------------------------------------------------------------------------------------------
# gevent.Timeout


def test_gevents_timeout_around_recv_leaves_the_socket_usable(net: Net) -> None:
    sock, peer = net.accepted()
    for message in (b"one", b"two"):
        with pytest.raises(Interrupted), gevent.Timeout(SHORT, Interrupted):
            sock.recv()
        peer.sendall(message)
        assert sock.recv() == message


@pytest.mark.parametrize("call", ["recv_into", "readline", "read", "iter", "wait", "drain"])
def test_gevents_timeout_around_any_read_leaves_the_socket_usable(net: Net, call: str) -> None:
    sock, peer = net.accepted()
    calls: dict[str, Callable[[], Any]] = {
        "recv_into": lambda: sock.recv_into(bytearray(10)),
        "readline": lambda: sock.makefile("rb").readline(),
        "read": lambda: sock.makefile("rb", buffering=0).read(10),
        "iter": lambda: next(iter(sock)),
        "wait": lambda: sock.wait("data"),
        "drain": lambda: sock.wait("drain"),
    }
    with pytest.raises(Interrupted), gevent.Timeout(SHORT, Interrupted):
        calls[call]()
    assert sock.event_names() == []
    peer.sendall(b"late")
    assert sock.recv() == b"late"
    sock.sendall(b"answer")
    assert peer.recv(100) == b"answer"


def test_gevents_timeout_inside_a_line_loses_nothing_of_it(net: Net) -> None:
    sock, peer = net.accepted()
    lines = sock.makefile("rb")
    peer.sendall(b"first half, ")
    with pytest.raises(Interrupted), gevent.Timeout(SHORT, Interrupted):
        lines.readline()
    peer.sendall(b"second half\n")
    assert lines.readline() == b"first half, second half\n"
    lines.close()


def test_gevents_timeout_around_sendall_tears_nothing(net: Net) -> None:
    sock, peer = net.accepted()
    first, second = b"a" * 10_000_000, b"b" * 1000
    with pytest.raises(Interrupted), gevent.Timeout(SHORT, Interrupted):
        sock.sendall(first)
    assert not sock.destroyed
    rest = sock.writable_length
    assert 0 < rest < len(first)
    reader = gevent.spawn(peer.makefile("rb").read)
    sock.sendall(second)
    sock.end()
    received = reader.get()
    assert received == first + second


def test_gevents_timeout_around_the_wait_for_the_connection_leaves_it_connecting(
    tcp: Net,
) -> None:
    resolved = Event()
    sock = tcp.resolving(resolved.wait)
    waits: list[Callable[[], Any]] = [
        lambda: sock.wait("connect"),
        sock.recv,
        lambda: sock.sendall(b"not sent"),
    ]
    for wait in waits:
        with pytest.raises(Interrupted), gevent.Timeout(SHORT, Interrupted):
            wait()
        assert sock.connecting
    resolved.set()
    sock.wait("connect")


def test_a_kill_of_a_blocked_reader_leaves_the_socket_usable(net: Net) -> None:
    sock, peer = net.accepted()
    reader = gevent.spawn(sock.recv)
    gevent.sleep(0)
    reader.kill()
    peer.sendall(b"late")
    assert sock.recv() == b"late"


def test_a_kill_of_a_reader_does_not_wake_the_other(net: Net) -> None:
    sock, peer = net.accepted()
    first = gevent.spawn(sock.recv)
    gevent.sleep(0)
    second = gevent.spawn(sock.recv)
    gevent.sleep(0)
    first.kill()
    peer.sendall(b"for the second")
    assert second.get() == b"for the second"


def test_gevents_timeout_and_data_at_the_same_time_lose_no_byte(net: Net) -> None:
    """The timeout fires in the very turn in which the data arrives."""
    sock, peer = net.accepted()
    sent = received = 0
    for delay in (0.001, 0.002) * 20:
        gevent.spawn_later(0.0015, peer.sendall, b"x" * 10)
        sent += 10
        with gevent.Timeout(delay, False):
            received += len(sock.recv())
    while received < sent:
        received += len(sock.recv())
    assert received == sent


def test_a_waits_own_timeout_raises(net: Net) -> None:
    sock, _ = net.accepted()
    with pytest.raises(TimeoutError) as caught:
        sock.wait("data", timeout=SHORT)
    assert caught.value.code == "ETIMEDOUT"  # type: ignore[attr-defined]
    assert sock.event_names() == []
    with pytest.raises(TimeoutError):
        sock.wait("data", timeout=0)
