"""The ways of an accept, a reset and a connect through gnet: its calls, one after the other.

Run as a program it prints them as JSON. It wants the sources (``GNET_PURE=1``), as a compiled
function is no call that the interpreter tells of.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Way(NamedTuple):
    """The calls of gnet's own functions on a way.

    :ivar calls: the file and the function of each.
    """

    calls: list[tuple[str, str]]

    @property
    def most_returns(self) -> int:
        """How often the way comes back to the file that it comes back to most often."""
        visits: dict[str, int] = {}
        last = ""
        for file, _ in self.calls:
            if file != last:
                visits[file] = visits.get(file, -1) + 1
            last = file
        return max(visits.values(), default=0)


def measure() -> dict[str, Way]:
    """The ways by their names."""
    command = [sys.executable, "-m", "tests.gates.ways"]
    environment = {**os.environ, "GNET_PURE": "1", "PYTHONPATH": str(ROOT)}
    # Another loop has other watchers.
    environment.pop("GEVENT_LOOP", None)
    output = subprocess.run(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    return {name: Way(list(map(tuple, calls))) for name, calls in json.loads(output).items()}


class Recorder:
    """Notes the calls between :meth:`start` and :meth:`stop`."""

    def __init__(self) -> None:
        self._calls: list[tuple[str, str]] | None = None
        self._package = os.path.join(str(ROOT), "gnet", "")
        sys.setprofile(self._called)

    def start(self) -> None:
        self._calls = []

    def stop(self) -> list[tuple[str, str]]:
        calls, self._calls = self._calls or [], None
        return calls

    def _called(self, frame: Any, event: str, arg: Any) -> None:
        if event != "call" or self._calls is None:
            return
        code = frame.f_code
        # Newer interpreters have no frame for a comprehension.
        if code.co_filename.startswith(self._package) and code.co_name[0] != "<":
            self._calls.append((code.co_filename.removeprefix(self._package), code.co_name))


def _main() -> None:
    # Ahead of everything: a greenlet keeps the profile function that it was started with.
    recorder = Recorder()

    import struct

    import gevent
    from gevent import socket
    from gevent.event import AsyncResult

    import gnet

    class Hosts(type(gevent.get_hub().resolver)):  # type: ignore[misc]
        """What the system knows of ``localhost`` may be one address or two."""

        def getaddrinfo(self, host: Any, port: Any, *args: Any) -> Any:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port or 0))]

    gevent.get_hub().resolver = Hosts()
    ways: dict[str, list[tuple[str, str]]] = {}
    happened: Any = AsyncResult()

    def ends(name: str) -> None:
        ways[name] = recorder.stop()
        happened.set(name)

    def connected(sock: Any) -> None:
        ends("accept")
        sock.on("data", sock.write)
        sock.on("error", lambda error: None)
        sock.on("close", lambda had_error: ends("reset"))

    def wait(way: Callable[[], Any]) -> Any:
        nonlocal happened
        happened = AsyncResult()
        recorder.start()
        result = way()
        happened.get()
        return result

    server = gnet.create_server(connected)
    server.listen(0, "127.0.0.1")
    address = server.address()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    # What is collected of former connections is no part of a way.
    gc.disable()
    # The second time nothing is made that stays.
    for _ in range(2):
        peer = wait(lambda: socket.create_connection(address[::2]))  # type: ignore[index]
        peer.sendall(b"hello")
        peer.recv(5)
        gevent.sleep(0.01)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait(peer.close)
        client = wait(lambda: gnet.connect(port, "localhost", lambda: ends("connect")))
        client.destroy()
        gnet.run(1)
    server.shutdown(0)
    print(json.dumps(ways))


if __name__ == "__main__":
    _main()
