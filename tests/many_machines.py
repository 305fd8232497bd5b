"""The chat on three machines while they and Redis are killed: ``python -m tests.many_machines``.

Three processes of ``examples/rooms.py`` on three loopback addresses, HAProxy in front of them and
Redis behind them. Clients talk all the time. One process is killed, another one is told to end,
and Redis is killed and stays away for some seconds. In the end everybody has heard everything
that was acknowledged, once and in one order, and only those have lost a connection whose machine
it was.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import gevent
from gevent import socket, subprocess

import gnet
from tests.helpers import turns
from tests.helpers.peers import Peer, program
from tests.helpers.servers import receive_all, send_end

__all__ = ["HOSTS", "Machines", "Outcome", "machines", "run", "until"]

EXAMPLES = Path(__file__).parent.parent / "examples"
HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
LIMIT_SECONDS = 60.0


class Outcome(NamedTuple):
    """What has become of what was said, and of the connections.

    :ivar acknowledged: how many messages were.
    :ivar lost: those of them that somebody has not heard.
    :ivar twice: those that somebody has heard more than once.
    :ivar disordered: how many clients have heard them in another order than the first one.
    :ivar innocent: the machines whose clients have lost a connection, though it was not theirs.
    """

    acknowledged: int
    lost: set[str]
    twice: set[str]
    disordered: int
    innocent: list[str]


def until(condition: Callable[[], object]) -> None:
    """Wait for what other processes bring about."""
    with gevent.Timeout(LIMIT_SECONDS, ref=False):
        turns.until(condition)


class Machines:
    """The processes: three of the example, HAProxy and Redis."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self.url = f"unix://{directory}/redis"
        self._redis: Peer | None = None
        self._peers: dict[str, Peer] = {}
        self._ports = dict.fromkeys(HOSTS, 0)
        self.start_redis()
        for host in HOSTS:
            self.start(host)
        self.port = self._start_haproxy()

    def _run(self, *command: str) -> Peer:
        peer = Peer([program(command[0]), *command[1:]])
        self._stack.callback(peer.close)
        return peer

    def start_redis(self) -> None:
        path = f"{self._directory}/redis"
        settings = ["--port", "0", "--unixsocket", path, "--dir", str(self._directory)]
        self._redis = self._run("redis-server", *settings, "--save", "", "--appendonly", "yes")
        while b"eady to accept connections" not in (line := self._redis.line()):
            assert line, self._redis.wait()

    def kill_redis(self) -> None:
        assert self._redis is not None
        self._redis.close()

    def start(self, host: str) -> None:
        example = str(EXAMPLES / "rooms.py")
        peer = self._run(sys.executable, example, host, str(self._ports[host]), self.url)
        text, _, port = peer.line().decode().rpartition(" ")
        assert text == "listening on", peer.wait().complaints.decode()
        self._peers[host], self._ports[host] = peer, int(port)

    def kill(self, host: str) -> None:
        self._peers[host].close()

    def end(self, host: str) -> int:
        """Tell it to end; gives its status."""
        self._peers[host].signal(signal.SIGTERM)
        return self._peers[host].wait().status

    def _start_haproxy(self) -> int:
        text = (EXAMPLES / "rooms.cfg").read_text(encoding="utf-8")
        for host, port in self._ports.items():
            text = text.replace(f"{host}:8124", f"{host}:{port}")
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(64)
            listener.set_inheritable(True)
            text = text.replace("bind :7000", f"bind fd@{listener.fileno()}")
            settings = self._directory / "haproxy.cfg"
            settings.write_text(text, encoding="utf-8")
            command = [program("haproxy"), "-db", "-q", "-f", str(settings)]
            haproxy = subprocess.Popen(command, pass_fds=[listener.fileno()])
            self._stack.callback(haproxy.wait)
            self._stack.callback(haproxy.terminate)
            return int(listener.getsockname()[1])

    def says(self, source: str, data: bytes) -> bytes:
        """What somebody is told up to the end who comes from an address, says that, and ends."""
        with (
            socket.create_connection(("127.0.0.1", self.port), source_address=(source, 0)) as sock,
            suppress(ConnectionError),
        ):
            sock.sendall(data)
            send_end(sock)
            return bytes(receive_all(sock))
        return b""


