"""Rule 3: an error is raised, or emitted, or reported by the hub; it is never swallowed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gevent.event import Event
from gevent.queue import Queue

import gnet
from tests.helpers.calls import Call, Calls

if TYPE_CHECKING:
    from tests.net.conftest import Net

MustNotCall = Callable[..., Call]
HubErrors = list[BaseException]


# ---------------------------------------------------------------------------------------------
# Who hears of it.


def test_a_reset_is_raised_in_a_blocked_recv(net: Net, must_not_call: MustNotCall) -> None:
    sock, peer = net.accepted()
    reader = net.start(sock.recv)
    net.reset(sock, peer)
    error = reader.get()
    assert isinstance(error, ConnectionResetError)
    assert error.code == "ECONNRESET"  # type: ignore[attr-defined]
    assert error.syscall == "read"  # type: ignore[attr-defined]
    assert net.closed(sock) is True


@pytest.mark.parametrize("method", ["recv", "recv_into", "makefile", "iter", "wait"])
def test_a_reset_is_raised_in_every_kind_of_blocking_read(net: Net, method: str) -> None:
    sock, peer = net.accepted()
    reads: dict[str, Callable[[], Any]] = {
        "recv": sock.recv,
        "recv_into": lambda: sock.recv_into(bytearray(10)),
        "makefile": lambda: sock.makefile("rb").readline(),
        "iter": lambda: list(sock),
        "wait": lambda: sock.wait("data"),
    }
    reader = net.start(reads[method])
    net.reset(sock, peer)
    assert isinstance(reader.get(), ConnectionResetError)


def test_a_reset_is_raised_in_a_blocked_sendall(net: Net) -> None:
    sock, peer = net.accepted()
    writer = net.start(sock.sendall, bytes(10_000_000))
    net.turns()
    peer.close()
    error = writer.get()
    assert isinstance(error, ConnectionError)
    assert error.code in ("ECONNRESET", "EPIPE")  # type: ignore[attr-defined]


@pytest.mark.parametrize("event", ["data", "end", "drain", "finish", "close", "timeout"])
def test_an_error_is_raised_in_every_wait(net: Net, event: str) -> None:
    sock, _peer = net.accepted()
    waiter = net.start(sock.wait, event)
    reason = ValueError("of the test")
    sock.destroy(reason)
    assert waiter.get() is reason


def test_an_error_is_raised_in_every_blocked_greenlet_and_emitted_as_well(
    net: Net, must_call: Calls
) -> None:
    sock, peer = net.accepted()
    error = must_call()
    sock.on("error", error)
    calls = [
        net.start(sock.recv),
        net.start(sock.sendall, bytes(10_000_000)),
        net.start(sock.sendall, b"and more"),
        net.start(sock.wait, "drain"),
    ]
    net.turns()
    peer.close()
    raised = [call.get() for call in calls]
    assert [type(each) for each in raised] == [type(raised[0])] * 4
    assert isinstance(raised[0], ConnectionError)
    assert error.wait()[0] is raised[0]


def test_an_error_with_listeners_only_is_emitted_and_the_hub_hears_nothing(
    net: Net, must_call: Calls
) -> None:
    sock, peer = net.accepted()
    error, close = must_call(), must_call()
    sock.on("error", error)
    sock.on("close", close)
    sock.resume()
    net.reset(sock, peer)
    assert error.wait()[0].code == "ECONNRESET"
    assert close.wait() == (True,)


def test_an_error_that_nobody_can_handle_is_reported_by_the_hub_once(
    net: Net, hub_errors: HubErrors, must_call: Calls
) -> None:
    sock, peer = net.accepted()
    close = must_call()
    sock.on("close", close)
    sock.resume()
    net.reset(sock, peer)
    assert close.wait() == (True,)
    assert [type(each) for each in hub_errors] == [ConnectionResetError]
    hub_errors.clear()


def test_a_refused_connection_that_nobody_handles_is_reported_by_the_hub(
    net: Net, hub_errors: HubErrors, must_call: Calls
) -> None:
    sock = net.keep(gnet.connect(*net.refusing()))
    sock.on("close", must_call())
    must_call.wait()
    assert [type(each) for each in hub_errors] == [ConnectionRefusedError]
    hub_errors.clear()


def test_what_the_hub_reports_has_the_socket_as_its_context_and_a_traceback(net: Net) -> None:
    hub = gevent.get_hub()
    reports: Queue[Any] = Queue()
    hub.handle_error = lambda *report: reports.put(report)
    sock, _ = net.accepted()

    def fails(chunk: bytes) -> None:
        raise ValueError("of the test")

    sock.on("data", fails)
    peer = next(each for each in net._made if not isinstance(each, gnet.Server))
    peer.sendall(b"x")
    _, kind, value, traceback = reports.get()
    assert kind is ValueError
    assert str(value) == "of the test"
    names = []
    while traceback is not None:
        names.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    assert "fails" in names


def test_destroy_with_an_error_is_raised_where_someone_is_blocked_and_the_hub_hears_nothing(
    net: Net,
) -> None:
    sock, _ = net.accepted()
    reader = net.start(sock.recv)
    reason = ValueError("of the test")
    sock.destroy(reason)
    assert reader.get() is reason
    net.closed(sock)


def test_destroy_with_an_error_that_nobody_can_handle_is_reported_by_the_hub(
    net: Net, hub_errors: HubErrors, must_call: Calls
) -> None:
    sock, _ = net.accepted()
    reason = ValueError("of the test")
    sock.on("close", must_call())
    sock.destroy(reason)
    must_call.wait()
    assert hub_errors == [reason]
    hub_errors.clear()


def test_destroy_without_an_error_is_no_error_for_listeners(
    net: Net, must_call: Calls, must_not_call: MustNotCall
) -> None:
    sock, _ = net.accepted()
    sock.on("error", must_not_call("error"))
    close = must_call()
    sock.on("close", close)
    sock.destroy()
    assert close.wait() == (False,)


def test_the_first_of_two_errors_is_emitted_and_only_that(net: Net, must_call: Calls) -> None:
    sock, _ = net.accepted()
    first = ValueError("first")
    error, close = must_call(), must_call()
    sock.on("error", error)
    sock.on("close", close)
    sock.destroy(first)
    sock.destroy(ValueError("second"))
    sock.destroy()
    assert error.wait() == (first,)
    assert close.wait() == (True,)
    net.turns()


def test_writes_to_a_connection_that_the_peer_has_reset_make_one_error(
    net: Net, must_call: Calls
) -> None:
    sock, peer = net.accepted(allow_half_open=True)
    error, close = must_call(), must_call()
    sock.on("error", error)
    sock.on("close", close)
    peer.close()
    for _ in range(20):
        sock.write(b"x" * 1000)
        gevent.sleep(0)
    assert error.wait()[0].code in ("EPIPE", "ECONNRESET")
    assert close.wait() == (True,)


# ---------------------------------------------------------------------------------------------
# Woken by another greenlet.


@pytest.mark.parametrize("how", ["destroy", "close", "reset_and_destroy"])
@pytest.mark.parametrize("call", ["recv", "sendall", "recv_into", "readline"])
def test_a_blocked_call_is_woken_with_a_clear_error_when_another_greenlet_ends_the_socket(
    net: Net, how: str, call: str
) -> None:
    if how == "reset_and_destroy" and not net.is_tcp:
        pytest.skip("only TCP resets")
    if how == "close" and call == "readline":
        pytest.skip("close() waits for the last file")
    sock, _ = net.accepted()
    calls: dict[str, Callable[[], Any]] = {
        "recv": sock.recv,
        "sendall": lambda: sock.sendall(bytes(10_000_000)),
        "recv_into": lambda: sock.recv_into(bytearray(10)),
        "readline": lambda: sock.makefile("rb").readline(),
    }
    caller = net.start(calls[call])
    net.turns()
    getattr(sock, how)()
    error = caller.get()
    assert isinstance(error, OSError)
    assert error.code  # type: ignore[attr-defined]
    assert "closed" in str(error).lower() or "destroyed" in str(error).lower()
    sock.destroy()


@pytest.mark.parametrize("event", ["data", "end", "drain", "finish"])
def test_a_wait_is_woken_when_the_socket_is_destroyed(net: Net, event: str) -> None:
    sock, _ = net.accepted()
    waiter = net.start(sock.wait, event)
    sock.destroy()
    assert isinstance(waiter.get(), OSError)


def test_a_wait_for_the_connection_is_woken_by_destroy_in_every_call(tcp: Net) -> None:
    net, resolved = tcp, Event()
    sock = net.resolving(resolved.wait)
    calls = [
        net.start(sock.wait, "connect"),
        net.start(sock.recv),
        net.start(sock.sendall, b"x"),
        net.start(lambda: sock.makefile("rb").read()),
        net.start(sock.__enter__),
    ]
    sock.destroy()
    for call in calls:
        assert isinstance(call.get(), OSError)
    resolved.set()


def test_a_descriptor_is_not_used_again_under_a_waiter(net: Net) -> None:
    """A greenlet that was blocked on the old socket gets nothing of the new one's."""
    sock, _peer = net.accepted()
    number = sock.fileno()
    reader = net.start(sock.recv)
    net.turns()
    sock.destroy()
    # The number is free by now, or soon; take it, and have data arrive for whoever has it.
    pairs = []
    for _ in range(4):
        here, there = gevent.socket.socketpair()
        net.keep(here)
        net.keep(there).sendall(b"of another")
        pairs.append(here)
    assert number in [each.fileno() for each in pairs]
    net.turns()
    assert isinstance(reader.get(), OSError)
    assert [each.recv(100) for each in pairs] == [b"of another"] * 4


