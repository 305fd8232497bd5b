"""How writes end: callbacks ahead of ``'close'``, corks, late writes, and waits in listeners."""

from __future__ import annotations

import errno
import struct
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event

import gnet
from gnet.errors import EndedError, StreamDestroyedError, WriteAfterEndError
from tests.helpers.calls import Calls
from tests.helpers.servers import receive, receive_all, send_end
from tests.net.conftest import Net

BIG = bytes(16 * 1024 * 1024)


class Log(list[Any]):
    """What came, in its order: events by name, callbacks with what they got."""

    def events(self, sock: gnet.Socket, *names: str) -> None:
        for name in names:
            sock.on(name, lambda *_, name=name: self.append(name))

    def callback(self, name: str) -> Any:
        return lambda error: self.append((name, error))


# -- callbacks ----------------------------------------------------------------------------------


def test_the_callback_of_an_end_that_an_error_overtakes_gets_the_error(net: Net) -> None:
    sock, _ = net.connected()
    log, error = Log(), ValueError("boom")
    log.events(sock, "error", "close", "finish")
    sock.end(b"x", callback=log.callback("end"))
    sock.destroy(error)
    net.closed(sock)
    assert log == [("end", error), "error", "close"]


@pytest.mark.parametrize("data", [None, b"x", BIG])
def test_every_callback_of_an_end_is_called_once(net: Net, must_call: Calls, data: Any) -> None:
    sock, _ = net.connected()
    calls = [must_call() for _ in range(2)]
    sock.end(data, callback=calls[0])
    sock.end(calls[1])
    sock.destroy()
    must_call.wait()


def test_the_callback_of_a_write_that_fails_at_once_comes_first(tcp: Net) -> None:
    sock, peer = tcp.connected()
    log = Log()
    log.events(sock, "error", "close")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    # On loopback a reset has arrived when close() returns; the first write hears of it.
    assert sock.write(b"x", log.callback("write")) is False
    assert sock.destroyed
    tcp.closed(sock)
    (_, error), *rest = log
    assert error.errno in (errno.ECONNRESET, errno.EPIPE)
    assert rest == ["error", "close"]


def test_the_callback_of_a_write_over_the_limit_comes_behind_the_others(net: Net) -> None:
    sock, _ = net.accepted(write_limit=1000)
    log = Log()
    log.events(sock, "error", "close")
    sock.write(BIG, log.callback("first"))
    sock.write(bytes(2000), log.callback("second"))
    net.closed(sock)
    assert [entry if isinstance(entry, str) else entry[0] for entry in log] == [
        "first", "second", "error", "close",
    ]  # fmt: skip


# -- 'finish' -----------------------------------------------------------------------------------


def test_a_finish_listener_that_blocks_holds_nothing_back(net: Net, must_call: Calls) -> None:
    sock, peer = net.accepted()
    returned = Event()
    sock.on("finish", lambda: returned.wait())
    sock.resume()
    sock.end(b"x", callback=must_call())
    assert receive_all(peer) == b"x"
    peer.close()
    assert net.closed(sock) is False
    must_call.wait()
    assert not returned.is_set()
    returned.set()


def test_a_finish_listener_may_wait_for_the_close(net: Net, must_call: Calls) -> None:
    sock, peer = net.accepted()
    sock.on("finish", finished := must_call(lambda: sock.wait("close")))
    sock.resume()
    send_end(peer)
    finished.wait()
    net.closed(sock)


def test_finish_comes_ahead_of_its_callbacks_and_of_close(net: Net) -> None:
    sock, peer = net.accepted()
    log = Log()
    log.events(sock, "finish", "close")
    sock.resume()
    sock.end(callback=log.callback("end"))
    send_end(peer)
    net.closed(sock)
    assert log == ["finish", ("end", None), "close"]


# -- waits that would wait for themselves -------------------------------------------------------


@pytest.mark.parametrize("event", ["close", "finish"])
def test_a_wait_in_end_for_what_follows_it_is_an_error(
    net: Net, must_call: Calls, event: str
) -> None:
    sock, peer = net.accepted()

    def ended() -> None:
        with pytest.raises(RuntimeError, match=event) as caught:
            sock.wait(event)
        assert caught.value.code == "ERR_SOCKET_WAITS_FOR_ITSELF"

    sock.on("end", must_call(ended))
    sock.resume()
    send_end(peer)
    assert net.closed(sock) is False


