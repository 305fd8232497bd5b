"""A block list that is changed while other threads, and a server, ask it."""

from __future__ import annotations

import copy
import ipaddress
import pickle
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gevent.monkey import get_original

import gnet
from gnet._core import rule_store as module
from gnet._values import block_rules
from tests.helpers.forks import Child, fork

# The system's own threads, also where they are patched.
start_new_thread = get_original("_thread", "start_new_thread")
allocate_lock = get_original("_thread", "allocate_lock")

RULES = 300


@pytest.fixture(autouse=True)
def often() -> Iterator[None]:
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


class Thread:
    """A thread of the system's, which calls ``function`` until it is stopped, or to its end."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._stopped = False
        self._error: BaseException | None = None
        self._over = allocate_lock()
        self._over.acquire()
        start_new_thread(self._run, ())

    def _run(self) -> None:
        try:
            while not self._stopped:
                self._function()
        except BaseException as exc:
            self._error = exc
        finally:
            self._over.release()

    def stop(self) -> None:
        self._stopped = True
        self._over.acquire()
        if self._error is not None:
            raise self._error


def addresses(first: str, count: int) -> list[str]:
    return [str(ipaddress.ip_address(first) + 16 * number) for number in range(count)]


@pytest.mark.parametrize("known", [0, 400, 20_000])
def test_no_rule_is_lost_while_other_threads_ask(known: int) -> None:
    block_list = gnet.BlockList()
    for address in addresses("10.0.0.0", known):
        block_list.add_address(address)
    askers = [Thread(lambda: block_list.blocks("10.0.0.1")) for _ in range(3)]
    new = addresses("11.0.0.0", RULES)
    for address in new:
        block_list.add_address(address)
        # A check that begins when the call has returned knows of it.
        assert block_list.blocks(address)
    for asker in askers:
        asker.stop()
    assert [address for address in new if not block_list.blocks(address)] == []
    assert len(block_list.rules) == known + RULES


def test_no_rule_is_lost_while_other_threads_add() -> None:
    block_list = gnet.BlockList()
    parts = [addresses(f"{first}.0.0.0", RULES) for first in (11, 12, 13)]

    def add(part: list[str]) -> Callable[[], None]:
        left = iter(part)

        def one() -> None:
            address = next(left, None)
            if address is not None:
                block_list.add_address(address)
                assert block_list.blocks(address)

        return one

    adders = [Thread(add(part)) for part in parts]
    while len(block_list.rules) < 3 * RULES:
        block_list.blocks("10.0.0.1")
    for adder in adders:
        adder.stop()
    assert [each for part in parts for each in part if not block_list.blocks(each)] == []


def test_rules_from_json_come_together() -> None:
    texts = [f"Address: IPv4 {address}" for address in addresses("11.0.0.0", RULES)]
    counts: list[int] = []
    block_list = gnet.BlockList()
    asker = Thread(lambda: counts.append(len(block_list.rules)))
    block_list.from_json(texts)
    asker.stop()
    assert {*counts} <= {0, RULES}


@pytest.mark.skipif(fork is None, reason="no fork()")
def test_a_forked_child_can_use_a_list_that_a_thread_was_changing() -> None:
    block_list = gnet.BlockList()
    block_list.add_address("10.0.0.1")
    held, release = allocate_lock(), allocate_lock()
    held.acquire()
    release.acquire()

    def hold() -> None:
        with module._lock:
            held.release()
            release.acquire()

    start_new_thread(hold, ())
    held.acquire()

    def task() -> tuple[bool, bool]:
        block_list.add_address("10.0.0.2")
        return block_list.blocks("10.0.0.1"), block_list.blocks("10.0.0.2")

    assert fork is not None
    try:
        assert Child(task, fork).result() == (True, True)
    finally:
        release.release()
    assert not block_list.blocks("10.0.0.2")


@pytest.mark.skipif(fork is None, reason="no fork()")
def test_a_forked_child_can_change_a_list_that_a_thread_was_changing() -> None:
    """The thread has put the table there, and the rules are still the old ones."""
    block_list = gnet.BlockList()
    block_list.add_address("10.0.0.1", note="old", ttl=600)
    held, release = allocate_lock(), allocate_lock()
    held.acquire()
    release.acquire()

    class Change:
        """An entry that waits before it can be taken."""

        def __iter__(self) -> Iterator[Any]:
            held.release()
            release.acquire()
            yield from block_rules.Entry(self.rule, None, None)

        rule = block_rules.address_rule("10.0.0.2")

    def change() -> None:
        store: Any = block_list._store
        store._change(lambda: store._put({Change.rule.key: Change()}))

    start_new_thread(change, ())
    held.acquire()

    def task() -> tuple[list[str], dict[str, str], bool]:
        block_list.add_address("10.0.0.3")
        return block_list.rules, block_list.notes, block_list.blocks("10.0.0.2")

    assert fork is not None
    try:
        assert Child(task, fork).result() == (
            ["Address: IPv4 10.0.0.3", "Address: IPv4 10.0.0.1"],
            {"Address: IPv4 10.0.0.1": "old"},
            False,
        )
    finally:
        release.release()
    assert block_list.blocks("10.0.0.2")


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_has_the_rules_and_goes_its_own_way(copied: Callable[[Any], Any]) -> None:
    block_list = gnet.BlockList()
    block_list.add_address("10.0.0.1")
    other = copied(block_list)
    block_list.add_address("10.0.0.2")
    other.add_address("10.0.0.3")
    asked = ("10.0.0.1", "10.0.0.2", "10.0.0.3")
    assert [block_list.blocks(each) for each in asked] == [True, True, False]
    assert [other.blocks(each) for each in asked] == [True, False, True]
    assert len(block_list.rules) == len(other.rules) == 2
