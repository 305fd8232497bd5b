"""What a listener raises stops no other one, and nobody who waits."""

from __future__ import annotations

import contextlib
import sys
import textwrap
from typing import Any

import gevent
import pytest
from gevent.queue import Queue

import gnet
from tests.helpers.calls import Calls
from tests.helpers.peers import run
from tests.net.conftest import Net


class Bug(Exception):
    """A program's."""


def raises(*args: Any) -> None:
    raise Bug


class EndOfProgram(BaseException):
    """No Exception, as gevent.Timeout."""


# -- the emitter ----------


@pytest.mark.parametrize("kind", [Bug, EndOfProgram, gevent.Timeout, gevent.GreenletExit])
def test_the_listeners_behind_one_that_raises_are_called(
    must_call: Calls, kind: type[BaseException]
) -> None:
    def listener(value: int) -> None:
        raise kind

    emitter = gnet.EventEmitter()
    emitter.on("event", must_call())
    emitter.on("event", listener)
    last = must_call()
    emitter.once("event", last)
    with pytest.raises(kind):
        emitter.emit("event", 1)
    assert last.args == (1,)


def test_of_several_exceptions_the_first_is_raised_and_the_others_reported(
    hub_errors: list[BaseException],
) -> None:
    def other() -> None:
        raise KeyError

    emitter = gnet.EventEmitter()
    for each in (raises, other, raises):
        emitter.on("event", each)
    with pytest.raises(Bug):
        emitter.emit("event")
    assert [type(each) for each in hub_errors] == [KeyError, Bug]
    hub_errors.clear()


def test_all_listeners_of_data_get_the_chunk(net: Net, must_call: Calls) -> None:
    sock, peer = net.accepted()
    errors: Queue[BaseException] = Queue()
    sock.on("error", errors.put)
    sock.on("data", raises)
    sock.on("data", must_call())
    peer.sendall(b"x")
    assert isinstance(errors.get(), Bug)


# -- who waits ----------


def test_a_close_listener_of_a_server_that_raises_stops_nobody(
    net: Net, must_call: Calls, hub_errors: list[BaseException]
) -> None:
    server = net.server()
    server.on("close", raises)
    waiting = [
        net.start(server.serve_forever),
        net.start(server.wait_closed),
        net.start(server.wait, "close"),
        net.start(server.wait, "close", 5),
    ]
    server.close(must_call())
    assert [each.get() for each in waiting] == [None, None, (), ()]
    assert [type(each) for each in hub_errors] == [Bug]
    hub_errors.clear()


def test_with_leaves_a_server_whose_close_listener_raises(
    net: Net, hub_errors: list[BaseException]
) -> None:
    with net.server() as server:
        server.on("close", raises)
    assert not server.listening
    assert [type(each) for each in hub_errors] == [Bug]
    hub_errors.clear()


def test_a_shutdown_ends_although_a_close_listener_raises(
    net: Net, hub_errors: list[BaseException]
) -> None:
    server = net.server()
    server.on("close", raises)
    assert server.shutdown() == 0
    assert [type(each) for each in hub_errors] == [Bug]
    hub_errors.clear()


def test_a_close_listener_of_a_socket_that_raises_stops_nobody(
    net: Net, must_call: Calls, hub_errors: list[BaseException]
) -> None:
    sock, _ = net.connected()
    sock.on("close", raises)
    sock.on("close", must_call())
    waiting = [net.start(sock.wait, "close") for _ in range(2)]
    sock.destroy()
    assert [each.get() for each in waiting] == [(False,), (False,)]
    assert [type(each) for each in hub_errors] == [Bug]
    hub_errors.clear()


