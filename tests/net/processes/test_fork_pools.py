"""A forked child works at once, whatever the threads of its parent's pools have been at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import gevent
import pytest
from gevent.monkey import get_original
from gevent.threadpool import ThreadPool

import gnet
from gnet import dns
from tests.conftest import PATCHED
from tests.helpers import forks
from tests.helpers.forks import Child, In
from tests.helpers.peers import python, run
from tests.net.conftest import Net

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

LOCAL = ("127.0.0.1", 4)

# What a program begins with that is to be as this one is.
PATCH = "import gevent.monkey; gevent.monkey.patch_all()" if PATCHED else ""

# The system's own, also where they are patched.
_allocate_lock = get_original("_thread", "allocate_lock")
_write = get_original("os", "write")


@pytest.fixture(params=["os", "gevent", "multiprocessing"])
def child(request: pytest.FixtureRequest) -> In:
    """Runs a function in a forked child, under a time limit, and gives what it returns."""
    return forks.ways()[request.param]


@pytest.fixture
def busy() -> Iterator[Any]:
    """A task for a thread of the hub's pool, which takes until the test has ended."""
    gate = _allocate_lock()
    gate.acquire()

    def wait() -> None:
        with gate:
            pass

    tasks: list[Any] = []
    yield lambda pool: tasks.append(pool.spawn(wait))
    gate.release()
    for task in tasks:
        task.get(timeout=10)


def in_a_process_of_its_own(program: Any) -> Any:
    """What a program returns whose pools go with its process."""
    return forks.ways()["os"](program)


def look_up() -> Any:
    return dns.lookup("localhost", family=4)


def destroy_hub() -> None:
    gevent.get_hub().destroy(destroy_loop=True)


def in_every_thread(pool: ThreadPool, function: Any) -> None:
    for result in [pool.spawn(function) for _ in range(pool.maxsize)]:
        result.get(timeout=10)


def test_a_thread_of_the_pool_may_have_destroyed_its_hub(child: In) -> None:
    def program() -> Any:
        pool = gevent.get_hub().threadpool
        # The pool knows of a hub from the task behind the one that has made it.
        in_every_thread(pool, partial(gevent.sleep, 0.001))
        in_every_thread(pool, destroy_hub)
        return child(look_up)

    assert in_a_process_of_its_own(program) == LOCAL


def test_a_hub_of_the_pool_that_watches_descriptors_goes_on_in_the_parent(child: In) -> None:
    def program() -> tuple[Any, bool]:
        pool = ThreadPool(1)
        here, there = os.pipe()
        watchers: list[Any] = []

        def watch() -> None:
            gevent.sleep(0.001)
            watchers.append(gevent.get_hub().loop.io(here, 1))

        def wait() -> bool:
            with gevent.Timeout(5):
                gevent.get_hub().wait(watchers[0])
            return True

        pool.spawn(watch).get()
        waiting = pool.spawn(wait)
        found = child(look_up)
        _write(there, b"x")
        return found, waiting.get()

    assert in_a_process_of_its_own(program) == (LOCAL, True)


def test_a_child_uses_pools_of_the_programs_own(child: In) -> None:
    def program() -> bool:
        pool = ThreadPool(1)
        begun, gate = _allocate_lock(), _allocate_lock()
        begun.acquire()
        gate.acquire()

        def hold() -> None:
            begun.release()
            gate.acquire()

        pool.spawn(hold)
        # A fork beside a thread that is being started is another matter.
        begun.acquire()
        in_child: bool = child(lambda: pool.apply(os.getpid) == os.getpid())
        return in_child

    assert in_a_process_of_its_own(program)


def test_a_resolver_whose_pool_the_hub_has_no_more_looks_names_up(child: In) -> None:
    assert look_up() == LOCAL
    hub = gevent.get_hub()
    former = hub.threadpool
    del hub.threadpool
    try:
        assert child(look_up) == LOCAL
    finally:
        hub.threadpool = former


