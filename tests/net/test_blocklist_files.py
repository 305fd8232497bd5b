"""A block list that follows a file: what is read, what is refused, and when."""

from __future__ import annotations

import gc
import os
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

import gnet
from gnet._loop import watched_file
from tests.helpers.forks import Child, fork
from tests.helpers.peers import python, run
from tests.helpers.turns import until

INTERVAL = 0.01


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "blocked.txt"


@pytest.fixture
def block_list() -> Iterator[gnet.BlockList]:
    made = gnet.BlockList()
    yield made
    if made._watch is not None:  # type: ignore[attr-defined]
        made._watch.stop()  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that has changed is settled soon."""
    monkeypatch.setattr(watched_file, "SETTLING_SECONDS", INTERVAL)


def looks(block_list: gnet.BlockList, count: int = 5) -> None:
    """Wait until the watch of a list has looked at its file so many times."""
    watch = block_list._watch  # type: ignore[attr-defined]
    seen = []
    version = watched_file.FileWatch._version

    def counted(self: Any) -> Any:
        seen.append(self is watch)
        return version(self)

    watched_file.FileWatch._version = counted  # type: ignore[method-assign]
    try:
        until(lambda: sum(seen) >= count)
    finally:
        watched_file.FileWatch._version = version  # type: ignore[method-assign]


def move_there(path: Path, text: str) -> None:
    """Replace a file at once."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    os.replace(new, path)


