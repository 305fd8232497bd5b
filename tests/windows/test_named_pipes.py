"""Paths on Windows: named pipes, with everything that a Unix socket has."""

from __future__ import annotations

import _winapi
import socket
import sys
from typing import Any

import gevent
import pytest
from gevent import subprocess
from gevent.event import Event
from gevent.queue import Queue

import gnet
from gnet._transport.windows import pipe_wire
from tests.helpers.calls import Call, Calls
from tests.helpers.servers import echoing, pair, serving
from tests.windows import plain

BROKEN_PIPE = 109
REJECT_REMOTE_CLIENTS = 8
# SECURITY_SQOS_PRESENT, and how far the server may go: the flags' bits for it.
SECURITY_GIVEN = 0x100000
IDENTIFICATION = 0x10000
SECURITY_OF_SERVICE = 0x1F0000


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["\\\\.\\pipe\\", "\\\\?\\pipe\\", "\\\\.\\PIPE\\"])
def test_both_forms_of_a_name_are_the_same_pipe(name: str, prefix: str) -> None:
    path = prefix + name.rpartition("\\")[2]
    arrivals: Queue[gnet.Socket] = Queue()
    with serving(arrivals.put, (path,)) as server, gnet.connect(name) as client:
        served = arrivals.get()
        assert server.address() == path
        assert served.address() == path
        assert client.address() is None
        assert served.getpeername() == ""
        assert client.getpeername() == name
        for end in (client, served):
            assert (end.local_address, end.local_port, end.remote_family) == (None, None, None)


def test_the_case_of_a_name_is_not_looked_at(name: str) -> None:
    with serving(at=(name,)), gnet.connect(name.upper()) as client:
        assert client.ready_state == "open"


NO_PIPES = [
    r"C:\no\such\file",
    r"\\server\pipe\name",
    r"\\.\pipe",
    "\\\\.\\pipe\\",
    "//./pipe/name",
    "name",
]


@pytest.mark.parametrize("path", NO_PIPES)
def test_a_server_listens_at_no_other_path(path: str) -> None:
    with pytest.raises(PermissionError, match=r"a path is a named pipe") as caught:
        gnet.create_server().listen(path=path)
    assert caught.value.code == "EACCES"
    assert caught.value.address == path


@pytest.mark.parametrize("path", NO_PIPES)
def test_nothing_else_can_be_connected_to(path: str, must_call: Calls) -> None:
    failed = must_call()
    gnet.connect(path=path).on("error", failed)
    (error,) = failed.wait()
    assert (error.code, error.syscall, error.address) == ("ENOENT", "connect", path)


def test_a_file_is_no_socket(must_call: Calls) -> None:
    failed = must_call()
    gnet.connect(path=__file__).on("error", failed)
    (error,) = failed.wait()
    assert error.code == "ENOTSOCK"


def test_a_name_that_is_too_long_is_told_its_limit(name: str) -> None:
    longest = name.ljust(256, "x")
    with serving(at=(longest,)), gnet.connect(longest):
        pass
    with pytest.raises(OSError, match=r"257 characters, the system's limit is 256") as caught:
        gnet.create_server().listen(longest + "x")
    assert caught.value.code == "EINVAL"


# -- servers --------------------------------------------------------------------------------------


def test_a_second_server_is_refused(name: str) -> None:
    with serving(at=(name,)), pytest.raises(OSError, match="EADDRINUSE") as caught:
        gnet.create_server().listen(name)
    assert caught.value.code == "EADDRINUSE"
    assert caught.value.strerror.startswith("listen EADDRINUSE")
    assert caught.value.strerror.endswith(name)


def test_the_server_of_another_program_is_not_displaced(name: str) -> None:
    with plain.instance(name), pytest.raises(OSError, match="EADDRINUSE"):
        gnet.create_server().listen(name)


def test_a_name_is_free_when_its_server_and_their_connections_have_closed(name: str) -> None:
    with pair((name,)):
        pass
    arrivals: Queue[gnet.Socket] = Queue()
    with serving(arrivals.put, (name,)), gnet.connect(name):
        arrivals.get()


def test_a_connection_keeps_the_name_of_its_server(name: str) -> None:
    arrivals: Queue[gnet.Socket] = Queue()
    with serving(arrivals.put, (name,)) as server, gnet.connect(name):
        arrivals.get()
        server.close()
        with pytest.raises(OSError, match="EADDRINUSE"):
            gnet.create_server().listen(name)