def test_a_destroyed_socket_has_no_descriptor(net: Net) -> None:
    sock, _ = net.accepted()
    assert sock.fileno() >= 0
    sock.destroy()
    assert sock.fileno() == -1


# ---------------------------------------------------------------------------------------------
# Afterwards.


def test_a_blocking_call_on_a_socket_that_has_failed_raises_that_same_error(net: Net) -> None:
    sock, peer = net.accepted()
    reader = net.start(sock.recv)
    net.reset(sock, peer)
    error = reader.get()
    for call in (
        sock.recv,
        lambda: sock.sendall(b"x"),
        lambda: sock.recv_into(bytearray(1)),
        lambda: sock.wait("data"),
        lambda: list(sock),
    ):
        with pytest.raises(ConnectionResetError) as caught:
            call()  # type: ignore[operator]
        assert caught.value is error


def test_a_blocking_call_on_a_socket_destroyed_with_an_error_raises_that_error(net: Net) -> None:
    sock, _ = net.accepted()
    reason = ValueError("of the test")
    sock.on("error", lambda error: None)
    sock.destroy(reason)
    net.closed(sock)
    for call in (sock.recv, lambda: sock.sendall(b"x")):
        with pytest.raises(ValueError, match="of the test") as caught:
            call()  # type: ignore[operator]
        assert caught.value is reason


