"""Whom gnet believes: who hands a listener over, what it sends, and whose files are removed."""

from __future__ import annotations

import array
import errno
import fcntl
import json
import logging
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import AsyncResult
from gevent.queue import Queue

import gnet
from gnet import events
from gnet.logging import subscriber
from tests.helpers.counts import descriptors
from tests.helpers.forks import Child, fork
from tests.net.conftest import Net

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")

if sys.platform != "win32":
    from gnet._processes.channel import Channel
    from gnet._transport import unix_path
    from gnet._transport.stream_socket import Wire

NOBODY = 65534


# -- who hands over ------------------------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """What a predecessor could give."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


class Predecessor:
    """Whoever listens at a path and sends what it likes.

    :ivar asked: set with what it was sent first.
    """

    def __init__(self, path: Path, answer: bytes, fds: list[int]) -> None:
        self._answer, self._fds = answer, fds
        self.asked: AsyncResult[bytes] = AsyncResult()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._serving = gevent.spawn(self._serve)

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            asked = connection.recv(65536)
            self.asked.set(asked)
            if asked:
                send(connection, self._answer, self._fds)
                while connection.recv(65536):
                    pass

    def close(self) -> None:
        self._serving.kill()
        self._listener.close()


def send(connection: socket.socket, data: bytes, fds: list[int]) -> None:
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    connection.sendmsg([data], rights)


def answer(**fields: Any) -> bytes:
    """What a predecessor answers to the first question."""
    return json.dumps({"kind": "answer", "number": 1, "with_fd": True, **fields}).encode() + b"\n"


@pytest.fixture
def predecessor(directory: Path) -> Iterator[Callable[..., Predecessor]]:
    made: list[Predecessor] = []

    def make(data: bytes, fds: list[int]) -> Predecessor:
        made.append(Predecessor(directory / "offer", data, fds))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_listener_is_taken_from_a_process_of_the_same_user(
    predecessor: Callable[..., Predecessor], listener: socket.socket, directory: Path
) -> None:
    predecessor(answer(file=None), [listener.fileno()])
    taken = gnet.take_over(str(directory / "offer"))
    assert os.path.sameopenfile(taken.fd, listener.fileno())
    assert not os.get_inheritable(taken.fd)
    taken.close()