@pytest.mark.parametrize("event", ["close", "finish"])
def test_a_wait_in_end_after_the_own_end_is_over_with_it(
    net: Net, must_call: Calls, event: str
) -> None:
    sock, peer = net.accepted()

    def ended() -> None:
        sock.end(b"bye")
        sock.wait(event)

    sock.on("end", must_call(ended))
    sock.resume()
    send_end(peer)
    assert receive_all(peer) == b"bye"
    must_call.wait()
    net.closed(sock)


def test_a_wait_in_end_for_somebody_elses_end_of_a_half_open_socket(
    net: Net, must_call: Calls
) -> None:
    sock, peer = net.accepted(allow_half_open=True)
    waits = Event()

    def ended() -> None:
        waits.set()
        sock.wait("close")

    sock.on("end", must_call(ended))
    sock.resume()
    send_end(peer)
    waits.wait()
    sock.end()
    net.closed(sock)
    must_call.wait()


# -- late writes --------------------------------------------------------------------------------


@pytest.mark.parametrize("half_open", [False, True])
def test_a_write_when_both_ends_have_ended(net: Net, must_call: Calls, half_open: bool) -> None:
    sock, peer = net.accepted(allow_half_open=half_open)
    error = WriteAfterEndError if half_open else EndedError
    code = "ERR_STREAM_WRITE_AFTER_END" if half_open else "EPIPE"

    def ended() -> None:
        sock.end()
        assert sock.write(b"late", callback) is False

    sock.on("error", errored := must_call())
    callback = must_call()
    sock.on("end", ended)
    sock.resume()
    send_end(peer)
    (exc,) = errored.wait()
    assert callback.wait() == (exc,)
    assert isinstance(exc, error)
    assert (exc.code, exc.errno) == (code, errno.EPIPE)
    assert net.closed(sock) is True


def test_a_write_after_both_ends_and_the_close(net: Net, must_call: Calls) -> None:
    sock, peer = net.accepted()
    sock.resume()
    send_end(peer)
    net.closed(sock)
    sock.write(b"late", callback := must_call())
    (exc,) = callback.wait()
    assert isinstance(exc, EndedError)
    assert str(exc).endswith("This socket has been ended by the other party")


def test_a_write_after_the_own_end_and_a_destroy(net: Net, must_call: Calls) -> None:
    sock, _ = net.accepted()
    sock.write(b"x")
    sock.destroy()
    sock.write(b"late", callback := must_call())
    assert isinstance(callback.wait()[0], StreamDestroyedError)


# -- 'connect' ----------------------------------------------------------------------------------


def test_a_socket_that_is_destroyed_emits_no_connect(net: Net) -> None:
    client = net.keep(gnet.Socket())
    server = net.server(lambda sock: client.destroy())
    destroyed: list[bool] = []
    # Over TCP the server comes first, as a rule.
    for event in ("connect", "ready"):
        client.on(event, lambda: destroyed.append(client.destroyed))
    client.connect(*net.target(server))
    net.closed(client)
    assert not any(destroyed)


def test_a_socket_destroyed_in_connect_is_not_ready(net: Net, must_not_call: Any) -> None:
    client = net.connect(net.server())
    client.on("connect", client.destroy)
    client.on("ready", must_not_call())
    net.closed(client)


# -- corks --------------------------------------------------------------------------------------


def test_a_sendall_goes_through_a_cork_with_what_is_queued(net: Net) -> None:
    sock, peer = net.connected()
    sock.cork()
    sock.write(b"one ")
    assert sock.writable_length == 4
    sock.sendall(b"two ")
    assert sock.writable_length == 0
    assert receive(peer, 8) == b"one two "
    sock.write(b"three ")
    assert sock.writable_length == 6
    sock.uncork()
    assert receive(peer, 6) == b"three "


def test_a_sendall_that_waits_leaves_what_is_written_meanwhile_in_the_cork(net: Net) -> None:
    sock, peer = net.connected()
    sock.cork()
    sock.write(b"first")
    sender = net.start(sock.sendall, BIG)
    while not sock.writable_length:
        gevent.sleep(0)
    sock.write(b"behind")
    assert receive(peer, 5 + len(BIG)) == b"first" + BIG
    assert sender.get() is None
    assert sock.writable_length == len(b"behind")
    sock.uncork()
    assert receive(peer, 6) == b"behind"


