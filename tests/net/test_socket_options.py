"""Socket: what it is made from, its options, and the vocabulary of Python's socket."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gevent import monkey, socket
from gevent.os import nb_read
from gevent.queue import Queue

import gnet

if TYPE_CHECKING:
    from tests.helpers.calls import Call, Calls
    from tests.net.conftest import Net

# The one of gevent's, where it is patched in, closes only when the loop next looks for events.
close = monkey.get_original("os", "close")


def read_all(peer: Any) -> bytes:
    found = b""
    while data := peer.recv(65536):
        found += data
    return found


def read_some(fd: int) -> bytes:
    """What the other end of a pipe has, waited for without blocking the loop."""
    os.set_blocking(fd, False)
    return nb_read(fd, 100)  # type: ignore[no-any-return]


# -- fd= and handle= -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [socket.AF_UNIX, socket.AF_INET], ids=["unix", "ipv4"])
def test_the_descriptor_of_a_connected_socket(tcp: Net, kind: Any) -> None:
    here, there = pair(kind)
    with there:
        fd = here.detach()
        sock = tcp.keep(gnet.Socket(fd=fd, readable=True, writable=True))
        assert sock.fileno() == fd
        assert (sock.ready_state, sock.pending, sock.connecting) == ("open", False, False)
        there.sendall(b"in")
        assert sock.recv() == b"in"
        sock.end(b"out")
        assert read_all(there) == b"out"
        if kind == socket.AF_INET:
            assert sock.remote_port == there.getsockname()[1]


def pair(kind: int) -> tuple[Any, Any]:
    if kind == socket.AF_UNIX:
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = socket.create_connection(listener.getsockname())
        return here, listener.accept()[0]


def test_destroying_closes_the_descriptor(tcp: Net) -> None:
    here, there = socket.socketpair()
    with there:
        sock = gnet.Socket(fd=here.detach(), readable=True, writable=True)
        sock.destroy()
        sock.wait("close", 5)
        assert there.recv(1) == b""


@pytest.mark.parametrize(
    ("readable", "writable", "state"),
    [(True, True, "open"), (True, False, "read_only"), (False, True, "write_only")],
)
def test_readable_and_writable_are_the_sides_of_a_descriptor(
    tcp: Net, readable: Any, writable: Any, state: Any
) -> None:
    here, there = socket.socketpair()
    with there:
        sock = tcp.keep(gnet.Socket(fd=here.detach(), readable=readable, writable=writable))
        assert (sock.readable, sock.writable) == (readable, writable)
        assert sock.ready_state == state


def test_a_descriptors_data_is_emitted(tcp: Net) -> None:
    here, there = socket.socketpair()
    with there:
        sock = tcp.keep(gnet.Socket(fd=here.detach(), readable=True, writable=True))
        there.sendall(b"event")
        assert sock.wait("data", 5) == (b"event",)


@pytest.mark.parametrize("kind", ["pipe", "fifo"])
def test_the_reading_end_of_a_pipe(tcp: Net, directory: Path, kind: Any) -> None:
    read, write = pipe(directory, kind)
    sock = tcp.keep(gnet.Socket(fd=read, readable=True))
    os.write(write, b"one ")
    assert sock.recv() == b"one "
    os.write(write, b"two")
    assert sock.recv(1) == b"t"
    close(write)
    assert b"".join(sock) == b"wo"
    assert sock.bytes_read == 7


@pytest.mark.parametrize("kind", ["pipe", "fifo"])
def test_the_reading_end_of_a_pipe_emits(
    tcp: Net, directory: Path, must_call: Calls, kind: Any
) -> None:
    read, write = pipe(directory, kind)
    sock = tcp.keep(gnet.Socket(fd=read, readable=True))
    chunks: list[bytes] = []
    sock.on("data", chunks.append)
    sock.on("end", must_call())
    sock.on("close", must_call())
    os.write(write, b"data")
    close(write)
    must_call.wait()
    assert b"".join(chunks) == b"data"


@pytest.mark.parametrize("kind", ["pipe", "fifo"])
def test_the_writing_end_of_a_pipe(tcp: Net, directory: Path, must_call: Calls, kind: Any) -> None:
    read, write = pipe(directory, kind)
    sock = tcp.keep(gnet.Socket(fd=write, writable=True))
    sock.on("close", must_call())
    sock.write(b"one ")
    sock.sendall(b"two")
    assert read_some(read) == b"one two"
    sock.end(b" three")
    must_call.wait()
    assert read_some(read) == b" three"
    assert read_some(read) == b""
    close(read)


def test_a_full_pipe_blocks_its_writer_only(tcp: Net, directory: Path) -> None:
    read, write = pipe(directory, "pipe")
    sock = tcp.keep(gnet.Socket(fd=write, writable=True))
    sending = gevent.spawn(sock.sendall, bytes(1_000_000))
    tcp.turns()
    assert not sending.ready()
    sock_read = tcp.keep(gnet.Socket(fd=read, readable=True))
    found = 0
    while found < 1_000_000:
        found += len(sock_read.recv())
    sending.join(5)
    assert sending.successful()


def pipe(directory: Any, kind: str) -> tuple[int, int]:
    if kind == "pipe":
        return os.pipe()
    path = directory / "fifo"
    os.mkfifo(path)
    read = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    return read, os.open(path, os.O_WRONLY)


def test_the_descriptor_of_a_terminal(tcp: Net) -> None:
    pty, tty = pytest.importorskip("pty"), pytest.importorskip("tty")
    master, slave = pty.openpty()
    tty.setraw(slave)
    sock = tcp.keep(gnet.Socket(fd=slave, readable=True, writable=True))
    os.write(master, b"typed")
    assert sock.recv() == b"typed"
    sock.write(b"shown")
    assert read_some(master) == b"shown"
    sock.destroy()
    sock.wait("close", 5)
    close(master)


@pytest.mark.parametrize("kind", [socket.AF_UNIX, socket.AF_INET], ids=["unix", "ipv4"])
@pytest.mark.parametrize("library", ["gevent", "standard"])
def test_a_handle_is_taken_over(tcp: Net, kind: Any, library: Any) -> None:
    here, there = pair(kind)
    if library == "standard":
        import socket as standard

        here = standard.socket(fileno=here.detach())
    with there:
        fd = here.fileno()
        sock = tcp.keep(gnet.Socket(handle=here))
        assert sock.fileno() == fd
        assert sock.ready_state == "open"
        there.sendall(b"in")
        assert sock.recv() == b"in"
        sock.end(b"out")
        assert read_all(there) == b"out"
        sock.destroy()
        sock.wait("close", 5)
        with pytest.raises(OSError, match="descriptor"):
            os.fstat(fd)
        # Whoever still holds the object closes nobody else's descriptor with it.
        other = os.open("/dev/null", os.O_RDONLY)
        here.close()
        os.fstat(other)
        close(other)


# -- onread --------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [bytearray, lambda size: memoryview(bytearray(size))])
def test_onread_fills_one_buffer_again_and_again(
    net: Net, must_not_call: Callable[..., Call], make: Any
) -> None:
    buffer = make(4)
    seen: list[tuple[int, Any, bytes]] = []

    def callback(count: int, given: Any) -> None:
        seen.append((count, given, bytes(given[:count])))

    listener = net.listening_peer()
    sock = net.connect(listener, onread=gnet.OnRead(buffer, callback))
    sock.on("data", must_not_call())
    peer = net.keep(listener.accept()[0])
    peer.sendall(b"0123456789")
    peer.shutdown(socket.SHUT_WR)
    sock.wait("end", 5)
    assert b"".join(data for _, _, data in seen) == b"0123456789"
    assert all(given is buffer for _, given, _ in seen)
    assert all(1 <= count <= 4 for count, _, _ in seen)
    assert sock.bytes_read == 10


def test_onread_calls_a_function_for_a_buffer_once_per_read(net: Net) -> None:
    made: list[bytearray] = []
    seen: list[tuple[int, Any]] = []

    def make() -> bytearray:
        made.append(bytearray(3))
        return made[-1]

    listener = net.listening_peer()
    sock = net.connect(
        listener, onread=gnet.OnRead(make, lambda n, b: seen.append((n, b)) or True)
    )
    peer = net.keep(listener.accept()[0])
    peer.sendall(b"abcdefgh")
    peer.shutdown(socket.SHUT_WR)
    sock.wait("end", 5)
    assert b"".join(bytes(b[:n]) for n, b in seen) == b"abcdefgh"
    assert all(any(b is each for each in made) for _, b in seen)
    assert len({id(b) for _, b in seen}) == len(seen)
    # One more may have been asked for by the read that met the end.
    assert len(seen) <= len(made) <= len(seen) + 1


def test_onread_pauses_on_false_and_goes_on_with_resume(net: Net) -> None:
    seen: list[bytes] = []
    called = Queue()

    def callback(count: int, buffer: bytearray) -> bool:
        seen.append(bytes(buffer[:count]))
        called.put(None)
        return False

    listener = net.listening_peer()
    sock = net.connect(listener, onread=gnet.OnRead(bytearray(2), callback))
    peer = net.keep(listener.accept()[0])
    peer.sendall(b"abcdef")
    for expected in ([b"ab"], [b"ab", b"cd"], [b"ab", b"cd", b"ef"]):
        called.get()
        net.turns()
        assert seen == expected
        assert sock.is_paused()
        sock.resume()


@pytest.mark.parametrize("result", [None, True, 0, "x"])
def test_onread_goes_on_for_everything_but_false(tcp: Net, result: Any) -> None:
    seen = bytearray()

    def callback(count: int, buffer: bytearray) -> Any:
        seen.extend(buffer[:count])
        return result

    listener = tcp.listening_peer()
    sock = tcp.connect(listener, onread=gnet.OnRead(bytearray(2), callback))
    peer = tcp.keep(listener.accept()[0])
    peer.sendall(b"abcdef")
    peer.shutdown(socket.SHUT_WR)
    sock.wait("end", 5)
    assert seen == b"abcdef"


@pytest.mark.parametrize("made", [None, 5, b"constant", bytearray()])
def test_onreads_function_that_gives_no_buffer_ends_its_connection_only(
    tcp: Net, made: Any
) -> None:
    listener = tcp.listening_peer()
    sock = tcp.connect(listener, onread=gnet.OnRead(lambda: made, print))
    errors: Queue[BaseException] = Queue()
    sock.on("error", errors.put)
    peer = tcp.keep(listener.accept()[0])
    peer.sendall(b"x")
    assert isinstance(errors.get(), (TypeError, ValueError))
    sock.wait("close", 5)


def test_onread_of_a_descriptor(tcp: Net) -> None:
    here, there = socket.socketpair()
    seen: Queue[bytes] = Queue()
    with there:
        onread = gnet.OnRead(bytearray(8), lambda n, b: seen.put(bytes(b[:n])))
        tcp.keep(gnet.Socket(fd=here.detach(), readable=True, writable=True, onread=onread))
        there.sendall(b"event")
        assert seen.get() == b"event"


# -- reset_and_destroy ---------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_reset_and_destroy_sends_a_reset(tcp: Net, host: Any) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.bind((host, 0))
        listener.listen(1)
        sock = tcp.keep(gnet.connect(listener.getsockname()[1], host))
        peer = tcp.keep(listener.accept()[0])
        sock.wait("connect", 5)
        assert sock.reset_and_destroy() is sock
        with pytest.raises(ConnectionResetError):
            peer.recv(1)
        assert sock.wait("close", 5) == (False,)
        assert sock.destroyed


def test_reset_and_destroy_of_a_servers_connection(tcp: Net) -> None:
    sock, peer = tcp.accepted()
    sock.reset_and_destroy()
    with pytest.raises(ConnectionResetError):
        peer.recv(1)


def test_reset_and_destroy_while_connecting_resets_once_connected(tcp: Net) -> None:
    listener = tcp.listening_peer()
    sock = tcp.connect(listener)
    assert sock.connecting
    assert sock.reset_and_destroy() is sock
    peer = tcp.keep(listener.accept()[0])
    with pytest.raises(ConnectionResetError):
        peer.recv(1)
    sock.wait("close", 5)
    assert sock.destroyed


def test_reset_and_destroy_of_what_is_not_connected_is_an_error(tcp: Net) -> None:
    sock = gnet.Socket()
    errors: Queue[Any] = Queue()
    sock.on("error", errors.put)
    assert sock.reset_and_destroy() is sock
    assert errors.get().code == "ERR_SOCKET_CLOSED"
    assert sock.wait("close", 5) == (True,)


def test_reset_and_destroy_of_a_unix_socket_raises_at_once(directory: Path, tcp: Net) -> None:
    with gnet.Server().listen(directory / "a.sock") as server:
        sock = tcp.keep(gnet.connect(directory / "a.sock"))
        accepted = server.wait("connection", 5)[0]
        sock.wait("connect", 5)
        with pytest.raises(TypeError) as caught:
            sock.reset_and_destroy()
        assert caught.value.code == "ERR_INVALID_HANDLE_TYPE"
        assert sock.ready_state == "open"
        accepted.destroy()


# -- options, remembered -------------------------------------------------------------------


def no_delay_of(sock: gnet.Socket) -> bool:
    return bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


def keep_alive_of(sock: gnet.Socket) -> tuple[int, ...]:
    level = socket.IPPROTO_TCP
    return (
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        sock.getsockopt(level, socket.TCP_KEEPIDLE),
        sock.getsockopt(level, socket.TCP_KEEPCNT),
        sock.getsockopt(level, socket.TCP_KEEPINTVL),
    )


def test_set_no_delay_is_on_by_default_and_can_be_taken_back(tcp: Net) -> None:
    sock, _ = tcp.connected()
    assert not no_delay_of(sock)
    assert sock.set_no_delay() is sock
    assert no_delay_of(sock)
    sock.set_no_delay(False)
    assert not no_delay_of(sock)


def test_set_keep_alive_sets_the_kernels_four_numbers(tcp: Net) -> None:
    sock, _ = tcp.connected()
    _, delay, count, interval = keep_alive_of(sock)
    assert sock.set_keep_alive(True, 7, 3, 5) is sock
    assert keep_alive_of(sock) == (1, 7, 5, 3)
    sock.set_keep_alive()
    assert keep_alive_of(sock)[0] == 0
    other, _ = tcp.connected()
    other.set_keep_alive(True, 0.9)
    assert keep_alive_of(other) == (1, delay, count, interval), "the system's"
    other.set_keep_alive(True, 9, interval=2.9)
    assert keep_alive_of(other) == (1, 9, count, 2)
    other.set_keep_alive(True, interval=0, count=0)
    assert keep_alive_of(other) == (1, 9, count, 2), "0 leaves what there is"
    sock.set_keep_alive(True)
    assert keep_alive_of(sock) == (1, 7, 5, 3), "nothing given leaves what was set before"


@pytest.mark.parametrize(
    ("options", "error", "code"),
    [
        ({"interval": "1"}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"interval": 32768}, ValueError, "ERR_OUT_OF_RANGE"),
        ({"count": 1.5}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"count": True}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"count": 128}, ValueError, "ERR_OUT_OF_RANGE"),
    ],
)
def test_set_keep_alive_names_what_is_wrong(tcp: Net, options: Any, error: Any, code: str) -> None:
    sock, _ = tcp.connected()
    before = keep_alive_of(sock)
    (name,) = options
    with pytest.raises(error, match=f'"{name}"') as caught:
        sock.set_keep_alive(True, **options)
    assert caught.value.code == code
    assert keep_alive_of(sock) == before


def test_what_is_set_before_the_connection_is_remembered(tcp: Net) -> None:
    listener = tcp.listening_peer()
    sock = tcp.keep(gnet.Socket())
    sock.set_no_delay().set_keep_alive(True, 9, 1, 10).set_timeout(60)
    sock.set_type_of_service(0x10)
    sock.connect(*tcp.target(listener))
    tcp.keep(listener.accept()[0])
    sock.wait("connect", 5)
    assert no_delay_of(sock)
    assert keep_alive_of(sock) == (1, 9, 10, 1)
    assert sock.timeout == 60
    assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0x10


def test_what_is_set_while_connecting_is_remembered(tcp: Net) -> None:
    listener = tcp.listening_peer()
    sock = tcp.connect(listener)
    sock.set_no_delay(True).set_keep_alive(True, 9, 1, 10)
    tcp.keep(listener.accept()[0])
    sock.wait("connect", 5)
    assert no_delay_of(sock)
    assert keep_alive_of(sock) == (1, 9, 10, 1)


def test_tcp_options_of_a_unix_socket_are_no_error(directory: Path, tcp: Net) -> None:
    with gnet.Server().listen(directory / "a.sock") as server:
        sock = tcp.keep(gnet.connect(directory / "a.sock"))
        sock.set_no_delay().set_keep_alive(True, 9)
        sock.wait("connect", 5)
        sock.set_no_delay(False).set_keep_alive(False)
        assert sock.ready_state == "open"
        sock.destroy()
        for each in server.connections:
            each.destroy()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_type_of_service_is_the_kernels(tcp: Net, host: Any) -> None:
    server = tcp.keep(gnet.Server()).listen(0, host)
    sock = tcp.keep(gnet.connect(server.address().port, host))
    sock.wait("connect", 5)
    assert sock.get_type_of_service() == 0
    assert sock.set_type_of_service(0x10) is sock
    assert sock.get_type_of_service() == 0x10
    if ":" in host:
        assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) == 0x10
    else:
        assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0x10


def test_type_of_service_before_the_connection_is_what_was_set() -> None:
    sock = gnet.Socket()
    assert sock.get_type_of_service() == 0
    sock.set_type_of_service(8)
    assert sock.get_type_of_service() == 8


def test_buffer_size_is_deprecated_and_the_length_of_the_queue(net: Net) -> None:
    sock, _ = net.connected()
    sock.cork()
    sock.write(b"12345")
    with pytest.warns(DeprecationWarning, match="writable_length"):
        assert sock.buffer_size == 5
    assert sock.writable_length == 5


def test_set_timeout_is_read_back(tcp: Net) -> None:
    sock, _ = tcp.connected()
    assert sock.timeout in (None, 0)
    assert sock.gettimeout() is None
    assert sock.set_timeout(1.5) is sock
    assert (sock.timeout, sock.gettimeout()) == (1.5, 1.5)
    sock.settimeout(None)
    assert sock.timeout in (None, 0)
    assert sock.gettimeout() is None
    sock.set_timeout(2)
    sock.set_timeout(0)
    assert sock.gettimeout() is None


def test_set_timeouts_callback_is_for_one_timeout(tcp: Net, must_call: Calls) -> None:
    sock, _ = tcp.connected()
    called = must_call()
    assert sock.set_timeout(0.01, called) is sock
    sock.wait("timeout", 5)
    must_call.wait()
    assert called.args == ()
    assert sock.listener_count("timeout") == 0
    assert sock.ready_state == "open"


def test_switching_the_timeout_off_takes_its_callback_away(
    tcp: Net, must_not_call: Callable[..., Call]
) -> None:
    sock, _ = tcp.connected()
    callback = must_not_call()
    sock.set_timeout(60, callback)
    sock.set_timeout(0, callback)
    assert sock.listener_count("timeout") == 0


# -- states --------------------------------------------------------------------------------


def test_a_new_socket() -> None:
    sock = gnet.Socket()
    assert sock.pending
    assert not sock.connecting
    assert not sock.destroyed
    assert not sock.closed
    assert sock.ready_state == "closed"
    assert (sock.bytes_read, sock.bytes_written, sock.writable_length) == (0, 0, 0)
    assert sock.remote_address is sock.remote_port is sock.remote_family is None
    assert sock.local_address is sock.local_port is sock.local_family is None
    assert sock.address() is None
    assert sock.fileno() == -1
    assert not sock.is_paused()
    assert sock.allow_half_open is False


def test_every_ready_state(tcp: Net) -> None:
    listener = tcp.listening_peer()
    sock = gnet.Socket(allow_half_open=True)
    tcp.keep(sock)
    assert sock.ready_state == "closed"
    sock.connect(*tcp.target(listener))
    assert sock.ready_state == "opening"
    peer = tcp.keep(listener.accept()[0])
    sock.wait("connect", 5)
    assert sock.ready_state == "open"
    sock.end()
    assert sock.ready_state == "read_only"
    sock.destroy()
    assert sock.ready_state == "closed"
    other = tcp.connect(listener, allow_half_open=True)
    peer = tcp.keep(listener.accept()[0])
    other.resume()
    peer.shutdown(socket.SHUT_WR)
    other.wait("end", 5)
    assert other.ready_state == "write_only"
    other.destroy()


def test_the_ends_of_the_two_sides(tcp: Net) -> None:
    sock, peer = tcp.connected(allow_half_open=True)
    assert (sock.readable, sock.writable) == (True, True)
    assert (sock.writable_ended, sock.writable_finished, sock.readable_ended) == (False,) * 3
    sock.end(b"x")
    assert sock.writable_ended
    assert not sock.writable
    sock.wait("finish", 5)
    assert sock.writable_finished
    sock.resume()
    peer.shutdown(socket.SHUT_WR)
    sock.wait("end", 5)
    assert sock.readable_ended
    assert not sock.readable
    sock.wait("close", 5)
    assert sock.closed
    assert sock.destroyed


def test_writable_need_drain_follows_the_queue(tcp: Net) -> None:
    sock, _ = tcp.connected(high_water_mark=4)
    sock.cork()
    assert not sock.writable_need_drain
    assert sock.write(b"123") is True
    assert not sock.writable_need_drain
    assert sock.write(b"456") is False
    assert sock.writable_need_drain
    sock.uncork()
    sock.wait("drain", 5)
    assert not sock.writable_need_drain


def test_cork_holds_what_uncork_sends_in_one(tcp: Net) -> None:
    sock, peer = tcp.connected()
    sock.cork()
    sock.cork()
    sock.write(b"one ")
    sock.write("two ")
    sock.uncork()
    tcp.turns()
    assert sock.writable_length == 8
    sock.write(b"three")
    sock.uncork()
    sock.end()
    assert read_all(peer) == b"one two three"


def test_end_uncorks(tcp: Net) -> None:
    sock, peer = tcp.connected()
    sock.cork()
    sock.write(b"held")
    sock.end(b" and last")
    assert read_all(peer) == b"held and last"


def test_pause_and_resume_are_events(tcp: Net, must_call: Calls) -> None:
    sock, _ = tcp.connected()
    sock.on("data", lambda data: None)
    sock.on("pause", must_call())
    sock.on("resume", must_call())
    assert sock.pause() is sock
    assert sock.is_paused()
    assert sock.resume() is sock
    assert not sock.is_paused()
    must_call.wait()


def test_pipe_and_unpipe_are_events_of_the_destination(tcp: Net, must_call: Calls) -> None:
    source, _ = tcp.connected()
    destination, _ = tcp.connected()
    piped, unpiped = must_call(), must_call()
    destination.on("pipe", piped)
    destination.on("unpipe", unpiped)
    assert source.pipe(destination) is destination
    assert source.unpipe(destination) is source
    must_call.wait()
    assert piped.args[0] is source
    assert unpiped.args[0] is source


def test_pipe_without_end_leaves_the_destination_open(tcp: Net) -> None:
    source, source_peer = tcp.connected()
    destination, destination_peer = tcp.connected()
    source.pipe(destination, end=False)
    source_peer.sendall(b"data")
    source_peer.shutdown(socket.SHUT_WR)
    source.wait("end", 5)
    assert destination_peer.recv(100) == b"data"
    destination.end(b"mine")
    assert read_all(destination_peer) == b"mine"


@pytest.mark.parametrize(
    ("encoding", "raw", "text"),
    [
        ("utf-8", "añ€😀z".encode(), "añ€😀z"),
        ("utf8", b"plain", "plain"),
        ("latin1", b"\xe9\xff", "éÿ"),
        ("ascii", b"abc", "abc"),
        ("utf-16-le", "añ€😀".encode("utf-16-le"), "añ€😀"),
        ("hex", b"\x00\xff\x10", "00ff10"),
        ("base64", b"hello", "aGVsbG8="),
    ],
)
def test_set_encoding_gives_whole_characters_from_any_chunks(
    tcp: Net, encoding: Any, raw: Any, text: Any
) -> None:
    sock, peer = tcp.connected()
    assert sock.set_encoding(encoding) is sock
    chunks: list[Any] = []
    sock.on("data", chunks.append)
    for number in range(len(raw)):
        read = sock.bytes_read
        peer.sendall(raw[number : number + 1])
        while sock.bytes_read == read:
            tcp.turns(1)
    peer.shutdown(socket.SHUT_WR)
    sock.wait("end", 5)
    assert all(isinstance(each, str) and each for each in chunks)
    assert "".join(chunks) == text


@pytest.mark.parametrize(
    ("text", "encoding", "raw"),
    [
        ("é", "utf-8", b"\xc3\xa9"),
        ("é", "utf8", b"\xc3\xa9"),
        ("é", "latin1", b"\xe9"),
        ("00ff", "hex", b"\x00\xff"),
        ("aGk=", "base64", b"hi"),
        ("é", "utf16le", b"\xe9\x00"),
    ],
)
def test_write_encodes_text(tcp: Net, text: Any, encoding: Any, raw: Any) -> None:
    sock, peer = tcp.connected()
    sock.write(text, encoding)
    sock.end(text, encoding)
    assert read_all(peer) == raw * 2


@pytest.mark.parametrize(
    ("names", "text", "raw"),
    [
        (["utf8", "utf-8", "UTF-8", "Utf8"], "ñ€", "ñ€".encode()),
        (["ucs2", "ucs-2", "utf16le", "utf-16le", "UTF16LE"], "ñ€", "ñ€".encode("utf-16-le")),
        (["latin1", "binary", "LATIN1"], "ñ", b"\xf1"),
        (["ascii"], "n", b"n"),
        (["hex", "HEX"], "00ff", b"\x00\xff"),
        (["base64"], "+/8=", b"\xfb\xff"),
        (["base64url"], "-_8", b"\xfb\xff"),
    ],
)
def test_every_name_of_an_encoding_of_nodes_is_known(
    tcp: Net, names: list[str], text: str, raw: bytes
) -> None:
    sock, peer = tcp.connected()
    for name in names:
        sock.set_encoding(name)
        sock.write(text, name)
    sock.end()
    assert read_all(peer) == raw * len(names)


@pytest.mark.parametrize("data", [b"x", bytearray(b"x"), memoryview(b"x"), "x"], ids=type)
def test_any_bytes_like_object_can_be_written(tcp: Net, data: Any) -> None:
    sock, peer = tcp.connected()
    sock.write(data)
    sock.sendall(data if not isinstance(data, str) else b"x")
    sock.end(data)
    assert read_all(peer) == b"xxx"


def test_wide_memoryviews_are_written_as_their_bytes(tcp: Net) -> None:
    import array

    sock, peer = tcp.connected()
    numbers = array.array("I", [1, 2])
    sock.write(numbers)
    sock.sendall(memoryview(numbers))
    sock.end()
    assert sock.bytes_written == 16
    assert read_all(peer) == numbers.tobytes() * 2


# -- Python's socket -----------------------------------------------------------------------


def test_recv_gives_at_most_what_was_asked_for_and_empty_at_the_end(net: Net) -> None:
    sock, peer = net.connected()
    peer.sendall(b"123456")
    assert sock.recv(2) == b"12"
    assert sock.recv(0) == b""
    assert sock.recv(100) == b"3456"
    peer.shutdown(socket.SHUT_WR)
    assert sock.recv() == b""
    assert sock.recv(10) == b""
    assert sock.bytes_read == 6


def test_recv_into_fills_a_buffer(net: Net) -> None:
    sock, peer = net.connected()
    peer.sendall(b"123456")
    buffer = bytearray(b"........")
    assert sock.recv_into(buffer, 2) == 2
    assert buffer == b"12......"
    assert sock.recv_into(memoryview(buffer)[4:]) == 4
    assert buffer == b"12..3456"
    peer.shutdown(socket.SHUT_WR)
    assert sock.recv_into(buffer) == 0


def test_send_says_how_much_was_taken_and_sendall_nothing(net: Net) -> None:
    sock, peer = net.connected()
    assert sock.send(b"123") == 3
    assert sock.sendall(b"456") is None
    sock.end()
    assert read_all(peer) == b"123456"
    assert sock.bytes_written == 6


def test_iteration_gives_the_chunks(net: Net) -> None:
    sock, peer = net.connected()
    peer.sendall(b"one")
    peer.shutdown(socket.SHUT_WR)
    assert b"".join(sock) == b"one"


def test_names_and_numbers(tcp: Net) -> None:
    sock, peer = tcp.connected()
    assert sock.getsockname() == peer.getpeername()
    assert sock.getpeername() == peer.getsockname()
    assert sock.address() == (*sock.getsockname()[:1], "IPv4", sock.getsockname()[1])
    assert (sock.remote_address, sock.remote_port) == sock.getpeername()
    assert isinstance(sock.fileno(), int)
    os.fstat(sock.fileno())
    sock.destroy()
    sock.wait("close", 5)
    assert sock.fileno() == -1
    assert sock.remote_port == peer.getsockname()[1]


def test_setsockopt_and_getsockopt_are_the_kernels(tcp: Net) -> None:
    sock, _ = tcp.connected()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert len(sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)) == 8


@pytest.mark.parametrize(
    ("how", "reads", "writes"),
    [
        (socket.SHUT_WR, True, False),
        (socket.SHUT_RD, False, True),
        (socket.SHUT_RDWR, False, False),
    ],
    ids=["SHUT_WR", "SHUT_RD", "SHUT_RDWR"],
)
def test_shutdown_of_either_side(net: Net, how: Any, reads: Any, writes: Any) -> None:
    sock, peer = net.connected(allow_half_open=True)
    sock.sendall(b"before")
    sock.shutdown(how)
    if reads:
        peer.sendall(b"answer")
        assert sock.recv() == b"answer"
    else:
        assert sock.recv() == b""
    if writes:
        sock.sendall(b" after")
        sock.end()
        assert read_all(peer) == b"before after"
    else:
        assert read_all(peer) == b"before"
        with pytest.raises(OSError):
            sock.sendall(b"x")


def test_shutdown_of_the_writing_side_sends_what_is_queued_first(net: Net) -> None:
    sock, peer = net.connected(allow_half_open=True)
    sock.cork()
    sock.write(b"queued")
    sock.uncork()
    sock.write(bytes(500_000))
    sock.shutdown(socket.SHUT_WR)
    assert len(read_all(peer)) == 500_006


def test_detach_gives_the_descriptor_away(net: Net) -> None:
    sock, peer = net.connected()
    fd = sock.detach()
    assert sock.fileno() == -1
    with socket.socket(fileno=fd) as mine:
        mine.sendall(b"by hand")
        mine.shutdown(socket.SHUT_WR)
        assert read_all(peer) == b"by hand"
        peer.sendall(b"answer")
        assert mine.recv(100) == b"answer"


def test_a_detached_socket_is_not_kept_and_raises(net: Net) -> None:
    sock, _ = net.connected()
    close(sock.detach())
    with pytest.raises(OSError):
        sock.recv()
    assert gnet.run(5) is True


@pytest.mark.parametrize("mode", ["rb", "r", "rw", "rwb"])
def test_makefile_reads_lines(net: Net, mode: Any) -> None:
    sock, peer = net.connected()
    peer.sendall(b"one\ntwo\nthree")
    peer.shutdown(socket.SHUT_WR)
    with sock.makefile(mode) as file:
        lines = list(file)
    expected = ["one\n", "two\n", "three"]
    assert lines == ([each.encode() for each in expected] if "b" in mode else expected)


@pytest.mark.parametrize("mode", ["wb", "w", "rw", "rwb"])
def test_makefile_writes(net: Net, mode: Any) -> None:
    sock, peer = net.connected()
    with sock.makefile(mode) as file:
        file.write(b"data\n" if "b" in mode else "data\n")
        file.flush()
        assert peer.recv(100) == b"data\n"
        assert file.writable()
        assert file.readable() is ("r" in mode)


def test_makefile_takes_encoding_errors_and_newline(net: Net) -> None:
    sock, peer = net.connected()
    peer.sendall(b"caf\xe9\r\nx\r\n\xff")
    peer.shutdown(socket.SHUT_WR)
    with sock.makefile("r", encoding="latin1", newline="\r\n") as file:
        assert file.readline() == "café\r\n"
        assert file.readline() == "x\r\n"
        assert file.read() == "ÿ"


def test_makefile_without_buffering_is_raw(net: Net) -> None:
    sock, peer = net.connected()
    peer.sendall(b"12345")
    with sock.makefile("rb", buffering=0) as file:
        assert file.read(2) == b"12"
        assert sock.recv() == b"345"


def test_makefile_text_without_buffering_is_refused(net: Net) -> None:
    sock, _ = net.connected()
    with pytest.raises(ValueError, match="buffer"):
        sock.makefile("r", buffering=0)


def test_makefile_reads_exactly_what_was_asked_for(net: Net) -> None:
    sock, peer = net.connected()
    with sock.makefile("rb") as file:
        reading = gevent.spawn(file.read, 10)
        for part in (b"123", b"456", b"7890"):
            peer.sendall(part)
            net.turns()
        reading.join(5)
        assert reading.value == b"1234567890"


def test_with_closes(net: Net) -> None:
    sock, peer = net.connected()
    with sock as entered:
        assert entered is sock
        sock.write(b"last")
    assert read_all(peer) == b"last"
    peer.close()
    sock.wait("close", 5)


# -- references ----------------------------------------------------------------------------


def test_a_socket_keeps_run_unless_it_is_unreffed(tcp: Net) -> None:
    sock, peer = tcp.connected()
    for made in tcp._made:
        if isinstance(made, gnet.Server):
            made.unref()
    sock.on("data", lambda data: None)
    assert gnet.run(0.01) is False
    assert sock.unref() is sock
    assert gnet.run(5) is True
    assert sock.ref() is sock
    assert gnet.run(0.01) is False
    peer.close()
    assert gnet.run(5) is True


def test_a_connection_that_is_being_made_keeps_run(tcp: Net) -> None:
    listener = tcp.listening_peer()
    sock = tcp.connect(listener)
    sock.on("connect", sock.destroy)
    assert gnet.run(5) is True
    assert sock.destroyed
