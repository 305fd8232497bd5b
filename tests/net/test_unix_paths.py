"""Unix sockets: the life of their files, names without files, permissions."""

from __future__ import annotations

import os
import stat
import subprocess as plain_subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from gevent import socket, subprocess

import gnet
from gnet._transport import unix_path
from tests.helpers.counts import descriptors

if TYPE_CHECKING:
    from tests.helpers.calls import Call
    from tests.net.conftest import Net

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux'")
LIMIT = 107 if sys.platform == "linux" else 103


def greets(sock: gnet.Socket) -> None:
    sock.end(b"hello")


@pytest.fixture
def server(tcp: Net) -> gnet.Server:
    return tcp.keep(gnet.Server(greets))  # type: ignore[no-any-return]


@pytest.fixture
def path(directory: Path) -> Path:
    return directory / "a.sock"


def answer(address: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(address)
        found = b""
        while data := peer.recv(100):
            found += data
        return found


def stale(path: Path) -> None:
    """The file of a process that has died."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


def in_use(server: gnet.Server, path: Path, **options: bool) -> None:
    before = descriptors()
    with pytest.raises(
        OSError, match=f"listen EADDRINUSE: address already in use {path}"
    ) as caught:
        server.listen(path, **options)
    assert caught.value.code == "EADDRINUSE"
    assert caught.value.address == str(path)
    assert not server.listening
    assert descriptors() == before


# -- the file ------------------------------------------------------------------------------


def test_the_file_is_there_with_listen_and_gone_with_close(
    server: gnet.Server, path: Path
) -> None:
    server.listen(path)
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert os.listdir(path.parent) == ["a.sock"]
    server.close()
    assert os.listdir(path.parent) == []
    server.wait_closed(5)


def test_the_file_is_gone_after_with_and_shutdown(path: Path) -> None:
    with gnet.Server(greets).listen(path) as server:
        assert path.exists()
    assert not path.exists()
    server.listen(path)
    server.shutdown()
    assert not path.exists()


def test_a_connection_outlives_the_file(tcp: Net, path: Path) -> None:
    server = tcp.keep(gnet.Server()).listen(path)
    sock = tcp.keep(gnet.connect(path))
    accepted = server.wait("connection", 5)[0]
    server.close()
    assert not path.exists()
    accepted.end(b"still")
    assert sock.recv() == b"still"


def test_the_same_path_can_be_listened_to_again(server: gnet.Server, path: Path) -> None:
    for _ in range(3):
        server.listen(path)
        assert answer(str(path)) == b"hello"
        server.close()
        server.wait_closed(5)


def test_a_file_that_another_has_put_there_since_is_left(
    tcp: Net, server: gnet.Server, path: Path
) -> None:
    server.listen(path)
    path.unlink()
    other = tcp.keep(gnet.Server(greets)).listen(path)
    server.close()
    server.wait_closed(5)
    assert path.exists()
    assert answer(str(path)) == b"hello"
    other.close()
    assert not path.exists()


def test_a_plain_file_that_has_taken_the_place_is_left(server: gnet.Server, path: Path) -> None:
    server.listen(path)
    path.unlink()
    path.write_text("mine")
    server.close()
    server.wait_closed(5)
    assert path.read_text() == "mine"


def test_a_file_that_has_gone_already_is_no_error(
    server: gnet.Server, path: Path, must_not_call: Callable[..., Call]
) -> None:
    server.on("error", must_not_call())
    server.listen(path)
    path.unlink()
    server.close()
    server.wait_closed(5)


def test_a_file_that_was_moved_away_is_left_there(server: gnet.Server, path: Path) -> None:
    server.listen(path)
    elsewhere = path.with_name("b.sock")
    path.rename(elsewhere)
    assert answer(str(elsewhere)) == b"hello"
    server.close()
    server.wait_closed(5)
    assert elsewhere.exists()


def test_the_file_of_a_bound_socket_belongs_to_who_has_bound_it(
    server: gnet.Server, path: Path
) -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    server.listen(sock)
    assert answer(str(path)) == b"hello"
    server.close()
    server.wait_closed(5)
    assert path.exists()


def test_a_second_server_on_the_same_handle_does_not_remove_the_file(
    tcp: Net, server: gnet.Server, path: Path
) -> None:
    server.listen(path)
    second = tcp.keep(gnet.Server(greets)).listen(server)
    second.close()
    second.wait_closed(5)
    assert path.exists()
    server.close()
    assert not path.exists()


def test_a_relative_path_is_removed_from_where_it_was_made(
    server: gnet.Server, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    server.listen("./a.sock")
    assert path.exists()
    monkeypatch.chdir("/")
    server.close()
    server.wait_closed(5)
    assert not path.exists()


def test_a_failed_listen_leaves_no_file(server: gnet.Server, path: Path) -> None:
    with pytest.raises(OSError, match="listen"):
        server.listen(path.parent / "none" / "a.sock")
    assert os.listdir(path.parent) == []


# -- a place that is taken -----------------------------------------------------------------


def test_a_file_of_a_dead_process_is_in_use(server: gnet.Server, path: Path) -> None:
    stale(path)
    in_use(server, path)
    assert path.exists()


def test_replace_stale_takes_the_place_of_a_dead_process(server: gnet.Server, path: Path) -> None:
    stale(path)
    server.listen(path, replace_stale=True)
    assert answer(str(path)) == b"hello"
    assert os.listdir(path.parent) == ["a.sock"]
    server.close()
    assert not path.exists()


def test_replace_stale_does_not_need_anything_to_replace(server: gnet.Server, path: Path) -> None:
    server.listen(path, replace_stale=True)
    assert answer(str(path)) == b"hello"


def test_replace_stale_fails_as_listen_does_where_there_is_no_such_directory(
    server: gnet.Server, path: Path
) -> None:
    missing = path / "a.sock"
    texts = set()
    for replace_stale in (False, True):
        with pytest.raises(
            FileNotFoundError, match=f"listen ENOENT: no such file or directory {missing}$"
        ) as caught:
            server.listen(missing, replace_stale=replace_stale)
        texts.add(str(caught.value))
    assert len(texts) == 1


def test_only_one_program_at_a_time_looks_whether_a_path_is_stale(
    server: gnet.Server, path: Path
) -> None:
    with unix_path.claim(str(path), True):
        for _ in range(2):
            in_use(server, path, replace_stale=True)
    server.listen(path, replace_stale=True)
    assert os.listdir(path.parent) == [path.name]


def test_replace_stale_leaves_a_server_that_answers(
    tcp: Net, server: gnet.Server, path: Path
) -> None:
    def tolerant(sock: gnet.Socket) -> None:
        # Who only looks whether somebody is there does not stay for the greeting.
        sock.on("error", lambda error: None)
        greets(sock)

    living = tcp.keep(gnet.Server(tolerant)).listen(path)
    in_use(server, path, replace_stale=True)
    assert living.listening
    assert answer(str(path)) == b"hello"


def test_replace_stale_leaves_a_server_whose_queue_is_full(
    server: gnet.Server, path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as client:
        busy.bind(str(path))
        busy.listen(0)
        client.connect(str(path))
        in_use(server, path, replace_stale=True)
        busy.accept()[0].close()
        assert path.exists()


@pytest.mark.parametrize("kind", ["file", "directory", "fifo", "link"])
def test_replace_stale_leaves_what_is_no_socket(
    server: gnet.Server, path: Path, kind: Any
) -> None:
    target = path.with_name("target")
    if kind == "file":
        path.write_text("mine")
    elif kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        target.write_text("mine")
        path.symlink_to(target)
    in_use(server, path, replace_stale=True)
    assert os.path.lexists(path)
    assert not stat.S_ISSOCK(path.lstat().st_mode)
    if kind == "link":
        assert target.read_text() == "mine"


# -- lengths -------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", ["x", "ö"])
def test_a_path_may_be_as_long_as_the_system_allows(
    server: gnet.Server, directory: Path, letter: Any
) -> None:
    room = LIMIT - len(os.fsencode(str(directory))) - 1
    size = len(letter.encode())
    name = letter * (room // size) + "x" * (room % size)
    path = str(directory / name)
    assert len(os.fsencode(path)) == LIMIT
    server.listen(path)
    assert server.address() == path
    assert answer(path) == b"hello"
    server.close()
    assert os.listdir(directory) == []


@pytest.mark.parametrize("letter", ["x", "ö"])
def test_a_path_that_is_longer_is_einval_with_the_limit_in_bytes(
    server: gnet.Server, directory: Path, letter: Any
) -> None:
    room = LIMIT + 1 - len(os.fsencode(str(directory))) - 1
    size = len(letter.encode())
    path = str(directory / (letter * (room // size) + "x" * (room % size)))
    before = descriptors()
    with pytest.raises(OSError, match=str(LIMIT)) as caught:
        server.listen(path)
    assert (caught.value.code, caught.value.address) == ("EINVAL", path)
    assert descriptors() == before
    assert os.listdir(directory) == []


# -- names without a file ------------------------------------------------------------------


@pytest.fixture
def name() -> str:
    return f"\0gnet-test-{os.getpid()}"


@linux_only
def test_an_abstract_name_has_no_file(server: gnet.Server, name: Any) -> None:
    server.listen(name)
    assert server.address() == name
    assert answer(name) == b"hello"
    assert f"@{name[1:]}" in Path("/proc/net/unix").read_text()
    with gnet.connect(name) as sock:
        assert sock.recv() == b"hello"


@linux_only
def test_an_abstract_name_is_gone_with_its_server(
    tcp: Net, server: gnet.Server, name: Any
) -> None:
    server.listen(name)
    with pytest.raises(OSError, match="EADDRINUSE"):
        gnet.Server().listen(name)
    with pytest.raises(OSError, match="EADDRINUSE"):
        gnet.Server().listen(name, replace_stale=True)
    server.close()
    server.wait_closed(5)
    tcp.keep(gnet.Server()).listen(name)


@linux_only
def test_an_abstract_name_may_have_nuls_in_it(server: gnet.Server, name: Any) -> None:
    server.listen(f"{name}\0more")
    assert server.address() == f"{name}\0more"
    assert answer(f"{name}\0more") == b"hello"


@linux_only
def test_an_abstract_name_that_nobody_has_is_econnrefused(name: Any) -> None:
    with pytest.raises(ConnectionRefusedError) as caught, gnet.connect(f"{name}-none"):
        pytest.fail("there is no connection")
    assert caught.value.address == f"{name}-none"


# -- permissions ---------------------------------------------------------------------------


@pytest.fixture
def umask() -> Iterator[None]:
    """A process that lets nobody in."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def bits(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_umask_decides_without_the_options(
    server: gnet.Server, path: Path, umask: None
) -> None:
    server.listen(path)
    assert bits(path) & 0o077 == 0