@pytest.mark.parametrize("call", ["recv", "sendall", "makefile", "enter", "wait", "iter"])
def test_a_connection_that_fails_is_raised_by_every_call_that_waits_for_it(
    net: Net, call: str
) -> None:
    sock = net.keep(gnet.connect(*net.refusing()))
    calls: dict[str, Callable[[], Any]] = {
        "recv": sock.recv,
        "sendall": lambda: sock.sendall(b"x"),
        "makefile": lambda: sock.makefile("rb").readline(),
        "enter": sock.__enter__,
        "wait": lambda: sock.wait("connect"),
        "iter": lambda: next(iter(sock)),
    }
    with pytest.raises(ConnectionRefusedError) as caught:
        calls[call]()
    error: Any = caught.value
    assert error.code == "ECONNREFUSED"
    assert error.syscall == "connect"
    assert "ECONNREFUSED" in str(error)
    assert net.closed(sock) is True


def test_a_blocking_call_on_a_closed_socket_raises(net: Net) -> None:
    sock, _ = net.accepted()
    sock.destroy()
    for _ in range(2):
        with pytest.raises(OSError, match="(?i)closed") as caught:
            sock.recv()
        assert caught.value.code  # type: ignore[attr-defined]
        with pytest.raises(OSError, match="(?i)closed"):
            sock.sendall(b"x")
        net.closed(sock)