def test_a_server_that_has_closed_is_not_there(name: str, must_call: Calls) -> None:
    with serving(at=(name,)):
        pass
    failed = must_call()
    gnet.connect(name).on("error", failed)
    (error,) = failed.wait()
    assert isinstance(error, FileNotFoundError)
    assert error.strerror == f"connect ENOENT {name}"


def test_two_servers_share_a_name_when_one_is_told_to(name: str) -> None:
    arrivals: Queue[gnet.Socket] = Queue()
    with serving(at=(name,)) as first, serving(arrivals.put, (first,)) as second:
        assert second.address() == name
        first.close()
        with gnet.connect(name):
            assert arrivals.get().address() == name


def test_connections_that_are_too_many_are_dropped(name: str, must_call: Calls) -> None:
    dropped = must_call()
    with serving(at=(name,)) as server:
        server.max_connections = 0
        server.on("drop", dropped)
        with gnet.connect(name) as client:
            assert client.recv() == b""
        (info,) = dropped.wait()
    assert info == (None,) * 6


def test_a_backlog_of_one_lets_everybody_in_one_after_the_other(name: str) -> None:
    with echoing(at=(name, 1)):
        clients = [gevent.spawn(exchange, name, number) for number in range(20)]
        gevent.joinall(clients, raise_error=True)


@pytest.mark.limit(30)
@pytest.mark.parametrize("style", ["event", "blocking"])
def test_there_are_as_many_instances_as_clients(name: str, style: str) -> None:
    with echoing(style, at=(name,)) as server:
        clients = [gnet.connect(name) for _ in range(100)]
        for number, client in enumerate(clients):
            client.sendall(b"%d" % number)
        for number, client in enumerate(clients):
            assert client.recv() == b"%d" % number
        assert server.get_connections() == 100
        for client in clients:
            client.close()
        for client in clients:
            client.wait("close")


def test_a_server_goes_on_when_there_was_no_room_for_another_instance(
    name: str, monkeypatch: pytest.MonkeyPatch, must_call: Calls
) -> None:
    create = _winapi.CreateNamedPipe

    def failing(*args: Any) -> int:
        if refused.count < 3:
            refused()
        return create(*args)

    def fail() -> None:
        raise OSError(0, "", None, _winapi.ERROR_NO_SYSTEM_RESOURCES)

    refused = must_call(fail, times=3)
    with echoing(at=(name, 1)):
        monkeypatch.setattr(_winapi, "CreateNamedPipe", failing)
        for number in range(3):
            exchange(name, number)


def exchange(name: str, number: int) -> None:
    with gnet.connect(name) as client:
        client.sendall(b"%d" % number)
        assert client.recv() == b"%d" % number


# -- who may connect ------------------------------------------------------------------------------

OWNERS = "D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;OW)"


@pytest.mark.parametrize(
    ("options", "everyones"),
    [
        ({}, ""),
        ({"readable_all": True}, "(A;;0x120189;;;WD)"),
        # Without 4, FILE_CREATE_PIPE_INSTANCE, which would let everyone serve the name.
        ({"writable_all": True}, "(A;;0x120192;;;WD)"),
        ({"readable_all": True, "writable_all": True}, "(A;;0x12019b;;;WD)"),
    ],
)
def test_the_access_list_is_the_owners_and_what_everyone_was_given(
    name: str, handles: set[int], options: dict[str, bool], everyones: str
) -> None:
    server = gnet.create_server()
    server.listen(name, **options)
    try:
        assert {plain.access_of(handle) for handle in handles} == {OWNERS + everyones}
    finally:
        server.close()


