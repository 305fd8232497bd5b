"""TLS and processes: workers of a cluster, forked children, and the end of a program."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event

import gnet
from gnet.tls import Certificates, certificates
from tests.helpers.authority import authority, client_context, issue, server_context, write_pair
from tests.helpers.peers import python, run
from tests.helpers.servers import closing, place_at, place_of_raw, raw_listener, serving
from tests.helpers.tls_peer import Peer

if sys.platform == "win32":
    pytest.skip("nothing is forked there", allow_module_level=True)

from tests.helpers import forks
from tests.helpers.clusters import Group, cluster_of

ROOT = Path(__file__).parents[3]
WAYS = pytest.mark.parametrize("way", ["os", "gevent", "multiprocessing"])

# -- workers -----------------------------------------------------------------------------------

#: Looks more often than it does elsewhere.
WORKER = """
import sys

from gnet.tls import Certificates, certificates

certificates.LOOK_SECONDS = 0.02

def greet(sock):
    sock.sendall(PID.encode())

def main():
    gnet.serve(greet, 0, "127.0.0.1", tls=Certificates({folder!r}))
"""


def lay(folder: Path, number: int) -> None:
    """Have the certificate be another one, with a number among its names."""
    place = folder / "localhost"
    leaf = issue("localhost", f"{number}.example")
    write_pair(leaf, place / "fullchain.pem", place / "privkey.pem")


def shown(group: Group) -> tuple[str, int]:
    """Which worker a client gets, and the number of the certificate that it is shown."""
    address = group.address
    with gnet.connect(
        address.port, address.address, tls=client_context(), server_hostname="localhost"
    ) as sock:
        pid = sock.recv().decode()
        names: Any = sock.getpeercert()
        return pid, int(names["subjectAltName"][1][1].partition(".")[0])


@pytest.mark.limit(40)
def test_every_worker_follows_a_certificate_that_is_replaced(tmp_path: Path) -> None:
    lay(tmp_path, 0)
    with cluster_of(2, WORKER.format(folder=str(tmp_path))) as group:
        group.all("listening", 2)
        for number in range(3):
            lay(tmp_path, number)
            seen: dict[str, int] = {}
            # One that is still shown is an older one, never another.
            while seen != dict.fromkeys(group.pids, number):
                pid, certificate = shown(group)
                assert seen.get(pid, max(0, number - 1)) <= certificate <= number
                seen[pid] = certificate


# -- forks -------------------------------------------------------------------------------------


@WAYS
def test_a_fork_during_a_servers_handshake_leaves_it_alone(way: str) -> None:
    failures: list[Any] = []
    arrived = Event()

    def connected(sock: gnet.Socket) -> None:
        arrived.set()
        sock.end(b"hello")

    with serving(connected, tls=server_context()) as server:
        server.on("tls_client_error", lambda error, info: failures.append(error))
        with socket.create_connection(("127.0.0.1", place_at(server)[0])) as plain:
            peer = Peer(plain._sock, client_context(), server_hostname="localhost")
            peer.handshake()
            socket.wait_read(plain.fileno())
            # It waits for the client's last step.
            assert forks.ways()[way](lambda: gc.collect() >= 0) is True
            while not peer.handshake():
                socket.wait_read(plain.fileno())
            arrived.wait()
            received = b""
            while received != b"hello":
                socket.wait_read(plain.fileno())
                received += peer.read()
        # Linux tells of a close with tickets unread as a reset.
        while server.connections:
            gevent.sleep(0.001)
    assert not failures


@WAYS
def test_a_fork_during_a_clients_handshake_leaves_it_alone(way: str) -> None:
    with raw_listener() as listener:
        sock = gnet.connect(
            *place_of_raw(listener), tls=client_context(), server_hostname="localhost"
        )
        plain, _ = listener.accept()
        with plain, closing(sock):
            peer = Peer(plain._sock, server_context(), server_side=True)
            socket.wait_read(plain.fileno())

            def let_go() -> bool:
                sock.destroy()
                gc.collect()
                return True

            assert forks.ways()[way](let_go) is True
            while not peer.handshake():
                socket.wait_read(plain.fileno())
            sock.sendall(b"hello")
            received = b""
            while received != b"hello":
                socket.wait_read(plain.fileno())
                received += peer.read()


@WAYS
def test_a_child_follows_certificates_that_its_parent_has_made(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "LOOK_SECONDS", 0.01)
    lay(tmp_path, 0)
    found = Certificates(tmp_path)

    def follow() -> list[str]:
        lay(tmp_path, 1)
        while "1.example" not in found.names:
            gevent.sleep(0.005)
        return list(found.names)

    try:
        assert forks.ways()[way](follow) == ["1.example", "localhost"]
        while "1.example" not in found.names:
            gevent.sleep(0.005)
    finally:
        found.close()


# -- the end of a program ----------------------------------------------------------------------


PROGRAM = """
import atexit, ssl, sys, time
sys.path.insert(0, {root!r})
import gnet

context = ssl.create_default_context(cafile={cafile!r})
sock = gnet.connect({port}, {host!r}, tls=context, server_hostname="localhost")
sock.sendall(b"last words")
begun = time.monotonic()
{ending}
atexit._run_exitfuncs()
sys.stdout.write(str(time.monotonic() - begun))
"""


@pytest.mark.limit(30)
def test_a_program_ends_whose_peer_never_says_goodbye() -> None:
    """What it has sent has arrived; close() waits for two seconds, and nothing else at all."""
    endings = {"sock.close()": 4.0, "sock.stop_tls()": 1.5,
               "pass": 1.5}  # fmt: skip
    gevent.joinall([gevent.spawn(end_with, *each) for each in endings.items()], raise_error=True)


def end_with(ending: str, limit: float) -> None:
    """Run a program that ends so, at a peer that reads and says nothing."""
    with raw_listener() as listener, authority().cert_pem.tempfile() as cafile:
        port, host = place_of_raw(listener)
        program = PROGRAM.format(
            root=str(ROOT), cafile=cafile, port=port, host=host, ending=ending
        )
        running = gevent.spawn(run, *python(program))
        plain, _ = listener.accept()
        context = server_context()
        # A peer that is slow may send its tickets when the program has ended already: the kernel
        # answers them with a reset, whatever the program has done.
        context.num_tickets = 0
        with plain:
            peer = Peer(plain._sock, context, server_side=True)
            while not peer.handshake():
                socket.wait_read(plain.fileno())
            assert peer.rest() == b"last words"
            outcome = running.get()
            assert (outcome.complaints, outcome.status) == (b"", 0)
            assert float(outcome.output) < limit, ending