def write_there(path: Path, text: str) -> None:
    """Replace a file in place, in two writes."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text[:7])
        file.flush()
        file.write(text[7:])


# -- load -----------------------------------------------------------------------------------------


def test_a_file_has_a_cidr_or_an_address_a_line_and_comments(
    block_list: gnet.BlockList, path: Path
) -> None:
    block_list.add_address("9.9.9.9")
    path.write_bytes(
        b"\xef\xbb\xbf# comment\r\n\r\n  10.1.2.3/8  # ours\n192.0.2.1\n\t::1\n"
        b"fc00::/7#\xff\xe4\n192.0.2.1\n   \n# no end"
    )
    block_list.load(path)
    assert block_list.rules == [
        "Subnet: IPv4 10.0.0.0/8",
        "Address: IPv4 192.0.2.1",
        "Address: IPv6 ::1",
        "Subnet: IPv6 fc00::/7",
    ]
    assert not block_list.check("9.9.9.9")
    block_list.load(os.fspath(path))
    path.write_text("")
    block_list.load(path)
    assert block_list.rules == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("10.0.0.300", "ERR_INVALID_ADDRESS"),
        ("10.0.0.0/33", "ERR_OUT_OF_RANGE"),
        ("10.0.0.0/", "ERR_INVALID_ARG_VALUE"),
        ("10.0.0.1 10.0.0.2", "ERR_INVALID_ADDRESS"),
        ("10.0.0.1-10.0.0.2", "ERR_INVALID_ADDRESS"),
        ("Address: IPv4 10.0.0.1", "ERR_INVALID_ADDRESS"),
        ("example.com", "ERR_INVALID_ADDRESS"),
        ("; comment", "ERR_INVALID_ADDRESS"),
        ("é", "ERR_INVALID_ADDRESS"),
        ("x" * 10_000, "ERR_INVALID_ADDRESS"),
    ],
)
def test_a_broken_line_is_named_and_the_old_rules_stay(
    block_list: gnet.BlockList, path: Path, line: str, code: str
) -> None:
    block_list.add_address("9.9.9.9", note="old")
    path.write_text(f"10.0.0.1\n# comment\n{line}\n10.0.0.2\n", encoding="utf-8")
    with pytest.raises(ValueError) as caught:
        block_list.load(path)
    assert str(path) in str(caught.value)
    assert "line 3" in str(caught.value)
    assert line[:50] in str(caught.value)
    assert len(str(caught.value)) < 500
    assert getattr(caught.value, "code", None) == code
    assert block_list.notes == {"Address: IPv4 9.9.9.9": "old"}
    assert not block_list.check("10.0.0.1")


@pytest.mark.parametrize("call", ["load", "watch"])
def test_a_file_that_cannot_be_read_is_a_system_error(
    block_list: gnet.BlockList, path: Path, call: str
) -> None:
    block_list.add_address("9.9.9.9")
    with pytest.raises(FileNotFoundError) as caught:
        getattr(block_list, call)(path)
    assert (caught.value.code, caught.value.syscall) == ("ENOENT", "open")  # type: ignore[attr-defined]
    assert str(path) in str(caught.value)
    with pytest.raises(OSError) as other:
        getattr(block_list, call)(path.parent)
    assert other.value.code in ("EISDIR", "EACCES")  # type: ignore[attr-defined]
    assert block_list.rules == ["Address: IPv4 9.9.9.9"]


@pytest.mark.skipif(sys.platform == "win32", reason="no FIFOs")
@pytest.mark.parametrize("call", ["load", "watch"])
def test_a_fifo_holds_up_nobody(block_list: gnet.BlockList, path: Path, call: str) -> None:
    os.mkfifo(path)
    with pytest.raises(OSError, match="ESPIPE"):
        getattr(block_list, call)(path)


def test_other_greenlets_run_while_a_long_file_is_read(
    block_list: gnet.BlockList, path: Path
) -> None:
    path.write_text("".join(f"10.{n >> 8}.{n & 255}.0/24\n" for n in range(20_000)))
    turns = []

    def others() -> None:
        while True:
            turns.append(len(block_list))
            gevent.sleep(0)

    greenlet = gevent.spawn(others)
    block_list.load(path)
    greenlet.kill()
    assert turns.count(0) > 3
    assert {*turns} <= {0, 20_000}
    assert len(block_list) == 20_000


# -- watch ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [move_there, write_there])
def test_a_watch_loads_at_once_and_again_when_the_file_has_changed(
    block_list: gnet.BlockList, path: Path, write: Callable[[Path, str], None]
) -> None:
    write(path, "192.0.2.1\n")
    watch = block_list.watch(path, INTERVAL)
    assert block_list.check("192.0.2.1")
    write(path, "192.0.2.1\n192.0.2.2\n")
    until(lambda: block_list.check("192.0.2.2"))
    assert block_list.check("192.0.2.1")
    # Of the same size, and perhaps at the same time as far as the file system tells it.
    write(path, "192.0.2.3\n192.0.2.4\n")
    until(lambda: block_list.check("192.0.2.4"))
    assert not block_list.check("192.0.2.1")
    assert watch.error is None
    assert watch.path == str(path)


def test_a_file_that_is_being_written_is_not_read(
    block_list: gnet.BlockList, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("192.0.2.1\n")
    block_list.watch(path, INTERVAL)
    answers = []
    with open(path, "w") as file:
        for number in range(10):
            # It changes between any two looks.
            file.write(f"# {number}\n")
            file.flush()
            looks(block_list, 1)
            answers.append(block_list.check("192.0.2.1"))
        file.write("192.0.2.1\n192.0.2.2\n")
    until(lambda: block_list.check("192.0.2.2"))
    assert answers == [True] * 10


def test_a_broken_file_is_told_of_once_and_the_old_rules_stay(
    block_list: gnet.BlockList, path: Path, hub_errors: list[BaseException]
) -> None:
    path.write_text("192.0.2.1\n")
    watch = block_list.watch(path, INTERVAL)
    move_there(path, "192.0.2.2\nbroken\n")
    until(lambda: watch.error)
    looks(block_list)
    assert hub_errors == [watch.error]
    assert isinstance(hub_errors.pop(), ValueError)
    assert "line 2: 'broken'" in str(watch.error)
    assert block_list.rules == ["Address: IPv4 192.0.2.1"]
    move_there(path, "192.0.2.2\n")
    until(lambda: block_list.check("192.0.2.2"))
    assert watch.error is None


def test_a_file_that_vanishes_leaves_its_rules_until_it_is_back(
    block_list: gnet.BlockList, path: Path, hub_errors: list[BaseException]
) -> None:
    path.write_text("192.0.2.1\n")
    watch = block_list.watch(path, INTERVAL)
    path.unlink()
    until(lambda: watch.error)
    looks(block_list)
    assert hub_errors == [watch.error]
    assert isinstance(hub_errors.pop(), FileNotFoundError)
    assert block_list.check("192.0.2.1")
    path.write_text("192.0.2.2\n")
    until(lambda: block_list.check("192.0.2.2"))
    assert watch.error is None
    assert not block_list.check("192.0.2.1")


def test_hits_and_notes_of_rules_that_stay_outlive_a_change_of_the_file(
    block_list: gnet.BlockList, path: Path
) -> None:
    path.write_text("192.0.2.1\n")
    block_list.add_address("192.0.2.1", note="seen before")
    block_list.watch(path, INTERVAL)
    assert block_list.check("192.0.2.1")
    move_there(path, "192.0.2.0/24\n192.0.2.1\n")
    until(lambda: len(block_list) == 2)
    assert block_list.hits("Address: IPv4 192.0.2.1") == 1
    assert block_list.notes == {"Address: IPv4 192.0.2.1": "seen before"}


def test_a_stopped_watch_follows_no_more(block_list: gnet.BlockList, path: Path) -> None:
    path.write_text("192.0.2.1\n")
    watch = block_list.watch(path, INTERVAL)
    assert "every 0.01 s" in repr(watch)
    watch.stop()
    watch.stop()
    move_there(path, "192.0.2.2\n")
    other = gnet.BlockList()
    other.watch(path, INTERVAL)
    looks(other)
    assert block_list.rules == ["Address: IPv4 192.0.2.1"]
    assert "stopped" in repr(watch)
    other._watch.stop()  # type: ignore[attr-defined]


def test_another_file_takes_the_place_of_the_first(
    block_list: gnet.BlockList, path: Path, tmp_path: Path
) -> None:
    second = tmp_path / "second.txt"
    path.write_text("192.0.2.1\n")
    second.write_text("192.0.2.2\n")
    block_list.watch(path, INTERVAL)
    block_list.watch(second, INTERVAL)
    move_there(path, "192.0.2.3\n")
    looks(block_list)
    assert block_list.rules == ["Address: IPv4 192.0.2.2"]
    with pytest.raises(FileNotFoundError):
        block_list.watch(tmp_path / "none.txt", INTERVAL)
    move_there(second, "192.0.2.4\n")
    until(lambda: block_list.check("192.0.2.4"))


def test_a_watch_ends_with_its_list(path: Path) -> None:
    path.write_text("192.0.2.1\n")
    block_list = gnet.BlockList()
    gone = weakref.ref(block_list)
    watch = weakref.ref(block_list.watch(path, 3600))
    assert watch() is not None
    del block_list
    gc.collect()
    assert gone() is None
    assert watch() is None


def test_a_watch_keeps_no_program_running(path: Path) -> None:
    path.write_text("192.0.2.1\n")
    program = (
        "import sys, threading, gevent, gnet; block_list = gnet.BlockList();"
        "block_list.watch(sys.argv[1], 0.001); print(gnet.run(), gevent.wait(),"
        "threading.active_count(), block_list.rules)"
    )
    outcome = run(*python(program, str(path)))
    said = outcome.output.decode().strip()
    assert said == "True True 1 ['Address: IPv4 192.0.2.1']"
    assert outcome.complaints == b""


@pytest.mark.skipif(fork is None, reason="no fork()")
def test_a_forked_child_follows_the_file_itself(block_list: gnet.BlockList, path: Path) -> None:
    path.write_text("192.0.2.1\n")
    block_list.watch(path, INTERVAL)

    def task() -> bool:
        move_there(path, "192.0.2.2\n")
        until(lambda: block_list.check("192.0.2.2"))
        return True

    assert fork is not None
    assert Child(task, fork).result() is True
    until(lambda: block_list.check("192.0.2.2"))
