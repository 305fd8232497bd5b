"""Rule 2: what a call starts is reported no earlier than the next turn of the loop."""

from __future__ import annotations

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


def test_listening_is_emitted_after_listen_has_returned(net: Net, must_call: Calls) -> None:
    server = net.server()
    server.on("listening", must_call())
    must_call.wait()


def test_a_listening_listener_is_not_called_inside_listen(net: Net, must_call: Calls) -> None:
    returned = False
    server = net.keep(gnet.create_server())
    server.listen(*net.place(), listening_listener=must_call(lambda: seen.append(returned)))
    seen: list[bool] = []
    returned = True
    must_call.wait()
    assert seen == [True]


def test_listen_and_close_in_one_turn_emit_close_and_no_listening(
    net: Net, must_call: Calls, must_not_call: MustNotCall
) -> None:
    server = net.server()
    server.close()
    server.on("listening", must_not_call("listening"))
    server.on("close", must_call())
    must_call.wait()
    net.turns()


def test_a_connection_listener_may_be_attached_after_listen(net: Net, must_call: Calls) -> None:
    server = net.server()
    peer = net.peer(server)
    server.on("connection", must_call())
    must_call.wait()
    peer.close()


@pytest.mark.parametrize("event", ["connect", "ready"])
def test_connect_is_emitted_after_connect_has_returned(
    net: Net, must_call: Calls, event: str
) -> None:
    sock = net.connect(net.server())
    assert sock.connecting
    sock.on(event, must_call())
    must_call.wait()


def test_ready_follows_connect(net: Net) -> None:
    sock = net.connect(net.server())
    log: list[str] = []
    ready = Event()
    sock.on("ready", lambda: (log.append("ready"), ready.set()))
    sock.on("connect", lambda: log.append("connect"))
    ready.wait()
    assert log == ["connect", "ready"]


def test_a_connection_that_fails_tells_listeners_attached_after_connect(
    net: Net, must_call: Calls
) -> None:
    sock = net.keep(gnet.connect(*net.refusing()))
    error, close = must_call(), must_call()
    sock.on("error", error)
    sock.on("close", close)
    assert isinstance(error.wait()[0], ConnectionRefusedError)
    assert close.wait() == (True,)


def test_a_path_that_is_not_there_is_told_of_after_connect(
    tcp: Net, must_call: Calls, directory: Any
) -> None:
    sock = tcp.keep(gnet.connect(str(directory / "nothing")))
    error = must_call()
    sock.on("error", error)
    assert error.wait()[0].code == "ENOENT"


def test_a_path_that_is_too_long_is_told_of_after_connect(
    tcp: Net, must_call: Calls, directory: Any
) -> None:
    sock = tcp.keep(gnet.connect(str(directory / ("x" * 200))))
    error = must_call()
    sock.on("error", error)
    raised = error.wait()[0]
    assert isinstance(raised, OSError)
    assert raised.code == "EINVAL"  # type: ignore[attr-defined]
    assert "10" in str(raised)  # the limit, 107 or 103


@pytest.mark.parametrize("state", ["idle", "connecting", "connected"])
def test_destroy_tells_listeners_attached_after_it(
    net: Net, must_call: Calls, must_not_call: MustNotCall, state: str
) -> None:
    sock = gnet.Socket() if state == "idle" else net.connect(net.server())
    if state == "connected":
        sock.wait("connect")
    sock.destroy()
    assert sock.destroyed
    assert not sock.closed
    close = must_call()
    sock.on("close", close)
    sock.on("error", must_not_call("error"))
    sock.on("connect", must_not_call("connect"))
    assert close.wait() == (False,)
    assert sock.closed
    net.turns()


@pytest.mark.parametrize("state", ["idle", "connecting", "connected"])
def test_destroy_with_an_error_tells_listeners_attached_after_it(
    net: Net, must_call: Calls, state: str
) -> None:
    sock = gnet.Socket() if state == "idle" else net.connect(net.server())
    if state == "connected":
        sock.wait("connect")
    reason = ValueError("of the test")
    sock.destroy(reason)
    error, close = must_call(), must_call()
    sock.on("error", error)
    sock.on("close", close)
    assert error.wait() == (reason,)
    assert close.wait() == (True,)


def test_destroy_emits_nothing_inside_the_call(net: Net) -> None:
    sock, _ = net.accepted()
    log: list[str] = []
    sock.on("error", lambda error: log.append("error"))
    sock.on("close", lambda had_error: log.append("close"))
    sock.destroy(ValueError("of the test"))
    log.append("returned")
    net.closed(sock)
    assert log == ["returned", "error", "close"]


