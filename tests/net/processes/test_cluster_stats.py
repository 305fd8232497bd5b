"""``gnet.stats()`` of a cluster's primary: the workers' numbers, added up and apart."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

import gnet
from gnet._sight.measures import MEASURES, Snapshot
from tests.helpers.clusters import HOLD, SAY_PID, Group, cluster_of
from tests.helpers.peers import PROGRAM_LIMIT
from tests.helpers.turns import until

pytestmark = pytest.mark.limit(PROGRAM_LIMIT)

# A worker tells what is known in it of other workers, and of its own connections.
TELL = """
def tell(sock):
    told = gnet.stats()
    sock.end(f"{told.workers} {told.accepted}")

def main():
    gnet.create_server(tell).listen(0, "127.0.0.1")
"""
# And one whose messages have numbers that are none.
LIE = """
def main():
    cluster.worker._channel.post("stats", told={"servers": 3})
    cluster.worker._channel.post("stats", told={"accepted": 10**6})
    cluster.worker.send("done")
    gnet.create_server().listen(0, "127.0.0.1")
"""


class Counting:
    """What the process has counted since."""

    def __init__(self) -> None:
        self._before = gnet.stats()

    def since(self, name: str) -> int:
        """By how much a number has grown."""
        return int(getattr(gnet.stats(), name) - getattr(self._before, name))

    def comes_to(self, **numbers: int) -> None:
        """Block until the numbers have grown by so much. A worker tells once a second."""
        until(lambda: all(self.since(name) == value for name, value in numbers.items()))


@pytest.fixture
def counting() -> Counting:
    return Counting()


def measured(name: str, port: int | None = None) -> Any:
    """What a scrape of this process tells."""
    [measure] = [each for each in MEASURES if each.name == name]
    points = measure.points(Snapshot())
    if port is None:
        return sum(each.value for each in points)
    [value] = [each.value for each in points if each.labels["server.port"] == str(port)]
    return value


def held(group: Group, count: int) -> list[tuple[str, Any]]:
    """Connections, each with the process that has it."""
    clients = [group.connect() for _ in range(count)]
    return [(each.recv(10).decode(), each) for each in clients]


def test_the_primarys_numbers_are_the_workers_added_up_and_each_apart(counting: Counting) -> None:
    with cluster_of(2, HOLD) as group:
        group.all("listening", 2)
        clients = held(group, 5)
        # One that has no connections tells a second after its start, as the other one does.
        until(lambda: {str(pid) for pid in gnet.stats().workers} == group.pids)
        counting.comes_to(accepted=5, active=5, bytes_out=sum(len(pid) for pid, _ in clients))
        told = gnet.stats()
        assert {str(pid) for pid in told.workers} == group.pids
        for pid, each in told.workers.items():
            mine = [client for owner, client in clients if owner == str(pid)]
            assert each.accepted == each.active == len(mine)
            assert each.bytes_out == len(str(pid)) * len(mine)
            assert each.workers == {}
        [server] = [each for each in told.servers if each.address == group.address]
        assert server.accepted == server.active == 5
        assert server.listening_since is not None
        assert measured("gnet.server.accepted_connections", server.address.port) == 5
        assert measured("gnet.network.io") >= counting.since("bytes_out")
        for _, client in clients:
            client.close()
        counting.comes_to(accepted=5, active=0, closed=5)


def test_what_a_worker_has_counted_stays_when_it_ends(counting: Counting) -> None:
    with cluster_of(1, SAY_PID) as group:
        group.next("listening")
        for _ in range(7):
            group.ask()
        # It has not had a second to tell.
        group.cluster.shutdown()
    numbers = {name: counting.since(name) for name in ("accepted", "closed", "active")}
    assert numbers == {"accepted": 7, "closed": 7, "active": 0}
    assert gnet.stats().workers == {}
    assert group.address not in [each.address for each in gnet.stats().servers]


def test_no_number_falls_when_a_worker_is_killed_and_replaced(counting: Counting) -> None:
    with cluster_of(1, HOLD) as group:
        group.next("listening")
        [(pid, client)] = held(group, 1)
        counting.comes_to(accepted=1, active=1)
        os.kill(int(pid), signal.SIGKILL)
        group.next("exit")
        counting.comes_to(accepted=1, active=0, closed=1)
        group.next("listening")
        [(_, other)] = held(group, 1)
        counting.comes_to(accepted=2, active=1, closed=1)
        [server] = [each for each in gnet.stats().servers if each.address == group.address]
        assert (server.accepted, server.closed, server.active) == (2, 1, 1)
        client.close()
        other.close()


def test_a_worker_tells_of_itself_alone() -> None:
    with cluster_of(2, TELL) as group:
        group.all("listening", 2)
        assert group.ask() in ("{} 0", "{} 1")


def test_numbers_that_are_none_are_left_out(counting: Counting) -> None:
    with cluster_of(1, LIE) as group:
        group.next("message")
        assert counting.since("accepted") == 0
        group.next("listening")
        group.connect().close()
        counting.comes_to(accepted=1)