def test_a_sendall_that_is_interrupted_under_a_cork_keeps_its_place(net: Net) -> None:
    sock, peer = net.connected()
    sock.cork()
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
        sock.sendall(BIG)
    sock.write(b"behind")
    reader = net.start(receive, peer, len(BIG) + 6)
    sock.uncork()
    assert reader.get() == BIG + b"behind"


def test_a_sendall_with_flags_goes_through_a_cork(tcp: Net) -> None:
    sock, peer = tcp.connected()
    sock.cork()
    sock.write(b"one ")
    sock.sendall(b"two", getattr(socket, "MSG_DONTROUTE", 0))
    assert receive(peer, 7) == b"one two"


# -- an exception that comes through ------------------------------------------------------------


class Interruption(Exception):
    """What a signal's handler raises."""


def test_an_exception_while_the_queue_is_sent_fails_the_connection_and_no_other(
    net: Net, monkeypatch: pytest.MonkeyPatch, must_call: Calls
) -> None:
    sock, peer = net.accepted()
    other, other_peer = net.accepted()
    sock.write(BIG, callback := must_call())
    assert sock.writable_length
    sock.on("error", errored := must_call())

    def sendmsg(*_: Any) -> int:
        raise Interruption

    class Broken:
        def __getattr__(self, name: str) -> Any:
            return sendmsg if name == "sendmsg" else getattr(wire, name)

    wire = sock._wire
    sock._wire = Broken()
    net.start(receive_all, peer)
    (error,) = errored.wait()
    assert isinstance(error, Interruption)
    assert callback.wait() == (error,)
    assert net.closed(sock) is True
    other.write(b"x")
    assert receive(other_peer, 1) == b"x"


def test_an_exception_of_a_read_fails_the_connection_and_does_not_spin(
    net: Net, must_call: Calls
) -> None:
    sock, peer = net.accepted()
    sock.on("error", errored := must_call())

    sock.on("data", must_call.never())
    wire = sock._wire

    class Wire:
        def __getattr__(self, name: str) -> Any:
            if name in ("recv", "recv_into"):
                return fail
            return getattr(wire, name)

    def fail(*_: Any) -> int:
        raise MemoryError

    sock._wire = Wire()
    peer.sendall(b"x")
    (error,) = errored.wait()
    assert isinstance(error, MemoryError)
    assert net.closed(sock) is True


# -- memory -------------------------------------------------------------------------------------


def chunks(sock: gnet.Socket) -> int:
    return len(sock._outbox._chunks) if sock._outbox is not None else 0


def test_empty_writes_take_no_memory(net: Net) -> None:
    sock, _ = net.accepted(write_limit=len(BIG))
    sock.write(BIG)
    queued, before = sock.writable_length, chunks(sock)
    for _ in range(1000):
        assert sock.write(b"") is False
    assert (sock.writable_length, chunks(sock)) == (queued, before)
    assert not sock.destroyed


def test_empty_writes_with_callbacks_have_a_limit(net: Net, must_call: Calls) -> None:
    sock, _ = net.accepted(write_limit=65536)
    sock.on("error", errored := must_call())
    sock.write(BIG)
    for _ in range(1000):
        sock.write(b"", lambda error: None)
    (error,) = errored.wait()
    assert error.code == "ERR_WRITE_LIMIT"


def test_small_writes_are_put_together_in_their_order(net: Net) -> None:
    sock, peer = net.accepted()
    sock.write(BIG)
    before = chunks(sock)
    small = [bytes([number % 256]) * (number % 7) for number in range(20_000)]
    for data in small:
        sock.write(data)
    assert chunks(sock) <= before + 2
    expected = BIG + b"".join(small)
    assert receive(peer, len(expected)) == expected


def test_small_messages_keep_their_places_between_big_ones(net: Net, must_call: Calls) -> None:
    sock, peer = net.accepted()
    sent = [b"".join((b"%d," % number,) * (1 + number % 3 * 4000)) for number in range(60)]
    sock.write(BIG)
    sender = None
    for number, data in enumerate(sent):
        if number == 30:
            sender = net.start(sock.sendall, data)
        elif number % 10 == 5:
            sock.write(bytearray(data), must_call())
        else:
            sock.write(bytearray(data))
    expected = BIG + b"".join(sent)
    assert receive(peer, len(expected)) == expected
    assert sender is not None
    assert sender.get() is None
    must_call.wait()