# In a process that has nothing else which might keep its child running.
@pytest.mark.parametrize("fork", ["os.fork", "gevent.os.fork_gevent"])
def test_a_task_of_the_parents_keeps_no_child_running(fork: str) -> None:
    outcome = run(
        *python(
            f"""
import _thread, os, sys, warnings
import gevent.os
import gnet
gate = _thread.allocate_lock()
gate.acquire()
hub = gevent.get_hub()
task = hub.threadpool.spawn(gate.acquire)
warnings.simplefilter("ignore", DeprecationWarning)
pid = {fork}()
if not pid:
    os._exit([gnet.run(timeout=5), hub.join(timeout=5)] != [True, True])
ended = os.waitpid(pid, 0)[1]
gate.release()
task.get(timeout=10)
sys.exit(ended != 0)
"""
        )
    )
    assert outcome.status == 0, outcome.complaints


def test_a_look_up_of_the_parents_goes_on_in_the_parent_alone(child: In, busy: Any) -> None:
    pool = gevent.get_hub().threadpool
    for _ in range(pool.maxsize):
        busy(pool)
    ended: list[int] = []

    def ask() -> None:
        try:
            look_up()
        finally:
            ended.append(os.getpid())

    asking = [gevent.spawn(ask) for _ in range(5)]
    gevent.sleep(0)

    def task() -> Any:
        return look_up(), list(ended)

    assert child(task) == (LOCAL, [])
    gevent.killall(asking)
    assert ended == [os.getpid()] * 5


# In a process of its own: that of all the tests is large, and the larger a process is, the longer
# a fork takes, and the likelier a thread is within getaddrinfo() meanwhile, whose lock in the C
# library nobody lets go of in the child.
@pytest.mark.parametrize("way", forks.ways())
def test_twenty_children_in_a_row_look_names_up_beside_their_parent(way: str) -> None:
    program = f"""
{PATCH}
import gevent
from gnet import dns
from tests.helpers import forks

def look_up():
    return dns.lookup("localhost", family=4)

child = forks.ways()[{way!r}]
for _ in range(20):
    asking = [gevent.spawn(look_up) for _ in range(12)]
    gevent.sleep(0)
    assert child(look_up) == {LOCAL!r}
    assert [each.get(timeout=10) for each in asking] == [{LOCAL!r}] * 12
"""
    outcome = run(*python(program))
    assert outcome.status == 0, outcome.complaints


def test_each_child_of_five_generations_looks_names_up() -> None:
    def generation(left: int) -> int:
        with gevent.Timeout(10):
            assert look_up() == LOCAL
            asking = [gevent.spawn(look_up) for _ in range(12)]
            gevent.sleep(0)
            count = Child(lambda: generation(left - 1), forks.fork).result() if left else 0
            gevent.joinall(asking)
            return 1 + count

    assert generation(4) == 5


def test_a_look_up_can_be_killed_in_the_child(child: In) -> None:
    assert look_up() == LOCAL

    def task() -> tuple[bool, Any]:
        asking = [gevent.spawn(look_up) for _ in range(20)]
        gevent.sleep(0)
        gevent.killall(asking, timeout=5)
        return all(each.dead for each in asking), look_up()

    assert child(task) == (True, LOCAL)


def test_a_child_serves_and_connects_at_once(net: Net, child: In) -> None:
    with net.server(lambda sock: sock.pipe(sock)) as server, net.connect(server) as client:
        client.sendall(b"parent")
        assert client.recv() == b"parent"

        def task() -> tuple[bytes, bool, bool]:
            own = gnet.create_server(lambda sock: sock.pipe(sock)).listen(*net.place())
            with gnet.connect(*net.target(own)) as sock:
                timed_out = False
                try:
                    with gevent.Timeout(0.01):
                        sock.recv()
                except gevent.Timeout:
                    timed_out = True
                sock.sendall(b"child")
                answer = sock.recv()
            own.close()
            return answer, timed_out, gnet.run(timeout=5)

        assert child(task) == (b"child", True, True)
        client.sendall(b"again")
        assert client.recv() == b"again"
