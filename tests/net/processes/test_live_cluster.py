"""The live view of a cluster: its primary has the control socket, and tells of all workers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from gevent import socket

import gnet.live
from gnet.live.client import Here, LiveError, There
from gnet.live.table import Listing, Rates, View
from tests.helpers.clusters import Group, cluster_of
from tests.helpers.peers import PROGRAM_LIMIT

pytestmark = pytest.mark.limit(PROGRAM_LIMIT)

# Each worker says whether it has a control socket of its own.
SERVE = """
import gnet.live

def hold(sock):
    sock.sendall(PID.encode())
    for _ in sock:
        pass

def main():
    cluster.worker.send(gnet.live.enable())
    gnet.create_server(hold, end_on_return=True).listen(0, "127.0.0.1")
"""


@pytest.fixture
def live() -> Iterator[There]:
    with tempfile.TemporaryDirectory(prefix="gnet-") as directory:
        gnet.live.enable(f"{directory}/live")
        try:
            yield There(f"{directory}/live")
        finally:
            gnet.live.disable()


@pytest.fixture
def group() -> Iterator[Group]:
    with cluster_of(2, SERVE) as group:
        group.all("listening", 2)
        yield group


def listing(program: There | Here) -> Listing:
    return Listing.of(program.ask("list"), View(), Rates())


def served(program: There | Here) -> list[dict[str, Any]]:
    return [each for each in listing(program).shown() if each["server"]]


def one_of_each(group: Group) -> dict[str, socket.socket]:
    """A client of each worker."""
    clients: dict[str, socket.socket] = {}
    while clients.keys() != group.pids:
        client = group.connect()
        pid = client.recv(10).decode()
        if clients.setdefault(pid, client) is not client:
            client.close()
    return clients


def test_the_primary_alone_tells_and_it_tells_of_all_workers(live: There, group: Group) -> None:
    assert [value for _, value in group.all("message", 2)] == [None, None]
    clients = one_of_each(group)
    for program in (live, Here()):
        check_all_workers(group, listing(program), clients)
    for each in clients.values():
        each.close()


def check_all_workers(group: Group, told: Listing, clients: dict[str, socket.socket]) -> None:
    assert [each["pid"] for each in told.processes[:1]] == [os.getpid()]
    assert {str(each["pid"]) for each in told.processes[1:]} == group.pids
    assert [each["worker"] for each in told.processes] == [False, True, True]
    address = f"127.0.0.1:{group.address.port}"
    assert {each["address"] for each in told.servers} == {address}
    rows = [each for each in told.shown() if each["server"]]
    assert {each["id"].partition("-")[0] for each in rows} == group.pids
    # What the primary asks over is in no worker's list.
    assert {each["peer"] for each in rows} == {
        "{}:{}".format(*client.getsockname()) for client in clients.values()
    }


def test_a_worker_is_asked_through_the_primary_while_it_lives(live: There, group: Group) -> None:
    for pid, client in one_of_each(group).items():
        [row] = [each for each in served(live) if each["id"].startswith(f"{pid}-")]
        [line] = live.ask("details", id=row["id"])
        assert any("in hold" in each for each in line["connection"]["stack"])
        events = live.ask("events", id=row["id"])
        heard = (line["event"]["name"] for line in events if "event" in line)
        assert next(heard) == "open"
        list(live.ask("reset", id=row["id"]))
        assert "close" in heard
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        client.close()
        with pytest.raises(LiveError, match="none of that id"):
            list(live.ask("close", id=row["id"]))
    worker = group.cluster.workers[1]
    worker.process.kill()
    group.next("exit")
    assert str(worker.pid) not in {str(each["pid"]) for each in listing(live).processes}