def test_nothing_is_taken_from_another_users_process(
    predecessor: Callable[..., Predecessor],
    listener: socket.socket,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stranger = predecessor(answer(file=None), [listener.fileno()])
    monkeypatch.setattr(unix_path, "peer_user", lambda wire: os.geteuid() + 1)
    before = descriptors()
    with pytest.raises(PermissionError) as caught:
        gnet.take_over(str(directory / "offer"))
    assert caught.value.code == "EACCES"  # type: ignore[attr-defined]
    # It was not even asked.
    assert stranger.asked.get() == b""
    assert descriptors() == before


@pytest.mark.skipif(fork is None or os.geteuid() != 0, reason="only root can be somebody else")
def test_root_takes_nothing_from_who_was_at_the_path_first(
    listener: socket.socket, directory: Path
) -> None:
    directory.chmod(0o777)
    path = str(directory / "offer")
    ready, told = os.pipe()

    def squat() -> str:
        import socket as plain

        os.setgid(NOBODY)
        os.setuid(NOBODY)
        with plain.socket(plain.AF_UNIX) as squatter:
            squatter.bind(path)
            os.chmod(path, 0o777)
            squatter.listen()
            os.write(told, b"x")
            connection, _ = squatter.accept()
            return connection.recv(100).decode()

    assert fork is not None
    child = Child(squat, fork)
    os.read(ready, 1)
    with pytest.raises(PermissionError):
        gnet.take_over(path)
    assert child.result() == ""
    for fd in (ready, told):
        os.close(fd)


@pytest.mark.skipif(fork is None or os.geteuid() != 0, reason="only root can be somebody else")
def test_root_gives_nothing_to_others(tcp: Net, directory: Path) -> None:
    directory.chmod(0o777)
    server = tcp.server()
    server.hand_over(directory / "offer")
    (directory / "offer").chmod(0o777)

    def steal() -> bytes:
        import socket as plain

        os.setgid(NOBODY)
        os.setuid(NOBODY)
        with plain.socket(plain.AF_UNIX) as thief:
            thief.settimeout(10)
            thief.connect(str(directory / "offer"))
            try:
                thief.sendall(b'{"kind": "take", "number": 1, "with_fd": false}\n')
                return thief.recv(100)
            except (BrokenPipeError, ConnectionResetError):
                return b""

    assert fork is not None
    child = Child(steal, fork)
    assert child.result() == b""
    assert server.listening


# -- what a predecessor sends ---------------------------------------------------------------------

MALFORMED: dict[str, tuple[bytes, int]] = {
    "no JSON": (b"nonsense\n", 1),
    "no object": (b"[1]\n", 1),
    "no fields": (b"{}\n", 1),
    "no text": (b"\xff\xfe\n", 1),
    "nested without end": (b"[" * 50_000 + b"\n", 1),
    "no descriptor": (answer(file=None), 0),
    "two descriptors": (answer(file=None), 2),
    "more descriptors than there is room for": (answer(file=None), 20),
    "a descriptor that was not announced": (answer(with_fd=False, file=None), 1),
    "a number of another kind": (answer(number=[1], file=None), 1),
    "a kind of another kind": (answer(kind=[], file=None), 1),
    "a kind that is none": (b'{"kind": "open", "with_fd": true}\n', 1),
    "no kind": (b'{"number": 1, "with_fd": true}\n', 1),
    "a file of another kind": (answer(file="/etc/passwd"), 1),
    "a file that lacks a part": (answer(file=["/etc/passwd", 1]), 1),
    "a file whose name is none": (answer(file=[1, 1, 1]), 1),
    "a message without an end": (b"x" * 70_000, 1),
}


@pytest.mark.parametrize(("data", "count"), MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_answer_is_one_error_and_leaves_no_descriptor(
    predecessor: Callable[..., Predecessor],
    listener: socket.socket,
    directory: Path,
    hub_errors: list[BaseException],
    data: bytes,
    count: int,
) -> None:
    peer = predecessor(data, [listener.fileno()] * count)
    before = descriptors()
    with pytest.raises(OSError) as caught:
        gnet.take_over(str(directory / "offer"))
    assert caught.value.code == "EPROTO"  # type: ignore[attr-defined]
    peer.close()
    assert set(descriptors()) - set(before) == set()
    assert hub_errors == []


@pytest.mark.parametrize("kind", ["a pipe", "a connected socket", "a datagram socket"])
def test_a_descriptor_that_listens_to_nothing_is_refused(
    predecessor: Callable[..., Predecessor], directory: Path, kind: str
) -> None:
    here, there = socket.socketpair()
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    read, write = os.pipe()
    fd = {
        "a pipe": read,
        "a connected socket": here.fileno(),
        "a datagram socket": datagrams.fileno(),
    }
    peer = predecessor(answer(file=None), [fd[kind]])
    before = descriptors()
    with pytest.raises(OSError) as caught:
        gnet.take_over(str(directory / "offer"))
    assert caught.value.code == "EPROTO"  # type: ignore[attr-defined]
    peer.close()
    assert set(descriptors()) - set(before) == set()
    for each in (here, there, datagrams):
        each.close()
    for number in (read, write):
        os.close(number)


def test_a_predecessor_that_hangs_up_is_one_error(
    predecessor: Callable[..., Predecessor], directory: Path
) -> None:
    peer = predecessor(b"{", [])
    asking = gevent.spawn(_caught, gnet.take_over, str(directory / "offer"))
    peer.asked.get()
    gevent.sleep(0)
    peer.close()
    error = asking.get()
    assert isinstance(error, OSError)
    assert error.code == "EPIPE"  # type: ignore[attr-defined]


def test_an_asker_that_is_killed_leaves_no_descriptor(
    predecessor: Callable[..., Predecessor], listener: socket.socket, directory: Path
) -> None:
    before = descriptors()
    peer = predecessor(answer(file=None), [listener.fileno()])
    asking = gevent.spawn(gnet.take_over, str(directory / "offer"))
    peer.asked.get()
    # The answer arrives in the very turn of the loop that the asker is killed in.
    gevent.sleep(0)
    asking.kill()
    peer.close()
    if asking.value is not None and not isinstance(asking.value, gevent.GreenletExit):
        asking.value.close()
    gevent.sleep(0.001)
    assert set(descriptors()) - set(before) == set()


def test_a_successor_that_floods_an_offer_with_descriptors_is_hung_up_on(
    tcp: Net, listener: socket.socket, directory: Path
) -> None:
    server = tcp.server()
    server.hand_over(directory / "offer")
    before = descriptors()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(directory / "offer"))
        send(client, b'{"kind": "take", "number": 1, "with_fd": true}\n', [listener.fileno()])
        assert b'"answer"' in client.recv(65536, socket.MSG_WAITALL & 0)
        send(client, b"{", [listener.fileno()] * 2)
        assert client.recv(1) == b""
    tcp.turns()
    assert set(descriptors()) - set(before) == set()
    assert server.listening


def test_messages_that_need_no_descriptor_bring_none(listener: socket.socket) -> None:
    """The channel of a cluster: what comes with any message but an answer is closed."""
    here, there = socket.socketpair(socket.AF_UNIX)
    received: Queue[Any] = Queue()
    wire = Wire.adopt(here.detach())
    channel = Channel(wire, received.put, lambda: None, kinds={"online": {}})
    before = descriptors()
    send(there, b'{"kind": "online", "with_fd": true}\n', [listener.fileno()])
    assert received.get() == ("online", {}, None)
    assert descriptors() == before
    lost = gevent.spawn(there.recv, 1)
    send(there, b'{"kind": "other", "with_fd": true}\n', [listener.fileno()])
    assert lost.get() == b""
    assert channel.closed
    there.close()


# -- whose files are removed ----------------------------------------------------------------------


def named(path: Path) -> list[Any]:
    status = path.lstat()
    return [str(path), status.st_dev, status.st_ino]


def test_a_file_that_is_no_socket_is_not_removed_for_a_predecessor(
    predecessor: Callable[..., Predecessor], listener: socket.socket, directory: Path
) -> None:
    precious = directory / "precious"
    precious.write_text("precious")
    predecessor(answer(file=named(precious)), [listener.fileno()])
    server = gnet.Server()
    server.listen(gnet.take_over(str(directory / "offer")))
    server.close()
    assert precious.read_text() == "precious"


def test_a_socket_in_another_users_folder_is_not_removed_for_a_predecessor(
    predecessor: Callable[..., Predecessor],
    listener: socket.socket,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = directory / "other"
    with socket.socket(socket.AF_UNIX) as owner:
        owner.bind(str(other))
        predecessor(answer(file=named(other)), [listener.fileno()])
        stat_of = os.stat

        def stranger(path: Any, **options: Any) -> Any:
            found = stat_of(path, **options)
            if str(path) != str(directory):
                return found
            return os.stat_result((*found[:4], os.geteuid() + 1, *found[5:10]))

        taken = gnet.take_over(str(directory / "offer"))
        assert taken.file == (*named(other), os.getpid())
        monkeypatch.setattr(os, "stat", stranger)
        assert taken.file is not None
        assert not taken.file.is_ours()
        taken.close()


def test_a_file_that_took_the_place_of_a_servers_is_not_removed(directory: Path) -> None:
    path = directory / "app.sock"
    server = gnet.Server().listen(str(path))
    path.unlink()
    path.write_text("precious")
    server.close()
    assert path.read_text() == "precious"


def test_a_folder_that_was_swapped_for_a_link_leads_to_no_other_file(directory: Path) -> None:
    inner, elsewhere = directory / "inner", directory / "elsewhere"
    inner.mkdir()
    elsewhere.mkdir()
    server = gnet.Server().listen(str(inner / "app.sock"))
    (elsewhere / "app.sock").write_text("precious")
    inner.rename(directory / "moved")
    inner.symlink_to(elsewhere)
    server.close()
    assert (elsewhere / "app.sock").read_text() == "precious"


def stale(path: Path) -> Path:
    """A file that a dead process has left."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    return path


@pytest.mark.parametrize("content", ["12345\n", "", "gnet\nand more"])
def test_a_lock_file_of_another_program_stays_as_it_is(directory: Path, content: str) -> None:
    path = stale(directory / "app.sock")
    lock = directory / "app.sock.lock"
    lock.write_text(content)
    inode = lock.stat().st_ino
    server = gnet.Server().listen(str(path), replace_stale=True)
    server.close()
    assert (lock.read_text(), lock.stat().st_ino) == (content, inode)


def test_a_lock_file_that_gnet_has_left_is_removed(directory: Path) -> None:
    path = stale(directory / "app.sock")
    # A program that was killed in the midst of it.
    with unix_path.claim(str(path), True):
        left = (directory / "app.sock.lock").read_bytes()
    (directory / "app.sock.lock").write_bytes(left)
    gnet.Server().listen(str(path), replace_stale=True).close()
    assert not (directory / "app.sock.lock").exists()


@pytest.mark.parametrize("existing", [False, True])
def test_a_path_that_another_program_has_locked_is_in_use(directory: Path, existing: bool) -> None:
    path = stale(directory / "app.sock")
    lock = directory / "app.sock.lock"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(OSError) as caught:
            gnet.Server().listen(str(path), replace_stale=True)
    assert caught.value.errno == errno.EADDRINUSE
    assert stat.S_ISSOCK(path.lstat().st_mode)


def test_a_fifo_in_the_place_of_the_lock_blocks_nobody(directory: Path) -> None:
    path = stale(directory / "app.sock")
    os.mkfifo(directory / "app.sock.lock")
    gnet.Server().listen(str(path), replace_stale=True).close()
    assert stat.S_ISFIFO((directory / "app.sock.lock").lstat().st_mode)


# -- names that strangers choose ------------------------------------------------------------------

EVIL = "evil\x1b[2J\nroot: ok\u202e\x9b"


def test_a_clients_path_does_nothing_in_a_repr(unix: Net, directory: Path) -> None:
    arrived: Queue[gnet.Socket] = Queue()
    server = unix.server(arrived.put)
    client = unix._peer()
    client.bind(str(directory / EVIL))
    client.connect(unix.target(server)[0])
    accepted = arrived.get()
    assert repr(accepted).isprintable()
    assert "evil\\x1b[2J\\nroot: ok\\u202e\\x9b" in repr(accepted)


def test_names_do_nothing_in_messages_and_stay_as_they_are_in_fields(directory: Path) -> None:
    path = str(directory / EVIL)
    with pytest.raises(OSError) as caught, gnet.connect(path=path):
        pass
    assert str(caught.value).isprintable()
    assert caught.value.address == path  # type: ignore[attr-defined]
    with pytest.raises(OSError) as caught, gnet.connect(80, EVIL):
        pass
    assert str(caught.value).isprintable()
    assert caught.value.hostname == EVIL  # type: ignore[attr-defined]


def test_names_do_nothing_in_the_log(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "gnet")
    server = gnet.Server().listen(str(directory / EVIL))
    error = OSError(EVIL)
    for event in (
        events.ServerListening(server, server.address()),  # type: ignore[arg-type]
        events.LookupFinished(gnet.Socket(), EVIL, (), error, 0.1),
        events.LookupFinished(gnet.Socket(), EVIL, (("1.2.3.4", 4),), None, 0.1),
        events.ConnectionClosed(gnet.Socket(), error),
    ):
        subscriber(event)
    server.close()
    assert len(caplog.messages) == 4
    assert [line for line in caplog.messages if not line.isprintable()] == []


def _caught(function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args)
    except OSError as exc:
        return exc