def test_a_buffer_that_is_changed_behind_a_small_write_changes_nothing(net: Net) -> None:
    sock, peer = net.accepted()
    sock.write(BIG)
    buffer = bytearray(b"ab")
    for _ in range(2):
        sock.write(buffer)
    buffer[:] = b"xy"
    assert receive(peer, len(BIG) + 4)[-4:] == b"abab"


# -- while the connection is made -----------------------------------------------------------------


@pytest.mark.parametrize("corked", [False, True])
def test_calls_before_the_connection_keep_their_order(net: Net, corked: bool) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    if corked:
        sock.cork()
    sock.write(b"1")
    first = net.start(sock.sendall, b"2")
    sock.write(b"3")
    second = net.start(sock.send, b"4")
    empty = net.start(sock.sendall, b"")
    assert sock.connecting or not net.is_tcp
    assert sock.bytes_written == 4
    peer = net.keep(listener.accept()[0])
    assert (first.get(), second.get(), empty.get()) == (None, 1, None)
    sock.sendall(b"5")
    sock.end()
    assert receive_all(peer) == b"12345"


@pytest.mark.parametrize("how", ["kill", "close", "end"])
def test_a_sendall_before_the_connection_is_sent_whatever_becomes_of_its_caller(
    net: Net, how: str
) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    data = bytearray(b"sent")
    sending = net.start(sock.sendall, data)
    assert sock.connecting or not net.is_tcp
    if how == "kill":
        sending.kill()
        data[:] = b"else"
        sock.end()
    else:
        getattr(sock, how)()
    peer = net.keep(listener.accept()[0])
    assert receive_all(peer) == b"sent"


def test_a_sendall_before_a_connection_that_fails_raises_its_error(net: Net) -> None:
    sock = net.keep(gnet.connect(*net.refusing()))
    sending = net.start(sock.sendall, b"data")
    assert sending.get().code == "ECONNREFUSED"


def test_a_sendall_behind_the_end_raises_before_the_connection_too(net: Net) -> None:
    sock = net.connect(net.listening_peer())
    sock.end(b"all")
    with pytest.raises(WriteAfterEndError):
        sock.sendall(b"more")


# -- the callback of end(), and 'close' -----------------------------------------------------------


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("how", ["destroy", "reset"])
def test_the_callback_of_an_end_is_not_overtaken_by_close(net: Net, turns: int, how: str) -> None:
    sock, peer = net.connected()
    seen: list[Any] = []
    sock.on("error", lambda error: None)
    sock.on("finish", lambda: seen.append("finish"))
    sock.on("close", lambda had_error: seen.append("close"))
    sock.end(lambda error: seen.append("end" if error is None else "failed"))
    for _ in range(turns):
        gevent.sleep(0)
    if how == "destroy":
        sock.destroy()
    else:
        sock.resume()
        net.reset(sock, peer) if net.is_tcp else peer.close()
    net.closed(sock)
    net.turns()
    assert seen[-1] == "close"
    assert len([each for each in seen if each in ("end", "failed")]) == 1
    assert seen.count("finish") == seen.count("end")


# -- the error of a write, and close() ------------------------------------------------------------


@pytest.mark.parametrize("listens", [False, True])
def test_close_behind_a_write_that_has_failed_leaves_its_error_to_who_listens(
    tcp: Net, hub_errors: list[BaseException], listens: bool
) -> None:
    sock, peer = tcp.connected()
    seen: list[BaseException] = []
    if listens:
        sock.on("error", seen.append)
    sock.pause()
    tcp.reset(sock, peer)
    # Before the loop has had a chance to see the reset.
    while not sock.destroyed:
        sock.write(b"x")
    sock.close()
    tcp.closed(sock)
    tcp.turns()
    told, other = (seen, hub_errors) if listens else (hub_errors, seen)
    assert [type(error) for error in told] in ([ConnectionResetError], [BrokenPipeError])
    assert other == []
    hub_errors.clear()


@pytest.mark.parametrize("how", ["end", "close", "destroy_soon"])
def test_a_cork_behind_the_end_holds_nothing_back(net: Net, how: str) -> None:
    sock, peer = net.connected()
    sock.write(BIG)
    getattr(sock, how)()
    sock.cork()
    assert receive_all(peer) == BIG
    sock.uncork()


def test_a_cork_behind_the_end_of_a_connection_that_is_made_holds_nothing_back(net: Net) -> None:
    listener = net.listening_peer()
    sock = net.connect(listener)
    sock.end(b"all")
    sock.cork()
    assert receive_all(net.keep(listener.accept()[0])) == b"all"