@pytest.mark.parametrize("event", ["end", "finish", "drain", "connect"])
def test_a_listener_of_any_event_that_raises_stops_no_wait(net: Net, event: str) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    errors: Queue[BaseException] = Queue()
    sock.on("error", errors.put)
    sock.on(event, raises)
    waiting = net.start(sock.wait, event)
    peer = net.keep(listener.accept()[0])
    if event == "end":
        sock.resume()
        peer.close()
    elif event == "finish":
        sock.end()
    elif event == "drain":
        while sock.write(bytes(1 << 20)):
            pass
        reading = net.start(lambda: [None for _ in iter(lambda: peer.recv(1 << 20), b"")])
        with contextlib.suppress(OSError):
            reading.join()
    assert waiting.get() == ()
    assert isinstance(errors.get(), Bug)


# -- listening again ----------


def test_serve_forever_serves_a_server_that_listens_again(net: Net, must_call: Calls) -> None:
    server = net.server()
    server.on("close", must_call(times=2))
    server.close()
    server.listen(*net.place())
    serving = [net.start(server.serve_forever), net.start(server.wait, "close")]
    net.turns()
    assert server.listening
    assert not any(each.ready() for each in serving)
    server.close()
    assert [each.get() for each in serving] == [None, ()]


def test_who_waited_for_the_former_close_is_told_of_it(net: Net) -> None:
    server = net.server()
    serving = net.start(server.serve_forever)
    server.close()
    server.listen(*net.place())
    assert serving.get() is None
    assert server.listening


def test_a_server_may_listen_again_in_its_close_listener(net: Net, must_call: Calls) -> None:
    server = net.server()
    server.once("close", lambda: server.listen(*net.place()))
    serving = net.start(server.serve_forever)
    server.close()
    serving.get()
    assert server.listening
    again = net.start(server.wait_closed)
    net.turns()
    assert not again.ready()
    server.close()
    assert again.get() is None


def test_a_wait_for_the_close_has_its_time(net: Net) -> None:
    server = net.server()
    server.close()
    server.listen(*net.place())
    with pytest.raises(TimeoutError, match=r"0\.05"):
        server.wait("close", 0.05)
    server.close()
    server.wait_closed()


def test_a_handler_that_waits_for_its_own_servers_close_is_told(
    net: Net, hub_errors: list[BaseException]
) -> None:
    raised: Queue[BaseException] = Queue()

    def handler(sock: gnet.Socket) -> None:
        server = sock.server
        server.close()
        try:
            server.wait("close")
        except RuntimeError as exc:
            raised.put(exc)

    server = net.server(handler, end_on_return=True)
    peer = net.peer(server)
    assert raised.get().code == "ERR_SERVER_WAITS_FOR_ITSELF"  # type: ignore[attr-defined]
    server.wait_closed()
    peer.close()


# -- errors of lookups ----------


def output_of(source: str) -> str:
    outcome = run(sys.executable, "-c", textwrap.dedent(source))
    assert outcome.status == 0, outcome
    return outcome.complaints.decode()


def test_a_lookup_that_fails_and_that_nobody_handles_is_reported() -> None:
    assert "ENOTFOUND no-such-host.invalid" in output_of(
        """
        import gnet
        gnet.connect(80, "no-such-host.invalid")
        assert gnet.run()
        """
    )


def test_a_gaierror_of_a_listeners_is_reported() -> None:
    text = output_of(
        """
        import socket
        import gevent, gnet
        from gevent.resolver.thread import Resolver
        Resolver(gevent.get_hub())
        def listener(sock):
            raise socket.gaierror(1, "a bug of the listener's")
        server = gnet.create_server(listener).listen(0, "127.0.0.1")
        def closed():
            raise socket.gaierror(1, "a bug of the server's")
        server.on("close", closed)
        sock = gnet.connect(server.address().port,
                            "127.0.0.1")
        sock.on("error", print)
        sock.wait("close")
        server.close()
        assert gnet.run()
        """
    )
    assert "a bug of the listener's" in text
    assert "a bug of the server's" in text
    assert text.count("Traceback") == 2


def test_a_programs_own_error_handler_is_told_once(hub_errors: list[BaseException]) -> None:
    sock = gnet.connect(80, "no-such-host.invalid")
    assert gnet.run(5)
    assert [getattr(each, "code", None) for each in hub_errors] == ["ENOTFOUND"]
    assert sock.destroyed
    hub_errors.clear()