@contextmanager
def machines() -> Iterator[Machines]:
    """All of them, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="gnet-") as name, ExitStack() as stack:
        yield Machines(Path(name), stack)


class Client:
    """Somebody who talks, listens, and comes again when the connection was lost.

    :ivar machine: which one has the connection; empty while there is none.
    :ivar lost_by: how many connections were lost, by machine.
    """

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.port = port
        self.machine = ""
        self.lost_by: Counter[str] = Counter()
        self.acknowledged: set[int] = set()
        self.said = 0
        self.heard: list[str] = []
        self.seen = "0"
        self.talks = True
        self._sock: gnet.Socket | None = None
        self._jobs = [gevent.spawn(self._listen), gevent.spawn(self._talk)]

    def _listen(self) -> None:
        while True:
            with suppress(OSError), gnet.connect(self.port, "127.0.0.1") as sock:
                sock.sendall(f"join lobby {self.name} {self.seen}\n".encode())
                for number in range(self.said):
                    if number not in self.acknowledged:
                        self._say(sock, number)
                self._sock = sock
                # The rest of a line, of a machine that was killed, is none.
                while (line := sock.readline().decode()).endswith("\n"):
                    self._take(line.split())
            self._sock = None
            if self.machine:
                self.lost_by[self.machine] += 1
                self.machine = ""
            gevent.sleep(0.05)

    def _take(self, words: list[str]) -> None:
        if words[0] == "*":
            self.machine = words[1]
        elif words[0] == "ack":
            self.acknowledged.add(int(words[1]))
        else:
            self.seen = words[1]
            self.heard.append(f"{words[2]}{words[3]}")

    def _talk(self) -> None:
        while self.talks:
            gevent.sleep(0.02)
            self.said += 1
            with suppress(OSError):
                if self._sock is not None:
                    self._say(self._sock, self.said - 1)

    def _say(self, sock: gnet.Socket, number: int) -> None:
        sock.sendall(f"say {number} {number}\n".encode())

    def has_all(self) -> bool:
        return len(self.acknowledged) == self.said

    def close(self) -> None:
        gevent.killall(self._jobs)


def run(outage: float, clients: int = 6) -> Outcome:
    """Run it.

    :param outage: how long Redis is away, in seconds.
    :param clients: how many talk.
    """
    with machines() as house, ExitStack() as stack:
        people = [Client(f"c{number}", house.port) for number in range(clients)]
        for each in people:
            stack.callback(each.close)
        until(lambda: {each.machine for each in people} >= set(HOSTS))
        innocent: list[str] = []

        def go_on() -> None:
            """Until everybody is there, and has had an answer to what was said just now."""
            said = [each.said for each in people]
            until(lambda: all(each.machine for each in people))
            until(lambda: all(n in p.acknowledged for n, p in zip(said, people)))

        def nobody_but(*guilty: str) -> None:
            for each in people:
                innocent.extend(name for name in each.lost_by if name not in guilty)
                each.lost_by.clear()

        go_on()
        nobody_but()
        house.kill(HOSTS[0])
        go_on()
        nobody_but(HOSTS[0])
        house.start(HOSTS[0])
        go_on()
        house.kill_redis()
        gevent.sleep(outage)
        house.start_redis()
        go_on()
        nobody_but()
        assert house.end(HOSTS[1]) == 0
        go_on()
        nobody_but(HOSTS[1])
        for each in people:
            each.talks = False
        until(lambda: all(each.has_all() for each in people))
        acknowledged = {f"{p.name}:{n}" for p in people for n in p.acknowledged}
        with suppress(gevent.Timeout):
            until(lambda: all(acknowledged <= set(each.heard) for each in people))
        counts = [Counter(each.heard) for each in people]
        return Outcome(
            len(acknowledged),
            {text for text in acknowledged for count in counts if text not in count},
            {text for count in counts for text, number in count.items() if number > 1},
            sum(each.heard != people[0].heard for each in people),
            innocent,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outage", type=float, default=10)
    parser.add_argument("--clients", type=int, default=12)
    options = parser.parse_args()
    outcome = run(options.outage, options.clients)
    print(outcome)
    if outcome.lost or outcome.twice or outcome.disordered or outcome.innocent:
        raise SystemExit("something was lost")


if __name__ == "__main__":
    main()