# ---------------------------------------------------------------------------------------------
# The callbacks of writes.


@pytest.mark.parametrize("state", ["connecting", "queued"])
def test_the_callbacks_of_what_was_not_sent_get_an_error(
    net: Net, must_call: Calls, state: str
) -> None:
    if state == "connecting":
        sock = net.connect(net.server())
    else:
        sock, _ = net.accepted()
    callbacks = [must_call(), must_call()]
    for callback in callbacks:
        sock.write(bytes(4_000_000), callback=callback)
    sock.destroy()
    for callback in callbacks:
        error = callback.wait()[0]
        assert isinstance(error, Exception)
        assert error.code  # type: ignore[attr-defined]


def test_the_callback_of_a_write_gets_what_the_connection_failed_with(
    net: Net, must_call: Calls
) -> None:
    sock = net.keep(gnet.connect(*net.refusing()))
    callback, error = must_call(), must_call()
    sock.on("error", error)
    sock.write(b"x", callback=callback)
    assert isinstance(callback.wait()[0], ConnectionRefusedError)
    assert error.wait()[0] is callback.args[0]


def test_a_write_after_the_end_is_an_error(net: Net, must_call: Calls) -> None:
    sock, _ = net.accepted(allow_half_open=True)
    error = must_call()
    sock.on("error", error)
    sock.end()
    assert sock.write(b"late") is False
    assert error.wait()[0].code == "ERR_STREAM_WRITE_AFTER_END"
    assert net.closed(sock) is True


def test_a_write_to_a_destroyed_socket_tells_its_callback_and_does_no_more(
    net: Net, must_call: Calls
) -> None:
    sock, _ = net.accepted()
    sock.destroy()
    callback = must_call()
    assert sock.write(b"late", callback=callback) is False
    assert callback.wait()[0].code == "ERR_STREAM_DESTROYED"


def test_a_sendall_after_the_end_raises_and_leaves_the_reading_side(net: Net) -> None:
    sock, peer = net.accepted(allow_half_open=True)
    sock.end()
    with pytest.raises(Exception, match="(?i)end") as caught:
        sock.sendall(b"late")
    assert caught.value.code  # type: ignore[attr-defined]
    peer.sendall(b"still read")
    assert sock.recv() == b"still read"


# ---------------------------------------------------------------------------------------------
# Nobody else.


def test_an_error_kills_no_other_connection(net: Net, hub_errors: HubErrors) -> None:
    def connected(sock: gnet.Socket) -> None:
        sock.on("data", sock.write)

    server = net.server(connected)
    peers = [net.peer(server) for _ in range(3)]
    for peer in peers:
        peer.sendall(b"x")
        peer.recv(1)
    victim = next(iter(server.connections))
    victim.destroy(ValueError("of the test"))
    net.closed(victim)
    assert [str(each) for each in hub_errors] == ["of the test"]
    hub_errors.clear()
    answers = []
    for peer in peers:
        with suppress(ConnectionError):
            peer.sendall(b"y")
            answers.append(peer.recv(1))
    assert answers.count(b"y") == 2
    assert server.listening