def test_clients_of_other_machines_are_rejected_and_no_other_server_let_in(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    create = _winapi.CreateNamedPipe

    def creating(path: str, open_mode: int, pipe_mode: int, *args: Any) -> int:
        modes.append((open_mode, pipe_mode))
        return create(path, open_mode, pipe_mode, *args)

    monkeypatch.setattr(_winapi, "CreateNamedPipe", creating)
    with serving(at=(name,)), gnet.connect(name):
        pass
    assert all(pipe_mode & REJECT_REMOTE_CLIENTS for _, pipe_mode in modes)
    first = [bool(open_mode & _winapi.FILE_FLAG_FIRST_PIPE_INSTANCE) for open_mode, _ in modes]
    assert first == [True] + [False] * (len(modes) - 1)


def test_a_server_is_not_let_act_in_its_clients_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = []
    create = _winapi.CreateFile

    def creating(*args: Any) -> int:
        flags.append(args[5])
        return create(*args)

    monkeypatch.setattr(_winapi, "CreateFile", creating)
    with serving(at=(name,)), gnet.connect(name):
        pass
    assert [each & SECURITY_OF_SERVICE for each in flags] == [SECURITY_GIVEN | IDENTIFICATION]


# -- connecting -----------------------------------------------------------------------------------


def test_a_client_waits_while_all_instances_are_taken(name: str) -> None:
    with plain.instance(name, instances=2), plain.client(name):
        waiting = gnet.connect(name)
        with pytest.raises(TimeoutError):
            waiting.wait("connect", 0.1)
        with plain.instance(name, instances=2), waiting:
            assert waiting.ready_state == "open"
            waiting.destroy()


def test_a_client_that_waits_is_destroyed_at_once(name: str, must_not_call: Call) -> None:
    with plain.instance(name), plain.client(name):
        waiting = gnet.connect(name, must_not_call("'connect'"))
        with pytest.raises(TimeoutError):
            waiting.wait("connect", 0.05)
        waiting.destroy()
        assert waiting.wait("close") == (False,)


def test_a_client_that_waits_is_told_that_the_server_has_gone(name: str, must_call: Calls) -> None:
    failed = must_call()
    with plain.instance(name), plain.client(name):
        waiting = gnet.connect(name)
        waiting.on("error", failed)
        with pytest.raises(TimeoutError):
            waiting.wait("connect", 0.05)
    (error,) = failed.wait()
    assert error.code == "ENOENT"


def test_a_connection_can_be_made_again_from_close_on(name: str) -> None:
    with echoing(at=(name,)):
        client = gnet.connect(name)
        for _ in range(3):
            client.wait("connect")
            client.sendall(b"again")
            assert client.recv() == b"again"
            client.destroy()
            client.wait("close")
            client.connect(name)
        client.destroy()


def test_a_signal_ends_the_connecting(name: str, must_call: Calls) -> None:
    stop, failed = Event(), must_call()
    with plain.instance(name), plain.client(name):
        gnet.connect(name, signal=stop).on("error", failed)
        stop.set()
        (error,) = failed.wait()
    assert error.code == "ABORT_ERR"


# -- the stream -----------------------------------------------------------------------------------


def test_unread_data_stays_in_the_kernel(name: str) -> None:
    with pair((name,)) as (client, served):
        served.pause()
        client.sendall(b"unread")
        assert peeked(served) == b"unread"
        assert served.bytes_read == 0
        assert served.recv() == b"unread"


def test_a_peek_takes_nothing(name: str) -> None:
    with pair((name,)) as (client, served):
        client.sendall(b"message")
        assert served.recv(4, socket.MSG_PEEK) == b"mess"
        assert served.recv() == b"message"


def test_a_read_takes_what_many_messages_have_brought(name: str) -> None:
    with pair((name,)) as (client, served):
        for number in range(10):
            client.sendall(b"%d" % number)
        assert served.recv() == b"0123456789"


def test_an_empty_write_is_no_end(name: str) -> None:
    with pair((name,)) as (client, served):
        for chunk in (b"", b"one", b"", b"two", b""):
            client.write(chunk)
        client.end()
        assert b"".join(served) == b"onetwo"


@pytest.mark.parametrize("size", [1, 65535, 65536, 65537, 262144, 1_000_000])
def test_the_end_comes_behind_everything_that_was_sent(name: str, size: int) -> None:
    with pair((name,), allow_half_open=True) as (client, served):
        client.end(b"x" * size)
        assert len(b"".join(served)) == size
        served.end(b"y" * size)
        assert len(b"".join(client)) == size


def test_the_last_words_reach_a_peer_that_reads_them_late(name: str) -> None:
    with serving(at=(name,)) as server:
        client = gnet.connect(name)
        (served,) = server.wait("connection")
        client.sendall(b"last words")
        client.close()
        client.destroy()
        client.wait("close")
        assert served.recv() == b"last words"
        assert served.recv() == b""


def test_a_write_that_waits_for_room_is_dropped_by_destroy(name: str, must_call: Calls) -> None:
    told = must_call()
    with pair((name,)) as (client, served):
        assert not client.write(bytes(10_000_000), callback=told)
        client.destroy()
        (error,) = told.wait()
        assert error.code == "ERR_STREAM_DESTROYED"
        assert sum(map(len, served)) < 10_000_000


def test_a_buffer_may_change_when_its_sendall_was_interrupted(name: str) -> None:
    with pair((name,)) as (client, served):
        data = bytearray(b"x" * 1_000_000)
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
            client.sendall(data)
        data[:] = b"y" * len(data)
        client.end()
        assert b"".join(served) == b"x" * len(data)


def test_the_readable_side_can_be_shut_down(name: str) -> None:
    with pair((name,)) as (client, served):
        reader = gevent.spawn(served.recv)
        gevent.sleep(0)
        served.shutdown(socket.SHUT_RD)
        assert reader.get() == b""
        served.sendall(b"still")
        assert client.recv() == b"still"


def test_a_server_that_shuts_down_lets_its_handlers_answer(name: str) -> None:
    ready = Event()

    def handler(sock: gnet.Socket) -> None:
        ready.set()
        for _ in sock:
            pass
        sock.sendall(b"answer")

    server = gnet.create_server(handler, end_on_return=True)
    server.listen(name)
    with gnet.connect(name) as client:
        ready.wait()
        assert server.shutdown(grace=5) == 0
        assert client.recv() == b"answer"


def test_onread_reads_into_one_buffer(name: str, must_call: Calls) -> None:
    buffer = bytearray(8)
    with serving(lambda sock: sock.end(b"12345"), (name,)):
        arrived = must_call(lambda count, into: bytes(into[:count]))
        client = gnet.connect(name, onread=gnet.OnRead(buffer, arrived))
        assert arrived.wait() == (5, buffer)
        client.wait("close")


def test_tcps_settings_are_taken_and_do_nothing(name: str) -> None:
    arrivals: Queue[gnet.Socket] = Queue()
    with (
        serving(arrivals.put, (name,), no_delay=True, keep_alive=True),
        gnet.connect(name, no_delay=True) as client,
    ):
        client.set_no_delay().set_keep_alive(True, 5).set_type_of_service(8)
        with pytest.raises(TypeError) as caught:
            arrivals.get().reset_and_destroy()
        assert caught.value.code == "ERR_INVALID_HANDLE_TYPE"


def test_the_handle_can_be_taken_away(name: str) -> None:
    with pair((name,)) as (client, served):
        handle = client.detach()
        assert client.fileno() == -1
        served.sendall(b"for the handle")
        assert _winapi.ReadFile(handle, 100)[0] == b"for the handle"
        _winapi.CloseHandle(handle)
        assert served.recv() == b""


def test_an_operation_of_whoever_took_the_handle_is_no_news_to_the_others(name: str) -> None:
    with pair((name,)) as (client, served):
        handle = client.detach()
        reading, _ = _winapi.ReadFile(handle, 100, overlapped=True)
        served.sendall(b"for the handle")
        with pair((name + "-other",)) as (other, its_peer):
            # What came to the completion port first was not gnet's.
            its_peer.sendall(b"for another")
            assert other.recv() == b"for another"
        assert reading.GetOverlappedResult(True) == (len(b"for the handle"), 0)
        assert reading.getbuffer() == b"for the handle"
        _winapi.CloseHandle(handle)


def peeked(sock: gnet.Socket) -> bytes:
    """What is in the kernel for a socket."""
    data, *_ = _winapi.PeekNamedPipe(sock.fileno(), 100)
    return bytes(data)


# -- other programs -------------------------------------------------------------------------------


def test_a_client_of_another_program_reads_the_end(name: str) -> None:
    read = gevent.get_hub().threadpool.apply
    with (
        serving(lambda sock: sock.end(b"hello"), (name,), allow_half_open=True),
        open(name, "rb", buffering=0) as file,
    ):
        assert read(file.read, (100,)) == b"hello"
        assert read(file.read, (100,)) == b""


def test_a_client_of_another_program_that_goes_is_at_its_end(name: str) -> None:
    with serving(at=(name,)) as server:
        with plain.client(name) as handle:
            (served,) = server.wait("connection")
            _winapi.WriteFile(handle, b"and gone")
        assert b"".join(served) == b"and gone"
        with pytest.raises(BrokenPipeError) as caught:
            served.sendall(b"too late")
        assert caught.value.code == "EPIPE"
        assert caught.value.strerror == "write EPIPE"


def test_a_client_that_comes_and_goes_at_once_was_there(name: str) -> None:
    with serving(at=(name,)) as server:
        with plain.client(name) as handle:
            _winapi.WriteFile(handle, b"short visit")
        (served,) = server.wait("connection")
        assert b"".join(served) == b"short visit"


def test_a_pipe_of_bytes_is_spoken_too(name: str) -> None:
    with plain.instance(name) as handle, gnet.connect(name) as client:
        assert not plain.has_messages(handle)
        client.sendall(b"question")
        assert _winapi.ReadFile(handle, 100)[0] == b"question"
        _winapi.WriteFile(handle, b"answer")
        assert client.recv() == b"answer"
        client.destroy()


def test_a_pipe_of_bytes_that_cannot_end_on_one_side_ends_when_it_is_quiet(
    name: str, monkeypatch: pytest.MonkeyPatch, must_call: Calls
) -> None:
    monkeypatch.setattr(pipe_wire, "QUIET_SECONDS", 0.05)
    with plain.instance(name) as handle:
        client = gnet.connect(name)
        client.on("data", must_call())
        client.end(b"question")
        client.wait("finish")
        _winapi.WriteFile(handle, b"answer")
        assert client.wait("close") == (False,)
        assert _winapi.ReadFile(handle, 100)[0] == b"question"
        with pytest.raises(OSError) as caught:
            _winapi.ReadFile(handle, 1)
        assert caught.value.winerror == BROKEN_PIPE


PROGRAM = """
import sys, gnet
with gnet.connect(sys.argv[1]) as client:
    client.sendall(b"from another process")
    client.shutdown(1)
    assert b"".join(client) == b"FROM ANOTHER PROCESS"
"""


@pytest.mark.limit(60)
def test_two_processes_talk(name: str) -> None:
    def shout(sock: gnet.Socket) -> None:
        sock.sendall(b"".join(sock).upper())

    with serving(shout, (name,), end_on_return=True):
        assert subprocess.call([sys.executable, "-c", PROGRAM, name]) == 0


SERVER = """
import sys, gnet
server = gnet.create_server()
try:
    server.listen(sys.argv[1])
except OSError as exc:
    sys.exit(0 if exc.code == "EADDRINUSE" else 1)
sys.exit(2)
"""


@pytest.mark.limit(60)
def test_a_second_server_is_refused_in_another_process(name: str) -> None:
    with serving(at=(name,)):
        assert subprocess.call([sys.executable, "-c", SERVER, name]) == 0


def test_a_pipe_that_was_closed_with_something_unread_is_at_its_end(name: str) -> None:
    with pair((name,)) as (client, served):
        served.pause()
        client.sendall(b"unread")
        served.destroy()
        assert client.recv() == b""


def test_a_peer_that_is_killed_is_at_its_end(name: str) -> None:
    # It stays until it is sent something, which it is not.
    program = "import sys; open(sys.argv[1], 'r+b', buffering=0).read(1)"
    with serving(at=(name,)) as server:
        process = subprocess.Popen([sys.executable, "-c", program, name])
        try:
            (served,) = server.wait("connection")
            with pytest.raises(TimeoutError):
                served.wait("end", 0.1)
        finally:
            process.kill()
            process.wait()
        assert served.recv() == b""


# -- what a failure leaves ------------------------------------------------------------------------


def test_failures_leave_no_handle_open(name: str, handles: set[int]) -> None:
    with serving(at=(name,)):
        before = set(handles)
        for _ in range(5):
            with pytest.raises(OSError, match="EADDRINUSE"):
                gnet.create_server().listen(name)
            missing = gnet.connect(name + "-not")
            with pytest.raises(FileNotFoundError):
                missing.wait("connect")
        assert handles == before


def test_a_socket_that_nobody_refers_to_is_closed(name: str) -> None:
    with serving(at=(name,)) as server:
        client = gnet.connect(name)
        client.wait("connect")
        (served,) = server.wait("connection")
        with pytest.warns(ResourceWarning, match="unclosed"):
            del client
            assert served.recv() == b""