def test_a_reset_by_write_is_not_emitted_inside_the_call(net: Net) -> None:
    """The write that the kernel refuses returns; the error comes later."""
    sock, peer = net.accepted()
    log: list[str] = []
    peer.close()
    sock.wait("end")
    sock.on("error", lambda error: log.append("error"))
    inside = False

    def write() -> None:
        nonlocal inside
        inside = True
        sock.write(b"x")
        log.append("returned")
        inside = False

    write()
    net.closed(sock)
    assert log[0] == "returned"


def test_end_tells_a_finish_listener_attached_after_it(net: Net, must_call: Calls) -> None:
    sock, _ = net.accepted()
    sock.end()
    sock.on("finish", must_call())
    must_call.wait()


def test_the_callbacks_of_writes_are_not_called_inside_the_call(net: Net) -> None:
    sock, _ = net.accepted()
    log: list[str] = []
    done = Event()
    sock.write(b"x", callback=lambda *args: log.append("written"))
    log.append("write returned")
    net.turns()
    sock.end(callback=lambda *args: (log.append("ended"), done.set()))
    log.append("end returned")
    done.wait()
    assert log == ["write returned", "written", "end returned", "ended"]


def test_drain_tells_a_listener_attached_after_the_write(net: Net, must_call: Calls) -> None:
    sock, peer = net.accepted()
    assert sock.write(bytes(4_000_000)) is False
    sock.on("drain", must_call())
    received = 0
    while received < 4_000_000:
        received += len(peer.recv(1_000_000))
    must_call.wait()


def test_data_that_is_there_already_goes_to_a_listener_attached_after_connect(net: Net) -> None:
    server = net.server(lambda sock: sock.write(b"greeting"))
    sock = net.connect(server)
    assert sock.wait("data") == (b"greeting",)


def test_data_that_arrived_long_before_the_listener_is_not_lost(net: Net) -> None:
    sock, peer = net.accepted()
    peer.sendall(b"early")
    net.turns()
    assert sock.wait("data") == (b"early",)


def test_data_tells_a_listener_attached_right_after_resume(net: Net, must_call: Calls) -> None:
    sock, peer = net.accepted()
    peer.sendall(b"early")
    net.turns()
    sock.pause()
    sock.resume()
    data = must_call()
    sock.on("data", data)
    assert data.wait() == (b"early",)


def test_data_is_not_emitted_inside_on(net: Net) -> None:
    sock, peer = net.accepted()
    peer.sendall(b"early")
    net.turns()
    log: list[Any] = []
    sock.on("data", log.append)
    assert log == []
    sock.on("end", lambda: None)
    peer.close()
    net.closed(sock)
    assert log == [b"early"]


def test_a_server_that_is_closed_tells_listeners_attached_after_it(
    net: Net, must_call: Calls
) -> None:
    server = net.server()
    server.wait("listening")
    server.close()
    server.on("close", must_call())
    must_call.wait()


def test_a_listen_that_fails_is_emitted_after_the_call_where_there_is_a_listener(
    tcp: Net,
) -> None:
    taken = tcp.server()
    server = tcp.keep(gnet.create_server())
    log: list[Any] = []
    failed = Event()
    server.on("error", lambda error: (log.append(error.code), failed.set()))
    server.listen(*tcp.target(taken))
    log.append("returned")
    failed.wait()
    assert log == ["returned", "EADDRINUSE"]


def test_a_listen_that_fails_raises_where_there_is_no_listener(tcp: Net) -> None:
    taken = tcp.server()
    server = tcp.keep(gnet.create_server())
    with pytest.raises(OSError, match="EADDRINUSE") as caught:
        server.listen(*tcp.target(taken))
    assert caught.value.code == "EADDRINUSE"  # type: ignore[attr-defined]
    assert caught.value.syscall in ("listen", "bind")  # type: ignore[attr-defined]
    assert caught.value.port == tcp.target(taken)[0]  # type: ignore[attr-defined]
    assert not server.listening
    # And it can be called again.
    server.listen(*tcp.place())
    assert server.listening


def test_a_call_that_raises_emits_nothing(tcp: Net, must_not_call: MustNotCall) -> None:
    sock = gnet.Socket()
    for event in ("error", "close", "connect"):
        sock.on(event, must_not_call(event))
    with pytest.raises(ValueError, match="70000"):
        sock.connect(70000)
    with pytest.raises(TypeError):
        sock.connect(80, "127.0.0.1", nonsense=1)
    tcp.turns()
    assert not sock.connecting


def test_an_end_of_the_peer_tells_a_listener_attached_after_accepting(
    net: Net, must_call: Calls
) -> None:
    """The peer had gone before anybody had a chance to listen."""

    def connected(sock: gnet.Socket) -> None:
        sock.on("end", must_call())
        sock.on("close", must_call())

    server = net.keep(gnet.create_server())
    server.listen(*net.place())
    net.peer(server).close()
    server.on("connection", must_call(connected))
    server.wait("connection")
    gevent.sleep(0)
    must_call.wait()