def test_an_error_listener_attached_in_time_is_enough(net: Net, must_call: Calls) -> None:
    """Attached between the failure and its report."""
    sock, _ = net.accepted()
    sock.destroy(ValueError("of the test"))
    sock.once("error", must_call())
    must_call.wait()


def test_an_error_that_falls_between_two_blocking_calls_is_raised_by_the_next(net: Net) -> None:
    sock, peer = net.accepted()
    peer.sendall(b"request")
    assert sock.recv() == b"request"
    net.reset(sock, peer)
    net.closed(sock)
    with pytest.raises(ConnectionResetError):
        sock.recv()


def test_a_failed_lookup_is_raised_with_the_name(tcp: Net) -> None:
    def lookup(hostname: str, **options: Any) -> Any:
        raise gevent.socket.gaierror(gevent.socket.EAI_NONAME, "no such name")

    sock = tcp.keep(gnet.connect(80, "nowhere.invalid", lookup=lookup))
    with pytest.raises(gevent.socket.gaierror):
        sock.wait("connect")


def test_an_exception_of_a_users_hook_is_passed_on_as_that_same_object(
    tcp: Net, must_call: Calls
) -> None:
    reason = ValueError("of the hook")

    def lookup(hostname: str, **options: Any) -> Any:
        raise reason

    sock = tcp.keep(gnet.connect(80, "some.name", lookup=lookup))
    error, looked_up = must_call(), must_call()
    sock.on("lookup", looked_up)
    sock.on("error", error)
    assert error.wait() == (reason,)
    assert looked_up.wait()[0] is reason


def test_the_message_of_a_refused_connection_names_the_address(tcp: Net) -> None:
    port, host = tcp.refusing()
    sock = tcp.keep(gnet.connect(port, host))
    with pytest.raises(ConnectionRefusedError) as caught:
        sock.wait("connect")
    error: Any = caught.value
    assert str(error).endswith(f"connect ECONNREFUSED {host}:{port}")
    assert (error.address, error.port) == (host, port)
    assert error.errno


def test_the_message_of_a_bound_socket_names_its_local_address(tcp: Net) -> None:
    port, host = tcp.refusing()
    sock = tcp.keep(gnet.connect(port, host, local_address="127.0.0.1"))
    with pytest.raises(ConnectionRefusedError, match=r"- Local \(127\.0\.0\.1:\d+\)") as caught:
        sock.wait("connect")
    error: Any = caught.value
    assert error.local_address == "127.0.0.1"
    assert isinstance(error.local_port, int)


def test_a_wait_for_the_error_returns_it(net: Net) -> None:
    sock, _ = net.accepted()
    waiter = net.start(sock.wait, "error")
    reason = ValueError("of the test")
    sock.destroy(reason)
    assert waiter.get() == (reason,)


def test_a_signal_destroys_an_open_connection_with_its_error(net: Net, must_call: Calls) -> None:
    listener = net.listening_peer()
    abort = Event()
    sock = net.connect(listener, signal=abort)
    net.keep(listener.accept()[0])
    sock.wait("connect")
    reader = net.start(sock.recv)
    error = must_call()
    sock.on("error", error)
    abort.set()
    assert reader.get().code == "ABORT_ERR"
    assert error.wait()[0] is reader.get()
    assert net.closed(sock) is True


def test_what_could_not_be_sent_after_close_is_an_error(net: Net, must_call: Calls) -> None:
    """The program has closed the socket, and its last words are lost: somebody hears of it."""
    sock, peer = net.accepted()
    error = must_call()
    sock.on("error", error)
    sock.write(bytes(10_000_000))
    sock.close()
    net.turns()
    peer.close()
    assert isinstance(error.wait()[0], ConnectionError)
    assert net.closed(sock) is True