@pytest.mark.parametrize("readable", [True, False])
@pytest.mark.parametrize("writable", [True, False])
def test_readable_all_and_writable_all_open_the_file_to_all(
    server: gnet.Server, path: Path, umask: None, readable: Any, writable: Any
) -> None:
    server.listen(path, readable_all=readable, writable_all=writable)
    assert bits(path) & 0o044 == (0o044 if readable else 0)
    assert bits(path) & 0o022 == (0o022 if writable else 0)
    assert bits(path) & 0o600 == 0o600
    assert answer(str(path)) == b"hello"


def test_the_umask_is_as_it_was_afterwards(server: gnet.Server, path: Path, umask: None) -> None:
    server.listen(path, readable_all=True, writable_all=True)
    assert os.umask(0o077) == 0o077


def test_the_options_leave_nothing_else_in_the_directory(
    server: gnet.Server, path: Path, umask: None
) -> None:
    server.listen(path, readable_all=True, writable_all=True)
    assert os.listdir(path.parent) == ["a.sock"]
    assert server.address() == str(path)
    with gnet.connect(path) as sock:
        assert sock.getpeername() == str(path)
        assert sock.recv() == b"hello"
    server.close()
    assert os.listdir(path.parent) == []


def test_the_options_do_not_replace_what_is_there(
    tcp: Net, server: gnet.Server, path: Path, umask: None
) -> None:
    living = tcp.keep(gnet.Server(greets)).listen(path)
    in_use(server, path, readable_all=True, writable_all=True)
    assert os.listdir(path.parent) == ["a.sock"]
    assert answer(str(path)) == b"hello"
    living.close()
    stale(path)
    in_use(server, path, writable_all=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("writable", [True, False])
def test_somebody_else_connects_only_with_writable_all(
    server: gnet.Server, path: Path, umask: None, writable: Any
) -> None:
    path.parent.chmod(0o755)
    server.listen(path, writable_all=writable)
    program = (
        "import os, socket, sys; os.setgid(65534); os.setuid(65534)\n"
        "with socket.socket(socket.AF_UNIX) as sock:\n"
        "    try: sock.connect(sys.argv[1])\n"
        "    except PermissionError: print('refused')\n"
        "    else: print(sock.recv(100).decode())\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(path)], stdout=plain_subprocess.PIPE
    )
    assert done.stdout.decode().strip() == ("hello" if writable else "refused")


@linux_only
def test_peer_credentials_are_those_of_the_other_process(tcp: Net, path: Path) -> None:
    server = tcp.keep(gnet.Server()).listen(path)
    sock = tcp.keep(gnet.connect(path))
    accepted = server.wait("connection", 5)[0]
    sock.wait("connect", 5)
    for each in (sock, accepted):
        credentials = each.peer_credentials
        assert tuple(credentials) == (os.getpid(), os.geteuid(), os.getegid())
        assert credentials.pid == os.getpid()
        assert credentials.uid == os.geteuid()
        assert credentials.gid == os.getegid()


def test_peer_credentials_are_none_over_tcp(tcp: Net) -> None:
    sock, _ = tcp.connected()
    assert sock.peer_credentials is None


def test_addresses_over_a_path(tcp: Net, path: Path) -> None:
    server = tcp.keep(gnet.Server()).listen(path)
    sock = tcp.keep(gnet.connect(path))
    accepted = server.wait("connection", 5)[0]
    sock.wait("connect", 5)
    for each in (sock, accepted):
        assert each.remote_address is None or isinstance(each.remote_address, str)
        assert each.remote_port is None
        assert each.remote_family is None
        assert each.local_port is None
    assert sock.getpeername() == str(path)
    assert accepted.getsockname() == str(path)
    assert accepted.address() == str(path)
