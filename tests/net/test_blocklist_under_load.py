"""A block list that is changed while others ask: no answer is a mixture, and no hit is lost."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.monkey import get_original

import gnet

# The system's own threads, also where they are patched.
start_new_thread = get_original("_thread", "start_new_thread")
allocate_lock = get_original("_thread", "allocate_lock")

ROUNDS = 200
ALWAYS, NEVER = "192.0.2.1", "198.51.100.1"
# Both have what always is refused, and none what never is; each has an address of its own.
FIRST = [f"10.0.{n}.0/25" for n in range(40)] + ["192.0.2.0/24", "203.0.113.1"]
SECOND = ["192.0.2.1", "2001:db8::/32", "203.0.113.2"] + [f"10.1.{n}.1" for n in range(40)]


@pytest.fixture(autouse=True)
def often() -> Iterator[None]:
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


class Threads:
    """Threads of the system's, which call a function until they are stopped."""

    def __init__(self, count: int, function: Callable[[], object]) -> None:
        self._function = function
        self._stopped = False
        self._errors: list[BaseException] = []
        self._over = [allocate_lock() for _ in range(count)]
        for lock in self._over:
            lock.acquire()
            start_new_thread(self._run, (lock,))

    def _run(self, lock: object) -> None:
        try:
            while not self._stopped:
                self._function()
        except BaseException as exc:
            self._errors.append(exc)
        finally:
            lock.release()  # type: ignore[attr-defined]

    def stop(self) -> None:
        self._stopped = True
        for lock in self._over:
            lock.acquire()
        assert self._errors == []


def asking(block_list: gnet.BlockList, counts: list[int]) -> Callable[[], None]:
    def ask() -> None:
        assert block_list.blocks(ALWAYS)
        assert not block_list.check(NEVER)
        counts.append(1)

    return ask


def test_threads_get_no_wrong_answer_while_all_rules_are_replaced() -> None:
    block_list = gnet.BlockList()
    block_list.replace(FIRST)
    counts: list[int] = []
    threads = Threads(3, asking(block_list, counts))
    for number in range(ROUNDS):
        block_list.replace(SECOND if number % 2 else FIRST)
        asking(block_list, counts)()
    while len(counts) < ROUNDS * 4:
        block_list.replace(FIRST)
        block_list.replace(SECOND)
    threads.stop()
    assert block_list.rules[0] == "Address: IPv4 192.0.2.1"


def test_threads_get_no_wrong_answer_in_the_mode_allow() -> None:
    allowed = gnet.BlockList("allow")
    allowed.replace(FIRST)
    counts: list[int] = []

    def ask() -> None:
        assert not allowed.blocks(ALWAYS)
        assert allowed.check(NEVER)
        counts.append(1)

    threads = Threads(3, ask)
    while len(counts) < ROUNDS * 4:
        allowed.replace(SECOND)
        allowed.replace(FIRST)
    threads.stop()


def test_no_hit_is_lost_while_other_rules_come_and_go() -> None:
    block_list = gnet.BlockList()
    block_list.add_cidr("192.0.2.0/24")
    counts: list[int] = []

    def ask() -> None:
        assert block_list.blocks(ALWAYS)
        counts.append(1)

    threads = Threads(3, ask)
    number = 0
    while number < ROUNDS or len(counts) < ROUNDS * 4:
        # Rules round the address and beside it, so that its edge goes and comes.
        block_list.add_range("192.0.2.1", f"192.0.2.{1 + number % 200}")
        block_list.add_cidrs(FIRST[:40], ttl=60)
        block_list.remove_range("192.0.2.1", f"192.0.2.{1 + number % 200}")
        block_list.replace(["192.0.2.0/24"])
        number += 1
    threads.stop()
    assert block_list.hits("Subnet: IPv4 192.0.2.0/24") == len(counts)
    assert block_list.rules == ["Subnet: IPv4 192.0.2.0/24"]


def test_what_is_looked_at_is_whole_while_threads_change_it() -> None:
    block_list = gnet.BlockList()
    block_list.replace(FIRST)
    sizes: set[int] = set()
    seen: list[int] = []

    def look() -> None:
        sizes.add(len(block_list.rules))
        sizes.add(len(block_list))
        sizes.add(len(block_list.to_json()))
        assert {*block_list.notes} <= {"Address: IPv4 192.0.2.9"}
        seen.append(1)

    threads = Threads(2, look)
    while len(seen) < ROUNDS:
        block_list.replace(SECOND)
        block_list.add_address("192.0.2.9", note="x", ttl=60)
        block_list.replace(FIRST)
    threads.stop()
    assert sizes <= {len(FIRST), len(SECOND), len(SECOND) + 1}


def test_greenlets_get_no_wrong_answer_while_all_rules_are_replaced() -> None:
    block_list = gnet.BlockList()
    block_list.replace(FIRST)
    counts: list[int] = []
    ask = asking(block_list, counts)

    def go_on() -> None:
        while len(counts) < ROUNDS * 4:
            ask()
            gevent.sleep(0)

    greenlets = [gevent.spawn(go_on) for _ in range(10)]
    while len(counts) < ROUNDS * 4:
        block_list.replace(SECOND)
        gevent.sleep(0)
        block_list.replace(FIRST)
        gevent.sleep(0)
    gevent.joinall(greenlets, raise_error=True)


def test_a_server_lets_nobody_in_while_all_rules_are_replaced() -> None:
    with gnet.create_server(block_list=gnet.BlockList()) as server:
        block_list = server.block_list
        assert block_list is not None
        block_list.replace(["127.0.0.0/8"])
        dropped: list[gnet.DropInfo] = []
        accepted: list[gnet.Socket] = []
        server.on("drop", dropped.append).on("connection", accepted.append)
        server.listen(0, "127.0.0.1")
        for number in range(50):
            client = gnet.connect(server.address().port, "127.0.0.1")  # type: ignore[union-attr]
            block_list.replace(["127.0.0.1"] if number % 2 else ["::/0", "10.0.0.0/8"])
            client.on("error", lambda _: None)
            client.wait("close")
        assert len(dropped) == 50
        assert accepted == []
        assert {info.reason for info in dropped} == {"block_list"}
        assert sum(map(block_list.hits, block_list.rules)) > 0
